"""Which of my patients: lists by who performed the procedure, and when, in the API and on the screens."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.models import User
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from outcomes import services
from outcomes.models import FollowUp
from outcomes.tests.factories import answered_course
from procedures.models import Procedure
from procedures.tests.factories import World

LISTS = ("follow-ups/", "reports/worklists/no_relief/")
PAGES = {
    "/admin/outcomes/followup/": lambda page: list(page.context["cl"].result_list),
    "/admin/outcomes/alert/": lambda page: [alert.follow_up for alert in page.context["cl"].result_list],
    "/admin/outcomes/followup/worklists/": lambda page: [
        row.follow_up for row in page.context.get("rows") or []
    ],
}


def performed(follow_up: FollowUp, by: User) -> FollowUp:
    Procedure.objects.filter(pk=follow_up.procedure_id).update(performer=by)
    return services.update_verdict(follow_up.pk, now=follow_up.judged_at or follow_up.opened_at)


@pytest.fixture
def mine(world: World) -> FollowUp:
    """Without relief, after the physician's procedure."""
    return performed(answered_course(world, {42: 8, 92: 8}), world.physician)


@pytest.fixture
def theirs(world: World, mine: FollowUp) -> FollowUp:
    """The same after that of a colleague, a week later at least."""
    colleague = staff("colleague@example.org", "Physician", world.site)
    return performed(answered_course(world, {42: 8, 92: 8}), colleague)


def found(world: World, path: str, query: str, *, by: User | None = None) -> list[int]:
    now = world.now + timedelta(days=400)
    response = call(by or world.physician, "GET", f"{path}?{query}", now=now)
    assert response.status_code == 200, response.json()
    return sorted(row["id"] for row in response.json()["results"])


@pytest.mark.parametrize("path", LISTS)
def test_lists_narrow_to_ones_own_patients_or_those_of_another(
    world: World, path: str, mine: FollowUp, theirs: FollowUp
) -> None:
    colleague = User.objects.get(email="colleague@example.org")
    assert found(world, path, "") == [mine.pk, theirs.pk]
    assert found(world, path, "performer=me") == [mine.pk]
    assert found(world, path, "performer=me", by=colleague) == [theirs.pk]
    assert found(world, path, f"performer={colleague.pk}") == [theirs.pk]
    assert found(world, path, "performer=me", by=world.nurse) == []
    twice = call(world.physician, "GET", f"{path}?performer=me&performer={colleague.pk}", now=world.now)
    assert (twice.status_code, twice.json()["code"]) == (400, "given_twice")


@pytest.mark.parametrize("path", LISTS)
def test_lists_narrow_to_days_on_the_sites_wall(
    world: World, path: str, mine: FollowUp, theirs: FollowUp
) -> None:
    """Both days are included; the last minute of an evening in New York is the next day in UTC."""
    evening = world.at(date(2027, 1, 20), 23, 59)
    Procedure.objects.filter(pk=mine.procedure_id).update(
        performed_at=evening, recorded_at=evening, baseline_taken_at=evening
    )
    services.update_verdict(mine.pk, now=world.now)
    other = evening + timedelta(minutes=1)
    Procedure.objects.filter(pk=theirs.procedure_id).update(
        performed_at=other, recorded_at=other, baseline_taken_at=other
    )
    services.update_verdict(theirs.pk, now=world.now)
    assert found(world, path, "performed_from=2027-01-20&performed_until=2027-01-20") == [mine.pk]
    assert found(world, path, "performed_from=2027-01-21") == [theirs.pk]
    assert found(world, path, "performed_until=2027-01-20") == [mine.pk]
    assert found(world, path, "performed_from=2027-01-20&performer=me") == [mine.pk]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("performer=987654", ("performer", "unknown_performer")),
        ("performer=you", ("performer", "invalid")),
        ("performer=", ("performer", "invalid")),
        ("performer=0", ("performer", "min_value")),
        ("performer=1.5", ("performer", "invalid")),
        ("performer=9223372036854775808", ("performer", "max_value")),
        ("performed_from=yesterday", ("performed_from", "invalid")),
        ("performed_from=2027-02-30", ("performed_from", "invalid")),
        ("performed_from=2027-01-11T09:00:00Z", ("performed_from", "invalid")),
        ("performed_until=0001-01-01", ("performed_until", "out_of_range")),
        ("performed_from=2027-02-01&performed_until=2027-01-01", ("performed_until", "empty_period")),
        ("performed_before=2027-02-01", ("performed_before", "unknown_field")),
    ],
)
def test_what_cannot_be_meant_is_refused(world: World, path: str, query: str, fault: tuple[str, str]) -> None:
    refused = call(world.physician, "GET", f"{path}?{query}", now=world.now)
    assert (refused.status_code, faults(refused)) == (400, [fault])


@pytest.mark.parametrize("path", [*LISTS, "alerts/"])
def test_narrowing_asks_no_more_for_many_than_for_few(world: World, path: str) -> None:
    query = "performer=me" + ("" if path == "alerts/" else "&performed_from=2027-01-01")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            found(world, path, query)
        return len(queries)

    def more(number: int) -> None:
        for _ in range(number):
            performed(answered_course(world, {42: 8, 92: 8}), world.physician)

    more(2)
    few = asked()
    more(4)
    assert asked() == few
    assert len(found(world, path, query)) >= 6


@pytest.mark.parametrize("page", PAGES)
def test_screens_narrow_to_ones_own_patients(
    world: World, client: Client, page: str, mine: FollowUp, theirs: FollowUp
) -> None:
    colleague = User.objects.get(email="colleague@example.org")
    signed_in(world.physician, client)

    def shown(**query: Any) -> set[FollowUp]:
        return set(PAGES[page](client.get(page, {"list": "no_relief", **query} if "work" in page else query)))

    with clock(world.now + timedelta(days=400)):
        assert shown() == {mine, theirs}
        assert shown(provider="me") == {mine}
        assert shown(provider=colleague.pk) == {theirs}
        assert "Physician Test" in words(client.get(page))
        # What is nobody's number is no fault.
        for wrong in ("987654", "you", "-1", "1" * 40):
            assert client.get(page, {"provider": wrong}).status_code in (200, 302)


def test_the_tabs_of_the_worklists_count_and_keep_the_provider(
    world: World, client: Client, mine: FollowUp, theirs: FollowUp
) -> None:
    signed_in(world.physician, client)
    with clock(world.now + timedelta(days=400)):
        page = client.get("/admin/outcomes/followup/worklists/?list=losing_early&provider=me")
    counts = {tab["code"]: tab["count"] for tab in page.context["tabs"]}
    assert counts["no_relief"] == 1
    assert 'href="?list=no_relief&amp;provider=me"' in page.content.decode()
