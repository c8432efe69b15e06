"""The diary of a diagnostic block: one link for the day, late entries marked, and what it shows."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.admin_client import signed_in, words
from clinic.tests.api_client import call
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, FollowUp, Measurement
from outcomes.services.answers import diary_of
from procedures.models import ReliefProfile
from procedures.tests.factories import World

HOURS = [30, 60, 120, 180, 240]


@pytest.fixture
def block(flags: World) -> FollowUp:
    """A block performed on Monday at nine, pain 10 before."""
    flags.ablation.purpose = "diagnostic_and_therapeutic"
    flags.ablation.save()
    profile = ReliefProfile.objects.get()
    ReliefProfile.objects.create(
        **{
            field.name: getattr(profile, field.name)
            for field in ReliefProfile._meta.fields
            if field.name not in ("id", "version", "in_force_from")
        }
        | {
            "version": 2,
            "in_force_from": flags.now - timedelta(days=1),
            "window_from_minutes": 120,
            "window_until_minutes": 240,
            "check_in_minutes": HOURS,
            "check_in_days": [1, 7],
            "evaluate_after_days": 1,
            "success_percent": 80,
        }
    )
    return FollowUp.objects.get(pk=flags.performed(baseline=10, intent="diagnostic").follow_up.pk)


def entry(block: FollowUp, minutes: int) -> CheckIn:
    return block.check_ins.get(offset_minutes=minutes)


def after(block: FollowUp, minutes: int) -> datetime:
    return block.procedure.performed_at + timedelta(minutes=minutes)


def write(
    client: Client, path: str, block: FollowUp, scores: dict[int, int], medicine: int | None = 0, **more: Any
) -> Any:
    """Fill in the pain at these hours."""
    data: dict[str, Any] = dict(more)
    for minutes, score in scores.items():
        pk = entry(block, minutes).pk
        data[f"nrs.now-{pk}"] = str(score)
        if medicine is not None:
            data[f"diary.took_medicine-{pk}"] = str(medicine)
    return client.post(path, data, follow=True)


@pytest.fixture
def path(block: FollowUp) -> str:
    return f"/c/{services.issue_link(entry(block, 30), now=after(block, 30))}/"


def test_what_is_asked_by_the_hour_is_a_diary(block: FollowUp, flags: World) -> None:
    for minutes in HOURS:
        assert [check_in.offset_minutes for check_in in diary_of(entry(block, minutes))] == HOURS
    # A test without a steroid is over with its diary.
    assert list(block.check_ins.values_list("offset_minutes", flat=True).order_by("offset_minutes")) == HOURS
    treated = flags.performed(patient=flags.another_patient(), hour=13, intent="therapeutic").follow_up
    # As asking does: one e-mail for all that is asked by the hour, whatever the procedure was for.
    assert [
        check_in.offset_minutes for check_in in diary_of(treated.check_ins.get(offset_minutes=60))
    ] == HOURS
    assert diary_of(treated.check_ins.get(offset_minutes=7 * 1440)) == []


def test_one_link_serves_all_day(block: FollowUp, path: str, client: Client, clock: list[datetime]) -> None:
    clock[0] = after(block, 35)
    page = client.get(path)
    said = words(page)
    assert re.search(r"9:30 a\.m\. now .* 10 a\.m\.", said)
    assert "10 a.m. comes later" in said
    html = page.content.decode()
    assert re.findall(r"<fieldset[^>]* id=\"([a-z_]+-[a-z_]+)", html)[-2:] == [
        "nrs-now",
        "diary-took_medicine",
    ]
    assert html.index('name="red_flag.new_weakness"') < html.index('name="nrs.now')
    said = words(write(client, path, block, {30: 1}))
    assert "Saved." in said
    assert "9:30 a.m. pain 1" in said
    for minutes in HOURS[1:]:
        clock[0] = after(block, minutes + 1)
        page = write(client, path, block, {minutes: 2}, medicine=1)
    said = words(page)
    assert "Your diary is complete" in said
    assert "Before: 10. 9:30 a.m.: 1. 10 a.m.: 2." in said
    assert "pain medicine taken" in said
    assert not Answer.objects.filter(late=True).exists()


def test_what_is_filled_in_later_is_marked_and_counts_at_its_hour(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 125)
    html = client.get(path).content.decode()
    assert "How bad was your pain at 9:30 a.m.?" in html
    assert html.count("<details open>") == 1  # the newest; the others can be opened
    said = words(write(client, path, block, {30: 1, 60: 2, 120: 1}))
    assert "9:30 a.m. pain 1 (written later)" in said
    assert dict(Answer.objects.values_list("check_in__offset_minutes", "late")) == {
        30: True,
        60: True,
        120: False,
    }
    course = services.course_of(FollowUp.objects.get(pk=block.pk))
    assert [(reading.at, reading.score) for reading in course.readings] == [(30, 1), (60, 2), (125, 1)]


@pytest.mark.parametrize(("minutes", "late"), [(90, False), (91, True)])
def test_late_is_more_than_half_the_gap(
    block: FollowUp, path: str, client: Client, clock: list[datetime], minutes: int, late: bool
) -> None:
    clock[0] = after(block, minutes)
    write(client, path, block, {60: 2})
    assert Answer.objects.get().late is late


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"nrs.now": "11"},
        {"nrs.now": "x"},
        {"diary.took_medicine": "1"},
        {"nrs.now": "3", "diary.took_medicine": "2"},
    ],
)
def test_bad_entries_are_refused_whole(
    block: FollowUp, path: str, client: Client, clock: list[datetime], values: dict[str, str]
) -> None:
    clock[0] = after(block, 65)
    first, second = entry(block, 30).pk, entry(block, 60).pk
    data = {f"nrs.now-{first}": "3"} if values else {}
    data |= {f"{key}-{second}": value for key, value in values.items()}
    response = client.post(path, data)
    assert response.status_code == 422
    assert 'id="faults"' in response.content.decode()
    assert not Answer.objects.exists()


@pytest.mark.parametrize("how", [{"red_flag.new_weakness": "1"}, {"red_flag": "red_flag.new_weakness"}])
def test_a_yes_leads_to_the_help_page_though_an_entry_is_missing(
    block: FollowUp, path: str, client: Client, clock: list[datetime], how: dict[str, Any]
) -> None:
    clock[0] = after(block, 65)
    medicine = f"diary.took_medicine-{entry(block, 60).pk}"
    whole = {f"{key}-{entry(block, 30).pk}": "1" for key in ("nrs.now", "diary.took_medicine")}
    for _ in range(2):
        response = client.post(path, {medicine: "1", **whole, **how}, follow=True)
        assert response.redirect_chain == [(f"{path}?show=help", 302)]
        assert "Call 911 now" in words(response)
    assert Alert.objects.get().codes == ["new_weakness"]
    assert AuditEvent.objects.filter(action="alert.raised").count() == 1
    assert Answer.objects.get().check_in.offset_minutes == 30  # what was whole is kept
    write(client, path, block, {60: 4}, **how)
    assert Measurement.objects.filter(instrument="red_flag", item="new_weakness", value=1).count() == 2
    assert Alert.objects.count() == 1


def test_what_is_left_empty_in_the_diary_is_asked_once(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 65)
    first, second = entry(block, 30).pk, entry(block, 60).pk
    sent = {f"nrs.now-{first}": "3", f"diary.took_medicine-{second}": "1"}
    refused = client.post(path, sent)
    asked = re.findall(r'name="asked" value="([^"]+)"', refused.content.decode())
    assert (refused.status_code, asked) == (422, [f"diary.took_medicine-{first}", f"nrs.now-{second}"])
    assert client.post(path, {**sent, "asked": asked}).status_code == 302
    (given,) = Answer.objects.get().measurements.all()  # without its pain the other is no entry
    assert (given.answer.check_in_id, given.item) == (first, "now")
    empty = client.post(path, {})
    asked = re.findall(r'name="asked" value="([^"]+)"', empty.content.decode())
    assert (empty.status_code, asked) == (422, [f"nrs.now-{second}"])
    assert client.post(path, {"asked": asked}).status_code == 302
    assert Answer.objects.count() == 1


def test_what_is_missing_is_named_and_an_hour_long_past_is_not_now(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 65)
    write(client, path, block, {60: 2})
    assert "9:30 a.m. not filled in yet How bad was your pain at 9:30 a.m.?" in words(client.get(path))
    refused = client.post(path, {})
    html = refused.content.decode()
    place = f"nrs-now-{entry(block, 30).pk}"
    assert (f'id="{place}"' in html, f'<a href="#{place}">' in html) == (True, True)
    write(client, path, block, {30: 2})
    stale = client.post(path, {}, follow=True)  # nothing is left that could be filled in
    assert (stale.status_code, "Saved." in words(stale)) == (200, False)


def test_neither_tomorrows_nor_anybody_elses_entries_can_be_written(
    block: FollowUp, path: str, client: Client, clock: list[datetime], flags: World
) -> None:
    clock[0] = after(block, 35)
    other = flags.performed(patient=flags.another_patient(), hour=13, intent="therapeutic").follow_up
    foreign = other.check_ins.get(offset_minutes=1440)
    response = client.post(
        path, {f"nrs.now-{entry(block, 60).pk}": "3", f"nrs.now-{foreign.pk}": "3", "nrs.now-0": "3"}
    )
    assert response.status_code == 422
    assert not Answer.objects.exists()


def test_a_second_entry_for_an_hour_changes_nothing(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 35)
    write(client, path, block, {30: 1})
    clock[0] = after(block, 61)
    write(client, path, block, {30: 9, 60: 2})
    scores = Measurement.objects.filter(instrument="nrs").order_by("answer__check_in__offset_minutes")
    assert list(scores.values_list("value", flat=True)) == [1, 2]


def test_a_red_flag_in_the_diary_is_heard_at_once(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 35)
    response = client.post(path, {"red_flag": ["red_flag.new_weakness", "red_flag.nonsense"]}, follow=True)
    assert "Call 911 now" in words(response)
    assert Alert.objects.get().codes == ["new_weakness"]
    assert not Answer.objects.exists()
    response = write(client, path, block, {30: 2}, red_flag=["red_flag.fever_chills"])
    assert Alert.objects.get().codes == ["fever_chills", "new_weakness"]
    flags = Answer.objects.get().measurements.filter(instrument="red_flag")
    assert list(flags.values_list("item", "value")) == [("fever_chills", 1)]


def test_the_diary_closes(block: FollowUp, path: str, client: Client, clock: list[datetime]) -> None:
    clock[0] = after(block, 240 + 24 * 60 - 1)
    assert client.get(path).status_code == 200
    clock[0] = after(block, 240 + 24 * 60)
    assert client.get(path).status_code == 410


def test_staff_read_what_the_diary_shows(
    block: FollowUp, path: str, client: Client, clock: list[datetime], flags: World
) -> None:
    clock[0] = after(block, 130)
    write(client, path, block, {30: 1, 60: 1})
    write(client, path, block, {120: 5}, medicine=1)
    shown = call(flags.physician, "GET", f"follow-ups/{block.pk}/", now=clock[0]).json()["diary"]
    assert shown == {
        "outcome": "indeterminate",
        "why": "medicine",
        "decided_at": 120,
        "window_minutes": 240,
        "covered_percent": 50,
        "relief_percent": 25,
        "relief_seen_at": 60,
        "gone_at": 120,
        "long_relief": False,
        "medicine_by": 120,
        "entries": 3,
        "late": 2,
    }
    signed_in(flags.nurse, client)
    said = words(client.get(f"/admin/outcomes/followup/{block.pk}/change/"))
    assert "Entries cover 50 % of the first 4 h, 25 % with enough less pain" in said
    assert "enough less pain last seen at hour 1" in said
    assert "pain medicine taken by hour 2" in said
    treated = flags.performed(patient=flags.another_patient(), hour=13, intent="therapeutic").follow_up
    assert call(flags.physician, "GET", f"follow-ups/{treated.pk}/", now=clock[0]).json()["diary"] is None


def test_a_clinician_says_whether_the_relief_lasted_as_long_as_the_agent(
    block: FollowUp, flags: World, client: Client
) -> None:
    def said() -> bool | None:
        block.refresh_from_db()
        return block.consistent_with_agent

    now = after(block, 3000)
    answer = f"follow-ups/{block.pk}/duration/"
    course = call(flags.physician, "GET", f"follow-ups/{block.pk}/", now=now).json()
    assert course["duration_consistent_with_agent"] is None
    for value in (True, False):
        shown = call(flags.physician, "POST", answer, {"consistent": value}, now=now)
        assert shown.json()["duration_consistent_with_agent"] is said() is value
    assert call(flags.physician, "POST", answer, {"consistent": "perhaps"}, now=now).status_code == 400
    assert call(flags.clerk, "POST", answer, {"consistent": True}, now=now).status_code == 403
    signed_in(flags.physician, client)
    page = f"/admin/outcomes/followup/{block.pk}/"
    assert "Did it last as long as the agent?" in words(client.get(f"{page}change/"))
    client.post(f"{page}duration/", {"consistent": "yes"})
    assert said() is True
    assert "duration consistent with the agent yes" in words(client.get(f"{page}change/")).lower()
    assert AuditEvent.objects.filter(action="follow_up.duration_answered").count() == 3
    treated = flags.performed(patient=flags.another_patient(), hour=13, intent="therapeutic").follow_up
    with pytest.raises(Refusal) as refusal:
        services.record_consistent_duration(treated.pk, consistent=True, by=flags.physician, now=now)
    assert refusal.value.code == "not_diagnostic"


def test_the_diary_fits_on_a_phones_budget(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 241)
    html = client.get(path).content
    assert html.count(b'type="radio"') == 5 * 13
    assert len(html) <= 22_000


def test_the_hours_below_the_curve_are_short_enough_to_stand_beside_each_other(
    block: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = after(block, 250)
    path = f"/c/{services.issue_link(entry(block, 30), now=clock[0])}/"
    write(client, path, block, dict.fromkeys(HOURS, 3))
    html = client.get(path).content.decode()
    drawing = html[html.index("<svg") : html.index("</svg>")]
    assert [f">{hour}<" in drawing for hour in ("9:30", "10:00", "12:00", "1:00")] == [True] * 4
    assert "m." not in drawing
    drawing = client.get(path + "?lang=es").content.decode().partition("<svg")[2]
    assert ">13:00<" in drawing


def test_an_entry_is_corrected_until_the_next_hour_begins(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 35)
    write(client, path, block, {30: 1})
    first = entry(block, 30)
    html = client.get(path).content.decode()
    assert f'name="change" value="{first.pk}"' in html
    assert f'name="nrs.now-{first.pk}" value="1" checked' in html
    write(client, path, block, {30: 1}, change=first.pk)  # nothing was touched
    assert Answer.objects.get().version == 1
    clock[0] = after(block, 59)
    said = words(write(client, path, block, {30: 6}, medicine=1, change=first.pk))
    assert "9:30 a.m. pain 6, pain medicine taken" in said
    given = Answer.objects.get()
    assert (given.version, given.late, given.corrections.get().by) == (2, False, None)
    reading = services.course_of(FollowUp.objects.get(pk=block.pk)).readings[0]
    assert (reading.at, reading.score) == (35, 6)
    clock[0] = after(block, 61)
    assert f'name="change" value="{first.pk}"' not in client.get(path).content.decode()
    late = write(client, path, block, {30: 9, 60: 2}, change=first.pk)
    assert late.status_code == 409
    assert late.context["refused"]
    scores = Measurement.objects.filter(instrument="nrs").order_by("answer__check_in__offset_minutes")
    assert list(scores.values_list("value", flat=True)) == [6, 2]


def test_another_tab_that_knows_of_no_entry_changes_none(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 35)
    write(client, path, block, {30: 1})
    assert write(client, path, block, {30: 1}).status_code == 200  # a double click
    late = write(client, path, block, {30: 8})
    assert (late.status_code, late.context["refused"]) == (409, True)
    assert Measurement.objects.get(instrument="nrs").value == 1
    helped = write(client, path, block, {30: 8}, red_flag="red_flag.new_weakness")
    assert 'href="tel:911"' in helped.content.decode()
    assert Alert.objects.get().codes == ["new_weakness"]


def test_the_last_entry_is_corrected_for_as_long_as_the_gap_before_it(block: FollowUp) -> None:
    assert services.changeable_until(entry(block, 180)) == after(block, 240)
    assert services.changeable_until(entry(block, 240)) == after(block, 300)


def test_times_after_midnight_carry_the_day(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    for check_in in block.check_ins.filter(offset_minutes__gte=180):
        check_in.opens_at += timedelta(hours=13)
        check_in.due_at = check_in.opens_at
        check_in.closes_at += timedelta(hours=13)
        check_in.save()
    clock[0] = after(block, 35)
    said = words(client.get(path))
    assert "11 a.m. comes later" in said
    assert "Tuesday, 1 a.m. comes later" in said
    assert "Tuesday, 2 a.m." in said
    assert "martes, 01:00" in words(client.get(f"{path}?lang=es"))


def test_the_page_with_corrections_asks_the_database_no_more(
    block: FollowUp, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = after(block, 35)
    write(client, path, block, {30: 1})
    with CaptureQueriesContext(connection) as first:
        client.get(path)
    for minutes in HOURS[1:]:
        clock[0] = after(block, minutes + 1)
        write(client, path, block, {minutes: 2})
    with CaptureQueriesContext(connection) as five:
        client.get(path)
    assert len(five) == len(first)
