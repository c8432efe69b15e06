"""Telephone calls: who is on the list, what is said, what comes of it."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.models import AuditEvent, Closure, OutgoingEmail, Site, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, levels, queries, signed_in, words
from clinic.tests.factories import MONDAY, NEW_YORK, staff
from clinic.timezones import on_wall
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, ContactAttempt
from outcomes.services.calls import TRIES, same_hour_on_a_working_day
from outcomes.tests.factories import red_flag, to_call, wants_call
from procedures.tests.factories import World

CALLS = "/admin/outcomes/checkin/calls/"


def page(check_in: CheckIn) -> str:
    return f"/admin/outcomes/checkin/{check_in.pk}/call/"


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def note(check_in: CheckIn, outcome: str, world: World, now: datetime, **more: Any) -> ContactAttempt:
    return services.note_call(check_in.pk, outcome=outcome, by=world.clerk, now=now, **more)


# The service.


def test_who_did_not_answer_is_called_again_on_the_next_working_day_at_the_same_hour(world: World) -> None:
    check_in, now = to_call(world)  # Monday 25 January, 11:00
    assert note(check_in, "no_answer", world, now).by == world.clerk
    check_in.refresh_from_db()
    assert check_in.call_at == now + timedelta(days=1)
    friday = now + timedelta(days=4)
    CheckIn.objects.filter(pk=check_in.pk).update(call_at=friday, closes_at=friday + timedelta(days=10))
    note(check_in, "no_answer", world, friday)
    check_in.refresh_from_db()
    assert check_in.call_at == friday + timedelta(days=3)  # not on Saturday, not on Sunday
    assert (
        AuditEvent.objects.filter(action="check_in.called", by=world.clerk, reason="no_answer").count() == 2
    )


def test_after_three_tries_a_check_in_is_off_the_list_and_the_tries_are_kept(world: World) -> None:
    check_in, now = to_call(world)
    for tried in range(TRIES):
        assert CheckIn.objects.to_call(now).exists()
        note(check_in, "no_answer", world, now)
        check_in.refresh_from_db()
        if tried < TRIES - 1:
            assert check_in.call_at is not None
            now = check_in.call_at
    assert check_in.call_at is None
    assert check_in.contact_attempts.count() == TRIES
    assert check_in.status == CheckIn.Status.PLANNED  # another door is still open


def test_no_call_is_planned_for_when_the_check_in_is_closed(world: World) -> None:
    check_in, now = to_call(world, day=1)
    late = check_in.closes_at - timedelta(minutes=5)
    note(check_in, "no_answer", world, late)
    check_in.refresh_from_db()
    assert check_in.call_at is None
    assert now < late


def test_a_second_click_changes_nothing(world: World) -> None:
    check_in, now = to_call(world)
    first = note(check_in, "no_answer", world, now)
    assert note(check_in, "no_answer", world, now + timedelta(seconds=2)) == first
    again_at = now + timedelta(days=2)
    asked = note(check_in, "call_again", world, now + timedelta(minutes=1), again_at=again_at)
    assert note(check_in, "call_again", world, now + timedelta(minutes=2), again_at=again_at) == asked
    assert ContactAttempt.objects.count() == 2
    assert AuditEvent.objects.filter(action="check_in.called").count() == 2
    check_in.refresh_from_db()
    assert check_in.call_at == again_at
    # When that time has come, the same is news.
    assert note(check_in, "no_answer", world, again_at) not in (first, asked)


@pytest.mark.parametrize("outcome", ["wrong_number", "declined"])
def test_a_wrong_number_and_a_no_take_it_off_the_list(world: World, outcome: str) -> None:
    check_in, now = to_call(world)
    CheckIn.objects.filter(pk=check_in.pk).update(remind_at=now + timedelta(days=1))
    note(check_in, outcome, world, now)
    check_in.refresh_from_db()
    assert check_in.call_at is None
    assert (check_in.remind_at is None) == (outcome == "declined")  # who does not want to is left in peace
    assert not CheckIn.objects.to_call(now + timedelta(days=1)).exists()


@pytest.mark.parametrize(
    ("outcome", "again", "code"),
    [
        ("call_again", None, "again_at_required"),
        ("call_again", timedelta(0), "in_the_past"),
        ("call_again", timedelta(days=-1), "in_the_past"),
        ("call_again", timedelta(days=60), "after_close"),
        ("no_answer", timedelta(days=1), "again_at_not_wanted"),
        ("reached", None, "unknown_outcome"),
        ("nonsense", None, "unknown_outcome"),
        ("", None, "unknown_outcome"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    world: World, outcome: str, again: timedelta | None, code: str
) -> None:
    check_in, now = to_call(world)
    with pytest.raises(Refusal) as refusal:
        note(check_in, outcome, world, now, again_at=None if again is None else now + again)
    assert refusal.value.code == code
    assert not ContactAttempt.objects.exists()
    check_in.refresh_from_db()
    assert check_in.call_at == check_in.due_at


def test_a_call_again_at_the_very_closing_is_refused_and_a_minute_before_is_not(world: World) -> None:
    check_in, now = to_call(world)
    with pytest.raises(Refusal) as refusal:
        note(check_in, "call_again", world, now, again_at=check_in.closes_at)
    assert refusal.value.code == "after_close"
    note(check_in, "call_again", world, now, again_at=check_in.closes_at - timedelta(minutes=1))


def test_calls_about_what_is_closed_or_was_never_asked_for_are_refused(world: World) -> None:
    check_in, now = to_call(world)
    other = check_in.follow_up.check_ins.get(offset_minutes=7 * 1440)
    with pytest.raises(Refusal) as refusal:
        note(other, "no_answer", world, other.due_at)
    assert refusal.value.code == "not_to_call"
    with pytest.raises(Refusal) as refusal:
        note(check_in, "no_answer", world, check_in.closes_at)
    assert refusal.value.code == "closed"
    assert now < check_in.closes_at


def test_two_clerks_at_once_make_one_try(world: World) -> None:
    check_in, now = to_call(world)
    note(check_in, "no_answer", world, now)
    services.note_call(check_in.pk, outcome="no_answer", by=world.nurse, now=now)
    assert ContactAttempt.objects.count() == 1


def test_a_working_day_is_one_on_which_the_site_works(world: World) -> None:
    now = world.at(MONDAY, 11, 20)
    assert same_hour_on_a_working_day(world.site, now) == world.at(MONDAY + timedelta(days=1), 11, 20)
    Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY + timedelta(days=1), 0),
        ends_at=world.at(MONDAY + timedelta(days=2), 0), reason="Holiday",
    )  # fmt: skip
    assert same_hour_on_a_working_day(world.site, now) == world.at(MONDAY + timedelta(days=2), 11, 20)
    WorkingHours.objects.filter(weekday__in=[2, 3]).delete()
    WorkingHours.objects.filter(weekday=4).update(valid_until_on=MONDAY)
    assert same_hour_on_a_working_day(world.site, now) == world.at(MONDAY + timedelta(days=7), 11, 20)
    WorkingHours.objects.all().delete()  # nobody has hours: Monday to Friday
    assert same_hour_on_a_working_day(world.site, now) == world.at(MONDAY + timedelta(days=2), 11, 20)


def test_the_same_hour_is_the_walls_though_the_clocks_change(world: World) -> None:
    friday = datetime(2027, 3, 12, 16, tzinfo=UTC)  # 11:00 in New York; the clocks change on Sunday
    again = same_hour_on_a_working_day(world.site, friday)
    assert again == on_wall(date(2027, 3, 15), time(11), NEW_YORK)
    assert again.hour == 15


# The list.


def test_the_list_shows_who_is_to_be_called_whose_time_runs_out_first_at_the_top(
    world: World, client: Client
) -> None:
    world.patient.phone = "+1 212 555 0111"
    world.patient.save()
    later, _ = to_call(world, day=14)
    spanish = world.another_patient(language="es", phone="")
    soon, now = wants_call(
        world.performed(patient=spanish, day=MONDAY + timedelta(days=7)), day=7, reason="bounced"
    )
    signed_in(world.clerk, client)
    with clock(max(now, later.due_at + timedelta(hours=1))):
        response = client.get(CALLS)
    assert [row.check_in for row in response.context["rows"]] == [soon, later]
    told = words(response)
    assert "P00001" in told
    assert 'href="tel:+12125550111"' in response.content.decode()
    assert "no number" in told
    assert "Spanish" in told
    assert [row.check_in.not_sent_reason for row in response.context["rows"]] == ["bounced", "no_consent"]
    assert "0 of 3" in told


def test_the_list_says_why_when_reminders_were_not_answered(world: World, client: Client) -> None:
    check_in, now = to_call(world, reason="")
    CheckIn.objects.filter(pk=check_in.pk).update(status="invited", invited_at=check_in.due_at, reminders=2)
    signed_in(world.clerk, client)
    with clock(now):
        assert [row.check_in for row in client.get(CALLS).context["rows"]] == [check_in]
    note(check_in, "call_again", world, now, again_at=now + timedelta(hours=3))
    with clock(now + timedelta(hours=2)):
        assert not client.get(CALLS).context["rows"]
    with clock(now + timedelta(hours=3)):
        assert "25 Jan 2027, 14:00 EST" in words(client.get(CALLS))


@pytest.mark.parametrize("change", [{"died_on": MONDAY}, {"merged_into": True}])
def test_nobody_calls_the_dead_or_a_record_that_was_merged(world: World, change: dict[str, Any]) -> None:
    _, now = to_call(world)
    assert CheckIn.objects.to_call(now).count() == 1
    for name, value in change.items():
        setattr(world.patient, name, world.another_patient() if value is True else value)
    world.patient.save()
    assert not CheckIn.objects.to_call(now).exists()


@pytest.mark.parametrize("status", ["answered", "missed", "superseded", "voided"])
def test_nobody_calls_about_what_is_over(world: World, status: str) -> None:
    check_in, now = to_call(world)
    CheckIn.objects.filter(pk=check_in.pk).update(status=status)
    assert not CheckIn.objects.to_call(now).exists()


def test_the_list_asks_no_more_for_thirty_rows_than_for_three(world: World, client: Client) -> None:
    signed_in(world.clerk, client)

    def more(first: int, last: int) -> None:
        for number in range(first, last):
            patient = world.another_patient(number + 2)
            wants_call(world.performed(patient=patient, day=MONDAY + timedelta(days=7 * number)), day=1)
        until = world.at(MONDAY, 9) + timedelta(days=900)
        CheckIn.objects.filter(call_at__isnull=False).update(closes_at=until)

    later = clock(world.at(MONDAY, 9) + timedelta(days=800))
    more(0, 3)
    with later:
        few = queries(lambda: client.get(CALLS))
    more(3, 30)
    with later:
        assert len(client.get(CALLS).context["rows"]) == 30
        assert queries(lambda: client.get(CALLS)) <= few


# The page of a call.


def test_the_script_speaks_the_patients_language_with_the_anchors_and_the_red_flags(
    world: World, client: Client
) -> None:
    red_flag(world, "fever_chills", "same_day")
    red_flag(world, "bladder_bowel", "emergency")
    check_in, now = to_call(world, patient=world.another_patient(language="es"), day=1)
    signed_in(world.clerk, client)
    with clock(now):
        told = words(client.get(page(check_in)))
    for line in (
        "Hola, me llamo Front desk Test. Le llamo de Riverside.",
        "¿Es buen momento?",
        "¿Cuánto le duele en este momento?",
        "0 = ningún dolor · 10 = el peor dolor que pueda imaginar",
        "How bad is your pain right now?",
        "¿Tiene fever_chills?",
        "¿Tiene bladder_bowel?",
        "cuelgue y llame al 911",
        "Sí",
    ):
        assert line in told, line


def test_an_answer_by_telephone_is_recorded_with_its_attempt_and_raises_its_alert(
    world: World, client: Client
) -> None:
    red_flag(world)
    check_in, now = to_call(world, day=7)
    signed_in(world.clerk, client)
    sent = {
        "outcome": "reached", "nrs.now": "3", "nrs.average_7_days": "4", "nrs.worst_24_hours": "-",
        "red_flag.fever_chills": "1", "remark": "Rang twice",
    }  # fmt: skip
    with clock(now):
        for wrong in ({"nrs.now": "11"}, {"nrs.now": ""}, {"red_flag.fever_chills": ""}, {"nrs.now": "-"}):
            refused = client.post(page(check_in), sent | wrong)
            assert refused.status_code == 422
            assert list(refused.context["said"].errors) == list(wrong)
        assert not Answer.objects.exists()
        client.post(page(check_in), sent)
    given = Answer.objects.get()
    assert (given.channel, given.language, given.recorded_by) == ("phone", "en", world.clerk)
    assert given.remark == "Rang twice"
    assert {f"{row.instrument}.{row.item}": row.value for row in given.measurements.all()} == {
        "nrs.now": 3, "nrs.average_7_days": 4, "red_flag.fever_chills": 1,
    }  # fmt: skip
    attempt = ContactAttempt.objects.get()
    assert (attempt.kind, attempt.outcome, attempt.by) == ("call", "reached", world.clerk)
    assert Alert.objects.get().codes == ["fever_chills"]
    assert not CheckIn.objects.to_call(now).exists()


def test_a_yes_does_not_wait_for_what_is_missing(world: World, client: Client) -> None:
    red_flag(world, "bladder_bowel", "emergency")
    check_in, now = to_call(world, day=7)
    signed_in(world.clerk, client)
    yes = {"red_flag.bladder_bowel": "1"}
    with clock(now):
        refused = client.post(page(check_in), yes | {"outcome": "reached", "nrs.now": ""})
        assert refused.status_code == 422
        assert "error" in levels(refused)
        # What to say stands on top of the page, before the form and the questions.
        assert words(refused).count("hang up and call 911") == 2
        assert words(refused).index("hang up and call 911") < words(refused).index("What to say")
        alert = Alert.objects.get()
        assert (alert.codes, alert.urgency) == (["bladder_bowel"], "emergency")
        assert AuditEvent.objects.filter(action="check_in.red_flags", by=world.clerk).count() == 1
        assert not Answer.objects.exists()
        # The same on the other form, and the whole answer afterwards, raise nothing twice.
        client.post(f"/admin/outcomes/checkin/{check_in.pk}/answer/", yes | {"channel": "clinic"})
        done = client.post(page(check_in), yes | {"outcome": "reached", "nrs.now": "9"}, follow=True)
        assert "call 911" in words(done)
    assert Alert.objects.count() == 1
    assert Answer.objects.exists()
    with pytest.raises(Refusal) as refusal:
        services.report_red_flags(check_in.pk, codes=["never"], by=world.clerk, now=now)
    assert refusal.value.code == "unknown_item"


def test_the_tick_does_not_ask_again_for_a_call_that_came_to_nothing(world: World) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=14 * 1440)
    services.tick(now=check_in.due_at)
    OutgoingEmail.objects.filter(contact_attempts__check_in=check_in).update(status="failed", problem="x")
    services.tick(now=check_in.due_at + timedelta(minutes=1))
    now = check_in.due_at + timedelta(hours=1)
    assert CheckIn.objects.to_call(now).get() == check_in
    note(check_in, "wrong_number", world, now)
    services.tick(now=now + timedelta(minutes=1))
    assert not CheckIn.objects.to_call(now + timedelta(minutes=2)).exists()


@pytest.mark.parametrize("outcome", ["no_answer", "wrong_number", "declined"])
def test_a_button_is_enough(world: World, client: Client, outcome: str) -> None:
    check_in, now = to_call(world)
    signed_in(world.clerk, client)
    with clock(now):
        response = client.post(page(check_in), {"outcome": outcome}, follow=True)
    assert response.redirect_chain[-1][0] == CALLS
    assert "Written down" in said(response)
    assert ContactAttempt.objects.get().outcome == outcome


def test_the_time_to_call_again_is_on_the_sites_clock(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    signed_in(world.clerk, client)
    again = {"outcome": "call_again", "again_0": "2027-01-26", "again_1": "15:30"}
    with clock(now):
        late = client.post(page(check_in), again | {"again_0": "2027-06-01"})
        assert late.status_code == 422
        assert [fault.code for fault in late.context["again"].errors["again"].as_data()] == ["after_close"]
        gap = client.post(page(check_in), again | {"again_0": "2027-03-14", "again_1": "02:30"})
        assert [fault.code for fault in gap.context["again"].non_field_errors().as_data()] == ["no_such_time"]
        client.post(page(check_in), again)
    assert ContactAttempt.objects.get().again_at == world.at(date(2027, 1, 26), 15, 30)


def test_a_wrong_number_shows_on_the_patients_page_until_a_later_call(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    address = f"/admin/patients/patient/{world.patient.pk}/change/"
    signed_in(world.clerk, client)
    note(check_in, "wrong_number", world, now)
    assert "25 Jan 2027, 11:00 EST" in words(client.get(address))
    note(check_in, "call_again", world, now, again_at=now + timedelta(hours=2))  # the right one was found
    assert "Wrong number" not in words(client.get(address))


def test_what_is_closed_leads_back_to_its_page(world: World, client: Client) -> None:
    check_in, _ = to_call(world)
    signed_in(world.clerk, client)
    with clock(check_in.closes_at):
        for response in (
            client.get(page(check_in), follow=True),
            client.post(page(check_in), {"outcome": "no_answer"}, follow=True),
        ):
            assert response.redirect_chain[-1][0].endswith(f"/checkin/{check_in.pk}/change/")
    assert not ContactAttempt.objects.exists()


def test_calls_are_for_those_who_record_answers_at_their_own_sites(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    with clock(now):
        assert client.get(CALLS).status_code == 403
        assert client.get(page(check_in)).status_code == 403
        signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
        assert client.get(CALLS).context["rows"] == []
        assert client.get(page(check_in)).status_code == 404
        assert client.post(page(check_in), {"outcome": "no_answer"}).status_code == 404
    assert not ContactAttempt.objects.exists()


def test_errors_of_the_form_are_named(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    signed_in(world.clerk, client)
    with clock(now):
        response = client.post(f"/admin/outcomes/checkin/{check_in.pk}/answer/", {"channel": "fax"})
    assert set(errors(response)) == {"nrs.now", "channel", "language"}
