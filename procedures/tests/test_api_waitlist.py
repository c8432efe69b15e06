"""The waitlist and the freed times by API: what they show, to whom, and that nothing is booked or refused twice."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Site, User
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment, FreedTime, WaitlistEntry
from procedures.tests.factories import FRIDAY, World, another_waiting, freed_time, on_waitlist

Priority = WaitlistEntry.Priority


def wish(world: World, **changes: Any) -> dict[str, Any]:
    """A request to join that is granted."""
    return {
        "patient": world.patient.pk,
        "procedure_type": "rfa_facet",
        "region": "lumbar",
        "laterality": "left",
    } | changes


def at_nine(world: World, **changes: Any) -> dict[str, Any]:
    """A request to book from the waitlist that is granted: Monday at nine."""
    return {"site": world.site.pk, "starts_at": "2027-01-11T09:00"} | changes


@pytest.fixture
def far(world: World) -> Site:
    return Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")


@pytest.fixture
def stranger(far: Site) -> User:
    """A clerk of another site."""
    return staff("stranger@example.org", roles.FRONT_DESK, far)


def kept() -> tuple[int, int, int, int]:
    """How much is stored and open; a refusal must leave it as it was."""
    return (
        WaitlistEntry.objects.filter(closed_at=None).count(),
        FreedTime.objects.filter(closed_at=None).count(),
        Appointment.objects.count(),
        AuditEvent.objects.count(),
    )


# The waitlist.


def test_who_joins_with_the_least_waits_from_today_for_anybody_anywhere(world: World) -> None:
    response = call(world.clerk, "POST", "waitlist/", wish(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert (shown["state"], shown["stale"], shown["appointment"]) == ("waiting", False, None)
    assert (shown["earliest_on"], shown["stale_on"]) == ("2027-01-08", "2027-03-09")
    assert (shown["notice_hours"], shown["priority"], shown["intent"]) == (24, 3, "therapeutic")
    assert (shown["sites"], shown["clinicians"]) == ([], [])
    assert (shown["created_at"], shown["created_by"]) == ("2027-01-08T17:00:00Z", str(world.clerk))
    assert shown["patient"]["record_number"] == "P00001"
    assert call(world.nurse, "GET", f"waitlist/{shown['id']}/", now=world.now).json() == shown
    assert call(world.nurse, "GET", "waitlist/", now=world.now).json()["results"] == [shown]


def test_everything_that_a_patient_wishes_is_kept(world: World) -> None:
    inputs = wish(
        world,
        sites=[world.site.pk],
        clinicians=[world.doctor.pk],
        earliest_on="2027-01-11",
        notice_hours=2,
        priority=1,
        note="call the son",
        stale_on="2027-02-01",
        intent="therapeutic",
    )
    shown = call(world.clerk, "POST", "waitlist/", inputs, now=world.now).json()
    assert [site["id"] for site in shown["sites"]] == [world.site.pk]
    assert shown["clinicians"] == [{"id": world.doctor.pk, "name": "Dr Test"}]
    for name in ("earliest_on", "notice_hours", "priority", "note", "stale_on", "intent", "region"):
        assert shown[name] == inputs[name]


def test_today_is_the_day_at_the_patients_home(world: World) -> None:
    late = world.at(FRIDAY, 23)  # Saturday in UTC
    shown = call(world.clerk, "POST", "waitlist/", wish(world), now=late).json()
    assert shown["earliest_on"] == FRIDAY.isoformat()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"patient": 987654}, ("patient", "does_not_exist")),
        ({"patient": "1"}, ("patient", "incorrect_type")),
        ({"procedure_type": "lobotomy"}, ("procedure_type", "unknown_procedure_type")),
        ({"laterality": ""}, ("laterality", "side_required")),
        ({"laterality": "upwards"}, ("laterality", "invalid_choice")),
        ({"region": "knee"}, ("region", "region_not_possible")),
        ({"intent": "trial"}, ("intent", "intent_not_possible")),
        ({"earliest_on": "2027-01-07"}, ("earliest_on", "in_the_past")),
        ({"earliest_on": "soon"}, ("earliest_on", "invalid")),
        ({"earliest_on": "9999-12-31"}, ("earliest_on", "out_of_range")),
        ({"stale_on": "2027-01-08"}, ("stale_on", "in_the_past")),
        ({"stale_on": "2200-01-01"}, ("stale_on", "out_of_range")),
        ({"notice_hours": -1}, ("notice_hours", "min_value")),
        ({"notice_hours": "24"}, ("notice_hours", "invalid")),
        ({"notice_hours": 32_768}, ("notice_hours", "max_value")),
        ({"priority": 4}, ("priority", "invalid_choice")),
        ({"note": "x" * 301}, ("note", "max_length")),
        ({"sites": [987654]}, ("sites", "does_not_exist")),
        ({"clinicians": [987654]}, ("clinicians", "does_not_exist")),
        ({"closed_at": "2027-01-11T09:00Z"}, ("closed_at", "unknown_field")),
    ],
)
def test_a_bad_wish_is_refused_with_code_and_field(
    world: World, changes: dict[str, Any], fault: tuple[str, str]
) -> None:
    before = kept()
    response = call(world.clerk, "POST", "waitlist/", wish(world, **changes), now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)
    assert kept() == before


def test_who_waits_already_does_not_join_twice(world: World) -> None:
    call(world.clerk, "POST", "waitlist/", wish(world), now=world.now)
    before = kept()
    response = call(world.nurse, "POST", "waitlist/", wish(world, priority=1), now=world.now)
    assert (response.status_code, faults(response)) == (409, [("patient", "already_waiting")])
    assert kept() == before


def test_a_clinician_who_could_never_serve_is_refused(world: World, far: Site) -> None:
    world.doctor.working_hours.create(site=far, weekday=5, opens="08:00", closes="12:00")
    world.clerk.sites.add(far)
    for resource, code in ((world.bay, "not_here"), (world.doctor, "inactive")):
        if code == "inactive":
            world.doctor.active = False
            world.doctor.save()
        inputs = wish(world, clinicians=[resource.pk], sites=[far.pk])
        response = call(world.clerk, "POST", "waitlist/", inputs, now=world.now)
        assert faults(response) == [("clinicians", code)]


def test_the_list_is_ranked_and_stays_so_from_page_to_page(world: World) -> None:
    long_ago = world.now - timedelta(days=90)
    stale = another_waiting(world, 2, now=long_ago, earliest_on=FRIDAY - timedelta(days=90))
    younger = another_waiting(world, 3)
    older = another_waiting(world, 4, now=world.now - timedelta(days=5), earliest_on=FRIDAY)
    urgent = another_waiting(world, 5, priority=Priority.URGENT)
    ranked, path = [], "waitlist/?page_size=1"
    while path:
        answer = call(world.clerk, "GET", path, now=world.now).json()
        ranked += [row["id"] for row in answer["results"]]
        path = (answer["next"] or "").partition("/api/v1/")[2]
    assert ranked == [urgent.pk, older.pk, younger.pk, stale.pk]


def test_the_list_is_narrowed(world: World, far: Site) -> None:
    here = on_waitlist(world, sites=[world.site])
    anywhere = another_waiting(world, 2, priority=Priority.URGENT)
    there = another_waiting(world, 3, sites=[far])
    stale = another_waiting(
        world, 4, now=world.now - timedelta(days=90), earliest_on=FRIDAY - timedelta(days=90)
    )
    gone = services.withdraw(another_waiting(world, 5).pk, by=world.clerk, now=world.now)

    def found(query: str) -> set[int]:
        response = call(world.nurse, "GET", f"waitlist/?{query}", now=world.now)
        assert response.status_code == 200, response.json()
        return {row["id"] for row in response.json()["results"]}

    waiting = {entry.pk for entry in (here, anywhere, there, stale)}
    assert found("") == found("state=waiting") == waiting
    assert found("state=withdrawn") == {gone.pk}
    assert found("state=booked") == set()
    assert found("state=all") == waiting | {gone.pk}
    assert found(f"site={world.site.pk}") == {here.pk, anywhere.pk, stale.pk}
    assert found(f"site={far.pk}") == {anywhere.pk, there.pk, stale.pk}
    assert found(f"patient={world.patient.pk}") == {here.pk}
    assert found("stale=true") == {stale.pk}
    assert found("stale=false") == waiting - {stale.pk}
    assert found("procedure_type=rfa_facet") == waiting
    assert found("procedure_type=scs_trial") == set()
    response = call(world.nurse, "GET", "waitlist/?state=gone", now=world.now)
    assert faults(response) == [("state", "invalid_choice")]


def test_a_list_of_ten_takes_as_many_queries_as_one_of_two(world: World) -> None:
    def counted(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert call(world.nurse, "GET", path, now=world.now).status_code == 200
        return len(queries)

    freed = freed_time(world)
    paths = ("waitlist/", "freed-times/", f"freed-times/{freed.pk}/")
    for number in (2, 3):
        another_waiting(world, number, sites=[world.site], clinicians=[world.doctor])
        freed_time(world, starts_at=world.at(MONDAY + timedelta(weeks=number), 9))
    few = [counted(path) for path in paths]
    for number in range(4, 12):
        another_waiting(world, number, sites=[world.site], clinicians=[world.doctor])
        freed_time(world, starts_at=world.at(MONDAY + timedelta(weeks=number), 9))
    assert [counted(path) for path in paths] == few


def test_one_is_asked_again_or_taken_off_and_a_second_click_is_told(world: World) -> None:
    entry = on_waitlist(world)
    later = world.now + timedelta(days=30)
    response = call(world.clerk, "POST", f"waitlist/{entry.pk}/still-waiting/", now=later)
    assert response.json()["stale_on"] == (FRIDAY + timedelta(days=90)).isoformat()
    response = call(world.clerk, "POST", f"waitlist/{entry.pk}/withdraw/", now=later)
    assert (response.status_code, response.json()["state"]) == (200, "withdrawn")
    before = kept()
    for name in ("withdraw", "still-waiting"):
        response = call(world.clerk, "POST", f"waitlist/{entry.pk}/{name}/", now=later)
        assert (response.status_code, faults(response)) == (409, [("", "not_waiting")])
        response = call(world.clerk, "POST", f"waitlist/{entry.pk}/{name}/", {"why": "x"}, now=later)
        assert faults(response) == [("why", "unknown_field")]
    assert kept() == before


def test_booking_from_the_waitlist_ends_the_waiting(world: World) -> None:
    entry = on_waitlist(world, clinicians=[world.doctor])
    response = call(world.clerk, "POST", f"waitlist/{entry.pk}/book/", at_nine(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert (shown["starts_at"], shown["status"]) == ("2027-01-11T14:00:00Z", "booked")
    assert "Dr Test" in {row["name"] for row in shown["reservations"]}
    closed = call(world.clerk, "GET", f"waitlist/{entry.pk}/", now=world.now).json()
    assert (closed["state"], closed["appointment"]) == ("booked", shown["id"])
    before = kept()
    response = call(world.clerk, "POST", f"waitlist/{entry.pk}/book/", at_nine(world), now=world.now)
    assert (response.status_code, faults(response)) == (409, [("", "not_waiting")])
    assert kept() == before


def test_with_a_key_the_same_booking_can_be_sent_again(world: World) -> None:
    entry = on_waitlist(world)

    def send(key: str, **changes: Any) -> Any:
        path = f"waitlist/{entry.pk}/book/"
        headers = {"Idempotency-Key": key}
        return call(world.clerk, "POST", path, at_nine(world, **changes), now=world.now, **headers)

    first, again = send("k-1"), send("k-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other_time = send("k-1", starts_at="2027-01-11T13:00")
    assert (other_time.status_code, faults(other_time)) == (409, [("Idempotency-Key", "key_reused")])
    assert faults(send("k-2")) == [("", "not_waiting")]
    assert faults(send("no spaces")) == [("Idempotency-Key", "invalid")]
    assert Appointment.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "fault"),
    [
        ({"starts_at": "2027-01-11T18:00"}, 400, ("starts_at", "outside_hours")),
        ({"starts_at": "2027-01-05T09:00"}, 400, ("starts_at", "in_the_past")),
        ({"starts_at": "2027-03-14T02:30"}, 400, ("starts_at", "no_such_time")),
        ({"starts_at": None}, 400, ("starts_at", "null")),
        ({"site": 987654}, 400, ("site", "does_not_exist")),
        ({"resources": [987654]}, 400, ("resources", "does_not_exist")),
        ({"entry": 1}, 400, ("entry", "unknown_field")),
        ({"starts_at": "2027-01-12T09:00"}, 409, ("starts_at", "taken")),
    ],
)
def test_what_cannot_be_booked_leaves_the_patient_waiting(
    world: World, changes: dict[str, Any], status: int, fault: tuple[str, str]
) -> None:
    entry = on_waitlist(world)
    taken = world.appointment(
        patient=world.another_patient(), starts_at=world.at(MONDAY + timedelta(days=1), 9)
    )
    services.book(taken, by=world.clerk, now=world.now)
    before = kept()
    path = f"waitlist/{entry.pk}/book/"
    response = call(world.clerk, "POST", path, at_nine(world, **changes), now=world.now)
    assert response.status_code == status
    assert fault in faults(response)
    assert kept() == before


def test_no_accepted_clinician_works_at_the_chosen_site(world: World, far: Site) -> None:
    world.clerk.sites.add(far)
    entry = on_waitlist(world, clinicians=[world.doctor])
    inputs = at_nine(world, site=far.pk)
    response = call(world.clerk, "POST", f"waitlist/{entry.pk}/book/", inputs, now=world.now)
    assert faults(response) == [("resources", "not_here")]


def test_another_sites_waitlist_and_freed_times_do_not_exist(world: World, stranger: User) -> None:
    entry, freed = on_waitlist(world), freed_time(world)
    before = kept()
    assert call(stranger, "GET", "waitlist/?state=all", now=world.now).json()["results"] == []
    assert call(stranger, "GET", "freed-times/?state=all", now=world.now).json()["results"] == []
    for method, path in (
        ("GET", f"waitlist/{entry.pk}/"),
        ("POST", f"waitlist/{entry.pk}/withdraw/"),
        ("POST", f"waitlist/{entry.pk}/still-waiting/"),
        ("POST", f"waitlist/{entry.pk}/book/"),
        ("GET", f"freed-times/{freed.pk}/"),
        ("POST", f"freed-times/{freed.pk}/dismiss/"),
        ("POST", f"freed-times/{freed.pk}/book/"),
    ):
        assert call(stranger, method, path, now=world.now).status_code == 404, path
    assert faults(call(stranger, "POST", "waitlist/", wish(world), now=world.now)) == [
        ("patient", "does_not_exist")
    ]
    assert kept() == before


@pytest.mark.parametrize("lacking", ["procedures.manage_waitlistentry", "procedures.book_appointment"])
def test_booking_needs_both_permissions(world: World, lacking: str) -> None:
    entry, freed = on_waitlist(world), freed_time(world)
    group = world.clerk.groups.get()
    group.permissions.remove(group.permissions.get(codename=lacking.partition(".")[2]))
    for path, inputs in (
        (f"waitlist/{entry.pk}/book/", at_nine(world)),
        (f"freed-times/{freed.pk}/book/", {"entry": entry.pk}),
    ):
        assert call(world.clerk, "POST", path, inputs, now=world.now).status_code == 403
    assert WaitlistEntry.objects.get().closed_at is None


# Freed times.


def test_a_freed_time_shows_what_came_free_and_whom_it_would_suit(world: World) -> None:
    freed = freed_time(world)
    later = services.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=world.clerk, now=world.now
    )
    long_ago = world.now - timedelta(days=90)
    stale = another_waiting(world, 2, now=long_ago, earliest_on=FRIDAY - timedelta(days=90))
    urgent = on_waitlist(world, priority=Priority.URGENT)
    shown = call(world.clerk, "GET", f"freed-times/{freed.pk}/", now=world.now).json()
    assert (shown["starts_at_local"], shown["state"]) == ("2027-01-11T09:00:00-05:00", "open")
    assert {row["name"] for row in shown["resources"]} == {"Dr Test", "Room 1", "Bay 1"}
    assert (shown["appointment"], shown["taken_again"]) == (freed.appointment_id, False)
    first, second = shown["matches"]
    assert first["entry"] == call(world.clerk, "GET", f"waitlist/{urgent.pk}/", now=world.now).json()
    assert first["reasons"][0] == "urgent"
    assert first["clinicians"] == ["Dr Test"]
    assert first["ask_again_since"] is None
    assert first["booked_already"] == {
        "id": later.pk,
        "starts_at": "2027-01-18T14:00:00Z",
        "starts_at_local": "2027-01-18T09:00:00-05:00",
    }
    assert (second["entry"]["id"], second["booked_already"]) == (stale.pk, None)
    assert second["ask_again_since"] == stale.stale_on.isoformat()
    listed = call(world.clerk, "GET", "freed-times/", now=world.now).json()["results"]
    assert [{**row, "matches": shown["matches"]} for row in listed] == [shown]


def test_that_an_appointment_clashes_is_said_and_not_where_the_clerk_may_not_look(
    world: World, far: Site
) -> None:
    freed, _ = freed_time(world), on_waitlist(world)
    later = services.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=world.clerk, now=world.now
    )
    Appointment.objects.filter(pk=later.pk).update(site=far)
    (match,) = call(world.clerk, "GET", f"freed-times/{freed.pk}/", now=world.now).json()["matches"]
    assert match["booked_already"]["id"] is None
    assert match["booked_already"]["starts_at"] == "2027-01-18T14:00:00Z"


def test_freed_times_are_listed_by_state_and_site(world: World, far: Site) -> None:
    times = [freed_time(world, starts_at=world.at(MONDAY + timedelta(days=day), 9)) for day in range(3)]
    services.dismiss_freed(times[1].pk, by=world.clerk, now=world.now)
    begun = world.at(MONDAY, 9)

    def found(query: str, now: Any = world.now) -> list[int]:
        response = call(world.nurse, "GET", f"freed-times/?{query}", now=now)
        assert response.status_code == 200, response.json()
        assert all(query != "" or row["state"] == "open" for row in response.json()["results"])
        return [row["id"] for row in response.json()["results"]]

    first, dismissed, third = (freed.pk for freed in times)
    assert found("") == found(f"site={world.site.pk}") == [first, third]
    assert found(f"site={far.pk}") == []
    assert found("state=dismissed") == [dismissed]
    assert found("state=all") == [first, dismissed, third]
    assert found("", begun) == [third]
    assert found("state=passed", begun) == [first]
    assert found("state=filled") == []


def test_a_match_is_booked_and_a_second_click_is_a_clear_refusal(world: World) -> None:
    freed, entry = freed_time(world), on_waitlist(world)
    rival = another_waiting(world, 2)
    path = f"freed-times/{freed.pk}/book/"
    response = call(world.clerk, "POST", path, {"entry": entry.pk}, now=world.now)
    assert response.status_code == 201, response.json()
    assert response.json()["starts_at"] == "2027-01-11T14:00:00Z"
    shown = call(world.clerk, "GET", f"freed-times/{freed.pk}/", now=world.now).json()
    assert (shown["state"], shown["closed_by"], shown["matches"]) == ("filled", str(world.clerk), [])
    assert shown["taken_again"] is True
    before = kept()
    again = call(world.clerk, "POST", path, {"entry": entry.pk}, now=world.now)
    late = call(world.nurse, "POST", path, {"entry": rival.pk}, now=world.now)
    assert (again.status_code, faults(again)) == (409, [("", "not_waiting")])
    assert (late.status_code, faults(late)) == (409, [("", "freed_time_closed")])
    assert kept() == before


def test_with_a_key_a_freed_time_is_filled_once_however_often_it_is_sent(world: World) -> None:
    freed, entry = freed_time(world), on_waitlist(world)
    headers = {"Idempotency-Key": "k-1"}
    answers = [
        call(
            world.clerk,
            "POST",
            f"freed-times/{freed.pk}/book/",
            {"entry": entry.pk},
            now=world.now,
            **headers,
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    # Another person's key of the same name is another key.
    stolen = call(
        world.nurse, "POST", f"freed-times/{freed.pk}/book/", {"entry": entry.pk}, now=world.now, **headers
    )
    assert faults(stolen) == [("", "not_waiting")]


def test_a_time_that_somebody_took_meanwhile_is_said(world: World) -> None:
    freed, entry = freed_time(world), on_waitlist(world)
    rival = world.appointment(patient=world.another_patient(3))
    services.book(rival, by=world.clerk, now=world.now)
    before = kept()
    response = call(world.clerk, "POST", f"freed-times/{freed.pk}/book/", {"entry": entry.pk}, now=world.now)
    assert (response.status_code, faults(response)) == (409, [("starts_at", "taken")])
    assert kept() == before


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({}, ("entry", "required")),
        ({"entry": 987654}, ("entry", "does_not_exist")),
        ({"entry": "1"}, ("entry", "incorrect_type")),
        ({"starts_at": "2027-01-11T09:00"}, ("starts_at", "unknown_field")),
    ],
)
def test_a_bad_request_for_a_freed_time_is_refused(
    world: World, inputs: dict[str, Any], fault: tuple[str, str]
) -> None:
    freed = freed_time(world)
    response = call(world.clerk, "POST", f"freed-times/{freed.pk}/book/", inputs, now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)


def test_a_patient_of_another_site_is_not_booked_into_ours(world: World, far: Site) -> None:
    theirs = on_waitlist(world, patient=world.another_patient(2, site=far))
    freed = freed_time(world)
    response = call(world.clerk, "POST", f"freed-times/{freed.pk}/book/", {"entry": theirs.pk}, now=world.now)
    assert faults(response) == [("entry", "does_not_exist")]


def test_a_time_for_which_nobody_waits_is_dismissed_once(world: World) -> None:
    freed = freed_time(world)
    path = f"freed-times/{freed.pk}/dismiss/"
    response = call(world.clerk, "POST", path, now=world.now)
    assert (response.status_code, response.json()["state"]) == (200, "dismissed")
    assert response.json()["closed_by"] == str(world.clerk)
    response = call(world.clerk, "POST", path, now=world.now)
    assert (response.status_code, faults(response)) == (409, [("", "freed_time_closed")])
    assert AuditEvent.objects.filter(action="freed_time.dismissed").count() == 1
