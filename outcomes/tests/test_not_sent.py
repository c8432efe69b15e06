"""What was not sent is counted by its reason where staff see it, and each number leads to its check-ins."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import OutgoingText, Site
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.check_in_history import HELD_BACK, reason
from outcomes.models import CheckIn
from outcomes.not_sent import NotSent, not_sent
from patients.models import Patient
from procedures import services as procedures
from procedures.tests.factories import World

PAGE = "/admin/outcomes/checkin/not-sent/"
LIST = "/admin/outcomes/checkin/"


def of_patient(**values: Any) -> Callable[[World, CheckIn], object]:
    return lambda world, check_in: Patient.objects.filter(pk=world.patient.pk).update(**values)


def answered(world: World, check_in: CheckIn) -> None:
    services.store_answer(
        check_in.pk,
        values={"nrs.now": 3},
        channel="phone",
        language="en",
        by=world.nurse,
        now=check_in.due_at,
    )


def voided(world: World, check_in: CheckIn) -> None:
    procedures.void(
        check_in.follow_up.procedure_id, reason="wrong patient", by=world.physician, now=check_in.due_at
    )


def merged(world: World, check_in: CheckIn) -> None:
    Patient.objects.filter(pk=world.patient.pk).update(merged_into=world.another_patient())


def closed(world: World, check_in: CheckIn) -> None:
    CheckIn.objects.filter(pk=check_in.pk).update(closes_at=check_in.due_at + timedelta(seconds=1))


def paused(world: World, check_in: CheckIn) -> None:
    Site.objects.update(emails_paused=True)


#: What may happen between the queue and the sender: everything that must hold an e-mail back.
GUARD: dict[str, Callable[[World, CheckIn], object]] = {
    "answered": answered,
    "closed": closed,
    "opted_out": of_patient(opted_out_at="2027-01-12T00:00Z"),
    "no_consent": of_patient(consented_at=None),
    "deceased": of_patient(died_on="2027-01-12"),
    "merged": merged,
    "voided": voided,
    "bounced": of_patient(bounced_at="2027-01-12T00:00Z"),
    "paused": paused,
}


@pytest.mark.parametrize("code", GUARD)
def test_what_is_held_back_at_the_last_moment_is_counted_with_its_reason(
    world: World, client: Client, code: str
) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    now = check_in.due_at
    outbox.send_due(now=now)  # the letter about the appointment, which comes too late
    services.tick(now=now)
    GUARD[code](world, check_in)
    tally = outbox.send_due(now=now + timedelta(minutes=1))
    assert (tally["skipped"], tally["sent"], len(mail.outbox)) == (1, 0, 0)
    assert not_sent([world.site], since=now - timedelta(days=1)) == [NotSent(code, 0, 0, 1, 0)]
    signed_in(world.clerk, client)
    with clock(now + timedelta(minutes=1)):
        page = client.get(PAGE)
    (row,) = page.context["rows"]
    assert str(HELD_BACK[code]) in words(page)
    listed = client.get(row["link"]).context["cl"].result_list
    assert [row.pk for row in listed] == [check_in.pk]


def test_questions_reminders_and_texts_are_counted_apart_and_the_most_frequent_comes_first(
    world: World, client: Client
) -> None:
    world.site.emails_a_week = 1
    world.site.save()
    day_42 = world.performed().follow_up.check_ins.get(offset_minutes=42 * 1440)
    silent = [world.another_patient(number, email="") for number in (2, 3)]
    for number, patient in enumerate(silent, 1):
        world.performed(patient=patient, day=MONDAY + timedelta(days=number))
    services.tick(now=day_42.due_at)
    since = day_42.due_at + timedelta(minutes=1)
    services.tick(now=since + timedelta(days=4))  # the reminder is due after a quarter of a fortnight
    OutgoingText.objects.create(
        key="one",
        template="x",
        context={},
        site=world.site,
        created_at=since,
        status=OutgoingText.Status.SKIPPED,
        problem="no_phone",
    )
    assert not_sent([world.site], since=since) == [
        NotSent("no_address", 2, 0, 0, 0),
        NotSent("no_phone", 0, 0, 0, 1),
        NotSent("weekly_cap", 0, 1, 0, 0),
    ]


def test_only_of_ones_own_sites_and_of_the_last_days(world: World, client: Client) -> None:
    world.patient.email = ""
    world.patient.save()
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.tick(now=check_in.due_at)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1 312 555 0100")
    for user, after, rows in (
        (world.clerk, timedelta(days=1), 1),
        (world.admin, timedelta(days=1), 1),
        (staff("other@example.org", "Front desk", elsewhere), timedelta(days=1), 0),
        (world.clerk, timedelta(days=31), 0),
    ):
        signed_in(user, client)
        with clock(check_in.due_at + after):
            assert len(client.get(PAGE).context["rows"]) == rows, (user, after)
    signed_in(world.admin, client)
    with clock(check_in.due_at + timedelta(days=1)):
        assert client.get(PAGE, {"site": elsewhere.pk}).context["rows"] == []
    nobody = staff("nobody@example.org", "Front desk", world.site)
    nobody.groups.clear()
    signed_in(nobody, client)
    assert client.get(PAGE).status_code == 403


def test_a_site_that_has_stopped_all_questions_says_so_at_the_top(world: World, client: Client) -> None:
    Site.objects.update(emails_paused=True)
    signed_in(world.clerk, client)
    assert "All questions of Riverside are stopped." in words(client.get(PAGE))


def test_every_reason_has_its_words() -> None:
    """Those that the code writes down, besides the patient's own, which `patients.email_reasons` lists."""
    for code in (*GUARD, "superseded", "not_asked", "next_reminder", "weekly_cap", "quiet_hours", "no_phone"):
        assert reason(code) != code


def test_the_list_of_check_ins_says_in_words_why_nothing_was_sent(world: World, client: Client) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    Site.objects.update(emails_paused=True)
    services.tick(now=check_in.closes_at)
    signed_in(world.clerk, client)
    assert "All questions of this site were stopped." in words(client.get(LIST, {"not_sent": "paused"}))
    assert client.get(LIST, {"not_sent": "opted_out"}).context["cl"].result_count == 0
