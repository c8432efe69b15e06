"""Who is asked what and when: the ladder, the cap, the quiet hours, one e-mail for several questions, and the guard."""

import re
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from clinic import outbox
from clinic.models import AuditEvent, DeliveryReport, OutgoingEmail
from clinic.outbox.delivery_reports import note
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.check_in_history import why
from outcomes.models import CheckIn, ContactAttempt, FollowUp, Link
from outcomes.schedule import reminder_schedule
from outcomes.services.invitations import invite
from outcomes.tests.factories import (
    cervical_follow_up,
    check_in_of_day,
    invitations_sent,
    performed_follow_up,
)
from patients import services as patients
from patients.models import Patient
from procedures import services as procedures
from procedures.models import ReliefProfile
from procedures.tests.factories import World


def attempts(check_in: CheckIn) -> list[tuple[str, str, str]]:
    return list(check_in.contact_attempts.values_list("kind", "outcome", "reason"))


@pytest.fixture(autouse=True)
def no_quiet_hours(request: pytest.FixtureRequest) -> None:
    """The hours are tested on their own; elsewhere a quarter of a fortnight is a quarter of a fortnight."""
    if "world" in request.fixturenames:
        world: World = request.getfixturevalue("world")
        world.site.quiet_from = world.site.quiet_until = time(0)
        world.site.save()


# The ladder.


def test_invitation_two_reminders_and_a_call(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    start, span = day_42.due_at, day_42.closes_at - day_42.due_at
    assert [m.subject for m in invitations_sent(start)] == ["How are you? February 22"]
    assert invitations_sent(start + span / 4 - timedelta(minutes=1)) == []
    assert [m.subject for m in invitations_sent(start + span / 4)] == ["A reminder: how are you? February 22"]
    day_42.refresh_from_db()
    assert (day_42.reminders, day_42.call_at) == (1, None)
    assert len(invitations_sent(start + span / 2)) == 1
    day_42.refresh_from_db()
    assert (day_42.reminders, day_42.remind_at, day_42.call_at) == (2, None, start + span * 3 / 4)
    assert invitations_sent(start + span * 3 / 4) == []
    services.tick(now=day_42.closes_at)
    day_42.refresh_from_db()
    assert day_42.status == CheckIn.Status.MISSED
    assert attempts(day_42) == [
        ("invitation", "queued", ""),
        ("reminder", "queued", ""),
        ("reminder", "queued", ""),
    ]


def test_after_a_night_or_an_outage_one_reminder_goes_out_and_not_both(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    start, span = day_42.due_at, day_42.closes_at - day_42.due_at
    assert len(invitations_sent(start)) == 1
    late = start + span * 5 / 8  # both reminders have been due meanwhile
    assert len(invitations_sent(late)) == 1
    assert invitations_sent(late + timedelta(minutes=1)) == []
    day_42.refresh_from_db()
    assert (day_42.reminders, day_42.remind_at, day_42.call_at) == (2, None, start + span * 3 / 4)
    assert attempts(day_42) == [
        ("invitation", "queued", ""),
        ("reminder", "skipped", "next_reminder"),
        ("reminder", "queued", ""),
    ]


def test_who_has_answered_is_not_reminded(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    invitations_sent(day_42.due_at)
    services.store_answer(
        day_42.pk,
        values={"nrs.now": 3},
        channel="email",
        language="en",
        by=None,
        now=day_42.due_at + timedelta(hours=1),
    )
    for hours in range(12, 24 * 14, 12):
        assert invitations_sent(day_42.due_at + timedelta(hours=hours)) == []


def test_who_stops_the_emails_after_the_invitation_is_neither_reminded_nor_called(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    invitations_sent(day_42.due_at)
    patients.opt_out(day_42.follow_up.patient_id, by=None, now=day_42.due_at + timedelta(hours=1))
    assert invitations_sent(day_42.due_at + (day_42.closes_at - day_42.due_at) / 4) == []
    day_42.refresh_from_db()
    assert (day_42.remind_at, day_42.call_at) == (None, None)
    assert attempts(day_42)[-1] == ("reminder", "skipped", "opted_out")


@pytest.mark.parametrize(
    ("values", "reason", "called"),
    [
        ({"email": ""}, "no_address", True),
        ({"consented_at": None}, "no_consent", True),
        ({"bounced_at": datetime(2027, 1, 1).astimezone()}, "bounced", True),
        ({"opted_out_at": datetime(2027, 1, 1).astimezone()}, "opted_out", False),
        ({"died_on": date(2027, 1, 20)}, "deceased", False),
    ],
)
def test_who_must_not_be_mailed_is_called_unless_that_is_wrong_too(
    world: World, values: dict[str, Any], reason: str, called: bool
) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    for name, value in values.items():
        setattr(world.patient, name, value)
    world.patient.save()
    assert invitations_sent(day_42.due_at) == []
    day_42.refresh_from_db()
    assert (day_42.not_sent_reason, day_42.call_at) == (reason, day_42.due_at if called else None)
    assert attempts(day_42) == [("invitation", "skipped", reason)]


def test_an_email_that_is_given_up_becomes_a_call(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    services.tick(now=day_42.due_at)
    email = OutgoingEmail.objects.get(contact_attempts__check_in=day_42)
    OutgoingEmail.objects.filter(pk=email.pk).update(status="failed", problem="SMTPRecipientsRefused")
    services.tick(now=day_42.due_at + timedelta(minutes=1))
    day_42.refresh_from_db()
    assert (day_42.call_at, day_42.remind_at) == (day_42.due_at + timedelta(minutes=1), None)


def test_a_question_that_came_back_becomes_a_call_at_once(world: World, client: Client) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    assert len(invitations_sent(day_42.due_at)) == 1
    email = OutgoingEmail.objects.get(contact_attempts__check_in=day_42)
    back = day_42.due_at + timedelta(minutes=5)
    note(email, DeliveryReport.Kind.BOUNCED, reason="invalid", now=back)
    day_42.refresh_from_db()
    assert (day_42.call_at, CheckIn.objects.to_call(back).count()) == (back, 1)
    with clock(back):
        assert "E-mail came back" in words(
            signed_in(world.nurse, client).get("/admin/outcomes/checkin/calls/")
        )
    assert invitations_sent(day_42.due_at + timedelta(days=4)) == []
    day_42.refresh_from_db()
    assert (day_42.call_at, day_42.remind_at) == (back, None)
    assert attempts(day_42)[-1] == ("reminder", "skipped", "bounced")


def test_once_the_address_is_corrected_the_reminder_goes_there(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    assert len(invitations_sent(day_42.due_at)) == 1
    email = OutgoingEmail.objects.get(contact_attempts__check_in=day_42)
    note(email, DeliveryReport.Kind.BOUNCED, reason="invalid", now=day_42.due_at + timedelta(minutes=5))
    Patient.objects.update(email="ann.new@example.org", bounced_at=None)
    (message,) = invitations_sent(day_42.due_at + timedelta(days=4))
    assert message.to == ["ann.new@example.org"]


# When.


def test_nothing_goes_out_in_the_quiet_hours_and_everything_after_them(world: World) -> None:
    world.site.check_in_at, world.site.quiet_from, world.site.quiet_until = time(21), time(20), time(8)
    world.site.save()
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    assert day_42.due_at.astimezone(world.site.zone).hour == 21
    assert invitations_sent(day_42.due_at) == []
    day = day_42.due_at.astimezone(world.site.zone).date() + timedelta(days=1)
    assert invitations_sent(world.at(day, 7, 59)) == []
    assert len(invitations_sent(world.at(day, 8))) == 1


def evening(world: World) -> CheckIn:
    """A check-in of day 42 that falls due a minute before the quiet hours begin."""
    world.site.check_in_at, world.site.quiet_from, world.site.quiet_until = time(19, 59), time(20), time(8)
    world.site.save()
    return check_in_of_day(performed_follow_up(world), 42)


@pytest.mark.parametrize("reminder", [False, True])
def test_what_was_queued_just_before_the_quiet_hours_waits_for_the_morning(
    world: World, reminder: bool
) -> None:
    day_42 = evening(world)
    if reminder:
        assert len(invitations_sent(day_42.due_at)) == 1
        CheckIn.objects.filter(pk=day_42.pk).update(remind_at=day_42.due_at + timedelta(days=3))
        day_42.due_at += timedelta(days=3)
    services.tick(now=day_42.due_at)
    assert outbox.send_due(now=day_42.due_at + timedelta(minutes=1))["put_back"] == 1
    email = OutgoingEmail.objects.filter(template="outcomes.emails.invitation").latest("pk")
    morning = world.at(day_42.due_at.astimezone(world.site.zone).date() + timedelta(days=1), 8)
    assert (email.status, email.not_before, email.attempts) == ("queued", morning, 0)
    assert "waiting" in {fact.code for fact in why(day_42.pk)}
    assert invitations_sent(morning - timedelta(minutes=1)) == []
    assert len(invitations_sent(morning)) == 1
    assert invitations_sent(morning + timedelta(hours=1)) == []


def test_what_is_answered_or_closed_by_the_morning_is_not_sent_any_more(world: World) -> None:
    day_42 = evening(world)
    services.tick(now=day_42.due_at)
    outbox.send_due(now=day_42.due_at + timedelta(minutes=1))
    assert not Link.objects.exists()  # what waits has no link yet
    CheckIn.objects.filter(pk=day_42.pk).update(closes_at=day_42.due_at + timedelta(hours=12))
    assert invitations_sent(day_42.due_at + timedelta(hours=13)) == []
    assert OutgoingEmail.objects.get(contact_attempts__check_in=day_42).problem == "closed"


def asked_by_the_hour(world: World) -> None:
    """From now on the ablation has a diary of two entries."""
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.check_in_minutes = [30, 60]
    profile.save()


def test_the_diary_of_this_evening_is_asked_in_the_quiet_hours_and_nothing_else(world: World) -> None:
    """What it asks for is gone by the morning, and the patient was told at the clinic that it would come."""
    asked_by_the_hour(world)
    other = world.another_patient()
    elsewhere = performed_follow_up(world, patient=other, hour=13)
    block = performed_follow_up(world, hour=9)
    world.site.quiet_from, world.site.quiet_until = time(9, 15), time(22)
    world.site.save()
    just = world.at(MONDAY, 9, 20)
    CheckIn.objects.filter(follow_up=elsewhere, offset_minutes=1440).update(opens_at=just, due_at=just)
    (message,) = invitations_sent(world.at(MONDAY, 9, 31))
    assert message.to == [block.patient.email]
    assert set(block.check_ins.filter(status="invited").values_list("offset_minutes", flat=True)) == {30, 60}
    assert check_in_of_day(elsewhere, 1).status == "planned"


def test_the_diary_of_yesterday_waits_for_the_morning_like_everything_else(world: World) -> None:
    asked_by_the_hour(world)
    performed_follow_up(world, hour=9)
    world.site.quiet_from, world.site.quiet_until = time(20), time(8)
    world.site.save()
    assert invitations_sent(world.at(MONDAY + timedelta(days=1), 0, 30)) == []
    assert len(invitations_sent(world.at(MONDAY + timedelta(days=1), 8))) == 1


def test_a_site_that_has_stopped_all_questions_asks_nothing_and_says_so_later(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    world.site.emails_paused = True
    world.site.save()
    assert invitations_sent(day_42.due_at) == []
    services.tick(now=day_42.closes_at)
    day_42.refresh_from_db()
    assert (day_42.status, day_42.not_sent_reason) == ("missed", "paused")
    assert attempts(day_42) == [("invitation", "skipped", "paused")]


def test_stopping_all_questions_holds_back_what_is_queued_already(world: World) -> None:
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    services.tick(now=day_42.due_at)
    world.site.emails_paused = True
    world.site.save()
    assert outbox.send_due(now=day_42.due_at)["sent"] == 0
    assert OutgoingEmail.objects.get(contact_attempts__check_in=day_42).problem == "paused"


def test_after_an_outage_only_the_newest_is_asked(world: World) -> None:
    follow_up = performed_follow_up(world)
    now = check_in_of_day(follow_up, 14).due_at
    assert len(invitations_sent(now)) == 1
    assert [check_in_of_day(follow_up, day).status for day in (1, 7, 14)] == ["missed", "missed", "invited"]
    for day in (1, 7):
        assert attempts(check_in_of_day(follow_up, day)) == [("invitation", "skipped", "not_asked")]


def test_of_two_that_are_open_at_once_the_older_is_replaced(world: World) -> None:
    follow_up = performed_follow_up(world)
    day_14 = check_in_of_day(follow_up, 14)
    follow_up.check_ins.filter(offset_minutes=7 * 1440).update(closes_at=day_14.closes_at)
    assert len(invitations_sent(day_14.due_at)) == 1
    assert [check_in_of_day(follow_up, day).status for day in (7, 14)] == ["superseded", "invited"]
    assert attempts(check_in_of_day(follow_up, 7)) == [("invitation", "skipped", "superseded")]


def test_what_the_plan_has_no_longer_replaces_nothing(world: World) -> None:
    follow_up = performed_follow_up(world)
    day_14 = check_in_of_day(follow_up, 14)
    follow_up.check_ins.filter(offset_minutes=7 * 1440).update(closes_at=day_14.closes_at)
    follow_up.check_ins.filter(offset_minutes=14 * 1440).update(status="voided")
    assert len(invitations_sent(day_14.due_at)) == 1
    assert check_in_of_day(follow_up, 7).status == "invited"


# How much.


def test_questions_of_two_courses_within_two_days_go_out_in_one_email(world: World) -> None:
    first = performed_follow_up(world)
    second = cervical_follow_up(world, MONDAY + timedelta(days=1))
    early, late = check_in_of_day(first, 92), check_in_of_day(second, 92)
    assert late.due_at - early.due_at == timedelta(days=1)
    services.tick(now=early.due_at - timedelta(hours=1))
    assert invitations_sent(early.due_at) == []
    (message,) = invitations_sent(late.due_at)
    assert len(set(re.findall(r"/c/[^/]+/", str(message.body)))) == 1  # which leads to both
    assert "- Jan. 11, 2027\n- Jan. 12, 2027\n" in str(message.body)
    assert {check_in_of_day(first, 92).status, check_in_of_day(second, 92).status} == {"invited"}
    assert (
        ContactAttempt.objects.filter(email__isnull=False, check_in__in=[early, late])
        .values("email")
        .distinct()
        .count()
        == 1
    )


def test_what_was_asked_together_is_reminded_of_together(world: World) -> None:
    """Each closes at a time of its own, so the ladders part by some hours; the patient must not notice."""
    world.site.emails_a_week = 9
    world.site.save()
    first = performed_follow_up(world)
    second = cervical_follow_up(world, MONDAY + timedelta(days=1))
    early, late = check_in_of_day(first, 92), check_in_of_day(second, 92)
    assert len(invitations_sent(late.due_at)) == 1
    rungs = [
        reminder_schedule(late.due_at, check_in.closes_at)[number]
        for number in (0, 1)
        for check_in in (early, late)
    ]
    visits = [[str(message.body).count("\n- ") for message in invitations_sent(rung)] for rung in rungs]
    assert visits == [[2], [], [2], []]
    for check_in in (early, late):
        assert [kind for kind, outcome, _ in attempts(check_in) if outcome == "queued"] == [
            "invitation",
            "reminder",
            "reminder",
        ]


def test_what_was_asked_some_days_later_keeps_its_own_reminder(world: World) -> None:
    world.site.emails_a_week = 9
    world.site.save()
    first, second = performed_follow_up(world), cervical_follow_up(world, MONDAY + timedelta(days=3))
    early, late = check_in_of_day(first, 92), check_in_of_day(second, 92)
    assert len(invitations_sent(early.due_at)) == 1
    assert len(invitations_sent(late.due_at)) == 1
    reminder = early.due_at + (early.closes_at - early.due_at) / 4
    (message,) = invitations_sent(reminder)
    assert len(set(re.findall(r"/c/[^/]+/", str(message.body)))) == 1
    assert (check_in_of_day(first, 92).reminders, check_in_of_day(second, 92).reminders) == (1, 0)


def test_questions_about_safety_never_wait(world: World) -> None:
    first = performed_follow_up(world)
    cervical_follow_up(world, MONDAY + timedelta(days=1))
    day_7 = check_in_of_day(first, 7)
    assert len(invitations_sent(day_7.due_at)) == 1


def test_the_cap_of_a_week_lets_the_rest_wait_or_leaves_a_reminder_out(world: World) -> None:
    world.site.emails_a_week = 1
    world.site.save()
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    assert len(invitations_sent(day_42.due_at)) == 1
    quarter = day_42.due_at + (day_42.closes_at - day_42.due_at) / 4
    assert invitations_sent(quarter) == []
    assert attempts(check_in_of_day(day_42.follow_up, 42))[-1] == ("reminder", "skipped", "weekly_cap")


def test_the_cap_lets_another_course_wait_until_a_week_has_passed(world: World) -> None:
    world.site.emails_a_week = 1
    world.site.save()
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    second = cervical_follow_up(world, MONDAY + timedelta(days=3))
    assert len(invitations_sent(day_42.due_at)) == 1
    waiting = check_in_of_day(second, 42)
    assert invitations_sent(waiting.due_at) == []
    waiting.refresh_from_db()
    assert waiting.hold_until == day_42.due_at + timedelta(days=7)
    assert len(invitations_sent(waiting.hold_until)) == 1


def test_what_the_cap_would_keep_back_for_good_is_asked_all_the_same(world: World) -> None:
    """One e-mail more is better than a question that nobody ever hears."""
    world.site.emails_a_week = 1
    world.site.save()
    day_42 = check_in_of_day(performed_follow_up(world), 42)
    waiting = check_in_of_day(cervical_follow_up(world, MONDAY + timedelta(days=3)), 42)
    assert len(invitations_sent(day_42.due_at)) == 1
    CheckIn.objects.filter(pk=waiting.pk).update(closes_at=day_42.due_at + timedelta(days=6))
    assert len(invitations_sent(waiting.due_at)) == 1


def test_two_ticks_at_once_ask_each_patient_once(world: World, transactional_db: None) -> None:
    from procedures.tests.races import run_together

    for number in range(2, 8):
        performed_follow_up(
            world, patient=world.another_patient(number), day=MONDAY + timedelta(days=7 * number)
        )
    now = check_in_of_day(FollowUp.objects.order_by("-pk")[0], 1).due_at
    outcome = run_together(*[lambda: services.invite_due(now=now)] * 3)
    assert outcome == {"won": 3}
    emails = OutgoingEmail.objects.filter(template="outcomes.emails.invitation")
    asked = CheckIn.objects.filter(status="invited")
    assert emails.count() == asked.count() > 0


def test_one_sick_row_silences_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_ups = [
        performed_follow_up(world, patient=world.another_patient(n), hour=8 + 2 * n) for n in (2, 3)
    ]
    sick = follow_ups[0].patient_id
    real = invite.wait_until

    def fails(wanted: Any, *args: Any, **kwargs: Any) -> Any:
        if wanted[0].follow_up.patient_id == sick:
            raise RuntimeError("sick")
        return real(wanted, *args, **kwargs)

    monkeypatch.setattr(invite, "wait_until", fails)
    with pytest.raises(ExceptionGroup):
        services.invite_due(now=check_in_of_day(follow_ups[1], 1).due_at)
    assert check_in_of_day(follow_ups[1], 1).status == "invited"
    assert check_in_of_day(follow_ups[0], 1).status == "planned"


def test_when_the_database_is_away_it_is_not_asked_for_each_patient(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_ups = [
        performed_follow_up(world, patient=world.another_patient(n), hour=8 + 2 * n) for n in (2, 3)
    ]
    tried = []

    def away(wanted: Any, *args: Any, **kwargs: Any) -> Any:
        tried.append(wanted[0].follow_up.patient_id)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(invite, "wait_until", away)
    with pytest.raises(OperationalError):
        services.invite_due(now=check_in_of_day(follow_ups[1], 1).due_at)
    assert len(tried) == 2  # all together, then the first alone


# Planning again.


def test_another_zone_moves_what_was_not_asked_and_nothing_else(world: World) -> None:
    follow_up = performed_follow_up(world)
    invitations_sent(check_in_of_day(follow_up, 1).due_at)
    before = {check_in.offset_minutes: check_in.due_at for check_in in follow_up.check_ins.all()}
    world.site.time_zone = "America/Los_Angeles"
    world.site.save()
    done = services.tick(now=check_in_of_day(follow_up, 1).due_at + timedelta(minutes=1))
    assert done["follow_ups_replanned"] == 1
    moved = {
        check_in.offset_minutes: check_in.due_at - before[check_in.offset_minutes]
        for check_in in follow_up.check_ins.all()
    }
    assert moved.pop(1440) == timedelta(0)
    assert set(moved.values()) == {timedelta(hours=3)}
    assert services.tick(now=world.at(MONDAY, 23))["follow_ups_replanned"] == 0


def test_a_corrected_time_moves_the_plan_by_days_and_is_kept_with_its_reason(world: World) -> None:
    booked = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    now = world.at(MONDAY + timedelta(days=2), 9)
    record = procedures.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=8)
    procedure = procedures.perform(booked.pk, record, by=world.physician, now=now)
    for _ in range(2):
        procedures.correct_time(
            procedure.pk,
            performed_at=world.at(MONDAY + timedelta(days=1), 9),
            reason="typed the wrong day",
            by=world.physician,
            now=now,
        )
    follow_up = procedure.follow_up
    assert check_in_of_day(follow_up, 42).due_at == world.at(MONDAY + timedelta(days=43), 10)
    assert follow_up.check_ins.count() == 10
    told = AuditEvent.objects.get(action="procedure.time_corrected")
    assert told.reason == "typed the wrong day"


def test_what_one_profile_drops_comes_back_with_the_profile_that_asks_it(world: World) -> None:
    follow_up = performed_follow_up(world)
    now = world.at(MONDAY, 12)
    all_days = ReliefProfile.objects.get().check_in_days
    for version, days, left_out in ((2, [1, 7, 42], "voided"), (3, all_days, "planned")):
        new = ReliefProfile.objects.get(version=1)
        new.pk, new.version, new.check_in_days = None, version, days
        new.save()
        services.replan(follow_up.pk, reason="another profile", now=now)
        assert check_in_of_day(follow_up, 14).status == left_out
    assert set(follow_up.check_ins.values_list("status", flat=True)) == {"planned"}
    assert len(invitations_sent(check_in_of_day(follow_up, 14).due_at)) == 1


@pytest.mark.parametrize(
    ("moved", "reason", "code"),
    [
        (timedelta(days=9), "x", "in_the_future"),
        (timedelta(days=-2), "x", "before_booking_day"),
        (timedelta(minutes=9), " ", "reason_required"),
        (timedelta(hours=2), "x", "after_recording"),
    ],
)
def test_a_time_that_cannot_be_is_refused(world: World, moved: timedelta, reason: str, code: str) -> None:
    procedure = world.performed()
    with pytest.raises(Refusal) as refusal:
        procedures.correct_time(
            procedure.pk,
            performed_at=procedure.performed_at + moved,
            reason=reason,
            by=world.physician,
            now=world.at(MONDAY, 12),
        )
    assert refusal.value.code == code
    assert check_in_of_day(procedure.follow_up, 1).due_at == world.at(MONDAY + timedelta(days=1), 10)


def test_a_course_ends_when_another_clinic_treats_the_patient(world: World) -> None:
    follow_up = performed_follow_up(world)
    for _ in range(2):
        services.end_follow_up(
            follow_up.pk, closed_reason="transferred", by=world.physician, now=world.at(MONDAY, 12)
        )
    assert set(follow_up.check_ins.values_list("status", flat=True)) == {"voided"}
    assert invitations_sent(check_in_of_day(follow_up, 1).due_at) == []
