"""Follow-ups that meet: repeats, other treatments on the same region, and procedures entered in error."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import connection, transaction

from clinic import outbox
from clinic.models import OutgoingEmail
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import CheckIn, CourseSummary, FollowUp
from outcomes.relief import Verdict
from outcomes.services import follow_ups
from outcomes.services.invitations import invitation_key
from outcomes.tests.factories import follow_up_of, repeating_follow_up
from patients.models import Patient
from procedures import services as procedures
from procedures.models import Procedure, ProcedureType, ReliefProfile
from procedures.tests.factories import World, another_type
from procedures.tests.races import run_together

LATER = MONDAY + timedelta(days=70)  # a Monday


@pytest.fixture
def injection(world: World) -> ProcedureType:
    """A second treatment of the same region, of another family."""
    return another_type(world, "esi_interlaminar", family="epidural_steroid_injection")


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first one recorded last"])
def test_a_repeat_ends_the_earlier_course_whichever_was_recorded_first(world: World, late: bool) -> None:
    order = [LATER, MONDAY] if late else [MONDAY, LATER]
    made = {day: world.performed(day=day) for day in order}
    first, second = follow_up_of(made[MONDAY]), follow_up_of(made[LATER])
    assert (first.closed_reason, first.closed_at) == ("repeated", made[LATER].performed_at)
    assert second.closed_at is None
    assert not first.check_ins.filter(status__in=CheckIn.OPEN).exists()
    assert first.confounded_by is None


def at_each_repeat(world: World, order: tuple[int, ...]) -> dict[int, Procedure]:
    """The same treatment on day 0, day 70 and day 140, recorded in this order."""
    return {day: world.performed(day=MONDAY + timedelta(days=day)) for day in order}


def ends(made: dict[int, Procedure]) -> list[datetime | None]:
    return [follow_up_of(procedure).closed_at for _, procedure in sorted(made.items())]


@pytest.mark.parametrize("order", list(permutations((0, 70, 140))), ids=str)
def test_of_several_repeats_recorded_in_any_order_the_next_one_ends_each_course(
    world: World, order: tuple[int, ...]
) -> None:
    made = at_each_repeat(world, order)
    assert ends(made) == [made[70].performed_at, made[140].performed_at, None]


def test_where_a_repeat_was_an_error_the_next_one_ends_the_course(world: World) -> None:
    made = at_each_repeat(world, (0, 70, 140))
    procedures.void(
        made[70].pk, reason="wrong patient", by=world.physician, now=world.at(MONDAY + timedelta(days=141), 9)
    )
    first = follow_up_of(made[0])
    assert (first.closed_reason, first.closed_at) == ("repeated", made[140].performed_at)
    assert not first.check_ins.filter(status__in=CheckIn.OPEN).exists()
    assert follow_up_of(made[140]).closed_at is None


def test_another_treatment_written_down_after_the_repeat_ends_what_ran_then(
    world: World, injection: ProcedureType
) -> None:
    made = at_each_repeat(world, (0, 140))
    other = follow_up_of(world.performed(day=LATER, procedure_type=injection))
    first = follow_up_of(made[0])
    assert (first.closed_reason, first.ended_by, first.confounded_by) == ("other_treatment", other, other)
    assert first.closed_at == other.procedure.performed_at
    assert other.confounded_by == first
    assert (
        follow_up_of(made[140]).confounded_by == other
    )  # it ended the injection's course, of which nothing was known


@pytest.mark.parametrize(("day", "ends"), [(364, True), (365, False)])
def test_another_treatment_after_the_window_ends_nothing(
    world: World, injection: ProcedureType, day: int, ends: bool
) -> None:
    first = follow_up_of(world.performed())
    other = follow_up_of(world.performed(day=MONDAY + timedelta(days=day), procedure_type=injection))
    first.refresh_from_db()
    assert (first.ended_by == other, other.confounded_by == first) == (ends, ends)


def pain(course: FollowUp, day: int, score: int) -> None:
    check_in = course.check_ins.get(offset_minutes=day * 1440)
    services.store_answer(
        check_in.pk,
        values={"nrs.now": score},
        channel="email",
        language="en",
        by=None,
        now=check_in.due_at + timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("known", "before", "verdict", "blurred"),
    [
        ([], 8, Verdict.CONFOUNDED, True),
        ([(42, 2)], 2, Verdict.IN_RELIEF, True),
        ([(42, 2)], None, Verdict.IN_RELIEF, True),
        ([(42, 2)], 8, Verdict.LOST_EARLY, False),
        ([(42, 8)], None, Verdict.NO_RELIEF, False),
        ([(42, 5)], None, Verdict.PARTIAL, True),
    ],
    ids=["nothing known", "in relief", "not asked", "lost", "no relief", "partial"],
)
def test_what_is_known_when_another_treatment_begins_says_whose_relief_it_is(
    world: World,
    injection: ProcedureType,
    known: list[tuple[int, int]],
    before: int | None,
    verdict: Verdict,
    blurred: bool,
) -> None:
    first = follow_up_of(world.performed())
    for day, score in known:
        pain(first, day, score)
    other = follow_up_of(world.performed(day=LATER, procedure_type=injection, baseline=before))
    first.refresh_from_db()
    assert (first.closed_reason, first.ended_by, first.verdict) == ("other_treatment", other, verdict)
    assert not first.check_ins.filter(status__in=CheckIn.OPEN).exists()
    assert other.confounded_by == (first if blurred else None)
    assert (first.confounded_by == other) == (verdict == Verdict.CONFOUNDED)
    expected = {True: Verdict.CONFOUNDED, False: Verdict.TOO_EARLY}[blurred]
    assert other.verdict == (Verdict.NO_BASELINE if before is None else expected)


def test_courses_that_an_earlier_release_confounded_are_ended_and_told_apart(
    world: World, injection: ProcedureType
) -> None:
    """Both ran on, blurred for ever; judged again, the first ends where the second began."""
    first = follow_up_of(world.performed())
    pain(first, 42, 2)
    second = follow_up_of(world.performed(day=LATER, procedure_type=injection))
    FollowUp.objects.filter(pk=first.pk).update(
        closed_at=None, closed_reason="", ended_by=None, confounded_by=second, verdict="confounded"
    )
    FollowUp.objects.filter(pk=second.pk).update(confounded_by=first, verdict="confounded")
    CourseSummary.objects.update(definition=1)
    (progress,) = services.judge_again(now=world.at(LATER, 13))
    assert progress == (2, 2, {("confounded", "lost_early"): 1, ("confounded", "too_early"): 1})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.closed_reason, first.ended_by, first.confounded_by) == ("other_treatment", second, None)
    assert second.confounded_by is None
    assert list(services.judge_again(now=world.at(LATER, 13))) == []


@pytest.mark.django_db(transaction=True)
def test_judging_everything_again_waits_for_answers_and_they_never_for_each_other_in_a_ring(
    world: World, injection: ProcedureType
) -> None:
    """The later treatment was written down first; a correction of the earlier course goes on to the later one."""
    later = follow_up_of(world.performed(day=LATER, procedure_type=injection)).pk
    earlier = follow_up_of(world.performed()).pk
    holds = threading.Event()

    def corrects() -> None:
        with transaction.atomic():
            FollowUp.objects.select_for_update().get(pk=earlier)
            holds.set()
            with connection.cursor() as cursor:
                for _ in range(
                    100_000
                ):  # until the other one waits; a transaction sees the others as they first were
                    cursor.execute("SELECT pg_stat_clear_snapshot()")
                    cursor.execute(
                        "SELECT pg_backend_pid() = ANY(pg_blocking_pids(pid)) FROM pg_stat_activity"
                    )
                    if (True,) in cursor.fetchall():
                        break
            FollowUp.objects.select_for_update().get(pk=later)

    def judges() -> None:
        assert holds.wait(timeout=60)
        list(services.judge_again(everything=True, now=world.at(LATER, 13)))

    connection.close()
    assert run_together(corrects, judges) == {"won": 2}


def test_a_correction_of_the_first_course_says_anew_whose_relief_the_second_is(
    world: World, injection: ProcedureType
) -> None:
    first = follow_up_of(world.performed())
    pain(first, 42, 2)
    second = world.performed(day=LATER, procedure_type=injection, baseline=2)
    assert follow_up_of(second).confounded_by == first
    procedures.correct_baseline(
        second.pk, pain=8, reason="Misheard.", by=world.physician, now=world.at(LATER, 13)
    )
    first.refresh_from_db()
    assert first.verdict == Verdict.LOST_EARLY
    assert (follow_up_of(second).confounded_by, follow_up_of(second).verdict) == (None, Verdict.TOO_EARLY)


def test_a_device_goes_on_beside_another_treatment_whose_days_are_left_out(
    world: World, injection: ProcedureType
) -> None:
    profile = ReliefProfile.objects.get(procedure_type=world.ablation)
    profile.pk, profile.version, profile.ongoing, profile.window_until_days = None, 2, True, 1825
    profile.save()
    device = follow_up_of(world.performed())
    pain(device, 42, 2)
    other = world.performed(day=LATER, procedure_type=injection)  # to last until day 365 after it
    pain(device, 92, 8)
    pain(device, 184, 8)
    device.refresh_from_db()
    assert (device.closed_at, device.confounded_by, device.verdict) == (None, None, Verdict.IN_RELIEF)
    assert [reading.at for reading in services.course_of(device).readings] == [42]
    assert follow_up_of(other).confounded_by == device
    pain(device, 548, 8)
    device.refresh_from_db()
    assert device.verdict == Verdict.LOST_UNCONFIRMED
    procedures.void(other.pk, reason="wrong patient", by=world.physician, now=world.at(LATER, 13))
    device.refresh_from_db()
    assert device.verdict == Verdict.LOST_EARLY


def test_a_diagnostic_block_meets_nothing(world: World, injection: ProcedureType) -> None:
    injection.purpose = "diagnostic"
    injection.save()
    block: dict[str, Any] = {"procedure_type": injection, "intent": "diagnostic"}
    before = follow_up_of(world.performed(**block))
    first = follow_up_of(world.performed(day=LATER))
    world.performed(day=LATER + timedelta(days=7), **block)
    for item in (before, first):
        item.refresh_from_db()
        assert (item.confounded_by, item.closed_at) == (None, None)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first one recorded last"])
def test_another_treatment_within_the_window_ends_the_first_and_blurs_both_where_nothing_is_known(
    world: World, injection: ProcedureType, late: bool
) -> None:
    plans = [(MONDAY, world.ablation), (LATER, injection)]
    made = [
        world.performed(day=day, procedure_type=kind) for day, kind in (reversed(plans) if late else plans)
    ]
    item, other = (follow_up_of(procedure) for procedure in made)
    first, second = (other, item) if late else (item, other)
    assert (first.ended_by, first.closed_at) == (second, second.procedure.performed_at)
    assert (item.confounded_by, other.confounded_by) == (other, item)
    assert {item.verdict, other.verdict} == {Verdict.CONFOUNDED}
    # What turns out to be entered in error confounds nothing.
    procedures.void(other.procedure_id, reason="wrong patient", by=world.physician, now=world.at(LATER, 12))
    item.refresh_from_db()
    assert (item.confounded_by, item.verdict) == (None, Verdict.TOO_EARLY)


def test_what_two_others_blur_stays_blurred_when_one_was_an_error(
    world: World, injection: ProcedureType
) -> None:
    item = follow_up_of(world.performed())
    first = follow_up_of(world.performed(day=LATER, procedure_type=injection))
    third = another_type(world, "facet_joint_injection", family="facet_intervention")
    second = follow_up_of(world.performed(day=LATER, hour=11, procedure_type=third))
    item.refresh_from_db()
    assert item.confounded_by == first
    procedures.void(first.procedure_id, reason="wrong patient", by=world.physician, now=world.at(LATER, 13))
    item.refresh_from_db()
    assert (item.ended_by, item.confounded_by, item.verdict) == (second, second, Verdict.CONFOUNDED)
    second.refresh_from_db()
    assert second.confounded_by == item


@pytest.mark.parametrize(
    "change", [{"laterality": "right"}, {"region": "cervical"}], ids=["the other side", "another region"]
)
def test_other_places_are_other_courses(
    world: World, injection: ProcedureType, change: dict[str, Any]
) -> None:
    first = follow_up_of(world.performed())
    other = follow_up_of(world.performed(day=LATER, procedure_type=injection, **change))
    first.refresh_from_db()
    assert (first.confounded_by, other.confounded_by, first.closed_at) == (None, None, None)


def test_both_sides_meet_either(world: World) -> None:
    first = follow_up_of(world.performed())
    world.performed(day=LATER, laterality="bilateral")
    first.refresh_from_db()
    assert first.closed_reason == "repeated"


def test_void_stops_the_questions_and_keeps_the_answers(world: World) -> None:
    procedure = world.performed()
    course = follow_up_of(procedure)
    day_1 = course.check_ins.get(offset_minutes=1440)
    services.tick(now=day_1.due_at)
    services.store_answer(
        day_1.pk, values={"nrs.now": 4}, channel="phone", language="en", by=world.clerk, now=day_1.due_at
    )
    procedures.void(procedure.pk, reason="wrong patient", by=world.physician, now=day_1.due_at)
    statuses = set(course.check_ins.values_list("status", flat=True))
    assert statuses == {CheckIn.Status.ANSWERED, CheckIn.Status.VOIDED}
    later = course.check_ins.get(offset_minutes=7 * 1440)
    assert services.tick(now=later.due_at)["check_ins_invited"] == 0


def test_a_repeat_that_was_an_error_lets_the_course_go_on(world: World) -> None:
    course = follow_up_of(world.performed())
    repeat = world.performed(day=LATER)
    procedures.void(repeat.pk, reason="wrong patient", by=world.physician, now=world.at(LATER, 12))
    course.refresh_from_db()
    assert (course.closed_at, course.closed_reason) == (None, "")
    day_92 = course.check_ins.get(offset_minutes=92 * 1440)
    assert services.tick(now=day_92.due_at)["check_ins_invited"] == 1
    # What had closed meanwhile was never answered.
    assert course.check_ins.get(offset_minutes=42 * 1440).status == CheckIn.Status.MISSED


def test_a_question_that_was_held_back_is_asked_when_the_course_goes_on(world: World) -> None:
    course = follow_up_of(world.performed())
    day = MONDAY + timedelta(days=42)
    day_42 = course.check_ins.get(offset_minutes=42 * 1440)
    services.tick(now=day_42.due_at)
    repeat = world.performed(day=day, hour=11)
    outbox.send_due(now=world.at(day, 12))
    held_back = OutgoingEmail.objects.get(key=invitation_key(day_42))
    assert (held_back.status, held_back.problem) == ("skipped", "voided")
    procedures.void(repeat.pk, reason="wrong patient", by=world.physician, now=world.at(day, 13))
    assert services.tick(now=world.at(day, 13))["check_ins_invited"] == 1
    outbox.send_due(now=world.at(day, 13))
    held_back.refresh_from_db()
    assert held_back.status == "sent"


def test_what_was_missed_is_made_up_for_and_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as fault:
        fault.setattr("outcomes.receivers.services.open_follow_up", lambda *_, **__: None)
        procedure = world.performed()
    assert not FollowUp.objects.exists()
    now = world.at(MONDAY, 12)
    assert services.tick(now=now)["follow_ups_opened"] == 1
    assert services.tick(now=now)["follow_ups_opened"] == 0
    course = services.open_follow_up(procedure, now=now)
    assert course
    assert course.check_ins.count() == 10


def test_on_the_hour_the_tick_looks_among_all_procedures_and_else_among_the_latest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_ups, "LATEST", 0)
    with monkeypatch.context() as fault:
        fault.setattr("outcomes.receivers.services.open_follow_up", lambda *_, **__: None)
        world.performed()
    assert services.tick(now=world.at(MONDAY, 12, 30))["follow_ups_opened"] == 0
    assert services.tick(now=world.at(MONDAY, 13))["follow_ups_opened"] == 1


def test_an_aborted_procedure_is_not_followed(world: World) -> None:
    appointment = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    record = procedures.Performed(performed_at=world.at(MONDAY, 9), status="aborted")
    procedures.perform(appointment.pk, record, by=world.physician, now=world.at(MONDAY, 10))
    services.tick(now=world.at(MONDAY, 11))
    assert not FollowUp.objects.exists()


def test_each_repetition_is_asked_once(world: World) -> None:
    course = repeating_follow_up(world)
    for day in (90, 270, 450):
        check_in = course.check_ins.get(offset_minutes=day * 1440)
        for minutes in (0, 1, 60):
            services.tick(now=check_in.due_at + timedelta(minutes=minutes))
        assert OutgoingEmail.objects.filter(key=invitation_key(check_in)).count() == 1
    invitations = OutgoingEmail.objects.filter(template="outcomes.emails.invitation", context__reminder=0)
    assert invitations.count() == 3


@pytest.mark.parametrize(
    "over", [{"died_on": MONDAY + timedelta(days=300)}, {"opted_out_at": datetime(2027, 9, 1, tzinfo=UTC)}]
)
def test_a_device_is_asked_about_without_end_but_not_after_death_or_opting_out(
    world: World, over: dict[str, object]
) -> None:
    course = repeating_follow_up(world)
    days = [offset // 1440 for offset in course.check_ins.values_list("offset_minutes", flat=True)]
    assert days == [1, 90, 270]
    services.tick(now=course.check_ins.get(offset_minutes=270 * 1440).due_at)
    assert course.check_ins.filter(offset_minutes=450 * 1440).exists()
    Patient.objects.update(**over)
    after = course.check_ins.get(offset_minutes=450 * 1440).due_at
    services.tick(now=after)
    assert course.check_ins.count() == 4
    Patient.objects.update(died_on=None, opted_out_at=None)  # an error, or a change of mind
    services.tick(now=after + timedelta(minutes=1))
    assert course.check_ins.filter(offset_minutes=630 * 1440).exists()


def written_down_late(world: World, at: datetime, now: datetime, **values: Any) -> Procedure:
    """A procedure that was performed at `at`, as is written down at `now`."""
    appointment = procedures.book(world.appointment(starts_at=at, **values), by=world.clerk, now=world.now)
    record = procedures.Performed(performed_at=at, baseline_pain=8)
    return procedures.perform(appointment.pk, record, by=world.physician, now=now)


@pytest.mark.parametrize("which", ["the first one later", "the second one earlier"])
@pytest.mark.parametrize("family", ["radiofrequency_ablation", "epidural_steroid_injection"])
def test_a_corrected_time_that_turns_the_order_round_turns_round_which_course_ends(
    world: World, which: str, family: str
) -> None:
    now = world.at(MONDAY, 17)
    other = another_type(world, "another", family=family)
    first = written_down_late(world, world.at(MONDAY, 9), now)
    second = written_down_late(world, world.at(MONDAY, 11), now, procedure_type=other)
    moved, hours = (first, (13, 9)) if which == "the first one later" else (second, (8, 11))
    for hour, earlier, later in zip(hours, (second, first), (first, second), strict=True):
        procedures.correct_time(
            moved.pk, performed_at=world.at(MONDAY, hour), reason="typed wrongly", by=world.physician, now=now
        )
        over, runs = follow_up_of(earlier), follow_up_of(later)
        assert (over.ended_by, over.closed_at) == (runs, runs.procedure.performed_at)
        assert runs.closed_at is None
        assert not over.check_ins.filter(status__in=CheckIn.OPEN).exists()
        assert runs.check_ins.filter(status__in=CheckIn.OPEN).exists()
        confounded = family == "epidural_steroid_injection"
        assert (over.confounded_by, runs.confounded_by) == ((runs, over) if confounded else (None, None))


def test_another_treatment_that_was_given_later_than_typed_ends_nothing_any_more(
    world: World, injection: ProcedureType
) -> None:
    first = follow_up_of(world.performed())
    pain(first, 42, 2)
    within, after = (world.at(MONDAY + timedelta(days=day), 9) for day in (364, 365))
    other = written_down_late(world, within, after, procedure_type=injection)
    assert follow_up_of(first.procedure).ended_by == other.follow_up
    procedures.correct_time(
        other.pk, performed_at=after, reason="typed wrongly", by=world.physician, now=after
    )
    first = follow_up_of(first.procedure)
    assert (first.closed_reason, first.verdict, first.confounded_by) == ("", Verdict.IN_RELIEF, None)
    assert follow_up_of(other).confounded_by is None
    assert first.check_ins.filter(status="planned", offset_minutes=366 * 1440).exists()


def test_of_which_other_treatment_nothing_was_known_is_said_of_the_one_that_ends_the_course_now(
    world: World, injection: ProcedureType
) -> None:
    first, other = world.performed(), world.performed(day=LATER, procedure_type=injection)
    assert follow_up_of(first).confounded_by == other.follow_up
    soon = world.performed(day=MONDAY + timedelta(days=28), procedure_type=injection)  # written down late
    found = follow_up_of(first)
    assert (found.ended_by, found.confounded_by) == (soon.follow_up, soon.follow_up)
