"""Nobody changes by API what they have not read as it stands: a walk through every address that changes a row."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from clinic.api.viewsets import UNSAFE, ClinicViewSet
from clinic.models import Resource
from clinic.refusals import Refusal
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from clinic.urls import api
from outcomes.tests.site.api_rows import changeable_rows, row_at
from patients.models import Patient
from procedures import services
from procedures.models import (
    Appointment,
)
from procedures.tests.factories import World


def changing(patterns: Any = None, before: str = "") -> Iterator[tuple[str, str]]:
    """Every address that changes the row whose number is in it, with its method."""
    pattern: Any
    for pattern in api if patterns is None else patterns:
        path = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from changing(pattern.url_patterns, path)
        elif issubclass(getattr(pattern.callback, "cls", object), ClinicViewSet) and "<int:pk>" in path:
            for method in pattern.callback.actions:
                if method.upper() in UNSAFE:
                    yield path, method.upper()


ADDRESSES = sorted(changing())


def of_row(address: str, path: str) -> str:
    """The address at which the row is read."""
    if "calendar-feed" in path:
        return address
    if "caregiver" in path:
        return address.removesuffix("revoke/")
    if path.endswith("/merge/"):
        return f"{address}?duplicate={Patient.objects.latest('pk').pk}"
    found = re.match(r".*\d+/", address)
    assert found
    return found[0]


@pytest.mark.parametrize(("path", "method"), ADDRESSES, ids=lambda part: part)
def test_a_change_of_what_was_not_read_as_it_stands_is_refused(world: World, path: str, method: str) -> None:
    address, row, changes = row_at(world, path)
    read = call(world.admin, "GET", of_row(address, path), now=world.now)
    assert read.status_code == 200, read.content
    tag = read["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    if changes:
        type(row)._base_manager.filter(pk=row.pk).update(**changes)
    else:
        services.issue_feed(row, by=world.clerk, now=world.at(MONDAY, 9))  # type: ignore[arg-type]
    before = changeable_rows()
    said = {"duplicate": Patient.objects.latest("pk").pk} if path.endswith("/merge/") else {}
    for named, status, code in (
        ("", 428, "if_match_required"),
        ("*", 428, "if_match_required"),
        (tag, 412, "stale"),
        ('"bogus"', 412, "stale"),
        ("bogus", 412, "stale"),
    ):
        answer = call(world.admin, method, address, said, now=world.now, **{"If-Match": named})
        assert (named, answer.status_code, answer.json()["code"]) == (named, status, code)
    assert changeable_rows() == before
    fresh = call(world.admin, "GET", of_row(address, path), now=world.now)["ETag"]
    assert fresh != tag
    answer = call(world.admin, method, address, said, now=world.now, **{"If-Match": f'"other", {fresh}'})
    assert answer.status_code not in (412, 428)


def test_of_two_who_read_the_same_row_the_second_is_told(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    path = f"appointments/{booked.pk}/"
    tag = call(world.clerk, "GET", path, now=world.now)["ETag"]
    first = call(world.clerk, "POST", f"{path}confirm/", now=world.now, **{"If-Match": tag})
    assert first.status_code == 200
    second = call(
        world.clerk, "POST", f"{path}cancel/", {"reason": "ill"}, now=world.now, **{"If-Match": tag}
    )
    assert second.status_code == 412
    booked.refresh_from_db()
    assert booked.status == Appointment.Status.CONFIRMED
    # The answer of a step names the version that it made.
    assert first["ETag"] == call(world.clerk, "GET", path, now=world.now)["ETag"]


def test_what_is_made_names_the_version_that_it_is(world: World) -> None:
    asked = {
        "patient": world.patient.pk,
        "procedure_type": "rfa_facet",
        "site": world.site.pk,
        "starts_at": f"{MONDAY}T09:00",
        "region": "lumbar",
        "laterality": "left",
    }
    made = call(world.clerk, "POST", "appointments/", asked, now=world.now)
    assert made.status_code == 201
    assert (
        made["ETag"] == call(world.clerk, "GET", f"appointments/{made.json()['id']}/", now=world.now)["ETag"]
    )


def test_whatever_is_shown_of_a_row_changes_its_tag(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)

    def tag() -> str:
        return str(call(world.clerk, "GET", f"appointments/{booked.pk}/", now=world.now)["ETag"])

    tags = [tag(), tag()]
    assert len({*tags}) == 1
    Patient.objects.update(family_name="Other")
    tags.append(tag())
    Resource.objects.filter(pk=world.room.pk).update(name="Room 9")
    tags.append(tag())
    booked.reservations.filter(resource=world.room).update(released_at=world.now)
    tags.append(tag())
    services.note_baseline(
        booked.pk, values={"nrs.now": 4}, taken_at=world.now, by=world.nurse, now=world.now
    )
    tags.append(tag())
    assert len({*tags}) == 5


def test_what_was_answered_before_is_answered_again_whatever_was_read(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    path = f"appointments/{booked.pk}/"
    tag = call(world.clerk, "GET", path, now=world.now)["ETag"]
    said = {"starts_at": f"{MONDAY}T13:00"}
    key = {"Idempotency-Key": "click"}
    unread = call(world.clerk, "POST", f"{path}reschedule/", said, now=world.now, **key, **{"If-Match": ""})
    assert unread.status_code == 428  # a key that is not known helps nobody
    first = call(world.clerk, "POST", f"{path}reschedule/", said, now=world.now, **key, **{"If-Match": tag})
    assert first.status_code == 201
    for named in (tag, "", '"bogus"'):
        again = call(
            world.clerk, "POST", f"{path}reschedule/", said, now=world.now, **key, **{"If-Match": named}
        )
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        assert "ETag" not in again.headers  # the row may be newer than what is told again
    step = f"appointments/{first.json()['id']}/confirm/"
    key = {"Idempotency-Key": "step"}
    assert call(world.clerk, "POST", step, now=world.now, **key).status_code == 200
    for named in ("", '"bogus"'):
        again = call(world.clerk, "POST", step, now=world.now, **key, **{"If-Match": named})
        assert (again.status_code, again.json()["status"]) == (200, "confirmed")


def test_what_a_service_refuses_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at the version and the step are one transaction."""
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)

    def half(pk: int, *args: Any, **how: Any) -> None:
        Appointment.objects.filter(pk=pk).update(note="half")
        raise Refusal("No.", code="no")

    monkeypatch.setattr(services, "take_step", half)
    answer = call(world.clerk, "POST", f"appointments/{booked.pk}/confirm/", now=world.now)
    booked.refresh_from_db()
    assert (answer.status_code, booked.note) == (400, "")
