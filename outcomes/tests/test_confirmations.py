"""Asking once more after a first bad score: when, how, and until when there is a reason for it."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client

from clinic.models import OutgoingEmail
from clinic.outbox import send_due
from clinic.tests.admin_client import signed_in, words
from clinic.tests.api_client import call
from outcomes import services
from outcomes.check_in_history import why
from outcomes.models import Alert, Answer, CheckIn, ContactAttempt, FollowUp
from outcomes.relief import Verdict
from outcomes.reports.drill_down import rows_behind
from outcomes.reports.overview import overview_report
from outcomes.reports.selection import Selection
from outcomes.schedule import confirmation, confirms, reminder_schedule
from outcomes.services.judgement import update_verdict
from outcomes.tests.factories import answer_day, insist
from procedures.models import ReliefProfile
from procedures.tests.factories import World

Status = CheckIn.Status
DAYS = [1, 7, 14, 42, 60, 92, 100, 184, 275, 366]


@pytest.fixture
def relieved(world: World) -> FollowUp:
    """A course with relief on day 42, whose check-ins lie close enough to tell three days from seven."""
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.check_in_days = DAYS
    profile.save()
    follow_up: FollowUp = world.performed(baseline=8).follow_up
    answer_day(follow_up, 42, 2)
    return follow_up


def of(follow_up: FollowUp, **how: object) -> list[CheckIn]:
    """The confirmations of a course, the first planned at the top."""
    return list(follow_up.check_ins.filter(kind="confirmation", **how).order_by("pk"))


def open_one(follow_up: FollowUp) -> CheckIn:
    (found,) = of(follow_up, status__in=CheckIn.OPEN)
    return found


def reply(check_in: CheckIn, pain: int, *, now: datetime | None = None, **values: int) -> Answer:
    return services.store_answer(
        check_in.pk,
        values={"nrs.now": pain, **{f"relief.{key}": value for key, value in values.items()}},
        channel="email",
        language="en",
        by=None,
        now=now or check_in.due_at + timedelta(hours=1),
    )


def verdict(follow_up: FollowUp) -> str:
    follow_up.refresh_from_db()
    return follow_up.verdict


def ticked(now: datetime) -> None:
    call_command("tick", now=now.isoformat(), verbosity=0)


# When.


@pytest.mark.parametrize(
    ("bad", "asked", "local"),
    [
        (60, 63, "2027-03-15 10:00 EDT"),  # the clocks change on day 62: it stays at ten
        (92, 99, "2027-04-20 10:00 EDT"),
        (275, 282, "2027-10-20 10:00 EDT"),
    ],
)
def test_it_is_asked_three_days_later_up_to_day_90_and_then_seven(
    world: World, relieved: FollowUp, bad: int, asked: int, local: str
) -> None:
    first = answer_day(relieved, bad, 7).check_in
    found = open_one(relieved)
    assert (found.confirms, found.offset_minutes) == (first, asked * 1440)
    assert f"{found.due_at.astimezone(world.site.zone):%Y-%m-%d %H:%M %Z}" == local
    assert found.opens_at.astimezone(world.site.zone).hour == 0
    assert found.closes_at - found.due_at == timedelta(days=14)
    assert Alert.objects.filter(kind="lost_early", confirmed=False).exists()


NEW_YORK = ZoneInfo("America/New_York")
PERFORMED = datetime(2027, 1, 11, 14, tzinfo=UTC)


def test_an_hour_that_the_clocks_jump_over_is_the_hour_after() -> None:
    answered = datetime(2027, 3, 11, 20, tzinfo=UTC)  # day 59; on day 62 there is no half past two
    planned = confirmation(PERFORMED, answered, at=time(2, 30), zone=NEW_YORK)
    assert str(planned.due_at.astimezone(NEW_YORK)) == "2027-03-14 03:30:00-04:00"


@pytest.mark.parametrize(("after", "it"), [(0, False), (1, True), (7, True), (8, False)])
def test_which_planned_check_in_asks_soon_enough(after: int, it: bool) -> None:
    answered = datetime(2027, 4, 20, 12, tzinfo=UTC)  # day 99, at eight in the morning
    planned = confirmation(PERFORMED, answered, at=time(10), zone=NEW_YORK)
    due = datetime(2027, 4, 20, 14, tzinfo=UTC) + timedelta(days=after)
    assert confirms(due, answered, planned, NEW_YORK) is it


def test_a_planned_check_in_within_these_days_is_it(relieved: FollowUp) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    reply(check_in, 7, now=check_in.due_at + timedelta(days=1))  # day 93: seven days later is day 100
    assert verdict(relieved) == Verdict.LOST_UNCONFIRMED
    assert of(relieved) == []
    planned = relieved.check_ins.get(offset_minutes=100 * 1440)
    services.close_past(now=planned.closes_at)
    assert of(relieved) == []  # unanswered, it was asked all the same


def test_a_planned_check_in_that_the_plan_has_no_longer_is_not_it(relieved: FollowUp) -> None:
    relieved.check_ins.filter(offset_minutes=100 * 1440).update(status=Status.VOIDED)
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    reply(check_in, 7, now=check_in.due_at + timedelta(days=1))
    assert open_one(relieved).offset_minutes == 100 * 1440


def test_only_a_first_bad_score_after_relief_is_confirmed(world: World, relieved: FollowUp) -> None:
    for pain in (4, 3):
        answer_day(relieved, 60 if pain == 4 else 92, pain)
    answer_day(relieved, 100, 5)  # two points above the three, and out of relief
    assert of(relieved)
    never = world.performed(
        baseline=8, patient=world.another_patient(), laterality="right", hour=11
    ).follow_up
    answer_day(never, 42, 8)
    assert of(never) == []


def test_nothing_is_asked_that_would_be_over_already(relieved: FollowUp) -> None:
    """As when courses of long ago are judged again."""
    answer_day(relieved, 92, 7)
    CheckIn.objects.filter(kind="confirmation").delete()
    closes = confirmation(
        relieved.procedure.performed_at,
        Answer.objects.latest("pk").answered_at,
        at=time(10),
        zone=NEW_YORK,
    ).closes_at
    update_verdict(relieved.pk, now=closes)
    assert of(relieved) == []
    update_verdict(relieved.pk, now=closes - timedelta(hours=1))
    assert of(relieved)


# Its reason, and what takes it away.


def test_a_second_bad_score_confirms_the_loss_and_nothing_more_is_asked(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    assert verdict(relieved) == Verdict.LOST_UNCONFIRMED
    reply(open_one(relieved), 7)
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert "confirmed by the next score on day 99" in relieved.verdict_reason
    assert Alert.objects.get(kind="lost_early").confirmed
    assert len(of(relieved)) == 1


def test_a_good_answer_takes_the_suspicion_away(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    reply(open_one(relieved), 2)
    assert verdict(relieved) == Verdict.IN_RELIEF
    assert len(of(relieved)) == 1


def test_judging_again_writes_no_second_one(relieved: FollowUp) -> None:
    first = answer_day(relieved, 92, 7)
    for days in range(4):
        update_verdict(relieved.pk, now=first.answered_at + timedelta(days=days))
    found = open_one(relieved)
    services.close_past(now=found.closes_at)
    update_verdict(relieved.pk, now=found.closes_at)
    assert [check_in.status for check_in in of(relieved)] == [Status.MISSED]


def test_a_correction_that_removes_the_loss_withdraws_it_and_its_e_mail(
    world: World, relieved: FollowUp
) -> None:
    first = answer_day(relieved, 92, 7)
    found = open_one(relieved)
    services.invite_due(now=found.due_at)
    found.refresh_from_db()
    assert found.status == Status.INVITED

    def correct(pain: int, minutes: int) -> None:
        services.correct_answer(
            first.pk,
            values={"nrs.now": pain},
            reason="Typed 7 for 1.",
            by=world.nurse,
            now=found.due_at + timedelta(minutes=minutes),
        )

    correct(1, 1)
    found.refresh_from_db()
    assert found.status == Status.VOIDED
    assert verdict(relieved) == Verdict.IN_RELIEF
    send_due(now=found.due_at + timedelta(minutes=2))
    assert OutgoingEmail.objects.latest("pk").problem == "voided"
    assert any(fact.code == "voided" and "nothing left to confirm" in fact.said for fact in why(found.pk))
    correct(7, 3)  # and back: its reason is there again
    assert open_one(relieved).pk != found.pk
    assert open_one(relieved).confirms == first.check_in


def test_a_correction_that_makes_an_earlier_score_the_first_bad_one_moves_it(
    world: World, relieved: FollowUp
) -> None:
    early = answer_day(relieved, 60, 2)
    answer_day(relieved, 92, 7)
    services.correct_answer(
        early.pk,
        values={"nrs.now": 7},
        reason="Typed 2 for 7.",
        by=world.nurse,
        now=relieved.check_ins.get(offset_minutes=92 * 1440).due_at + timedelta(hours=2),
    )
    assert verdict(relieved) == Verdict.LOST_EARLY  # two bad scores now
    assert of(relieved, status__in=CheckIn.OPEN) == []


def test_a_loss_that_is_established_otherwise_withdraws_it(relieved: FollowUp) -> None:
    first = answer_day(relieved, 92, 7)
    services.report_pain(
        relieved.pk,
        pain=8,
        channel="email",
        language="en",
        by=None,
        now=first.answered_at + timedelta(days=2),
    )
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert [check_in.status for check_in in of(relieved)] == [Status.VOIDED]


def test_a_good_answer_meanwhile_withdraws_it(relieved: FollowUp) -> None:
    check_in = relieved.check_ins.get(offset_minutes=60 * 1440)
    first = reply(check_in, 7, now=check_in.due_at + timedelta(hours=1))
    late = relieved.check_ins.get(offset_minutes=92 * 1440)
    CheckIn.objects.filter(pk=late.pk).update(opens_at=first.answered_at)
    reply(late, 2, now=first.answered_at + timedelta(days=1))
    assert [check_in.status for check_in in of(relieved)] == [Status.VOIDED]


def test_none_after_the_course_and_none_for_the_dead(world: World, relieved: FollowUp) -> None:
    first = answer_day(relieved, 92, 7)
    now = first.answered_at + timedelta(days=1)
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
    assert [check_in.status for check_in in of(relieved)] == [Status.VOIDED]
    update_verdict(relieved.pk, now=now)
    assert len(of(relieved)) == 1
    services.resume_follow_up(relieved.pk, reason="Came back.", by=world.physician, now=now)
    assert open_one(relieved).confirms == first.check_in
    relieved.patient.died_on = now.date()
    relieved.patient.save()
    update_verdict(relieved.pk, now=now)
    assert of(relieved, status__in=CheckIn.OPEN) == []


@pytest.mark.parametrize("intent", ["diagnostic", "maintenance"])
def test_tests_and_upkeep_are_not_asked_again(world: World, relieved: FollowUp, intent: str) -> None:
    type(relieved.procedure).objects.filter(pk=relieved.procedure_id).update(intent=intent)
    answer_day(relieved, 92, 7)
    assert of(relieved) == []


def test_it_survives_planning_again(relieved: FollowUp) -> None:
    first = answer_day(relieved, 92, 7)
    before = open_one(relieved)
    services.replan(relieved.pk, reason="A test.", now=first.answered_at + timedelta(days=1))
    after = open_one(relieved)
    assert (after.due_at, after.confirms) == (before.due_at, before.confirms)


# How it is asked.


def test_it_replaces_nothing_and_nothing_replaces_it(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    found, planned = open_one(relieved), relieved.check_ins.get(offset_minutes=100 * 1440)
    for check_in in (found, planned):
        check_in.follow_up = relieved
    services.invite_due(now=planned.due_at)  # after a day without a tick: both are due
    for check_in in (found, planned):
        check_in.refresh_from_db()
        assert check_in.status == Status.INVITED
    (attempt, other) = ContactAttempt.objects.filter(check_in__in=[found, planned])
    assert attempt.email_id == other.email_id  # in one e-mail, each with its link


def plant(follow_up: FollowUp, day: int, due_at: datetime) -> CheckIn:
    """A check-in of a plan that is due at that instant, whatever day it says that it is for."""
    return CheckIn.objects.create(
        follow_up=follow_up,
        offset_minutes=day * 1440,
        opens_at=due_at,
        due_at=due_at,
        closes_at=due_at + timedelta(days=14),
    )


def test_a_planned_check_in_from_before_it_is_asked_all_the_same(relieved: FollowUp) -> None:
    """As when the plan got one more day meanwhile."""
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    planned = plant(relieved, 98, found.due_at - timedelta(hours=1))
    assert services.invite_due(now=found.due_at)["superseded"] == 0
    planned.refresh_from_db()
    assert planned.status == Status.INVITED


def test_the_cap_of_a_week_neither_holds_it_back_nor_counts_it(world: World, relieved: FollowUp) -> None:
    world.site.emails_a_week = 1
    world.site.save()
    answer_day(relieved, 92, 7)
    CheckIn.objects.filter(kind="planned", status__in=CheckIn.OPEN).update(status=Status.VOIDED)
    found = open_one(relieved)
    day = timedelta(days=1)
    other = world.performed(laterality="right", hour=11).follow_up
    other.check_ins.update(status=Status.VOIDED)
    plant(other, 50, found.due_at - day)
    assert services.invite_due(now=found.due_at - day)["invited"] == 1
    tally = services.invite_due(now=found.due_at)
    assert (tally["invited"], tally["held"]) == (1, 0)
    other.check_ins.update(status=Status.VOIDED)
    assert services.remind_due(now=found.due_at + day)["reminded"] == 1  # beyond the cap as well
    # A week after the other question, and no week after this one and its reminder.
    after = plant(other, 61, found.due_at + 6 * day + timedelta(hours=1))
    assert services.invite_due(now=after.due_at)["invited"] == 1


def test_it_waits_for_no_other_question_and_none_waits_for_it(world: World, relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    CheckIn.objects.filter(kind="planned", status__in=CheckIn.OPEN).update(status=Status.VOIDED)
    found = open_one(relieved)
    other = world.performed(laterality="right", hour=11).follow_up
    other.check_ins.update(status=Status.VOIDED)
    soon = timedelta(hours=20)
    before, after = plant(other, 50, found.due_at - soon), plant(other, 61, found.due_at + soon)
    CheckIn.objects.filter(pk=after.pk).update(status=Status.VOIDED)
    assert services.invite_due(now=before.due_at)["held"] == 0
    CheckIn.objects.filter(pk=after.pk).update(status=Status.PLANNED)
    assert services.invite_due(now=found.due_at)["held"] == 0
    found.refresh_from_db()
    assert found.status == Status.INVITED


def test_unanswered_it_is_reminded_of_called_about_and_no_silence(world: World, relieved: FollowUp) -> None:
    world.patient.phone = "+1 212 555 0123"
    world.patient.save()
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    ticked(found.due_at)
    found.refresh_from_db()
    assert found.remind_at == found.due_at + timedelta(days=1)
    ticked(found.remind_at)
    found.refresh_from_db()
    assert CheckIn.objects.filter(pk=found.pk, reminders=1, remind_at=None).exists()
    at = found.due_at + timedelta(days=3)
    assert found.call_at == at
    planned = relieved.check_ins.filter(kind="planned", status__in=CheckIn.OPEN)
    planned.update(call_at=None)
    assert list(CheckIn.objects.to_call(at)) == [found]
    ticked(found.closes_at)
    found.refresh_from_db()
    assert found.status == Status.MISSED
    assert verdict(relieved) == Verdict.LOST_UNCONFIRMED
    assert Alert.objects.get(kind="lost_early").confirmed is False
    assert not Alert.objects.filter(kind="silent").exists()


def test_the_ladder_of_a_confirmation_ends_before_it_closes() -> None:
    asked = datetime(2027, 4, 20, 14, tzinfo=UTC)
    long, short = asked + timedelta(days=14), asked + timedelta(days=2)
    assert reminder_schedule(asked, long, confirmation=True) == (
        asked + timedelta(days=1),
        asked + timedelta(days=3),
    )
    assert all(step < short for step in reminder_schedule(asked, short, confirmation=True))


def test_after_an_opt_out_no_e_mail_goes_out_as_of_any_check_in(world: World, relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    relieved.patient.opted_out_at = found.due_at - timedelta(days=1)
    relieved.patient.save()
    services.invite_due(now=found.due_at)
    found.refresh_from_db()
    assert (found.status, found.not_sent_reason) == (Status.PLANNED, "opted_out")


def test_without_consent_to_e_mail_somebody_calls(world: World, relieved: FollowUp) -> None:
    relieved.patient.consented_at = None
    relieved.patient.save()
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    services.invite_due(now=found.due_at)
    found.refresh_from_db()
    assert (found.not_sent_reason, found.call_at) == ("no_consent", found.due_at)


@pytest.fixture
def asked(relieved: FollowUp, clock: list[datetime]) -> tuple[CheckIn, str]:
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    clock[0] = found.due_at
    return found, f"/c/{services.issue_link(found, now=found.due_at)}/"


def test_the_page_asks_the_pain_and_what_follows_from_it(asked: tuple[CheckIn, str], client: Client) -> None:
    check_in, path = asked
    page = client.get(path).content.decode()
    assert "nrs.now" in page
    assert not any(name in page for name in ("worst_24_hours", "average", "pgic", "peg.", "worn_off"))
    sent = insist(client, path, {"step": "1", "nrs.now": "7", "remark": "Since Sunday"}, follow=True)
    told = sent.content.decode()
    assert "relief.worn_off" in told
    assert "relief.ended_on" in told
    assert "Since Sunday" in told
    assert "nrs.now" not in told
    insist(client, path, {"step": "2", "relief.worn_off": "1", "remark": "Since Sunday"})
    check_in.refresh_from_db()
    assert check_in.answer.remark == "Since Sunday"
    assert verdict(check_in.follow_up) == Verdict.LOST_EARLY


def test_a_good_score_is_one_question_and_done(asked: tuple[CheckIn, str], client: Client) -> None:
    check_in, path = asked
    insist(client, path, {"step": "1", "nrs.now": "2", "remark": ""})
    check_in.refresh_from_db()
    assert check_in.status == Status.ANSWERED
    assert verdict(check_in.follow_up) == Verdict.IN_RELIEF


# Where it counts, and where it does not.


def test_it_stays_out_of_rates_by_check_in(world: World, relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    reply(found, 7)
    relieved.summary.refresh_from_db()
    assert 99 not in relieved.summary.days
    now = found.due_at + timedelta(hours=2)
    for cell in ("asked:all:due", "asked:recent:due"):
        assert found not in rows_behind(Selection(), cell, world.admin, now=now), cell
    (site,) = overview_report(user=world.admin, now=now).sites
    assert site.response
    assert site.response.of == 1  # day 92
    signed = signed_in(world.admin)
    response = signed.get("/admin/outcomes/checkin/", {"kind__exact": "confirmation"})
    assert "day 99, confirmation" in words(response)


def test_programs_see_its_kind_and_ask_for_it(world: World, relieved: FollowUp) -> None:
    first = answer_day(relieved, 92, 7)
    found = open_one(relieved)
    rows = call(world.nurse, "GET", "check-ins/?kind=confirmation", now=found.due_at).json()["results"]
    assert [(row["id"], row["kind"], row["confirms"]) for row in rows] == [
        (found.pk, "confirmation", first.check_in_id)
    ]
    assert rows[0]["when"] == "day 99, confirmation"
    told = why(found.pk)[0]
    assert (told.code, told.at) == ("planned", first.answered_at)
    assert "day 92" in told.said


def test_the_e_mail_has_a_link_for_each(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    found = open_one(relieved)
    mail.outbox.clear()
    ticked(found.due_at)
    (message,) = [message for message in mail.outbox if "/c/" in str(message.body)]
    assert str(message.body).count("/c/") == 1
