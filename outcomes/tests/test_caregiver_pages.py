"""What a caregiver reads: in their own language, about the person they care for, and no more than the patient would."""

from datetime import datetime

import pytest
from django.core import mail
from django.test import Client

from outcomes.tests.caregiving import ask, question
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures.tests.factories import World


def test_the_page_and_the_e_mail_speak_the_caregivers_language(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world, language="es")
    ask(world, clock)
    assert mail.outbox[0].extra_headers["Content-Language"] == "es"
    assert '<html lang="es"' in client.get(question(DAUGHTER)).content.decode()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_first_name_stands_in_the_e_mail_only_where_the_site_allows_it(
    world: World, clock: list[datetime], allowed: bool
) -> None:
    world.site.greets_by_first_name = allowed
    world.site.save()
    caregiver(world)
    ask(world, clock)
    assert (world.patient.given_name in str(mail.outbox[0].body)) is allowed


def test_the_birth_date_is_the_patients_and_no_browser_fills_in_the_readers(
    world: World, client: Client, clock: list[datetime]
) -> None:
    world.site.asks_birth_date = True
    world.site.save()
    caregiver(world)
    ask(world, clock)
    page = client.get(question(DAUGHTER)).content.decode()
    assert "bday" not in page
    born = world.patient.born_on
    given = {"year": born.year, "month": born.month, "day": born.day}
    assert client.post(question(DAUGHTER), given, follow=True).status_code == 200
