"""Alerts from their raising to their end: services, time, the outbox, and people who are at it at once."""

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clinic import outbox
from clinic.models import AuditEvent, OutgoingEmail, Site
from clinic.refusals import Refusal
from clinic.tests.factories import MINUTE, MONDAY, staff
from outcomes import services
from outcomes.models import Alert, ContactAttempt, FollowUp
from outcomes.models.alerts import AlertQuerySet
from outcomes.services.alert_actions import LONGEST_SNOOZE
from outcomes.services.alerts import review_alerts
from outcomes.tests.factories import (
    alert_kinds,
    answer_days,
    leave_unanswered,
    red_flag_alert,
    red_flag_question,
)
from patients import services as patients
from patients.models import Patient
from procedures import services as procedures
from procedures.tests.factories import World
from procedures.tests.races import run_together

DAY = timedelta(days=1)


@pytest.fixture
def flags(world: World) -> None:
    red_flag_question("new_weakness", "emergency")
    red_flag_question("fever_chills", "same_day")
    red_flag_question("site_infection", "same_day")


@pytest.fixture
def alert(world: World) -> Alert:
    """An alert about relief that is lost early."""
    (first,) = answer_days(world.performed().follow_up, {42: 2, 92: 7, 184: 8}).alerts.all()
    return first


# Raised by what a course shows.


def test_relief_that_is_lost_early_is_raised_once_by_its_first_bad_score(world: World) -> None:
    follow_up = answer_days(world.performed().follow_up, {42: 2, 92: 7})
    assert alert_kinds(follow_up) == [("lost_early", "")]
    assert not follow_up.alerts.get().confirmed
    assert alert_kinds(answer_days(follow_up, {184: 8})) == [("lost_early", "")]
    assert alert_kinds(answer_days(follow_up, {275: 8})) == [("lost_early", "")]
    (alert,) = follow_up.alerts.all()
    assert alert.confirmed
    assert (alert.urgency, alert.patient, alert.site) == ("routine", world.patient, world.site)
    assert alert.due_at == alert.raised_at + 3 * DAY


def test_what_a_person_resolved_is_not_raised_again_for_the_same_reason(world: World, alert: Alert) -> None:
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=alert.raised_at + DAY)
    assert alert_kinds(answer_days(alert.follow_up, {275: 7, 366: 8})) == [("lost_early", "spoken")]


def test_a_new_reason_is_raised_anew(world: World) -> None:
    follow_up = answer_days(world.performed(baseline=5).follow_up, {42: 7, 92: 6})
    assert alert_kinds(follow_up) == [("no_relief", ""), ("worse", "")]
    now = follow_up.check_ins.get(offset_minutes=92 * 1440).due_at
    for alert in follow_up.alerts.all():
        services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=now)
    before = [("no_relief", "spoken"), ("worse", "spoken")]
    assert alert_kinds(answer_days(follow_up, {184: 2})) == before
    assert alert_kinds(answer_days(follow_up, {275: 9})) == [
        *before,
        ("no_relief", ""),
    ]  # late relief is gone again
    assert alert_kinds(answer_days(follow_up, {366: 9}))[3:] == [("worse", "")]


def test_an_answer_settles_a_silence_that_nobody_has_looked_at(world: World) -> None:
    follow_up = world.performed().follow_up
    leave_unanswered(follow_up, 1)
    assert alert_kinds(follow_up) == []
    leave_unanswered(follow_up, 7)
    assert alert_kinds(follow_up) == [("silent", "")]
    answer_days(follow_up, {42: 2})
    assert alert_kinds(follow_up) == [("silent", "settled")]
    settled = follow_up.alerts.get()
    assert (settled.resolved_by, settled.acknowledged_at) == (None, None)
    assert AuditEvent.objects.get(action="alert.settled").actor == "time"


def test_what_somebody_has_acknowledged_stays_until_they_resolve_it(world: World) -> None:
    follow_up = world.performed().follow_up
    now = leave_unanswered(follow_up, 1, 7)
    services.acknowledge(follow_up.alerts.get().pk, by=world.nurse, now=now)
    answer_days(follow_up, {42: 2})
    assert alert_kinds(follow_up) == [("silent", "")]


def test_a_settled_alert_is_raised_again_when_its_reason_comes_back(world: World, alert: Alert) -> None:
    """As when a score is corrected, and the correction is corrected."""
    follow_up = FollowUp.objects.select_related("procedure__site", "patient").get(pk=alert.follow_up_id)
    review_alerts(follow_up, {}, now=alert.raised_at + DAY)
    assert alert_kinds(follow_up) == [("lost_early", "settled")]
    services.update_verdict(follow_up.pk, now=alert.raised_at + 2 * DAY)
    assert alert_kinds(follow_up) == [("lost_early", "settled"), ("lost_early", "")]


def test_a_patient_whom_nobody_asked_is_not_silent(world: World) -> None:
    world.patient.consented_at = None
    world.patient.save()
    follow_up = world.performed().follow_up
    leave_unanswered(follow_up, 1, 7, 14)
    assert follow_up.check_ins.filter(status="missed").count() == 3
    assert alert_kinds(follow_up) == []


def unasked(world: World, follow_up: FollowUp, *days: int) -> datetime:
    """The check-ins on those days pass without anybody asking the patient, who had taken back the consent."""
    world.patient.refresh_from_db()
    consented_at, world.patient.consented_at = world.patient.consented_at, None
    world.patient.save()
    passed = leave_unanswered(follow_up, *days)
    world.patient.consented_at = consented_at
    world.patient.save()
    return passed


def test_one_of_two_that_nobody_asked_makes_no_silence_of_the_other(world: World) -> None:
    """The second that was asked in a row does, whatever came before it."""
    follow_up = world.performed().follow_up
    leave_unanswered(follow_up, 1)
    unasked(world, follow_up, 7)
    leave_unanswered(follow_up, 14)
    assert follow_up.check_ins.filter(status="missed").count() == 3
    assert alert_kinds(follow_up) == []
    leave_unanswered(follow_up, 42)
    assert alert_kinds(follow_up) == [("silent", "")]


@pytest.mark.parametrize(
    ("outcome", "silent"), [("no_answer", True), ("call_again", True), ("wrong_number", False)]
)
def test_who_was_telephoned_was_asked_but_not_at_a_wrong_number(
    world: World, outcome: str, silent: bool
) -> None:
    follow_up = world.performed().follow_up
    for check_in in follow_up.check_ins.filter(offset_minutes__in=[1 * 1440, 7 * 1440]):
        ContactAttempt.objects.create(check_in=check_in, kind="call", outcome=outcome, at=check_in.due_at)
    unasked(world, follow_up, 1, 7)
    assert alert_kinds(follow_up) == [("silent", "")] * silent


def test_only_what_was_missed_is_silence(world: World) -> None:
    """What a newer question replaced, or what the end of a course voided, was not for the patient to answer."""
    follow_up = world.performed().follow_up
    for day, status in {1: "missed", 7: "superseded", 14: "voided", 92: "missed"}.items():
        follow_up.check_ins.filter(offset_minutes=day * 1440).update(status=status)
    assert list(services.course_of(follow_up).silent) == [1, 92]


def test_diagnostic_courses_raise_nothing(world: World) -> None:
    profile = world.ablation.relief_profiles.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now
    profile.window_from_minutes, profile.window_until_minutes = 120, 720
    profile.save()
    world.ablation.purpose = "diagnostic"
    world.ablation.save()
    follow_up = world.performed(intent="diagnostic").follow_up
    course = services.course_of(follow_up)
    assert (course.unit, course.evaluate_after, course.window_from, course.window_until) == (
        *("minute", 0),
        *(120, 720),
    )
    leave_unanswered(follow_up, 1, 7)
    assert list(services.course_of(follow_up).silent) == [1440, 7 * 1440]
    assert alert_kinds(answer_days(follow_up, {42: 9, 92: 9, 184: 9})) == []


def test_a_diagnostic_injection_without_a_diary_raises_no_alert_that_its_relief_is_over(world: World) -> None:
    world.ablation.purpose = "diagnostic"
    world.ablation.save()
    follow_up = answer_days(world.performed(intent="diagnostic").follow_up, {42: 2, 92: 8, 184: 8})
    assert (services.course_of(follow_up).unit, follow_up.verdict) == ("minute", "too_early")
    assert alert_kinds(follow_up) == []


def test_a_repeat_settles_the_alerts_of_the_course_that_it_ends(world: World) -> None:
    follow_up = answer_days(world.performed().follow_up, {42: 9, 92: 9})
    assert {kind for kind, _ in alert_kinds(follow_up)} == {"no_relief", "worse"}
    world.performed(day=MONDAY + 98 * DAY)
    assert {ended for _, ended in alert_kinds(follow_up)} == {"settled"}


@pytest.mark.parametrize("how", ["voided", "died"])
def test_an_ended_course_calls_for_nothing(world: World, alert: Alert, how: str) -> None:
    now = alert.raised_at + DAY
    if how == "voided":
        procedures.void(alert.follow_up.procedure_id, reason="wrong patient", by=world.physician, now=now)
    else:
        world.patient.refresh_from_db()
        world.patient.died_on = now.date()
        patients.save(world.patient, by=world.clerk, now=now)
    services.tick(now=now)
    assert alert_kinds(alert.follow_up) == [("lost_early", "settled")]
    services.update_verdict(alert.follow_up_id, now=now)
    assert alert_kinds(alert.follow_up) == [("lost_early", "settled")]


@pytest.mark.parametrize("how", ["died", "transferred", "repeated"])
@pytest.mark.parametrize(("pain", "kind"), [(1, "pain_back"), (8, "lost_early")])
def test_what_was_settled_by_mistake_is_raised_again(world: World, how: str, pain: int, kind: str) -> None:
    follow_up = answer_days(world.performed().follow_up, {42: 2, 92: 2})
    now = world.at(MONDAY + 95 * DAY, 9)
    services.report_pain(follow_up.pk, pain=pain, channel="phone", language="en", by=world.nurse, now=now)
    assert alert_kinds(follow_up) == [(kind, "")]
    patient = Patient.objects.get(pk=world.patient.pk)
    if how == "died":
        patient.died_on = now.date()
        patients.save(patient, changed=["died_on"], by=world.clerk, now=now)
    elif how == "transferred":
        services.end_follow_up(follow_up.pk, closed_reason=how, by=world.physician, now=now)
    else:
        again = world.performed(day=MONDAY + 94 * DAY)
    services.tick(now=now + MINUTE)
    assert {ended for _, ended in alert_kinds(follow_up)} == {"settled"}
    later = now + 2 * MINUTE
    if how == "died":
        patient.died_on = None
        patients.save(patient, changed=["died_on"], by=world.clerk, now=later)
    elif how == "transferred":
        services.resume_follow_up(follow_up.pk, reason="By mistake.", by=world.physician, now=later)
    else:
        procedures.void(again.pk, reason="Another patient's.", by=world.physician, now=later)
    assert alert_kinds(follow_up) == [(kind, "settled"), (kind, "")]


def test_the_tick_settles_what_ended_behind_the_services(world: World, alert: Alert) -> None:
    """As after an import."""
    now = alert.raised_at + DAY
    assert services.tick(now=now)["alerts_settled"] == 0
    FollowUp.objects.update(closed_at=now, closed_reason="transferred")
    assert services.tick(now=now)["alerts_settled"] == 1
    assert alert_kinds(alert.follow_up) == [("lost_early", "settled")]


@pytest.mark.usefixtures("flags")
def test_a_red_flag_outlives_its_course(world: World) -> None:
    raised = red_flag_alert(world, "new_weakness")
    procedures.void(
        raised.follow_up.procedure_id, reason="wrong side", by=world.physician, now=raised.raised_at + MINUTE
    )
    services.tick(now=raised.raised_at + 2 * MINUTE)
    assert alert_kinds(raised.follow_up) == [("red_flag", "")]


@pytest.mark.usefixtures("flags")
def test_a_site_can_do_without_any_kind_but_red_flags(world: World) -> None:
    world.site.alert_kinds_off = ["lost_early", "silent"]
    world.site.full_clean()
    world.site.save()
    follow_up = world.performed().follow_up
    leave_unanswered(follow_up, 1, 7)
    answer_days(follow_up, {42: 2, 92: 9, 184: 9})
    assert alert_kinds(follow_up) == [("worse", "")]
    world.site.alert_kinds_off = ["red_flag"]
    with pytest.raises(ValidationError):
        world.site.full_clean()
    with pytest.raises(IntegrityError, match="site_wants_red_flags"), transaction.atomic():
        world.site.save()


def test_two_open_ones_of_a_kind_cannot_be(world: World, alert: Alert) -> None:
    alert.pk = None
    with pytest.raises(IntegrityError, match="one_open_alert_a_kind"), transaction.atomic():
        alert.save()


#: What becomes of a check-in, and of the alerts that are open then.
STEPS = st.tuples(
    st.none() | st.integers(0, 10), st.sampled_from(["", "acknowledge", "snooze", "resolve", "judge"])
)


@given(st.lists(STEPS, min_size=1, max_size=10))
@example([(None, ""), (None, "acknowledge"), (0, ""), (None, ""), (None, "resolve")])
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_no_kind_is_open_twice_and_nothing_is_raised_without_a_new_answer(
    world: World, steps: list[tuple[int | None, str]]
) -> None:
    with transaction.atomic():
        follow_up = world.performed().follow_up
        for row, (score, then) in zip(follow_up.check_ins.all(), steps, strict=False):
            services.tick(now=row.due_at)
            if score is None:
                services.tick(now=row.closes_at)
            else:
                services.store_answer(
                    row.pk,
                    values={"nrs.now": score},
                    channel="phone",
                    language="en",
                    by=None,
                    now=row.due_at + DAY / 2,
                )
            now = row.closes_at
            for alert in follow_up.alerts.open():
                if then == "acknowledge":
                    services.take_alert(alert.pk, by=world.nurse, now=now)
                elif then == "snooze":
                    services.snooze(alert.pk, until=now + DAY, by=world.nurse, now=now)
                elif then == "resolve":
                    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=now)
            before = alert_kinds(follow_up)
            services.update_verdict(follow_up.pk, now=now)
            assert alert_kinds(follow_up) == before
            still = [kind for kind, ended in before if not ended]
            assert len(still) == len(set(still))
        transaction.set_rollback(True)


# Red flags.


@pytest.mark.usefixtures("flags")
def test_a_red_flag_is_due_by_its_urgency(world: World) -> None:
    same_day = red_flag_alert(world, "fever_chills")
    assert (same_day.urgency, same_day.due_at - same_day.raised_at) == ("same_day", 240 * MINUTE)
    later = same_day.raised_at + 5 * MINUTE
    check_in = same_day.check_in
    worse = red_flag_alert(world, "new_weakness", check_in=check_in, now=later)
    assert worse.pk == same_day.pk
    assert (worse.urgency, worse.due_at) == ("emergency", later + 15 * MINUTE)
    assert worse.codes == ["fever_chills", "new_weakness"]
    again = red_flag_alert(world, "fever_chills", check_in=check_in, now=later + MINUTE)
    assert (again.due_at, again.codes) == (worse.due_at, worse.codes)
    assert services.raise_red_flags(check_in, [], now=later) is None  # type: ignore[arg-type]
    assert AuditEvent.objects.filter(action="alert.raised", actor="patient").count() == 2


@pytest.mark.usefixtures("flags")
def test_a_lesser_red_flag_puts_off_no_emergency(world: World) -> None:
    first = red_flag_alert(world, "new_weakness")
    day_7 = first.follow_up.check_ins.get(offset_minutes=7 * 1440)
    more = red_flag_alert(world, "fever_chills", check_in=day_7, now=first.raised_at + 5 * MINUTE)
    assert (more.pk, more.urgency, more.due_at) == (first.pk, "emergency", first.raised_at + 15 * MINUTE)
    assert more.check_in == day_7  # where the newest was said


@pytest.mark.usefixtures("flags")
def test_a_new_red_flag_must_be_looked_at_again(world: World) -> None:
    first = red_flag_alert(world, "fever_chills")
    until = first.raised_at + 2 * DAY
    services.snooze(first.pk, until=until, by=world.nurse, now=first.raised_at + MINUTE)
    later = first.raised_at + DAY
    again = red_flag_alert(world, "site_infection", check_in=first.check_in, now=later)
    assert (again.acknowledged_at, again.snoozed_until, again.owner) == (None, None, world.nurse)
    assert again.due_at == later + 240 * MINUTE
    assert Alert.objects.waiting(later).get() == again


# What people do.


def test_the_first_to_acknowledge_owns_it_and_clicking_twice_changes_nothing(
    world: World, alert: Alert
) -> None:
    now = alert.raised_at + DAY
    taken = services.acknowledge(alert.pk, by=world.nurse, now=now)
    assert (taken.owner, taken.acknowledged_at, taken.due_at) == (world.nurse, now, now + 3 * DAY)
    again = services.acknowledge(alert.pk, by=world.nurse, now=now + MINUTE)
    assert (again.acknowledged_at, again.due_at) == (now, now + 3 * DAY)
    with pytest.raises(Refusal) as refused:
        services.acknowledge(alert.pk, by=world.physician, now=now + MINUTE)
    assert refused.value.code == "taken_already"
    assert services.take_alert(alert.pk, by=world.physician, now=now + MINUTE).owner == world.physician
    services.take_alert(alert.pk, by=world.physician, now=now + MINUTE)
    actions = AuditEvent.objects.filter(action__startswith="alert.").order_by("pk")
    assert [(event.action, event.by) for event in actions] == [
        ("alert.raised", None),
        ("alert.acknowledged", world.nurse),
        ("alert.taken", world.physician),
    ]


def test_whoever_owns_an_alert_keeps_it_and_its_time_while_others_see_to_it(
    world: World, alert: Alert
) -> None:
    now = alert.raised_at + DAY
    seen = services.acknowledge(alert.pk, by=world.nurse, now=now)
    taken = services.take_alert(alert.pk, by=world.physician, now=now + DAY)
    assert (taken.acknowledged_at, taken.due_at) == (seen.acknowledged_at, seen.due_at)
    snoozed = services.snooze(alert.pk, until=now + 9 * DAY, by=world.nurse, now=now + DAY)
    assert (snoozed.owner, snoozed.acknowledged_at) == (world.physician, now)
    done = services.resolve(alert.pk, resolution="seen", by=world.nurse, now=now + 2 * DAY)
    assert (done.owner, done.resolved_by, done.snoozed_until) == (world.physician, world.nurse, None)
    assert AuditEvent.objects.get(action="alert.resolved").reason == "seen"


def test_who_takes_what_was_handed_to_them_acknowledges_it(world: World, alert: Alert) -> None:
    now = alert.raised_at + DAY
    services.hand_over(alert.pk, to=world.physician.pk, by=world.nurse, now=now)
    assert services.take_alert(alert.pk, by=world.physician, now=now).acknowledged_at == now


def test_what_is_handed_over_unseen_stays_due(world: World, alert: Alert) -> None:
    now = alert.raised_at + DAY
    for _ in range(2):
        given = services.hand_over(alert.pk, to=world.physician.pk, by=world.nurse, now=now)
        assert (given.owner, given.acknowledged_at, given.due_at) == (world.physician, None, alert.due_at)
    assert AuditEvent.objects.filter(action="alert.handed_over").count() == 1
    mine = services.hand_over(alert.pk, to=world.nurse.pk, by=world.nurse, now=now)
    assert (mine.owner, mine.acknowledged_at) == (world.nurse, now)


def test_only_who_may_handle_alerts_at_the_site_is_given_one(world: World, alert: Alert) -> None:
    elsewhere = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    gone = staff("gone@example.org", "Nurse", world.site)
    gone.is_active = False
    gone.save()
    assert set(services.handlers(world.site)) == {world.nurse, world.physician, world.admin}
    deputy = staff("deputy@example.org", "Front desk", world.site)
    deputy.user_permissions.add(Permission.objects.get(codename="handle_alert"))
    assert deputy in services.handlers(world.site)
    for person in (world.clerk, staff("far@example.org", "Nurse", elsewhere), gone):
        with pytest.raises(Refusal) as refused:
            services.hand_over(alert.pk, to=person.pk, by=world.nurse, now=alert.raised_at)
        assert (refused.value.code, refused.value.field) == ("not_allowed", "to")
    alert.refresh_from_db()
    assert alert.owner is None


def test_a_snoozed_alert_comes_back_when_it_is_time(world: World, alert: Alert) -> None:
    now = alert.raised_at + MINUTE
    until = now + 7 * DAY
    for _ in range(2):
        services.snooze(alert.pk, until=until, by=world.nurse, now=now)
    assert AuditEvent.objects.filter(action="alert.snoozed").count() == 1
    assert not Alert.objects.waiting(until - MINUTE).exists()
    assert Alert.objects.snoozed(until - MINUTE).get() == alert
    back = Alert.objects.waiting(until).get()
    assert (back.owner, back.due_at, back.state(until)) == (world.nurse, until + 3 * DAY, "open")
    assert services.escalate_due(now=until) == 0


def test_an_alert_can_be_snoozed_for_as_long_as_is_said(world: World, alert: Alert) -> None:
    until = alert.raised_at + LONGEST_SNOOZE
    snoozed = services.snooze(alert.pk, until=until, by=world.nurse, now=alert.raised_at)
    assert snoozed.snoozed_until == until


@pytest.mark.parametrize(
    ("span", "code"), [(timedelta(0), "in_the_past"), (LONGEST_SNOOZE + MINUTE, "too_far")]
)
def test_snoozes_that_make_no_sense(world: World, alert: Alert, span: timedelta, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        services.snooze(alert.pk, until=alert.raised_at + span, by=world.nurse, now=alert.raised_at)
    assert (refused.value.code, refused.value.field) == (code, "until")


@pytest.mark.usefixtures("flags")
def test_an_emergency_cannot_be_snoozed(world: World) -> None:
    emergency = red_flag_alert(world, "new_weakness")
    with pytest.raises(Refusal) as refused:
        services.snooze(
            emergency.pk, until=emergency.raised_at + DAY, by=world.nurse, now=emergency.raised_at
        )
    assert refused.value.code == "not_allowed"


def test_it_is_resolved_once_and_with_a_reason(world: World, alert: Alert) -> None:
    now = alert.raised_at + MINUTE
    for reason in ("", "settled", "reason"):
        with pytest.raises(Refusal) as refused:
            services.resolve(alert.pk, resolution=reason, by=world.nurse, now=now)
        assert (refused.value.code, refused.value.field) == ("reason_required", "resolution")
    with pytest.raises(Refusal) as refused:
        services.resolve(alert.pk, resolution="spoken", note="x" * 501, by=world.nurse, now=now)
    assert refused.value.code == "too_long"
    done = services.resolve(alert.pk, resolution="spoken", note="better now", by=world.nurse, now=now)
    assert (done.resolved_at, done.resolved_by, done.owner) == (now, world.nurse, world.nurse)
    again = services.resolve(
        alert.pk, resolution="spoken", note="better now", by=world.nurse, now=now + MINUTE
    )
    assert again.resolved_at == now
    assert AuditEvent.objects.filter(action="alert.resolved").count() == 1
    late = now + DAY
    attempts: list[Callable[[], Alert]] = [
        lambda: services.resolve(alert.pk, resolution="seen", by=world.physician, now=late),
        lambda: services.resolve(
            alert.pk, resolution="spoken", note="better now", by=world.physician, now=late
        ),
        lambda: services.resolve(alert.pk, resolution="spoken", note="worse", by=world.nurse, now=late),
        lambda: services.acknowledge(alert.pk, by=world.physician, now=late),
        lambda: services.take_alert(alert.pk, by=world.physician, now=late),
        lambda: services.hand_over(alert.pk, to=world.physician.pk, by=world.nurse, now=late),
        lambda: services.snooze(alert.pk, until=late + DAY, by=world.physician, now=late),
    ]
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            attempt()
        assert refused.value.code == "resolved_already"


def test_another_sites_alerts_are_not_seen(world: World, alert: Alert) -> None:
    elsewhere = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("far@example.org", "Nurse", elsewhere)
    assert not Alert.objects.visible_to(stranger).exists()
    assert Alert.objects.visible_to(world.nurse).get() == alert
    assert Alert.objects.visible_to(world.admin).get() == alert


# What time does.


def test_what_nobody_looks_at_is_escalated_once_and_once_more_when_it_is_not_resolved(
    world: World, alert: Alert
) -> None:
    assert services.tick(now=alert.due_at - MINUTE)["alerts_escalated"] == 0
    assert services.tick(now=alert.due_at)["alerts_escalated"] == 1
    assert services.tick(now=alert.due_at + MINUTE)["alerts_escalated"] == 0
    assert services.tick(now=alert.due_at + 9 * DAY)["alerts_escalated"] == 0
    looked = alert.due_at + 10 * DAY
    seen = services.acknowledge(alert.pk, by=world.nurse, now=looked)
    assert seen.due_at == looked + 3 * DAY
    assert services.tick(now=seen.due_at - MINUTE)["alerts_escalated"] == 0
    assert services.tick(now=seen.due_at)["alerts_escalated"] == 1
    assert services.tick(now=seen.due_at + 99 * DAY)["alerts_escalated"] == 0
    assert AuditEvent.objects.filter(action="alert.escalated").count() == 2


def test_what_is_resolved_or_snoozed_is_not_escalated(world: World, alert: Alert) -> None:
    services.snooze(alert.pk, until=alert.due_at + DAY, by=world.nurse, now=alert.raised_at)
    assert services.escalate_due(now=alert.due_at) == 0
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=alert.due_at)
    assert services.escalate_due(now=alert.due_at + 99 * DAY) == 0


# Who is told, and of what.


@pytest.mark.usefixtures("flags")
def test_a_site_is_told_at_once_and_again_without_a_word_about_health(world: World) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    raised = red_flag_alert(world, "fever_chills")
    at = raised.raised_at
    for _ in range(2):
        outbox.send_due(now=at)
    red_flag_alert(world, "fever_chills", check_in=raised.check_in, now=at + MINUTE)
    red_flag_alert(world, "new_weakness", check_in=raised.check_in, now=at + MINUTE)
    outbox.send_due(now=at + MINUTE)
    for minutes in (17, 18):
        services.tick(now=at + minutes * MINUTE)
        outbox.send_due(now=at + minutes * MINUTE)
    told = [message for message in mail.outbox if message.to == ["alerts@example.org"]]
    assert [message.subject for message in told] == [
        "Alert at Riverside: look today",
        "Alert at Riverside: look within 15 minutes",
        "Alert at Riverside: overdue",
    ]
    for message in told:
        html = str(message.alternatives[0][0])  # type: ignore[attr-defined]
        for text in (message.subject, str(message.body), html):
            for word in (
                "fever",
                "weakness",
                "red flag",
                "O'Brien",
                "Ann ",
                "P00001",
                "blation",
                "pain",
                "relief",
            ):
                assert word.lower() not in text.lower()
        for text in (str(message.body), html):
            assert f"/admin/outcomes/alert/{raised.pk}/change/" in text
            assert re.search(r"Tuesday 12 January, \d\d:\d\d EST", text)


@pytest.mark.usefixtures("flags")
def test_nobody_is_told_of_what_is_done_with_already(world: World) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    resolved = red_flag_alert(world, "fever_chills")
    services.resolve(resolved.pk, resolution="spoken", by=world.nurse, now=resolved.raised_at)
    patient = world.another_patient()
    other = world.performed(patient=patient, hour=13).follow_up.check_ins.get(offset_minutes=1440)
    taken = red_flag_alert(world, "new_weakness", check_in=other)
    services.acknowledge(taken.pk, by=world.nurse, now=taken.raised_at)
    outbox.send_due(now=taken.raised_at)
    told = OutgoingEmail.objects.filter(template="outcomes.emails.alert").order_by("pk")
    assert [(email.status, email.problem) for email in told] == [
        ("skipped", "resolved"),
        ("skipped", "acknowledged"),
    ]


@pytest.mark.usefixtures("flags")
def test_a_site_that_names_nobody_is_told_by_the_list_alone(world: World) -> None:
    services.tick(now=red_flag_alert(world, "new_weakness").due_at)
    assert not OutgoingEmail.objects.filter(template="outcomes.emails.alert").exists()


def test_a_routine_alert_is_announced_when_it_is_overdue_not_before(world: World, alert: Alert) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    told = OutgoingEmail.objects.filter(template="outcomes.emails.alert")
    services.tick(now=alert.due_at - MINUTE)
    assert not told.exists()
    services.tick(now=alert.due_at)
    outbox.send_due(now=alert.due_at)
    assert told.get().status == "sent"


# At once.


@pytest.mark.django_db(transaction=True)
def test_of_two_who_acknowledge_at_once_one_owns_it_and_the_other_is_told(world: World) -> None:
    alert = services.raise_alert(world.performed().follow_up, "worse", now=world.now)
    assert alert
    ended = run_together(
        *(
            lambda person=person: services.acknowledge(alert.pk, by=person, now=world.now + MINUTE)
            for person in (world.nurse, world.physician)
        )
    )
    assert ended == {"won": 1, "taken_already": 1}
    alert.refresh_from_db()
    event = AuditEvent.objects.get(action="alert.acknowledged")
    assert alert.owner == event.by


def all_look_first(monkeypatch: pytest.MonkeyPatch, rivals: int, *, within: float = 60) -> None:
    """None of them writes an alert before all have looked for it, or, where a lock keeps the others from looking, have
    waited `within` seconds."""
    barrier, looked, get = threading.Barrier(rivals), threading.local(), AlertQuerySet.get

    def look_and_wait(rows: AlertQuerySet, *args: object, **kwargs: object) -> Alert:
        try:
            return get(rows, *args, **kwargs)
        finally:
            if not getattr(looked, "once", False):
                looked.once = True
                with suppress(threading.BrokenBarrierError):
                    barrier.wait(timeout=within)

    monkeypatch.setattr(AlertQuerySet, "get", look_and_wait)


@pytest.mark.django_db(transaction=True)
def test_of_alerts_raised_at_once_there_is_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_up = world.performed().follow_up
    all_look_first(monkeypatch, 4)
    raised = [lambda: services.raise_alert(follow_up, "worse", now=world.now)] * 4
    assert run_together(*raised) == {"won": 4}
    assert Alert.objects.count() == AuditEvent.objects.filter(action="alert.raised").count() == 1


@pytest.mark.django_db(transaction=True)
def test_red_flags_that_are_added_at_once_are_all_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lock both would read the one code that stands, and each would write over the other's."""
    codes = ["burning", "fever_chills", "new_weakness"]
    for code in codes:
        red_flag_question(code, "same_day")
    alert = red_flag_alert(world, codes[0])
    check_in = alert.check_in
    assert check_in
    all_look_first(monkeypatch, 2, within=1)
    added = [
        lambda code=code: services.raise_red_flags(check_in, [code], now=check_in.due_at)
        for code in codes[1:]
    ]
    assert run_together(*added) == {"won": 2}
    alert.refresh_from_db()
    assert alert.codes == codes


@pytest.mark.django_db(transaction=True)
def test_the_race_for_an_alert_is_real(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    follow_up = world.performed().follow_up
    all_look_first(monkeypatch, 4)
    guard = next(
        constraint for constraint in Alert._meta.constraints if constraint.name == "one_open_alert_a_kind"
    )
    with connection.schema_editor() as schema:
        schema.remove_constraint(Alert, guard)
    try:
        run_together(*[lambda: services.raise_alert(follow_up, "worse", now=world.now)] * 4)
        assert Alert.objects.count() == 4
    finally:
        Alert.objects.all().delete()
        with connection.schema_editor() as schema:
            schema.add_constraint(Alert, guard)


@pytest.mark.django_db(transaction=True)
def test_judgements_at_once_raise_one_alert_and_keep_one_change(world: World) -> None:
    follow_up = answer_days(world.performed().follow_up, {42: 2, 92: 7})
    assert follow_up.verdict == "lost_unconfirmed"
    row = follow_up.check_ins.get(offset_minutes=184 * 1440)
    with pytest.MonkeyPatch.context() as fault:
        fault.setattr("outcomes.services.answers.update_verdict", lambda *_, **__: None)
        services.store_answer(
            row.pk, values={"nrs.now": 8}, channel="phone", language="en", by=None, now=row.due_at
        )
    assert run_together(*[lambda: services.update_verdict(follow_up.pk, now=row.due_at)] * 4) == {"won": 4}
    assert alert_kinds(follow_up) == [("lost_early", "")]
    assert list(follow_up.verdict_changes.values_list("previous", "verdict")) == [
        ("", "too_early"),
        ("too_early", "in_relief"),
        ("in_relief", "lost_unconfirmed"),
        ("lost_unconfirmed", "lost_early"),
    ]


@pytest.mark.django_db(transaction=True)
def test_ticks_at_once_escalate_once(world: World) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    alert = services.raise_alert(world.performed().follow_up, "worse", now=world.now)
    assert alert
    assert run_together(*[lambda: services.escalate_due(now=alert.due_at)] * 4) == {"won": 4}
    assert AuditEvent.objects.filter(action="alert.escalated").count() == 1
    assert OutgoingEmail.objects.filter(template="outcomes.emails.alert").count() == 1


@pytest.mark.django_db(transaction=True)
def test_red_flags_at_once_make_one_alert(world: World) -> None:
    red_flag_question("new_weakness", "emergency")
    red_flag_question("fever_chills", "same_day")
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    attempts = [
        lambda code=code: services.raise_red_flags(check_in, [code], now=check_in.due_at)
        for code in ("new_weakness", "fever_chills") * 2
    ]
    assert run_together(*attempts) == {"won": 4}
    assert Alert.objects.get().codes == ["fever_chills", "new_weakness"]
