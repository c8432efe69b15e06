"""Agreeing to e-mail: what the patient was told, to which version they agreed, and taking it back."""

from datetime import date, timedelta
from typing import Any

import polib
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client

from clinic.csv_import.imports import Mode
from clinic.models import AuditEvent
from clinic.tests.admin_client import clock, filled, signed_in
from clinic.tests.api_client import call, faults
from patients import consent, services
from patients.import_rows import COLUMNS
from patients.models import Patient
from patients.services.withdrawals import withdrawals
from procedures.tests.factories import World

AGREED = "record_number,given_name,family_name,born_on,site,agreed_to_email\r\n"


def page(patient: Patient) -> str:
    return f"/admin/patients/patient/{patient.pk}/change/"


def trail() -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action__startswith="patient.consent").order_by("pk")
    return [(event.action, event.reason) for event in events]


def test_every_version_is_there_in_both_languages_and_warns() -> None:
    assert consent.known(consent.CURRENT)
    for version in consent.versions():
        texts = consent.texts(version)
        assert set(texts) >= {"en", "es"}
        assert "not secure" in texts["en"]
        assert "no es seguro" in texts["es"]
    assert not consent.known("0")
    with pytest.raises(KeyError):
        consent.texts("../../settings")


def test_the_form_shows_the_text_before_the_switch_is_turned(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    for address in ("/admin/patients/patient/add/", page(world.patient)):
        shown = client.get(address).content.decode()
        assert "E-mail is not secure." in shown
        assert "El correo electrónico no es seguro." in shown


def test_the_switch_keeps_the_version_and_its_end_clears_both(world: World, client: Client) -> None:
    Patient.objects.update(consented_at=None)
    signed_in(world.clerk, client)
    with clock(world.now):
        sent = filled(client.get(page(world.patient)).context["adminform"].form)
        assert client.post(page(world.patient), sent | {"agreed": "on"}).status_code == 302
        world.patient.refresh_from_db()
        assert (world.patient.consented_at, world.patient.consent_version) == (world.now, consent.CURRENT)
        sent = filled(client.get(page(world.patient)).context["adminform"].form)
        del sent["agreed"]
        assert client.post(page(world.patient), sent).status_code == 302
    world.patient.refresh_from_db()
    assert (world.patient.why_no_email, world.patient.consent_version) == ("no_consent", "")
    assert trail() == [
        ("patient.consented", f"text {consent.CURRENT}"),
        ("patient.consent_withdrawn", ""),
    ]


def test_withdrawing_and_opting_out_are_two_things(world: World) -> None:
    Patient.objects.update(consent_version=consent.CURRENT)
    services.opt_out(world.patient.pk, by=None, now=world.now)
    assert trail() == []
    for _ in range(2):
        services.withdraw_consent(world.patient.pk, by=world.nurse, now=world.now)
    world.patient.refresh_from_db()
    assert (world.patient.consented_at, world.patient.consent_version) == (None, "")
    assert world.patient.opted_out_at == world.now
    assert trail() == [("patient.consent_withdrawn", "")]


def test_a_version_without_an_agreement_cannot_be(world: World) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Patient.objects.update(consented_at=None, consent_version=consent.CURRENT)


def test_the_api_shows_and_sets_both(world: World) -> None:
    address = f"patients/{world.patient.pk}/"

    def change(**said: Any) -> Any:
        return call(world.nurse, "PATCH", address, said, now=world.now)

    moment = "2027-01-08T10:00:00-05:00"
    known = change(consented_at=moment, consent_version=consent.CURRENT, sms_consented_at=moment).json()
    assert (known["consented_at"], known["consent_version"]) == ("2027-01-08T15:00:00Z", consent.CURRENT)
    assert known["sms_consented_at"] == "2027-01-08T15:00:00Z"
    # On paper, to a text of which nothing is known here.
    assert change(consented_at="2027-01-08T11:00:00-05:00").json()["consent_version"] == ""
    assert faults(change(consent_version="77")) == [("consent_version", "unknown_consent_version")]
    withdrawn = change(consented_at=None).json()
    assert (withdrawn["consented_at"], withdrawn["why_no_email"]) == (None, "no_consent")
    assert trail()[-1] == ("patient.consent_withdrawn", "")


@pytest.mark.parametrize("said", ["yes", "2026-05-01", "2027-01-08"])
def test_a_file_does_not_bring_back_what_the_patient_took_back(world: World, said: str) -> None:
    services.withdraw_consent(world.patient.pk, by=world.nurse, now=world.now)
    header = "record_number,given_name,family_name,born_on,site,phone,agreed_to_email"
    data = f"{header}\r\nP00001,Ann,O'Brien,1944-05-06,Riverside,+1 212 555 0177,{said}\r\n".encode()
    later = world.now + timedelta(days=1)
    for mode, changed in ((Mode.CHECK, ("phone",)), (Mode.ALL, ("phone",)), (Mode.GOOD, ())):
        report = services.import_patients(data, mode=mode, by=world.clerk, now=later)
        assert [(line.columns, line.kept) for line in report.lines] == [(changed, ("agreed_to_email",))]
    world.patient.refresh_from_db()
    assert (world.patient.consented_at, world.patient.phone) == (None, "+1 212 555 0177")
    with clock(later):
        page = signed_in(world.clerk).post(
            "/admin/patients/patient/import/", {"file": SimpleUploadedFile("p.csv", data, "text/csv")}
        )
    assert [line.kept for line in page.context["noted"]] == [("agreed_to_email",)]


def test_a_later_agreement_counts_in_a_file(world: World) -> None:
    services.withdraw_consent(world.patient.pk, by=world.nurse, now=world.now)
    data = f"{AGREED}P00001,Ann,O'Brien,1944-05-06,Riverside,2027-01-09\r\n".encode()
    report = services.import_patients(data, mode=Mode.ALL, by=None, now=world.now + timedelta(days=2))
    assert [(line.columns, line.kept) for line in report.lines] == [(("agreed_to_email",), ())]
    world.patient.refresh_from_db()
    assert world.patient.consented_at == world.at(date(2027, 1, 9), 0)


def test_what_a_file_took_back_another_file_gives_again(world: World) -> None:
    for said in ("no", "yes"):
        data = f"{AGREED}P00001,Ann,O'Brien,1944-05-06,Riverside,{said}\r\n".encode()
        report = services.import_patients(data, mode=Mode.ALL, by=world.clerk, now=world.now)
        assert [line.columns for line in report.lines] == [("agreed_to_email",)]
    world.patient.refresh_from_db()
    assert world.patient.consented_at == world.now


def test_an_agreement_from_before_does_not_come_back_by_api(world: World) -> None:
    services.withdraw_consent(world.patient.pk, by=world.nurse, now=world.now)
    address, later = f"patients/{world.patient.pk}/", world.now + timedelta(days=1)
    old = call(world.nurse, "PATCH", address, {"consented_at": "2027-01-01T10:00:00-05:00"}, now=later)
    assert faults(old) == [("consented_at", "withdrawn_since")]
    new = call(world.nurse, "PATCH", address, {"consented_at": later.isoformat()}, now=later)
    assert new.status_code == 200


def test_what_was_taken_back_on_a_duplicate_counts_for_the_kept_record(world: World) -> None:
    duplicate = world.another_patient()
    services.withdraw_consent(duplicate.pk, by=world.nurse, now=world.now)
    Patient.objects.filter(pk=duplicate.pk).update(merged_into=world.patient)
    assert withdrawals([world.patient.pk]) == {world.patient.pk: world.now}


def test_a_file_says_that_they_agreed_but_not_to_what(world: World) -> None:
    Patient.objects.update(consent_version=consent.CURRENT)
    header = ",".join(column.name for column in COLUMNS)
    row = "P00001,Ann,O'Brien,1944-05-06,Riverside,,,,2026-05-01,"
    report = services.import_patients(
        f"{header}\r\n{row}\r\n".encode(), mode=Mode.ALL, by=world.clerk, now=world.now
    )
    assert report.saved, report.refusals
    world.patient.refresh_from_db()
    assert (world.patient.consented_at is None, world.patient.consent_version) == (False, "")


def test_a_new_address_is_off_the_worklist(world: World, client: Client) -> None:
    services.note_bounce("ann@example.org", now=world.now)
    dead = world.another_patient(2, email="ann@example.org", died_on="2027-01-02", bounced_at=world.now)
    signed_in(world.clerk, client)

    def listed() -> list[Patient]:
        return list(client.get("/admin/patients/patient/", {"address": "bounced"}).context["cl"].result_list)

    def card() -> int:
        groups = client.get("/admin/").context["overview"]
        (count,) = (c["count"] for g in groups for c in g["cards"] if c["label"] == "addresses to correct")
        return int(count)

    assert (listed(), card()) == ([world.patient], 1)
    assert dead not in listed()
    shown = client.get(page(world.patient))
    assert "E-mail came back" in shown.content.decode()
    sent = filled(shown.context["adminform"].form)
    assert client.post(page(world.patient), sent | {"email": "ann2@example.org"}).status_code == 302
    world.patient.refresh_from_db()
    assert (world.patient.why_no_email, listed(), card()) == ("", [], 0)


def test_staff_may_say_that_the_address_is_right_after_all(world: World, client: Client) -> None:
    services.note_bounce("ann@example.org", now=world.now)
    signed_in(world.clerk, client)
    sent = filled(client.get(page(world.patient)).context["adminform"].form)
    del sent["bounced"]
    assert client.post(page(world.patient), sent).status_code == 302
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == ""


def test_every_sentence_of_the_page_is_there_in_spanish(pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.rootpath / "patients"
    po = polib.pofile(str(folder / "locale/es/LC_MESSAGES/django.po"))
    mo = polib.mofile(str(folder / "locale/es/LC_MESSAGES/django.mo"))
    assert not po.untranslated_entries()
    assert {entry.msgid: entry.msgstr for entry in mo} == {entry.msgid: entry.msgstr for entry in po}
    page = (folder / "templates/patients/unsubscribe.html").read_text()
    said = {part.split('"')[1] for part in page.split("{% translate ")[1:]}
    assert said == {entry.msgid for entry in po}


def test_who_took_their_agreement_back_meanwhile_keeps_nobody_from_another_change(world: World) -> None:
    read_before = Patient.objects.get(pk=world.patient.pk)
    assert read_before.consented_at
    later = world.now + timedelta(days=1)
    services.withdraw_consent(world.patient.pk, by=None, now=later)
    read_before.phone = "+1 512 555 0199"
    services.save(read_before, changed=["phone"], by=world.clerk, now=later)
    world.patient.refresh_from_db()
    assert (world.patient.phone[-4:], world.patient.consented_at) == ("0199", None)
