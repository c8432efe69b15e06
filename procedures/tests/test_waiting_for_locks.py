"""Whoever waits too long for what others hold is told to try again, and nothing is saved."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from clinic.api.refusals import fault
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from procedures.models import Appointment
from procedures.services import book
from procedures.tests.factories import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(world: World) -> Iterator[Appointment]:
    """An appointment that somebody has locked, while everybody waits as the web's role does, only shorter."""
    appointment = book(world.appointment(starts_at=world.at(MONDAY, 9)), by=world.clerk, now=world.now)
    connection.cursor().execute("SET lock_timeout = '100ms'")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM procedures_appointment FOR UPDATE")
        yield appointment
    connection.cursor().execute("RESET lock_timeout")


def test_a_program_is_told_to_try_again(world: World, held: Appointment) -> None:
    answer = call(world.clerk, "POST", f"appointments/{held.pk}/cancel/", {"reason": "away"}, now=world.now)
    assert faults(answer) == []
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "busy", "5")
    held.refresh_from_db()
    assert held.status == Appointment.Status.BOOKED


def test_a_page_says_so_with_503(held: Appointment) -> None:
    with pytest.raises(OperationalError):
        Appointment.objects.filter(pk=held.pk).update(region="cervical")
    try:
        Appointment.objects.filter(pk=held.pk).update(region="cervical")
    except OperationalError:
        page = fault(RequestFactory().get("/admin/"))
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert fault(RequestFactory().get("/admin/")).status_code == 500
