"""The opioids of a patient: what is kept, what is refused, and that no mistake is ever lost."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from clinic.tests.factories import staff
from patients import mme, services
from patients.models import OpioidUse, Patient
from patients.tests.factories import opioid_use, recorded_opioid_use
from procedures.tests.factories import World

FRIDAY = date(2027, 1, 8)  # the world's today


def refused(act: Any) -> list[tuple[str, str]]:
    """(field, code) of what a service refuses."""
    with pytest.raises(ValidationError) as caught:
        act()
    refusal = caught.value
    if isinstance(refusal, Refusal):
        return [(refusal.field or "", str(refusal.code))]
    return [(field, str(fault.code)) for field, faults in refusal.error_dict.items() for fault in faults]


def test_what_is_recorded_keeps_its_worth_and_the_table_it_came_from(world: World) -> None:
    kept = OpioidUse.objects.get(pk=recorded_opioid_use(world).pk)
    assert (kept.mme_per_day, kept.mme_version) == (Decimal(30), "CDC-2022")
    assert (kept.recorded_by, kept.recorded_at) == (world.nurse, world.now)
    assert str(kept) == "oxycodone 20 mg a day"
    event = AuditEvent.objects.get(action="opioid_use.recorded")
    assert (event.by, event.object_id, event.reason) == (world.nurse, kept.pk, "")


@pytest.mark.parametrize(
    "values",
    [
        {"drug": "buprenorphine", "unit": "mcg/h", "dose": Decimal(10)},
        {"drug": "other", "prescription": "levorphanol 2 mg"},
        {"drug": "morphine", "intrathecal": True, "dose": Decimal("2.5")},
    ],
)
def test_what_has_no_factor_is_kept_without_a_worth(world: World, values: dict[str, Any]) -> None:
    kept = recorded_opioid_use(world, **values)
    assert (kept.mme_per_day, kept.mme_version) == (None, "")
    assert kept.left_out == ("intrathecal" if kept.intrathecal else "no_factor")


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"drug": "heroin"}, "drug", "invalid_choice"),
        ({"dose": Decimal(0)}, "dose", "min_value"),
        ({"dose": Decimal(-5)}, "dose", "min_value"),
        ({"dose": Decimal("0.0001")}, "dose", "min_value"),
        ({"unit": "mcg/h"}, "unit", "unit_not_possible"),
        ({"drug": "fentanyl_patch", "unit": "mg/day"}, "unit", "unit_not_possible"),
        (
            {"drug": "fentanyl_patch", "unit": "mcg/h", "intrathecal": True},
            "intrathecal",
            "route_not_possible",
        ),
        ({"prescription": ""}, "prescription", "blank"),
        ({"from_on": FRIDAY + timedelta(days=1)}, "from_on", "in_the_future"),
        ({"from_on": date(1944, 5, 5)}, "from_on", "before_birth"),
        ({"until_on": date(2026, 12, 31)}, "__all__", "ends_before_start"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_saved(
    world: World, values: dict[str, Any], field: str, code: str
) -> None:
    assert (field, code) in refused(lambda: recorded_opioid_use(world, **values))
    assert not OpioidUse.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="opioid_use").exists()


def test_today_is_the_patients_not_the_servers(world: World) -> None:
    """At half past eleven in the evening in New York it is tomorrow in UTC."""
    late = world.at(FRIDAY, 23, 30)
    assert late.date() == FRIDAY + timedelta(days=1)
    tomorrow = opioid_use(world, from_on=late.date())
    assert refused(lambda: services.record_opioid_use(tomorrow, by=world.nurse, now=late)) == [
        ("from_on", "in_the_future")
    ]
    services.record_opioid_use(opioid_use(world, from_on=FRIDAY), by=world.nurse, now=late)


def test_a_second_click_is_refused_and_another_dose_is_not(world: World) -> None:
    recorded_opioid_use(world)
    assert refused(lambda: recorded_opioid_use(world)) == [("__all__", "recorded_already")]
    recorded_opioid_use(world, dose=Decimal(10), prescription="5 mg when needed")
    assert OpioidUse.objects.count() == 2


def test_a_merged_record_takes_nothing_more(world: World) -> None:
    world.patient.merged_into = world.another_patient()
    world.patient.save()
    assert refused(lambda: recorded_opioid_use(world)) == [("patient", "patient_not_current")]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"dose": 0}, "opioid_dose_above_zero"),
        ({"until_on": date(2026, 1, 1)}, "opioid_use_ends_after_start"),
        ({"from_on": FRIDAY + timedelta(days=2)}, "opioid_use_began_before_recorded"),
        ({"unit": "mcg/h"}, "opioid_patch_by_the_hour"),
        ({"mme_version": ""}, "opioid_mme_with_its_table"),
        ({"drug": "buprenorphine"}, "opioid_without_factor_has_no_mme"),
        ({"intrathecal": True}, "opioid_without_factor_has_no_mme"),
        ({"prescription": ""}, "opioid_has_its_prescription"),
        ({"entered_in_error_reason": "typed twice"}, "opioid_error_with_reason"),
    ],
)
def test_the_database_keeps_out_what_must_never_be(
    world: World, values: dict[str, Any], constraint: str
) -> None:
    kept = recorded_opioid_use(world)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        OpioidUse.objects.filter(pk=kept.pk).update(**values)


def test_it_ends_and_a_last_day_to_come_can_be_moved(world: World) -> None:
    kept = recorded_opioid_use(world)
    day = timedelta(days=1)

    def end(until_on: date) -> None:
        services.end_opioid_use(kept.pk, until_on=until_on, by=world.nurse, now=world.now)

    assert refused(lambda: end(date(2026, 12, 31))) == [("until_on", "ends_before_start")]
    end(FRIDAY + 7 * day)
    end(FRIDAY - day)
    end(FRIDAY - day)  # once more changes nothing
    assert refused(lambda: end(FRIDAY)) == [("until_on", "ended_already")]
    kept.refresh_from_db()
    assert kept.until_on == FRIDAY - day
    assert AuditEvent.objects.filter(action="opioid_use.ended").count() == 2


def test_a_mistake_stays_and_what_is_right_stands_in_its_place(world: World) -> None:
    wrong = recorded_opioid_use(world, dose=Decimal(200))
    right = services.correct_opioid_use(
        wrong.pk,
        instead=opioid_use(world),
        reason="  typed a nought too many ",
        by=world.physician,
        now=world.now,
    )
    wrong.refresh_from_db()
    assert (wrong.entered_in_error_at, wrong.entered_in_error_reason) == (
        world.now,
        "typed a nought too many",
    )
    assert (right.corrects, right.mme_per_day, right.recorded_by) == (wrong, Decimal(30), world.physician)
    assert list(OpioidUse.objects.standing()) == [right]
    reasons = AuditEvent.objects.filter(action__startswith="opioid_use").values_list("reason", flat=True)
    assert set(reasons) == {""}


def test_a_correction_that_is_refused_leaves_the_row_as_it_was(world: World) -> None:
    kept = recorded_opioid_use(world)
    wrong = opioid_use(world, unit="mcg/h")
    assert refused(
        lambda: services.correct_opioid_use(
            kept.pk, instead=wrong, reason="the unit", by=world.nurse, now=world.now
        )
    ) == [("unit", "unit_not_possible")]
    kept.refresh_from_db()
    assert kept.entered_in_error_at is None


def test_a_correction_needs_a_reason_and_is_made_once(world: World) -> None:
    kept = recorded_opioid_use(world)

    def correct(reason: str) -> OpioidUse:
        return services.correct_opioid_use(kept.pk, reason=reason, by=world.nurse, now=world.now)

    assert refused(lambda: correct(" ")) == [("reason", "reason_required")]
    assert refused(lambda: correct("x" * 501)) == [("reason", "reason_too_long")]
    correct("another patient's")
    assert refused(lambda: correct("another patient's")) == [("", "not_allowed_now")]
    assert refused(
        lambda: services.end_opioid_use(kept.pk, until_on=FRIDAY, by=world.nurse, now=world.now)
    ) == [("", "not_allowed_now")]
    recorded_opioid_use(world)  # what is right may well be the same


def test_the_filter_by_total_counts_what_stands_on_the_day(world: World) -> None:
    recorded_opioid_use(world)  # 30
    recorded_opioid_use(
        world, drug="morphine", dose=Decimal(20), prescription="10 mg twice", until_on=FRIDAY
    )  # 20
    recorded_opioid_use(world, drug="buprenorphine", prescription="a patch")
    ended = recorded_opioid_use(
        world, drug="methadone", dose=Decimal(10), prescription="5 mg twice"
    )  # 47, a mistake
    services.correct_opioid_use(ended.pk, reason="never taken", by=world.nurse, now=world.now)

    def found(limit: int, day: date) -> list[Patient]:
        return list(Patient.objects.mme_at_least(limit, day))

    assert found(50, FRIDAY) == [world.patient]
    assert found(51, FRIDAY) == []
    assert found(50, FRIDAY + timedelta(days=1)) == []
    assert found(30, FRIDAY + timedelta(days=1)) == [world.patient]


def test_another_sites_opioids_do_not_exist(world: World) -> None:
    recorded_opioid_use(world)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    stranger = staff("stranger@example.org", "Physician", other)
    assert not OpioidUse.objects.visible_to(stranger).exists()
    assert OpioidUse.objects.visible_to(world.nurse).count() == 1


def test_the_rows_of_a_day_and_their_total_agree_on_the_day_of_a_change(world: World) -> None:
    """The list, the filter of patients and the total each have the rule in their own words."""
    old = recorded_opioid_use(world, until_on=FRIDAY)
    assert list(OpioidUse.objects.on(FRIDAY)) == [old]
    new = recorded_opioid_use(world, dose=Decimal(60), from_on=FRIDAY)
    other = recorded_opioid_use(world, drug="morphine", dose=Decimal(5), from_on=FRIDAY)
    voided = recorded_opioid_use(world, dose=Decimal(7), from_on=FRIDAY)
    services.correct_opioid_use(voided.pk, reason="misread", by=world.nurse, now=world.now)
    assert set(OpioidUse.objects.on(FRIDAY)) == {new, other}
    assert set(OpioidUse.objects.taken_on(FRIDAY)) == {old, new, other}
    assert set(OpioidUse.objects.on(FRIDAY - timedelta(days=1))) == {old}
    standing = OpioidUse.objects.standing()
    assert mme.total_on(standing, FRIDAY).mme == mme.total_on(OpioidUse.objects.on(FRIDAY), FRIDAY).mme == 95
    assert list(Patient.objects.mme_at_least(95, FRIDAY)) == [world.patient]
    assert list(Patient.objects.mme_at_least(96, FRIDAY)) == []
    services.correct_opioid_use(new.pk, reason="never taken", by=world.nurse, now=world.now)
    assert set(OpioidUse.objects.on(FRIDAY)) == {old, other}
