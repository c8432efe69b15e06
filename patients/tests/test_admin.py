"""Patients at the front desk: found, registered, changed, read; and only by those who may."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from clinic.admin.stale_forms import SHOWN
from clinic.models import AuditEvent, OutgoingEmail, Site
from clinic.tests.admin_client import clock, errors, filled, queries, signed_in, version_on, words
from clinic.tests.factories import staff
from patients import services
from patients.models import Patient
from procedures.tests.factories import World

LIST = "/admin/patients/patient/"


def page(patient: Patient) -> str:
    return f"{LIST}{patient.pk}/change/"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("brie", True),
        ("O'Brien, Ann", True),
        ("ann brien", True),
        ("P00001", True),
        ("0001", True),
        ("1944-05-06", True),
        ("05/06/1944", True),
        ("5/6/44", True),
        ("6 May 1944", True),
        ("1944", True),
        ("brien 1944", True),
        ("brien 1945", False),
        ("OBRIEN", True),
        ("O’Brien", True),
        ("%", False),
        ("_", False),
        ("\\", False),
        ("1944-05-07", False),
        ("1944-13-45", False),
        ("zebra", False),
    ],
)
def test_a_patient_is_found_by_any_part(world: World, client: Client, typed: str, found: bool) -> None:
    world.another_patient()
    signed_in(world.clerk, client)
    rows = list(client.get(LIST, {"q": typed}).context["cl"].result_list)
    assert (world.patient in rows) is found
    offered = client.get(
        "/admin/autocomplete/",
        {"app_label": "procedures", "model_name": "appointment", "field_name": "patient", "term": typed},
    ).json()["results"]
    assert (str(world.patient.pk) in [row["id"] for row in offered]) is found


@pytest.mark.parametrize("typed", ["munoz", "Muñoz", "MUÑOZ garcia", "maria", "mari\u0301a"])
def test_accents_are_typed_or_not(world: World, typed: str) -> None:
    patient = world.another_patient(family_name="Muñoz García", given_name="María")
    assert list(Patient.objects.found_by(typed)) == [patient]


def test_a_search_for_a_part_of_a_name_uses_the_index(world: World) -> None:
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = Patient.objects.found_by("brien").explain()
    for index in ("patient_family_name_words", "patient_given_name_words", "patient_number_words"):
        assert index in plan


@pytest.mark.parametrize(
    ("typed", "index"), [("0147", "phone_digits"), ("212 555 0147", "phone_digits"), ("a@b", "email_words")]
)
def test_a_search_by_phone_or_email_uses_the_index(world: World, typed: str, index: str) -> None:
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert f"patient_{index}" in Patient.objects.found_by(typed).explain()


@pytest.mark.parametrize(
    ("typed", "family_name"),
    [
        *(("dang", "Đặng"), ("đặng", "Đặng"), ("Dang", "ĐẶNG"), ("lukasz", "Łukasz"), ("oyvind", "Øyvind")),
        *(("strasse", "Straße"), ("Łukasz", "Lukasz"), ("munoz", "Muñoz"), ("mun\u0303oz", "Muñoz")),
    ],
)
def test_letters_with_strokes_are_typed_or_not(world: World, typed: str, family_name: str) -> None:
    patient = world.another_patient(family_name=family_name)
    assert list(Patient.objects.found_by(typed)) == [patient]
    signed = signed_in(world.clerk)
    assert list(signed.get(LIST, {"q": typed}).context["cl"].result_list) == [patient]


@pytest.mark.parametrize("stored", ["+1 212 555 0147", "(212) 555-0147", "212.555.0147", "2125550147"])
@pytest.mark.parametrize(
    "typed",
    [
        *("+1 212 555 0147", "(212) 555-0147", "1-212-555-0147", "12125550147", "212 555 0147", "555-0147"),
        *("5550147", "0147", "brien 0147", "001 212 555 0147", "555 0147"),
    ],
)
def test_a_patient_is_found_by_phone_in_any_format(world: World, stored: str, typed: str) -> None:
    world.another_patient(phone="+1 212 555 0148")
    Patient.objects.filter(pk=world.patient.pk).update(phone=stored)
    assert list(Patient.objects.found_by(typed)) == [world.patient]


@pytest.mark.parametrize("typed", ["ann@example.org", "ANN@example", "ann@", "brien ann@example.org"])
def test_a_patient_is_found_by_email(world: World, typed: str) -> None:
    world.another_patient()
    assert list(Patient.objects.found_by(typed)) == [world.patient]


def new(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "family_name": "Okoro",
        "given_name": "Ben",
        "born_on": "03/04/1961",
        "record_number": "P00077",
        "language": "en",
        "site": world.site.pk,
        "email": "ben@example.org",
        "agreed": "on",
    } | changes


def test_a_patient_is_registered_and_changed_through_the_service(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        assert client.post(f"{LIST}add/", new(world)).status_code == 302
    patient = Patient.objects.get(record_number="P00077")
    assert (patient.born_on, patient.consented_at, patient.opted_out_at) == (
        date(1961, 3, 4),
        world.now,
        None,
    )
    later = world.now + timedelta(days=1)
    with clock(later):
        client.post(page(patient), new(world, stopped="on", phone="+1 212 555 0199"))
    patient.refresh_from_db()
    assert (patient.phone, patient.consented_at, patient.opted_out_at) == (
        "+1 212 555 0199",
        world.now,
        later,
    )
    trail = AuditEvent.objects.filter(object_id=patient.pk).values_list("action", "by__email")
    assert [*trail.order_by("id")] == [
        ("patient.registered", "clerk@example.org"),
        ("patient.changed", "clerk@example.org"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"born_on": "2060-01-01"}, {"born_on": ["in_the_future"]}),
        ({"born_on": "06.05.1944"}, {"born_on": ["invalid"]}),
        ({"record_number": "P00001"}, {"record_number": ["unique"]}),
        ({"record_number": "P 1"}, {"record_number": ["record_number"]}),
        ({"email": "nobody"}, {"email": ["invalid"]}),
        ({"died_on": "1950-01-01"}, {"__all__": ["died_before_birth"]}),
    ],
)
def test_what_a_patient_cannot_be_is_refused_with_the_input_kept(
    world: World, client: Client, changes: dict[str, str], expected: dict[str, list[str]]
) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        response = client.post(f"{LIST}add/", new(world, **changes))
    assert errors(response) == expected
    assert "Okoro" in response.content.decode()
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, "Agreed on Thu 4 Dec 2025, 12:00 EST."),
        ({"email": ""}, "No e-mail address is known."),
        ({"consented_at": None}, "The patient has not agreed to be asked by e-mail."),
        ({"died_on": date(2027, 1, 2)}, "The patient has died."),
    ],
)
def test_why_no_email_goes_out_is_said_in_words(
    world: World, client: Client, facts: dict[str, Any], sentence: str
) -> None:
    Patient.objects.filter(pk=world.patient.pk).update(**facts)
    signed_in(world.clerk, client)
    assert sentence in words(client.get(page(world.patient)))


def test_reading_a_patients_page_is_written_down(world: World, client: Client) -> None:
    signed_in(world.nurse, client)
    client.get(page(world.patient))
    event = AuditEvent.objects.get(action="patient.read")
    assert (event.by, event.object_id, event.site) == (world.nurse, world.patient.pk, world.site)


def test_the_page_shows_what_is_coming_what_was_and_how_it_went(world: World, client: Client) -> None:
    procedure = world.performed()
    signed_in(world.clerk, client)
    with clock(world.now + timedelta(days=30)):
        response = client.get(page(world.patient))
    said = words(response)
    assert "Mon 11 Jan 2027, 09:00–10:45 EST" in said
    assert procedure.follow_up.verdict_reason in said
    assert 'role="img"' in response.content.decode()


def test_another_site_is_neither_found_nor_opened(world: World, client: Client) -> None:
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Physician", elsewhere), client)
    assert not list(client.get(LIST, {"q": "brien"}).context["cl"].result_list)
    for address in (page(world.patient), f"{LIST}{world.patient.pk}/history/"):
        assert client.get(address).status_code == 404
    assert client.post(page(world.patient), new(world)).status_code == 404
    assert errors(client.post(f"{LIST}add/", new(world)))["site"] == ["invalid_choice"]
    assert not AuditEvent.objects.filter(action="patient.read").exists()


def test_no_patient_is_deleted(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    assert client.post(f"{LIST}{world.patient.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(
        LIST, {"action": "delete_selected", "_selected_action": world.patient.pk, "post": "yes"}
    ).status_code in (200, 302)
    assert Patient.objects.count() == 1


def test_an_open_form_does_not_undo_what_the_patient_said_meanwhile(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    shown = client.get(page(world.patient))
    sent = filled(shown.context["adminform"].form) | {SHOWN: version_on(shown), "phone": "+1 212 555 0123"}
    services.opt_out(world.patient.pk, by=None, now=world.now)
    stale = client.post(page(world.patient), sent)
    assert (stale.status_code, errors(stale)) == (409, {"__all__": ["stale"]})
    world.patient.refresh_from_db()
    assert (world.patient.phone, world.patient.why_no_email) == ("", "opted_out")
    # What stands is in the form now, beside what was typed.
    again = filled(stale.context["adminform"].form) | {SHOWN: version_on(stale)}
    assert client.post(page(world.patient), again).status_code == 302
    world.patient.refresh_from_db()
    assert (world.patient.phone, world.patient.why_no_email) == ("+1 212 555 0123", "opted_out")
    # Moving the switch is another matter.
    sent = filled(client.get(page(world.patient)).context["adminform"].form)
    del sent["stopped"]
    client.post(page(world.patient), sent)
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == ""


def death_beside_an_open_form(world: World) -> tuple[Client, dict[str, Any]]:
    """A clerk's browser with a patient's form, and what it sends of it; a colleague has recorded a death since."""
    browser = signed_in(world.clerk)
    opened = browser.get(page(world.patient))
    sent = filled(opened.context["adminform"].form) | {SHOWN: version_on(opened)}
    colleague = signed_in(world.nurse)
    theirs = filled(colleague.get(page(world.patient)).context["adminform"].form)
    with clock(world.now):
        assert colleague.post(page(world.patient), theirs | {"died_on": "2027-01-02"}).status_code == 302
    return browser, sent


def test_a_colleagues_open_form_does_not_clear_a_death(world: World) -> None:
    browser, sent = death_beside_an_open_form(world)
    emails = OutgoingEmail.objects.count()
    stale = browser.post(page(world.patient), sent)
    world.patient.refresh_from_db()
    assert (stale.status_code, world.patient.died_on) == (409, date(2027, 1, 2))
    assert OutgoingEmail.objects.count() == emails
    [change] = stale.context["stale"].changes
    assert (change.before, change.now, change.typed, change.by) == ("–", "2027-01-02", None, "Nurse Test")


def test_what_both_have_typed_is_shown_beside_each_other_and_the_second_press_decides(world: World) -> None:
    browser, sent = death_beside_an_open_form(world)
    stale = browser.post(page(world.patient), sent | {"died_on": "2027-01-03", "phone": "+1 212 555 0123"})
    [change] = stale.context["stale"].changes
    assert (change.now, change.typed) == ("2027-01-02", "2027-01-03")
    again = filled(stale.context["adminform"].form) | {SHOWN: version_on(stale)}
    with clock(world.now):
        assert browser.post(page(world.patient), again).status_code == 302
    world.patient.refresh_from_db()
    assert (world.patient.died_on, world.patient.phone) == (date(2027, 1, 3), "+1 212 555 0123")


@pytest.mark.parametrize("carried", ["", "bogus", "e30:1xY4Fe:qcMET0vxVO6VYsG73bE"])
def test_a_form_that_does_not_say_what_it_showed_saves_nothing(world: World, carried: str) -> None:
    browser = signed_in(world.clerk)
    sent = filled(browser.get(page(world.patient)).context["adminform"].form)
    stale = browser.post(page(world.patient), sent | {SHOWN: carried, "phone": "+1 212 555 0123"})
    world.patient.refresh_from_db()
    assert (stale.status_code, world.patient.phone) == (409, "")


def test_history_tells_who_changed_what(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    sent = filled(client.get(page(world.patient)).context["adminform"].form)
    client.post(page(world.patient), sent | {"phone": "+1 212 555 0123"})
    said = words(client.get(f"{LIST}{world.patient.pk}/history/"))
    assert "+1 212 555 0123" in said
    assert "Front desk Test" in said


def test_the_list_asks_as_much_for_thirty_rows_as_for_three(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    for number in (2, 3):
        world.another_patient(number)
    few = queries(lambda: client.get(LIST))
    for number in range(4, 31):
        world.another_patient(number)
    assert queries(lambda: client.get(LIST)) == few


def test_the_page_asks_as_much_for_eight_procedures_as_for_two(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    for week in range(2):
        world.performed(day=date(2027, 1, 11) + timedelta(days=7 * week))
    few = queries(lambda: client.get(page(world.patient)))
    for week in range(2, 8):
        world.performed(day=date(2027, 1, 11) + timedelta(days=7 * week))
    assert queries(lambda: client.get(page(world.patient))) == few
