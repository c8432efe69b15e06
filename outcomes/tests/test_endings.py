"""What the end of a course tells of relief: repeats, explants, transfers and deaths, the same through every door."""

from datetime import datetime, timedelta

import pytest

from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.admin_client import signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import CourseSummary, FollowUp
from outcomes.relief import Verdict, judge
from outcomes.relief_end import lasting
from outcomes.reports.counts import EVALUABLE, KNOWN_END
from outcomes.tests.factories import alert_kinds, answer_days, leave_unanswered
from patients import services as patients
from procedures import services as procedures
from procedures.models import ImplantedDevice, Procedure
from procedures.tests.factories import World

DAY = timedelta(days=1)
#: A Monday so many weeks after the first treatment.
AFTER_14_WEEKS = MONDAY + 98 * DAY


def now_of(follow_up: FollowUp) -> FollowUp:
    return FollowUp.objects.select_related("procedure__site", "relief_profile", "summary").get(
        pk=follow_up.pk
    )


def interval(follow_up: FollowUp) -> tuple[int | None, int | None]:
    """The interval that a curve takes."""
    kept = CourseSummary.objects.annotate(ends=KNOWN_END).values_list("lost_after", "ends")
    return kept.get(pk=follow_up.pk)


@pytest.fixture
def relieved(world: World) -> FollowUp:
    """A course from a baseline of 8 with relief on day 42."""
    return answer_days(world.performed().follow_up, {42: 2})


def test_bad_pain_before_a_repeat_is_a_loss_and_the_reason_names_it(world: World, relieved: FollowUp) -> None:
    world.performed(day=AFTER_14_WEEKS, baseline=7)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.LOST_EARLY, (42, 98))
    assert "7 on day 98, before the next treatment (12 % less)" in found.verdict_reason
    change = found.verdict_changes.order_by("pk").last()
    assert change
    assert (change.previous, change.verdict) == (Verdict.IN_RELIEF, Verdict.LOST_EARLY)
    assert alert_kinds(found) == []  # an ended course calls for nothing
    shown = call(world.physician, "GET", f"follow-ups/{found.pk}/", now=world.at(AFTER_14_WEEKS, 12)).json()
    assert (shown["verdict"], shown["verdict_reason"]) == (found.verdict, found.verdict_reason)
    assert (shown["relief_ended"]["after"], shown["relief_ended"]["until"]) == (42, 98)
    assert shown["last_answer"] == 42  # a repeat is no answer


@pytest.mark.parametrize("pain", [4, 2])
def test_good_pain_before_a_repeat_is_relief_until_then(world: World, relieved: FollowUp, pain: int) -> None:
    world.performed(day=AFTER_14_WEEKS, baseline=pain)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (98, None))


def test_a_repeat_before_which_nobody_asked_tells_nothing(world: World, relieved: FollowUp) -> None:
    world.performed(day=AFTER_14_WEEKS, baseline=None)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (42, None))


def test_a_correction_of_the_pain_before_a_repeat_flips_both_verdicts(
    world: World, relieved: FollowUp
) -> None:
    repeat = world.performed(day=AFTER_14_WEEKS, baseline=7)
    now = world.at(AFTER_14_WEEKS, 12)
    for pain, verdict in ((3, Verdict.IN_RELIEF), (None, Verdict.IN_RELIEF), (8, Verdict.LOST_EARLY)):
        procedures.correct_baseline(repeat.pk, pain=pain, reason="Typed wrongly", by=world.physician, now=now)
        assert now_of(relieved).verdict == verdict
        assert interval(relieved) == {3: (98, None), None: (42, None), 8: (42, 98)}[pain]


def test_the_pain_before_a_repeat_counts_where_it_was_named(world: World, relieved: FollowUp) -> None:
    """Noted a week before the repeat, it lies a week before it."""
    appointment = procedures.book(
        world.appointment(starts_at=world.at(AFTER_14_WEEKS, 9)), by=world.clerk, now=world.now
    )
    for pain, day in ((7, AFTER_14_WEEKS - 7 * DAY), (3, MONDAY - DAY)):
        taken = world.at(day, 9)
        procedures.note_baseline(
            appointment.pk,
            values={"nrs.now": pain},
            taken_at=taken,
            by=world.nurse,
            now=max(taken, world.now),
        )
    record = procedures.Performed(performed_at=world.at(AFTER_14_WEEKS, 9), baseline_pain=None)
    procedures.perform(appointment.pk, record, by=world.physician, now=world.at(AFTER_14_WEEKS, 10))
    assert interval(relieved) == (42, 91)


def test_what_was_said_before_the_first_treatment_is_no_pain_before_the_repeat(world: World) -> None:
    """A repeat within weeks can have its score from before the treatment that it repeats."""
    follow_up = answer_days(world.performed().follow_up, {1: 2})
    soon = MONDAY + 21 * DAY
    appointment = procedures.book(
        world.appointment(starts_at=world.at(soon, 9)), by=world.clerk, now=world.now
    )
    procedures.note_baseline(
        appointment.pk,
        values={"nrs.now": 2},
        taken_at=world.at(MONDAY - 2 * DAY, 9),
        by=world.nurse,
        now=world.now + 2 * DAY,
    )
    record = procedures.Performed(performed_at=world.at(soon, 9), baseline_pain=None)
    repeat = procedures.perform(appointment.pk, record, by=world.physician, now=world.at(soon, 10))
    assert (repeat.baseline_pain, now_of(follow_up).closed_reason) == (2, "repeated")
    assert interval(follow_up) == (None, None)


def test_a_repeat_that_was_an_error_takes_its_pain_back(world: World, relieved: FollowUp) -> None:
    repeat = world.performed(day=AFTER_14_WEEKS, baseline=7)
    procedures.void(repeat.pk, reason="wrong patient", by=world.physician, now=world.at(AFTER_14_WEEKS, 12))
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (42, None))


def test_a_repeat_at_another_time_ends_the_course_at_that_time(world: World, relieved: FollowUp) -> None:
    repeat = world.performed(day=AFTER_14_WEEKS, baseline=7)
    half_an_hour_later = world.at(AFTER_14_WEEKS, 9, 30)
    procedures.correct_time(
        repeat.pk,
        performed_at=half_an_hour_later,
        reason="The clock in the room was wrong",
        by=world.physician,
        now=world.at(AFTER_14_WEEKS, 12),
    )
    found = now_of(relieved)
    assert (found.closed_at, found.verdict, interval(found)) == (
        half_an_hour_later,
        Verdict.LOST_EARLY,
        (42, 98),
    )
    procedures.void(repeat.pk, reason="wrong patient", by=world.physician, now=world.at(AFTER_14_WEEKS, 13))
    assert now_of(relieved).closed_at is None


def device_of(procedure: Procedure, *, now: datetime) -> ImplantedDevice:
    return ImplantedDevice.objects.create(
        procedure=procedure,
        kind="spinal_cord_stimulator",
        manufacturer="Maker",
        model="One",
        serial_number=f"S{procedure.pk}",
        implanted_on=procedure.performed_at.date(),
        recorded_at=now,
    )


def test_a_device_that_did_not_help_is_a_loss_until_it_turns_out_to_be_a_mistake(
    world: World, relieved: FollowUp
) -> None:
    now = world.at(AFTER_14_WEEKS, 12)
    device = device_of(relieved.procedure, now=now)
    procedures.explant(device.pk, on=MONDAY + 60 * DAY, reason="no_effect", by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.LOST_EARLY, (42, 60))
    assert "taken out on day 60: it did not help enough" in found.verdict_reason
    procedures.void_device(device.pk, reason="another patient's", by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (42, None))


def test_what_was_said_after_a_course_had_ended_is_left_out(world: World, relieved: FollowUp) -> None:
    """The explant of day 60 is written down only on day 98; on day 92 the patient was still asked."""
    answer_days(relieved, {92: 2})
    now = world.at(AFTER_14_WEEKS, 12)
    device = device_of(relieved.procedure, now=now)
    procedures.explant(device.pk, on=MONDAY + 60 * DAY, reason="no_effect", by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.LOST_EARLY, (42, 60))
    assert [reading.at for reading in services.course_of(found).readings] == [42]


def test_silence_after_a_course_had_ended_tells_nothing(world: World, relieved: FollowUp) -> None:
    """Taken out for an infection on day 60; nobody knew, and the patient was still asked on days 92 and 184."""
    leave_unanswered(relieved, 92, 184)
    assert now_of(relieved).verdict == Verdict.UNKNOWN
    now = world.at(MONDAY + 210 * DAY, 12)
    device = device_of(relieved.procedure, now=now)
    procedures.explant(device.pk, on=MONDAY + 60 * DAY, reason="infection", by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (42, None))
    assert found.summary.days[-1] == 42  # what fell due after the end is in no denominator


def test_a_device_that_was_replaced_is_no_loss(world: World, relieved: FollowUp) -> None:
    now = world.at(AFTER_14_WEEKS, 12)
    device = device_of(relieved.procedure, now=now)
    procedures.explant(device.pk, on=MONDAY + 60 * DAY, reason="replaced", by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.closed_reason, found.verdict, interval(found)) == (
        "explanted",
        Verdict.IN_RELIEF,
        (42, None),
    )


@pytest.mark.parametrize("how", ["transferred", "explanted", "died"])
def test_other_ends_are_no_loss(world: World, relieved: FollowUp, how: str) -> None:
    now = world.at(AFTER_14_WEEKS, 12)
    if how == "died":
        relieved.patient.died_on = AFTER_14_WEEKS
        patients.save(relieved.patient, by=world.clerk, now=now)
        services.tick(now=now)
        services.update_verdict(relieved.pk, now=now)
    else:
        services.end_follow_up(relieved.pk, closed_reason=how, by=world.physician, now=now)
    found = now_of(relieved)
    assert (found.verdict, interval(found)) == (Verdict.IN_RELIEF, (42, None))


def test_every_door_tells_the_interval_that_the_curves_take(world: World) -> None:
    """A made-up clinic: each way in which a course can go and end."""
    made = []
    stories: list[tuple[int | None, dict[int, int], str]] = [
        (8, {}, ""),
        (8, {14: 9}, ""),
        (8, {42: 7, 92: 8}, ""),
        (8, {42: 2, 92: 3}, ""),
        (8, {42: 2, 92: 7}, ""),
        (8, {42: 2, 92: 7, 184: 7}, ""),
        (8, {42: 2, 92: 7, 184: 2}, ""),
        (None, {42: 2}, ""),
        (0, {42: 2}, ""),
        (8, {42: 2}, "repeat 7"),
        (8, {42: 2, 92: 7}, "repeat 3"),
        (8, {}, "repeat 7"),
        (8, {42: 2, 92: 3}, "no effect"),
        (8, {}, "no effect"),
        (8, {42: 2, 92: 7}, "transferred"),
        (8, {42: 2, 92: 7}, "voided"),
    ]
    for number, (baseline, scores, end) in enumerate(stories, 2):
        patient = world.another_patient(number)
        first = world.performed(baseline=baseline, patient=patient, day=MONDAY + 7 * number * DAY)
        follow_up = answer_days(first.follow_up, scores)
        day = MONDAY + (7 * number + 140) * DAY
        now = world.at(day, 12)
        if end.startswith("repeat"):
            world.performed(baseline=int(end[-1]), patient=patient, day=day)
        elif end == "no effect":
            device = device_of(first, now=now)
            procedures.explant(device.pk, on=day, reason="no_effect", by=world.physician, now=now)
        elif end == "transferred":
            services.end_follow_up(follow_up.pk, closed_reason=end, by=world.physician, now=now)
        elif end == "voided":
            procedures.void(first.pk, reason="wrong patient", by=world.physician, now=now)
        made.append(follow_up.pk)
    curve = {
        pk: (after, until)
        for pk, after, until in CourseSummary.objects.filter(EVALUABLE, lost_after__isnull=False)
        .annotate(ends=KNOWN_END)
        .values_list("pk", "lost_after", "ends")
    }
    assert len(set(curve.values())) >= 8
    for pk in made:
        path = f"follow-ups/{pk}/"
        shown = call(world.physician, "GET", path, now=world.at(MONDAY + 400 * DAY, 9)).json()
        told = shown["relief_ended"]
        assert (told and (told["after"], told["ended_by"])) == curve.get(pk)
        follow_up = FollowUp.objects.select_related("procedure__site", "relief_profile").get(pk=pk)
        course = services.course_of(follow_up)
        judgement = judge(course)
        assert (shown["verdict"], shown["verdict_reason"]) == (judgement.verdict, judgement.reason)
        found = lasting(course, judgement)
        assert (found and (found.after, found.ended_by)) == curve.get(pk)


def test_what_was_ended_by_mistake_goes_on(world: World, relieved: FollowUp) -> None:
    now = world.at(AFTER_14_WEEKS, 12)
    services.end_follow_up(relieved.pk, closed_reason="other_care", by=world.physician, now=now)
    path = f"follow-ups/{relieved.pk}/resume/"
    assert call(world.physician, "POST", path, {"reason": " "}, now=now).status_code == 400
    done = call(world.physician, "POST", path, {"reason": "the wrong patient"}, now=now)
    assert (done.status_code, done.json()["closed_reason"], done.json()["verdict"]) == (200, "", "in_relief")
    day_184 = relieved.check_ins.get(offset_minutes=184 * 1440)
    assert services.tick(now=day_184.due_at)["check_ins_invited"] == 1
    assert AuditEvent.objects.filter(action="follow_up.resumed").count() == 1


def test_who_was_treated_again_meanwhile_does_not_go_on(world: World, relieved: FollowUp) -> None:
    now = world.at(AFTER_14_WEEKS, 8)
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
    again = world.performed(day=AFTER_14_WEEKS, baseline=7)
    services.resume_follow_up(
        relieved.pk, reason="came back", by=world.physician, now=world.at(AFTER_14_WEEKS, 12)
    )
    found = now_of(relieved)
    assert (found.closed_reason, found.ended_by) == ("repeated", again.follow_up)
    with pytest.raises(Refusal) as refused:
        services.resume_follow_up(
            relieved.pk, reason="once more", by=world.physician, now=world.at(AFTER_14_WEEKS, 13)
        )
    assert refused.value.code == "not_possible"


def test_a_physician_lets_it_go_on_in_the_admin(world: World, relieved: FollowUp) -> None:
    now = world.at(AFTER_14_WEEKS, 12)
    page = f"/admin/outcomes/followup/{relieved.pk}/change/"
    desk = signed_in(world.physician)
    assert f"/admin/outcomes/followup/{relieved.pk}/resume/" not in desk.get(page).content.decode()
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
    assert f"/admin/outcomes/followup/{relieved.pk}/resume/" in desk.get(page).content.decode()
    desk.post(f"/admin/outcomes/followup/{relieved.pk}/resume/", {"reason": "came back"})
    assert now_of(relieved).closed_at is None
    assert f"/admin/outcomes/followup/{relieved.pk}/resume/" not in desk.get(page).content.decode()
