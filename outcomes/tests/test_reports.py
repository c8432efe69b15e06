"""What reports count, from real follow-ups: procedures performed and answers given through the services."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import Site, User
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.models import AdverseEvent, CourseSummary, FollowUp
from outcomes.reports import Selection, overview_report, procedure_report, response_report
from outcomes.reports.counts import Funnel
from outcomes.reports.curves import extent
from outcomes.reports.response_rates import Answered, answered_of, kept_secret
from outcomes.schedule import DAY
from outcomes.survival import intervals
from outcomes.tests.factories import answered_course
from patients.models import OpioidUse, Patient
from procedures import services as procedures
from procedures.models import Appointment, Baseline, ImplantedDevice
from procedures.tests.factories import World


def test_a_report_counts_who_was_treated_due_and_answered(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
    answered_course(unmasked_world, {42: 7, 92: 8, 184: None})
    answered_course(unmasked_world, {42: 2, 92: 2}, baseline=None)
    report = procedure_report(
        Selection(procedure_type="rfa_facet"), user=unmasked_world.physician, now=unmasked_world.now
    )
    assert report.funnel == Funnel(
        treated=3, no_baseline=1, confounded=0, evaluable=2, due=2, answered=2, in_curve=2
    )
    assert {name: number for name, number in report.verdicts.items() if number} == {
        "lost_within_window": 1,
        "no_relief": 1,
        "no_baseline": 1,
    }
    later = next(point for point in report.points if point.at == 184)
    assert (later.fifty.due, later.fifty.answered, later.fifty.count) == (2, 1, 1)
    assert later.fifty.complete
    assert later.fifty.worst
    assert later.fifty.best
    assert (later.fifty.complete.value, later.fifty.worst.value, later.fifty.best.value) == (1, 0.5, 1)
    assert (later.pain, later.pain_before, later.channels["email"]) == (4, 8, 1)
    treated, responders = report.curves
    assert (treated.total, treated.median) == (2, (0, 42))
    assert (responders.total, responders.median) == (1, (184, 275))
    assert treated.proven
    assert responders.proven


def test_a_device_that_did_not_help_had_lost_its_effect_by_the_day_it_was_taken_out(
    unmasked_world: World,
) -> None:
    useless, replaced = (
        answered_course(unmasked_world, {42: 3, 92: 2}),
        answered_course(unmasked_world, {42: 3, 92: 2}),
    )
    for follow_up, reason in ((useless, "no_effect"), (replaced, "replaced")):
        device = ImplantedDevice.objects.create(
            procedure=follow_up.procedure,
            kind="spinal_cord_stimulator",
            manufacturer="Maker",
            model="One",
            serial_number=f"S{follow_up.pk}",
            implanted_on=follow_up.procedure.performed_at.date(),
            recorded_at=unmasked_world.now + timedelta(days=400),
        )
        procedures.explant(
            device.pk,
            on=follow_up.procedure.performed_at.date() + timedelta(days=120),
            reason=reason,
            by=unmasked_world.physician,
            now=unmasked_world.now + timedelta(days=500),
        )
    assert list(CourseSummary.objects.order_by("pk").values_list("lost_after", "lost_until")) == [
        (92, 120),
        (92, None),
    ]


def test_hours_are_not_squeezed_by_what_a_few_say_of_later_days() -> None:
    hours = intervals([0, 60, 120, 180, 10_080], [60, 120, 240, 300, np.inf])
    assert extent(hours, (120, 720), "minute") == 1440
    days = intervals([0, 42, 548], [42, 92, np.inf])
    assert extent(days, (180, 365), "day") == 548


def test_fewer_answers_than_the_smallest_cell_are_hidden(world: World) -> None:
    answered_course(world, {42: 3})
    report = procedure_report(Selection(), user=world.physician, now=world.now)
    point = next(point for point in report.points if point.at == 42)
    assert (point.fifty.hidden, point.fifty.count, point.fifty.complete, point.pain) == (
        True,
        None,
        None,
        None,
    )
    assert all(curve.hidden and not curve.pieces for curve in report.curves)
    response = response_report(Selection(), user=world.physician, now=world.now)
    assert all(line.hidden and line.due is None for line in response.languages)


def line_of(label: str, due: int, *, smallest: int = 5) -> Answered:
    return answered_of(label, due, due, due // 2, smallest=smallest)


@pytest.mark.parametrize(
    ("dues", "hidden"),
    [
        ({"a": 40, "b": 30}, set()),
        ({"a": 40, "b": 30, "c": 3}, {"b", "c"}),  # c is 73 less 70: b is hidden as well
        ({"a": 40, "c": 3}, {"a", "c"}),
        ({"a": 40, "b": 30, "c": 1, "d": 2}, {"b", "c", "d"}),  # both together are 3, which is too few
        ({"a": 40, "b": 30, "c": 4, "d": 2}, {"c", "d"}),
        ({"a": 40, "b": 0, "c": 3}, {"a", "c"}),
    ],
)
def test_what_is_hidden_cannot_be_told_by_subtracting(dues: dict[str, int], hidden: set[str]) -> None:
    lines = kept_secret(
        [line_of(label, due) for label, due in dues.items()], due=sum(dues.values()), smallest=5
    )
    assert {line.label for line in lines if line.hidden} == hidden
    assert [line.label for line in lines] == list(dues)
    assert all(line.due is None and line.response is None for line in lines if line.hidden)


def test_a_language_of_few_is_not_told_by_that_of_the_others(world: World) -> None:
    for _ in range(3):
        answered_course(world, {42: 3, 92: 2})
    few = answered_course(world, {1: 3})
    Patient.objects.filter(pk=few.patient_id).update(language="es")
    report = response_report(Selection(), user=world.physician, now=world.now)
    assert report.whole.due
    assert [(line.label, line.hidden) for line in report.languages] == [("en", True), ("es", True)]


def test_a_correction_is_counted_at_once(unmasked_world: World) -> None:
    follow_up = answered_course(unmasked_world, {42: 3, 92: 2})
    answer = follow_up.check_ins.get(offset_minutes=92 * DAY).answer
    services.correct_answer(
        answer.pk,
        values={"nrs.now": 6},
        reason="typed wrongly",
        by=unmasked_world.nurse,
        now=unmasked_world.now,
    )
    report = procedure_report(Selection(), user=unmasked_world.physician, now=unmasked_world.now)
    assert next(point for point in report.points if point.at == 92).pain == 6


def test_rebuilding_changes_nothing_that_was_counted(world: World) -> None:
    answered_course(world, {42: 3, 92: 2, 184: 7, 275: 7})
    answered_course(world, {42: 7})
    fields = [field.attname for field in CourseSummary._meta.fields]
    before = list(CourseSummary.objects.order_by("pk").values_list(*fields))
    CourseSummary.objects.all().delete()
    assert services.summarise_missing(now=world.now) == 2
    assert list(CourseSummary.objects.order_by("pk").values_list(*fields)) == before
    (done,) = services.judge_again(everything=True, now=world.now)
    assert done == (2, 2, {})
    assert list(CourseSummary.objects.order_by("pk").values_list(*fields)) == before


def test_rebuilding_judges_again_what_was_judged_otherwise(world: World) -> None:
    """As after a release that judges by another rule: screens show the follow-up's verdict, reports the summary's."""
    right, other = answered_course(world, {42: 3}), answered_course(world, {42: 3})
    right.refresh_from_db()
    FollowUp.objects.filter(pk=other.pk).update(verdict="no_relief", verdict_reason="By an older rule.")
    later = world.now + timedelta(days=900)
    assert list(services.judge_again(now=later)) == []  # this release has judged them
    CourseSummary.objects.update(definition=1)
    assert list(services.judge_again(now=later)) == [(2, 2, {("no_relief", right.verdict): 1})]
    assert list(services.judge_again(now=later)) == []
    other.refresh_from_db()
    assert (other.verdict, other.verdict_reason) == (right.verdict, right.verdict_reason)
    change = other.verdict_changes.latest("pk")
    assert (change.at, change.previous, change.verdict) == (later, "no_relief", right.verdict)
    assert set(CourseSummary.objects.values_list("verdict", flat=True)) == {right.verdict}
    changes = right.verdict_changes.count(), other.verdict_changes.count()
    list(services.judge_again(everything=True, now=later))
    assert (right.verdict_changes.count(), other.verdict_changes.count()) == changes


def test_harm_is_counted_by_term_and_never_hidden(world: World) -> None:
    harmed = answered_course(world, {42: 3})
    answered_course(world, {42: 3})
    for term, serious, severity in (("infection", True, "severe"), ("bleeding", False, "mild")):
        AdverseEvent.objects.create(
            follow_up=harmed,
            term=term,
            onset_on=MONDAY,
            severity=severity,
            serious=serious,
            outcome="resolved",
            relation="possible",
            recorded_at=world.now + timedelta(days=400),
        )
    AdverseEvent.objects.update_or_create(
        follow_up=harmed,
        term="pneumothorax",
        onset_on=MONDAY,
        severity="severe",
        outcome="resolved",
        relation="definite",
        recorded_at=world.now + timedelta(days=400),
        entered_in_error_at=world.now,
        entered_in_error_reason="wrong record",
    )
    report = procedure_report(Selection(), user=world.physician, now=world.now).adverse
    assert (report.events, report.related) == (2, 2)
    assert report.any
    assert report.serious
    assert (report.any.count, report.any.of, report.serious.count) == (1, 2, 1)
    assert [(line.term, line.severe, line.serious, line.follow_ups) for line in report.lines] == [
        ("bleeding", 0, 0, 1),
        ("infection", 1, 1, 1),
    ]


def test_opioids_are_compared_where_all_of_them_can_be_counted(unmasked_world: World) -> None:
    def takes(follow_up: FollowUp, mme: str | None, since: date, until: date | None = None) -> None:
        OpioidUse.objects.create(
            patient=follow_up.patient,
            drug="morphine" if mme else "buprenorphine",
            dose=Decimal(mme or "1"),
            unit="mg/day",
            prescription="as written",
            from_on=since,
            until_on=until,
            mme_per_day=Decimal(mme) if mme else None,
            mme_version="CDC-2022" if mme else "",
            recorded_at=unmasked_world.now + timedelta(days=900),
        )

    before, later_on = MONDAY - timedelta(days=30), MONDAY + timedelta(days=241)
    halved, stopped, uncountable, kept, later = (answered_course(unmasked_world, {42: 3}) for _ in range(5))
    window = MONDAY + timedelta(days=250)
    takes(halved, "90", before, MONDAY)  # on the day of a change the new dose holds
    takes(halved, "60", MONDAY, window)
    takes(halved, "30", window)
    takes(stopped, "20", before, later_on)
    takes(uncountable, None, before)
    takes(kept, "40", before)
    takes(later, "40", MONDAY + timedelta(days=500))
    for follow_up in (halved, stopped, uncountable, kept, later):
        CourseSummary.objects.filter(pk=follow_up.pk).update(performed_on=MONDAY, window_from=250)
    now = unmasked_world.at(MONDAY + timedelta(days=600), 9)
    change = procedure_report(Selection(), user=unmasked_world.physician, now=now).mme
    assert (change.took, change.countable) == (4, 3)
    assert change.halved
    assert change.stopped
    assert (change.before, change.after, change.halved.count, change.stopped.count) == (40, 70 / 3, 2, 1)
    early = procedure_report(Selection(), user=unmasked_world.physician, now=unmasked_world.now).mme
    assert (early.took, early.before) == (0, None)


def test_a_procedure_entered_in_error_is_not_counted(world: World) -> None:
    follow_up = answered_course(world, {42: 3})
    procedures.void(follow_up.procedure_id, reason="wrong record", by=world.physician, now=world.now)
    report = procedure_report(Selection(), user=world.physician, now=world.now)
    assert (report.funnel.treated, report.points, report.curves) == (0, [], [])


def test_nobody_sees_another_site(world: World) -> None:
    answered_course(world, {42: 3})
    elsewhere = Site.objects.create(name="Hill", time_zone="America/New_York", phone="+1 212 555 0101")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, elsewhere)
    assert procedure_report(Selection(), user=stranger, now=world.now).funnel.treated == 0
    assert [site.site for site in overview_report(user=stranger, now=world.now).sites] == [elsewhere]
    with pytest.raises(Refusal) as refused:
        procedure_report(Selection(site=world.site.pk), user=stranger, now=world.now)
    assert refused.value.code == "unknown_site"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"procedure_type": "leeches"}, "unknown_procedure_type"),
        ({"intent": "curious"}, "unknown_intent"),
        ({"performer": 10**6}, "unknown_performer"),
        ({"performed_from": date(2027, 2, 2), "performed_until": date(2027, 2, 1)}, "empty_period"),
        ({"performed_from": date(1027, 2, 2)}, "out_of_range"),
    ],
)
def test_what_cannot_be_meant_is_refused(world: World, values: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        procedure_report(Selection(**values), user=world.physician, now=world.now)
    assert (refused.value.code, refused.value.field in values) == (code, True)


def test_a_site_with_nothing_in_it_has_an_empty_report(world: World) -> None:
    report = procedure_report(Selection(), user=world.physician, now=world.now)
    assert (report.funnel.treated, report.window, report.points, report.curves) == (0, None, [], [])
    response = response_report(Selection(), user=world.physician, now=world.now)
    assert (response.whole.due, response.whole.response, response.days) == (0, None, [])


def test_the_number_of_queries_does_not_depend_on_how_much_there_is(unmasked_world: World) -> None:
    counts = []
    for _ in range(2):
        answered_course(unmasked_world, {42: 3, 92: 2, 184: 7, 275: 8})
        user = User.objects.get(pk=unmasked_world.physician.pk)  # who remembers nothing of the last time
        with CaptureQueriesContext(connection) as captured:
            procedure_report(Selection(), user=user, now=unmasked_world.now)
            response_report(Selection(), user=user, now=unmasked_world.now)
            overview_report(user=user, now=unmasked_world.now)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_the_peg_before_and_after_is_counted(unmasked_world: World) -> None:
    appointment = procedures.book(
        unmasked_world.appointment(starts_at=unmasked_world.at(MONDAY, 9)),
        by=unmasked_world.clerk,
        now=unmasked_world.now,
    )
    record = procedures.Performed(
        performed_at=unmasked_world.at(MONDAY, 9),
        baseline_pain=8,
        baselines={"peg.pain": 8, "peg.enjoyment": 9, "peg.activity": 7},
    )
    follow_up = procedures.perform(
        appointment.pk, record, by=unmasked_world.physician, now=unmasked_world.at(MONDAY, 10)
    ).follow_up
    check_in = follow_up.check_ins.get(offset_minutes=42 * DAY)
    services.store_answer(
        check_in.pk,
        values={"nrs.now": 3, "peg.pain": 3, "peg.enjoyment": 2, "peg.activity": 4},
        channel="email",
        language="en",
        by=None,
        now=check_in.due_at,
    )
    report = procedure_report(Selection(), user=unmasked_world.physician, now=unmasked_world.now)
    (point,) = (point for point in report.points if point.at == 42)
    assert (point.peg_known, point.peg_before, point.peg) == (1, 8, 3)
    before = CourseSummary.objects.get().baseline_peg
    assert before == 24
    list(services.judge_again(everything=True, now=unmasked_world.now))
    assert CourseSummary.objects.get().baseline_peg == before


def test_rebuilding_asks_no_more_for_many_than_for_few(world: World) -> None:
    def grow(number: int) -> None:
        """Courses with a PEG before, and one that was repeated; the last appointment had been moved."""
        for _ in range(number):
            follow_up = answered_course(world, {42: 3})
            appointment = follow_up.procedure.appointment
            moved = Appointment.objects.get(pk=appointment.pk)
            moved.pk, moved.status = None, Appointment.Status.CANCELLED
            moved.ended_by, moved.ended_reason = Appointment.EndedBy.CLINIC, "Moved to another time."
            moved.save()
            appointment.rescheduled_from = moved
            appointment.save()
            for item in ("pain", "enjoyment", "activity"):
                Baseline.objects.create(
                    appointment=moved,
                    instrument="peg",
                    version="1",
                    item=item,
                    value=7,
                    taken_at=follow_up.procedure.performed_at,
                    recorded_at=follow_up.procedure.performed_at,
                )
            again = follow_up.procedure.performed_at.date() + timedelta(days=70)
            world.performed(patient=follow_up.patient, day=again)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            list(services.judge_again(everything=True, now=world.now))
        return len(queries)

    grow(1)
    few = asked()
    assert CourseSummary.objects.filter(baseline_peg=21).count() == 1
    grow(3)
    assert asked() == few
    assert CourseSummary.objects.filter(baseline_peg=21).count() == 4
