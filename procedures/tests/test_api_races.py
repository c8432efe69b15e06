"""A double click by API: the same request, with the same key, several times at once over real connections."""

from collections import Counter
from typing import Any

import pytest
from rest_framework.test import APIClient

from clinic.models import User
from conftest import World
from procedures.models import Appointment
from procedures.tests.test_api import booking
from procedures.tests.test_races import race

CLICKS = 8

pytestmark = pytest.mark.django_db(transaction=True)


def clicks(monkeypatch: pytest.MonkeyPatch, world: World, keys: list[str]) -> list[Any]:
    """The answers to one booking, sent with each of the keys, all past their first look before any is kept."""
    # Once for all threads: each with a patch of its own would put back the other's.
    monkeypatch.setattr("django.utils.timezone.now", lambda: world.now)
    inputs, answers = booking(world), list[Any]()

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
