"""Implanted devices: what is kept, what is refused, what falls due."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from clinic.tests.factories import DAY, MONDAY, staff
from procedures import services
from procedures.models import ImplantedDevice, Procedure
from procedures.tests.factories import World, implant_procedure, recorded_device


@pytest.fixture
def implant(world: World) -> Procedure:
    """A pump was implanted on Monday."""
    return implant_procedure(world)


def refused(act: Any) -> list[tuple[str, str]]:
    """(field, code) of what a service refuses."""
    with pytest.raises(ValidationError) as caught:
        act()
    refusal = caught.value
    if isinstance(refusal, Refusal):
        return [(refusal.field or "", str(refusal.code))]
    return [(field, str(fault.code)) for field, faults in refusal.error_dict.items() for fault in faults]


def test_a_device_is_recorded_with_who_and_when(world: World, implant: Procedure) -> None:
    kept = recorded_device(world, implant)
    assert (kept.recorded_by, kept.recorded_at) == (world.nurse, implant.performed_at + DAY)
    assert list(ImplantedDevice.objects.in_place()) == [kept]
    event = AuditEvent.objects.get(action="device.recorded")
    assert (event.by, event.site, event.reason) == (world.nurse, world.site, "")


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"kind": "spinal_cord_stimulator", "refill_due_on": None}, "kind", "wrong_kind"),
        ({"serial_number": ""}, "serial_number", "blank"),
        ({"implanted_on": MONDAY - DAY}, "implanted_on", "before_procedure"),
        ({"implanted_on": MONDAY + 2 * DAY}, "implanted_on", "in_the_future"),
        ({"refill_due_on": MONDAY - DAY}, "refill_due_on", "due_before_implant"),
        ({"battery_due_on": MONDAY - DAY}, "battery_due_on", "due_before_implant"),
    ],
)
def test_what_cannot_be_is_refused(
    world: World, implant: Procedure, values: dict[str, Any], field: str, code: str
) -> None:
    assert (field, code) in refused(lambda: recorded_device(world, implant, **values))
    assert not ImplantedDevice.objects.exists()


def test_only_a_pump_is_refilled(world: World) -> None:
    world.ablation.family = world.ablation.purpose = "device_maintenance"
    world.ablation.save()
    procedure = world.performed(intent="maintenance")
    stimulator = {"kind": "spinal_cord_stimulator"}
    assert refused(lambda: recorded_device(world, procedure, **stimulator)) == [
        ("refill_due_on", "not_a_pump")
    ]
    kept = recorded_device(world, procedure, **stimulator, refill_due_on=None)
    day = MONDAY + 30 * DAY
    assert refused(
        lambda: services.refilled(kept.pk, next_due_on=day, by=world.nurse, now=kept.recorded_at)
    ) == [("", "not_a_pump")]


@pytest.mark.parametrize(("purpose", "intent"), [("therapeutic", "therapeutic"), ("device_trial", "trial")])
def test_no_other_procedure_leaves_a_device(world: World, purpose: str, intent: str) -> None:
    world.ablation.purpose = purpose
    world.ablation.save()
    procedure = world.performed(intent=intent)
    assert refused(lambda: recorded_device(world, procedure)) == [("", "not_allowed_now")]


def test_a_serial_number_is_in_one_patient(world: World, implant: Procedure) -> None:
    kept = recorded_device(world, implant)
    again = implant_procedure(world, day=MONDAY + DAY, patient=world.another_patient())
    assert refused(lambda: recorded_device(world, again, manufacturer="ACME", serial_number="a-1001")) == [
        ("__all__", "recorded_already")
    ]
    services.void_device(kept.pk, reason="wrong patient", by=world.nurse, now=kept.recorded_at)
    recorded_device(world, again)


def test_the_loser_of_a_race_for_a_serial_number_hears_it_politely(
    world: World, implant: Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are past the check; the database keeps one out."""
    recorded_device(world, implant)
    monkeypatch.setattr(ImplantedDevice, "validate_constraints", lambda self, exclude=None: None)
    assert refused(lambda: recorded_device(world, implant)) == [("", "recorded_already")]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"serial_number": ""}, "device_is_named"),
        ({"implanted_on": MONDAY + 9 * DAY}, "device_implanted_before_recorded"),
        ({"kind": "spinal_cord_stimulator"}, "only_pumps_are_refilled"),
        ({"refill_due_on": MONDAY - DAY}, "device_due_after_implant"),
        ({"explanted_on": MONDAY - DAY, "explanted_reason": "wish"}, "device_explanted_after_implant"),
        ({"explanted_on": MONDAY}, "device_explanted_with_reason"),
        ({"explanted_on": MONDAY, "explanted_reason": "other"}, "device_other_explant_says_why"),
        ({"entered_in_error_reason": "typed twice"}, "device_error_with_reason"),
    ],
)
def test_the_database_keeps_out_what_must_never_be(
    world: World, implant: Procedure, values: dict[str, Any], constraint: str
) -> None:
    kept = recorded_device(world, implant)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ImplantedDevice.objects.filter(pk=kept.pk).update(**values)


def test_a_refill_and_a_look_at_the_battery_move_what_is_due(world: World, implant: Procedure) -> None:
    kept = recorded_device(world, implant)
    now = world.at(MONDAY + 91 * DAY, 10)
    today = MONDAY + 91 * DAY
    assert kept.due_on(today) == [("refill", MONDAY + 90 * DAY)]
    assert list(ImplantedDevice.objects.due(today)) == [kept]
    assert refused(lambda: services.refilled(kept.pk, next_due_on=today - DAY, by=world.nurse, now=now)) == [
        ("next_due_on", "in_the_past")
    ]
    for _ in range(2):  # once more changes nothing
        services.refilled(kept.pk, next_due_on=today + 90 * DAY, by=world.nurse, now=now)
    services.battery_checked(kept.pk, next_due_on=None, by=world.nurse, now=now)
    kept.refresh_from_db()
    assert (kept.refill_due_on, kept.battery_due_on) == (today + 90 * DAY, None)
    assert not ImplantedDevice.objects.due(today).exists()
    assert AuditEvent.objects.filter(action="device.refilled").count() == 1
    assert AuditEvent.objects.filter(action="device.battery_checked").count() == 1


def test_what_is_out_needs_nothing_more(world: World, implant: Procedure) -> None:
    kept = recorded_device(world, implant)
    now = world.at(MONDAY + 100 * DAY, 10)

    def explant(**how: Any) -> ImplantedDevice:
        values: dict[str, Any] = {"on": MONDAY + 99 * DAY, "reason": "infection"} | how
        return services.explant(kept.pk, **values, by=world.physician, now=now)

    assert refused(lambda: explant(reason="")) == [("reason", "reason_required")]
    assert refused(lambda: explant(reason="bored")) == [("reason", "reason_required")]
    assert refused(lambda: explant(reason="other")) == [("note", "reason_required")]
    assert refused(lambda: explant(note="x" * 501)) == [("note", "too_long")]
    assert refused(lambda: explant(on=MONDAY - DAY)) == [("on", "before_implant")]
    assert refused(lambda: explant(on=MONDAY + 101 * DAY)) == [("on", "in_the_future")]
    for _ in range(2):  # once more changes nothing
        explant()
    assert refused(lambda: explant(reason="wish")) == [("", "not_allowed_now")]
    kept.refresh_from_db()
    assert not kept.in_place
    assert kept.due_on(MONDAY + 100 * DAY) == []
    assert not ImplantedDevice.objects.due(MONDAY + 100 * DAY).exists()
    assert AuditEvent.objects.filter(action="device.explanted").count() == 1
    assert refused(lambda: services.refilled(kept.pk, next_due_on=None, by=world.nurse, now=now)) == [
        ("", "not_allowed_now")
    ]


def test_the_devices_of_a_procedure_entered_in_error_count_nowhere(world: World, implant: Procedure) -> None:
    recorded_device(world, implant)
    services.void(implant.pk, reason="wrong patient", by=world.physician, now=world.at(MONDAY + DAY, 12))
    assert not ImplantedDevice.objects.standing().exists()


def test_another_sites_devices_do_not_exist(world: World, implant: Procedure) -> None:
    recorded_device(world, implant)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    stranger = staff("stranger@example.org", "Physician", other)
    assert not ImplantedDevice.objects.visible_to(stranger).exists()
    assert ImplantedDevice.objects.visible_to(world.nurse).count() == 1
