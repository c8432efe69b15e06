"""The "why" page: what a clerk reads out to a patient who says "I never got it"."""

import inspect
import re
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.models import DeliveryReport, OutgoingEmail, OutgoingText
from clinic.tests.admin_client import queries, signed_in, words
from clinic.tests.factories import MONDAY
from outcomes import check_in_history as why_module
from outcomes import services
from outcomes.api.check_in_history import CODES
from outcomes.check_in_history import REPORTED, Fact, why
from outcomes.check_in_sentences import SENTENCES
from outcomes.models import CheckIn, ContactAttempt, Draft, FollowUp
from outcomes.services.sms_reminders import text_key
from procedures.models import ReliefProfile
from procedures.tests.factories import World


def facts(check_in: CheckIn) -> dict[str, Fact]:
    return {fact.code: fact for fact in why(check_in.pk)}


def planned(world: World, day: int = 92, **performed: Any) -> CheckIn:
    check_in: CheckIn = world.performed(**performed).follow_up.check_ins.get(offset_minutes=day * 1440)
    return check_in


def asked(check_in: CheckIn, **email: Any) -> OutgoingEmail:
    """The check-in was asked by an e-mail whose row says so."""
    CheckIn.objects.filter(pk=check_in.pk).update(status="invited", invited_at=check_in.due_at)
    row = OutgoingEmail.objects.create(
        key=f"question {check_in.pk}",
        template="outcomes.emails.invitation",
        context={"check_in_id": check_in.pk},
        to="ann@example.org",
        site=check_in.follow_up.procedure.site,
        created_at=check_in.due_at,
        not_before=check_in.due_at,
        **email,
    )
    ContactAttempt.objects.create(
        check_in=check_in, kind="invitation", outcome="queued", at=check_in.due_at, email=row
    )
    return row


def test_planned_by_a_day_of_the_profile(world: World) -> None:
    fact = why(planned(world).pk)[0]
    assert fact.code == "planned"
    assert fact.said == (
        "Planned for day 92 of the relief profile Radiofrequency ablation of facet nerves v1, at 10:00 on the clock "
        "of Riverside: Tue 13 Apr 2027, 10:00 EDT. Answers are taken until Tue 27 Apr 2027, 10:00 EDT."
    )


def test_planned_by_an_hour_of_a_diary_and_by_repetition(world: World) -> None:
    old = ReliefProfile.objects.get()
    kept = {
        field.name: getattr(old, field.name) for field in ReliefProfile._meta.fields if field.name != "id"
    }
    ReliefProfile.objects.create(
        **kept | {
            "version": 2, "in_force_from": world.now, "check_in_days": [1, 30], "check_in_minutes": [210],
            "check_in_every_days": 180,
        }
    )  # fmt: skip
    follow_up = world.performed().follow_up
    said = [why(check_in.pk)[0].said for check_in in follow_up.check_ins.order_by("offset_minutes")]
    assert said[0].startswith(
        "Planned for hour 3.5 after the procedure, from the diary of the relief profile"
    )
    assert "Mon 11 Jan 2027, 12:30 EST" in said[0]
    assert said[1].startswith("Planned for day 1 of the relief profile Radiofrequency ablation")
    assert "v2 repeats its question every 180 days" in said[3]


def test_moved(world: World) -> None:
    check_in = planned(world)
    check_in.due_at += timedelta(hours=1)
    check_in.save()
    check_in.save()  # a change of nothing is no move
    moves = [fact.said for fact in why(check_in.pk) if fact.code == "moved"]
    assert moves == ["Moved from Tue 13 Apr 2027, 10:00 EDT to Tue 13 Apr 2027, 11:00 EDT."]


def test_moved_because(world: World) -> None:
    check_in = planned(world)
    world.site.check_in_at = time(11)
    world.site.save()
    services.replan(check_in.follow_up_id, reason="The site's hour changed.", now=world.at(MONDAY, 12))
    moves = [fact.said for fact in why(check_in.pk) if fact.code == "moved"]
    assert moves == [
        "Moved from Tue 13 Apr 2027, 10:00 EDT to Tue 13 Apr 2027, 11:00 EDT. The site's hour changed."
    ]


def test_held_back_for_the_weeks_sake(world: World) -> None:
    check_in = planned(world)
    until = check_in.due_at + timedelta(days=1)
    CheckIn.objects.filter(pk=check_in.pk).update(hold_until=until)
    assert facts(check_in)["waits"].said.startswith(
        "It waits until Wed 14 Apr 2027, 10:00 EDT: another question"
    )


@pytest.mark.parametrize(
    ("email", "code", "said"),
    [
        ({"status": "queued"}, "waiting", "has not gone out yet. It is due: Tue 13 Apr 2027, 10:00 EDT."),
        (
            {"status": "queued", "attempts": 2, "problem": "SMTPServerDisconnected"},
            "waiting",
            "did not go out in 2 tries: The mail server could not be reached (SMTPServerDisconnected). Next try:",
        ),
        (
            {"status": "skipped", "problem": "opted_out"},
            "held_back",
            "held back: The patient asked us to stop",
        ),
        (
            {"status": "skipped", "problem": "answered"},
            "held_back",
            "held back: The patient had answered by then.",
        ),
        (
            {"status": "failed", "attempts": 1, "problem": "recipient_refused_550"},
            "failed",
            "given up after 1 try: The mail server refuses this address (reply 550).",
        ),
        (
            {"status": "failed", "attempts": 6, "problem": "abandoned"},
            "failed",
            "given up after 6 tries: Sending stopped in the middle, time after time.",
        ),
        ({"status": "sending", "attempts": 1}, "sending", "is just being sent."),
    ],
)
def test_what_became_of_the_e_mail(world: World, email: dict[str, Any], code: str, said: str) -> None:
    check_in = planned(world)
    if email["status"] == "sending":
        email = email | {"claimed_at": check_in.due_at}
    asked(check_in, **email)
    told = facts(check_in)
    assert "to ann@example.org was put into the outbox" in told["queued"].said
    assert said in told[code].said
    assert "sent" not in told


def test_sent_and_came_back(world: World) -> None:
    check_in = planned(world)
    sent_at = check_in.due_at + timedelta(minutes=1)
    asked(check_in, status="sent", sent_at=sent_at, attempts=1)
    assert facts(check_in)["sent"] == Fact(
        "sent", sent_at, "The mail server took the invitation to ann@example.org, after 1 try."
    )
    assert "came_back" not in facts(check_in)
    world.patient.bounced_at = sent_at + timedelta(hours=2)
    world.patient.save()
    assert facts(check_in)["came_back"].at == world.patient.bounced_at
    world.patient.email = "new@example.org"  # whether that one comes back is another matter
    world.patient.save()
    assert "came_back" not in facts(check_in)


def test_marked_as_sent_after_a_restore(world: World) -> None:
    check_in = planned(world)
    asked(check_in, status="sent", sent_at=check_in.due_at, problem="marked_as_sent")
    assert "sent" not in facts(check_in)
    assert facts(check_in)["held_back"].at == check_in.due_at


@pytest.mark.parametrize("kind", DeliveryReport.Kind.values)
def test_what_was_heard_of_it_later(world: World, kind: str) -> None:
    check_in = planned(world)
    email = asked(check_in, status="sent", sent_at=check_in.due_at, attempts=1)
    at = check_in.due_at + timedelta(hours=1)
    DeliveryReport.objects.create(email=email, kind=kind, at=at)
    (heard,) = (fact for fact in why(check_in.pk) if fact.at == at)
    assert heard.code == REPORTED[DeliveryReport.Kind(kind)].partition(".")[0]
    assert "ann@example.org" in heard.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"status": "queued"}, "The text message has not gone out yet."),
        ({"status": "sent"}, "The text message went out."),
        ({"status": "sent", "problem": "marked_as_sent"}, "after a restore that it had gone out already."),
        (
            {"status": "skipped", "problem": "quiet_hours"},
            "held back: It was too late or too early in the day.",
        ),
        ({"status": "failed", "problem": "refused"}, "did not go out (refused); it is not tried again."),
    ],
)
def test_a_text_message(world: World, text: dict[str, Any], said: str) -> None:
    check_in = planned(world)
    ContactAttempt.objects.create(check_in=check_in, kind="sms", outcome="queued", at=check_in.due_at)
    OutgoingText.objects.create(
        key=text_key(check_in), template="t", site=world.site, created_at=check_in.due_at,
        sent_at=check_in.due_at if text["status"] == "sent" else None, **text,
    )  # fmt: skip
    told = [fact.said for fact in why(check_in.pk)]
    assert "A text message was put into the outbox." in told
    assert told[-1].endswith(said)


def test_every_sentence_is_said_of_something() -> None:
    named = set(re.findall(r'"([\w.]+)"', inspect.getsource(why_module))) | set(REPORTED.values())
    for code, sentences in SENTENCES["facts"].items():
        for name in sentences:
            assert {code, name, f"{code}.{name}"} & named, (code, name)
    assert {name.partition(".")[0] for name in REPORTED.values()} < set(CODES)


def test_an_invitation_from_before_attempts_were_written_down(world: World) -> None:
    check_in = planned(world)
    OutgoingEmail.objects.create(
        key=f"check-in {check_in.pk} invitation", template="t", to="ann@example.org", site=world.site,
        created_at=check_in.due_at, not_before=check_in.due_at, status="sent", sent_at=check_in.due_at, attempts=1,
    )  # fmt: skip
    assert [fact.code for fact in why(check_in.pk)] == ["planned", "queued", "sent"]


def test_no_e_mail_because(world: World) -> None:
    check_in = planned(world)
    CheckIn.objects.filter(pk=check_in.pk).update(not_sent_reason="no_consent", call_at=check_in.due_at)
    told = facts(check_in)
    assert told["not_sent"].said == "No e-mail was sent: The patient has not agreed to be asked by e-mail."
    assert told["to_call"].said == "To be called: Tue 13 Apr 2027, 10:00 EDT."
    ContactAttempt.objects.create(
        check_in=check_in, kind="invitation", outcome="skipped", at=check_in.due_at, reason="no_consent"
    )
    assert [fact.code for fact in why(check_in.pk)].count("not_sent") == 1


def test_opened_called_answered_corrected_in_order_of_time(world: World) -> None:
    check_in = planned(world)
    CheckIn.objects.filter(pk=check_in.pk).update(call_at=check_in.due_at)
    hour = timedelta(hours=1)
    begun = Draft.objects.create(
        check_in=check_in, started_at=check_in.due_at + hour, updated_at=check_in.due_at + hour
    )
    assert facts(check_in)["opened"].at == check_in.due_at + hour
    begun.delete()
    services.note_call(check_in.pk, outcome="no_answer", by=world.clerk, now=check_in.due_at + 2 * hour)
    given = services.record_answer(
        check_in.pk, values={"nrs.now": 7}, channel="phone", language="en", by=world.nurse,
        now=check_in.due_at + 30 * hour,
    )  # fmt: skip
    services.correct_answer(
        given.pk,
        values={"nrs.now": 1},
        reason="misheard",
        by=world.physician,
        now=check_in.due_at + 31 * hour,
    )
    said = [fact.said for fact in why(check_in.pk)[1:]]
    assert said == [
        "Front desk Test called: nobody answered.",
        "Nurse Test called: reached.",
        "Answered; channel: telephone, written down by Nurse Test.",
        "Corrected by Physician Test, version 2: misheard",
    ]


def test_missed_superseded_and_void(world: World) -> None:
    follow_up: FollowUp = world.performed().follow_up
    first, second, third = follow_up.check_ins.order_by("offset_minutes")[:3]
    CheckIn.objects.filter(pk__in=[first.pk, second.pk]).update(status="superseded")
    assert facts(first)["superseded"].said == (
        "Not asked any more: day 14 was due by then as well, and only the newest is asked."
    )
    CheckIn.objects.filter(pk=third.pk).update(status="missed")
    missed = facts(third)["missed"]
    assert missed.at == third.closes_at
    assert missed.said.startswith("Nobody answered until it closed: ")
    last = follow_up.check_ins.get(offset_minutes=366 * 1440)
    world.performed(day=MONDAY + timedelta(days=200))
    assert (
        facts(last)["voided"].said
        == "Void: the follow-up ended, because a later procedure of the same kind followed."
    )


def test_the_page_tells_it_in_the_same_number_of_queries_however_much_there_is(
    world: World, client: Client
) -> None:
    signed_in(world.clerk, client)
    few, much = planned(world), planned(world, patient=world.another_patient(), hour=13)
    asked(few, status="sent", sent_at=few.due_at, attempts=1)
    asked(much, status="sent", sent_at=much.due_at, attempts=1)
    services.record_answer(
        few.pk, values={"nrs.now": 7}, channel="phone", language="en", by=world.nurse, now=few.due_at
    )
    given = services.record_answer(
        much.pk, values={"nrs.now": 7}, channel="phone", language="en", by=world.nurse, now=much.due_at
    )
    for score in range(5):
        ContactAttempt.objects.create(
            check_in=much, kind="call", outcome="no_answer", at=much.due_at, by=world.nurse
        )
        services.correct_answer(
            given.pk, values={"nrs.now": score}, reason="typo", by=world.nurse, now=much.due_at
        )
    services.correct_answer(
        few.answer.pk, values={"nrs.now": 1}, reason="typo", by=world.nurse, now=few.due_at
    )
    assert queries(lambda: client.get(address(much))) <= queries(lambda: client.get(address(few)))
    said = words(client.get(address(much)))
    assert "Planned for day 92 of the relief profile" in said
    assert said.count("Front desk Test called") == 0
    assert said.count("Nurse Test called: nobody answered.") == 5


def address(check_in: CheckIn) -> str:
    return f"/admin/outcomes/checkin/{check_in.pk}/change/"


def test_times_are_on_the_sites_clock_right_through_its_change(world: World) -> None:
    check_in = planned(world, day=42)  # 22 February, before the clocks change
    asked(check_in, status="sent", sent_at=datetime.fromisoformat("2027-03-14T06:30:00+00:00"), attempts=1)
    assert "10:00 EST" in facts(check_in)["planned"].said
