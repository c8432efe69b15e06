"""Adverse events at the front desk: on their follow-up's page, in a list, recorded from an alert, corrected."""

from typing import Any

import pytest
from django.test import Client

from clinic.models import Site
from clinic.tests.admin_client import clock, errors, queries, signed_in, words
from clinic.tests.factories import DAY, MONDAY, staff
from outcomes import services
from outcomes.models import AdverseEvent, Alert, FollowUp
from outcomes.tests.factories import recorded_adverse_event, red_flag_alert, red_flag_question
from procedures.tests.factories import World, implant_procedure, recorded_device

PAGES = "/admin/outcomes/adverseevent/"
SAID = {
    "term": "infection",
    "description": "red and warm",
    "onset_on": "2027-01-13",
    "severity": "moderate",
    "outcome": "ongoing",
    "relation": "probable",
    "suspect": "procedure",
    "grade": "",
}


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the nurse is signed in."""
    return signed_in(world.nurse, client)


@pytest.fixture
def course(world: World) -> FollowUp:
    follow_up: FollowUp = world.performed().follow_up
    return follow_up


def get(desk: Client, world: World, path: str) -> Any:
    with clock(world.at(MONDAY + 3 * DAY, 10)):
        return desk.get(path)


def send(desk: Client, world: World, path: str, said: dict[str, str]) -> Any:
    with clock(world.at(MONDAY + 3 * DAY, 10)):
        return desk.post(f"{PAGES}{path}/", said)


def test_it_is_recorded_from_the_follow_ups_page_and_stands_there(
    desk: Client, world: World, course: FollowUp
) -> None:
    page = f"/admin/outcomes/followup/{course.pk}/change/"
    assert "Adverse events Record an adverse event None recorded." in words(get(desk, world, page))
    assert send(desk, world, f"record/{course.pk}", SAID)["Location"] == page
    said = words(get(desk, world, page))
    assert "infection red and warm 2027-01-13 moderate" in said
    assert "probable, the procedure" in said


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"term": ""}, "term", "required"),
        ({"term": "other", "description": " "}, "description", "description_required"),
        ({"onset_on": "2027-01-10"}, "onset_on", "before_procedure"),
        ({"onset_on": "2027-01-15"}, "onset_on", "in_the_future"),
        ({"outcome": "fatal"}, "serious", "fatal_not_serious"),
        ({"grade": "5"}, "grade", "grade_not_possible"),
    ],
)
def test_a_refusal_is_shown_beside_its_field(
    desk: Client, world: World, course: FollowUp, change: dict[str, str], field: str, code: str
) -> None:
    response = send(desk, world, f"record/{course.pk}", SAID | change)
    assert (response.status_code, errors(response)) == (422, {field: [code]})
    assert not AdverseEvent.objects.exists()


def test_it_is_corrected_and_what_stood_is_in_its_history(
    desk: Client, world: World, course: FollowUp
) -> None:
    event = recorded_adverse_event(world, course, description="red and warm")
    form = get(desk, world, f"{PAGES}{event.pk}/correct/").context["form"]
    assert (form["term"].value(), form["outcome"].value()) == ("infection", "ongoing")
    unchanged = send(desk, world, f"{event.pk}/correct", SAID | {"reason": "why"})
    assert errors(unchanged) == {"__all__": ["nothing_changed"]}
    send(desk, world, f"{event.pk}/correct", SAID | {"outcome": "resolved", "reason": "seen today"})
    event.refresh_from_db()
    assert (event.outcome, event.corrected_reason) == ("resolved", "seen today")
    history = words(get(desk, world, f"{PAGES}{event.pk}/history/"))
    assert "ongoing" in history
    assert "resolved" in history
    send(desk, world, f"{event.pk}/error", {"reason": "another patient's"})
    assert not AdverseEvent.objects.standing().exists()
    assert list(get(desk, world, PAGES).context["cl"].result_list) == []
    assert list(get(desk, world, f"{PAGES}?state=error").context["cl"].result_list) == [event]


def test_the_alert_of_a_red_flag_leads_to_recording_one(desk: Client, world: World) -> None:
    red_flag_question("fever_chills", "same_day")
    alert = red_flag_alert(world, "fever_chills")
    with clock(alert.raised_at):
        page = desk.get(f"/admin/outcomes/alert/{alert.pk}/change/").content.decode()
    link = f"{PAGES}record/{alert.follow_up_id}/"
    assert f'href="{link}"' in page
    with clock(alert.raised_at):
        assert desk.get(link).status_code == 200
        signed_in(world.clerk, desk)
        assert link not in desk.get(f"/admin/outcomes/alert/{alert.pk}/change/").content.decode()


def test_the_alert_of_a_device_says_what_is_due_since_when(desk: Client, world: World) -> None:
    recorded_device(world, implant_procedure(world))
    due = MONDAY + 90 * DAY
    services.review_devices(now=world.at(due, 9))
    alert = Alert.objects.get(kind="device_due")
    with clock(world.at(due + DAY, 9)):
        page = desk.get(f"/admin/outcomes/alert/{alert.pk}/change/")
        tabs = {str(tab["label"]): tab["count"] for tab in desk.get("/admin/outcomes/alert/").context["tabs"]}
    assert "Refill: due since 2027-04-11" in words(page)
    assert "A-1001" not in words(page)
    assert tabs["device is due"] == 1


def test_who_may_look_but_not_record(client: Client, world: World, course: FollowUp) -> None:
    event = recorded_adverse_event(world, course)
    desk = signed_in(world.clerk, client)
    said = words(get(desk, world, f"/admin/outcomes/followup/{course.pk}/change/"))
    assert "Adverse events" in said
    assert "Record an adverse event" not in said
    for path in (f"record/{course.pk}", f"{event.pk}/correct", f"{event.pk}/error"):
        assert get(desk, world, f"{PAGES}{path}/").status_code == 403


def test_another_sites_adverse_events_do_not_exist(client: Client, world: World, course: FollowUp) -> None:
    event = recorded_adverse_event(world, course)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    desk = signed_in(staff("stranger@example.org", "Physician", other), client)
    for path in (f"record/{course.pk}", f"{event.pk}/correct", f"{event.pk}/error"):
        assert get(desk, world, f"{PAGES}{path}/").status_code == 404
    assert list(desk.get(PAGES).context["cl"].result_list) == []


def test_the_list_takes_the_same_number_of_queries_however_long(
    desk: Client, world: World, course: FollowUp
) -> None:
    recorded_adverse_event(world, course)
    flat = queries(lambda: get(desk, world, PAGES))
    for number in range(5):
        recorded_adverse_event(world, course, description=f"another {number}")
    assert queries(lambda: get(desk, world, PAGES)) == flat
