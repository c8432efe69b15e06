"""A double click by API: the same request, with the same key, several times at once over real connections."""

from collections import Counter
from typing import Any

import pytest
from rest_framework.test import APIClient

from clinic.models import User
from procedures.models import Appointment
from procedures.tests.factories import World, another_waiting, booking_request, freed_time, on_waitlist
from procedures.tests.races import race, run_together

CLICKS = 8

pytestmark = pytest.mark.django_db(transaction=True)


def clicks(monkeypatch: pytest.MonkeyPatch, world: World, keys: list[str]) -> list[Any]:
    """The answers to one booking, sent with each of the keys, all past their first look before any is kept."""
    # Once for all threads: each with a patch of its own would put back the other's.
    monkeypatch.setattr("django.utils.timezone.now", lambda: world.now)
    inputs, answers = booking_request(world), list[Any]()

    def click(key: str) -> None:
        client = APIClient()
        client.force_authenticate(User.objects.get(pk=world.clerk.pk))
        answers.append(
            client.post("/api/v1/appointments/", inputs, format="json", headers={"Idempotency-Key": key})
        )

    race(monkeypatch, [lambda key=key: click(key) for key in keys])
    return answers


def test_however_often_a_click_is_sent_at_once_it_makes_one_appointment(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    answers = clicks(monkeypatch, world, ["click"] * CLICKS)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLICKS - 1}
    assert {answer.json()["id"] for answer in answers} == {Appointment.objects.get().pk}


def test_without_the_same_key_they_are_rivals(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """If this fails, the test above proves nothing."""
    answers = clicks(monkeypatch, world, [str(number) for number in range(CLICKS)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CLICKS - 1}


def test_a_request_that_is_sent_again_at_once_is_one_request(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """It takes no time, so that nothing but the key keeps it single."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: world.now)
    inputs, answers = booking_request(world, request=True), list[Any]()

    def click(key: str) -> None:
        client = APIClient()
        client.force_authenticate(User.objects.get(pk=world.clerk.pk))
        headers = {"Idempotency-Key": key}
        answers.append(client.post("/api/v1/appointments/", inputs, format="json", headers=headers))

    assert run_together(*[lambda: click("k")] * CLICKS) == {"won": CLICKS}
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert {answer.json()["id"] for answer in answers} == {Appointment.objects.get().pk}


def fill(monkeypatch: pytest.MonkeyPatch, world: World, *requests: tuple[int, str]) -> list[Any]:
    """The answers to clerks who book one freed time at once, each for an entry of the waitlist and with a key."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: world.now)
    row, answers = f"/api/v1/freed-times/{freed_time(world).pk}/", list[Any]()
    reader = APIClient()
    reader.force_authenticate(User.objects.get(pk=world.clerk.pk))
    tag = reader.get(row)["ETag"]

    def click(entry: int, key: str) -> None:
        client = APIClient()
        client.force_authenticate(User.objects.get(pk=world.clerk.pk))
        headers = {"Idempotency-Key": key, "If-Match": tag}
        answers.append(client.post(f"{row}book/", {"entry": entry}, format="json", headers=headers))

    assert run_together(*(lambda request=request: click(*request) for request in requests)) == {
        "won": len(requests)
    }
    return answers


def test_a_freed_time_is_filled_once_by_one_click_however_often_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    entry = on_waitlist(world)
    answers = fill(monkeypatch, world, *[(entry.pk, "click")] * CLICKS)
    assert {answer.status_code for answer in answers} <= {200, 201}
    booked = Appointment.objects.filter(status=Appointment.Status.BOOKED)
    assert {answer.json()["id"] for answer in answers} == {booked.get().pk}


def test_of_rivals_for_a_freed_time_one_gets_it_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    requests = [(another_waiting(world, number).pk, str(number)) for number in range(2, 2 + CLICKS)]
    answers = fill(monkeypatch, world, *requests)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: CLICKS - 1}
    assert Appointment.objects.filter(status=Appointment.Status.BOOKED).count() == 1
