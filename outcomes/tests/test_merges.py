"""Two records of one patient become one: everything moves, nothing is lost, and what clashes is settled first."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from clinic import outbox, roles
from clinic.csv_import.imports import Mode
from clinic.models import AuditEvent, OutgoingEmail, Site
from clinic.tests.admin_client import clock, filled, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from outcomes.models import Alert, CheckIn, CourseSummary, FollowUp
from outcomes.services import invite_due, issue_link, open_link, raise_alert
from outcomes.services.follow_ups import mark_closed
from patients import consent, services
from patients.models import FormerAddress, OpioidUse, Patient
from patients.services.merges import write_down
from patients.tests.caregiving import caregiver
from patients.unsubscribe import open_unsubscribe_link, unsubscribe_url
from procedures.models import Appointment, WaitlistEntry
from procedures.services import book, cancel, join_waitlist
from procedures.services.imports import import_appointments
from procedures.services.notifications import issue_link as issue_appointment_link
from procedures.services.notifications import open_link as open_appointment_link
from procedures.tests.factories import World

LATER = timedelta(days=60)


@pytest.fixture
def duplicate(world: World) -> Patient:
    """A second record of the world's patient, with another address."""
    return world.another_patient(
        given_name="Anne", family_name="OBrien", born_on=world.patient.born_on, phone="+1 212 555 0177"
    )


def merge(world: World, duplicate: Patient, **how: Any) -> services.Merged:
    defaults: dict[str, Any] = {"by": world.clerk, "now": world.now + LATER}
    return services.merge(duplicate.pk, world.patient.pk, **defaults | how)


def codes(act: Any) -> set[str]:
    """The codes of what a merge is refused for."""
    with pytest.raises(ValidationError) as caught:
        act()
    found: Any = caught.value
    return {str(row.code) for row in found.error_list}


def opioid(world: World, patient: Patient) -> OpioidUse:
    use = OpioidUse(
        patient=patient,
        drug="oxycodone",
        dose=Decimal(20),
        prescription="10 mg twice",
        from_on=date(2027, 1, 1),
    )
    return services.record_opioid_use(use, by=world.nurse, now=world.now)


def wait(world: World, patient: Patient, **values: Any) -> WaitlistEntry:
    wish = WaitlistEntry(
        patient=patient,
        procedure_type=world.ablation,
        region="lumbar",
        laterality="left",
        earliest_on=MONDAY,
        **values,
    )
    return join_waitlist(wish, sites=(), clinicians=(), by=world.clerk, now=world.now)


def everything(world: World, patient: Patient) -> None:
    """A row of every table that belongs to a patient."""
    follow_up = FollowUp.objects.get(procedure=world.performed(patient=patient))
    assert raise_alert(follow_up, Alert.Kind.SILENT, now=world.now + timedelta(days=9))
    opioid(world, patient)
    wait(world, patient)
    FormerAddress.objects.create(
        patient=patient, email="old@example.org", unsubscribe_key=uuid4(), replaced_at=world.now
    )


def columns() -> set[tuple[str, str]]:
    """Every column of every table that names a patient, as the database knows them; without the history's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)"
            " WHERE c.contype = 'f' AND c.confrelid = 'patients_patient'::regclass"
        )
        return set(cursor.fetchall())


def test_every_foreign_key_to_a_patient_is_merged(world: World, duplicate: Patient) -> None:
    everything(world, duplicate)
    caregiver(world, patient=duplicate)
    tables = columns() - {("patients_patient", "merged_into_id")}
    assert {model._meta.db_table for model in apps.get_models() if hasattr(model, "patient_id")} >= {
        table for table, _column in tables
    }

    def count(patient: Patient) -> dict[str, int]:
        found = {}
        with connection.cursor() as cursor:
            for table, column in tables:
                cursor.execute(f'SELECT COUNT(*) FROM {table} WHERE "{column}" = %s', [patient.pk])
                found[f"{table}.{column}"] = cursor.fetchone()[0]
        return found

    before = count(duplicate)
    assert all(before.values()), f"make a row in {before} before it is merged"
    merge(world, duplicate)
    assert not any(count(duplicate).values())
    before["patients_formeraddress.patient_id"] += 1  # the duplicate's own
    assert count(world.patient) == before
    assert {(field.model._meta.db_table, field.column) for field in services.pointers()} == tables


def test_the_trail_lists_what_moved(world: World, duplicate: Patient) -> None:
    everything(world, duplicate)
    merged = merge(world, duplicate)
    for row in merged.moved["procedures.appointment"]:
        assert AuditEvent.objects.filter(
            action="patient.absorbed", object_id=world.patient.pk, reason=f"procedures.appointment: {row}"
        ).exists()
    event = AuditEvent.objects.get(action="patient.merged")
    assert (event.object_id, event.by, event.reason) == (
        duplicate.pk,
        world.clerk,
        f"into patient {world.patient.pk}",
    )


def test_the_trail_lists_all_of_many(world: World, duplicate: Patient) -> None:
    numbers = list(range(100_000, 100_300))
    write_down(duplicate, world.patient, {"a.b": numbers}, (), by=world.clerk, now=world.now)
    reasons = (
        AuditEvent.objects.filter(reason__startswith="a.b:").order_by("pk").values_list("reason", flat=True)
    )
    assert [int(row) for reason in reasons for row in reason.split()[1:]] == numbers


def test_what_is_chosen_is_taken_and_the_rest_stays(world: World, duplicate: Patient) -> None:
    merge(world, duplicate, take=["phone", "given_name"])
    kept = Patient.objects.get(pk=world.patient.pk)
    assert (kept.given_name, kept.phone) == ("Anne", "+1 212 555 0177")
    assert (kept.family_name, kept.email, kept.record_number) == ("O'Brien", "ann@example.org", "P00001")
    assert codes(lambda: merge(world, duplicate, take=["consented_at"])) == {"unknown_choice"}


@pytest.mark.parametrize("whose", ["kept", "duplicate"])
@pytest.mark.parametrize("field", ["opted_out_at", "died_on"])
def test_a_stop_and_a_death_are_never_lost(world: World, duplicate: Patient, field: str, whose: str) -> None:
    row = world.patient if whose == "kept" else duplicate
    value = date(2027, 1, 5) if field == "died_on" else world.now
    Patient.objects.filter(pk=row.pk).update(**{field: value})
    merge(world, duplicate)
    assert getattr(Patient.objects.get(pk=world.patient.pk), field) == value


@pytest.mark.parametrize("whose", ["kept", "duplicate"])
@pytest.mark.parametrize("field", ["consented_at", "sms_consented_at"])
def test_only_what_both_agreed_to_is_agreed(world: World, duplicate: Patient, field: str, whose: str) -> None:
    both = world.now - timedelta(days=9)
    Patient.objects.update(consented_at=both, consent_version=consent.CURRENT, sms_consented_at=both)
    row = world.patient if whose == "kept" else duplicate
    Patient.objects.filter(pk=row.pk).update(**{field: None, "consent_version": ""})
    merge(world, duplicate)
    kept = Patient.objects.get(pk=world.patient.pk)
    assert getattr(kept, field) is None
    other = {"consented_at", "sms_consented_at"} - {field}
    assert getattr(kept, other.pop()) == both


def test_a_bounce_goes_with_its_address(world: World, duplicate: Patient) -> None:
    Patient.objects.filter(pk=duplicate.pk).update(bounced_at=world.now)
    with transaction.atomic():
        merge(world, duplicate)
        assert Patient.objects.get(pk=world.patient.pk).bounced_at is None
        transaction.set_rollback(True)
    merge(world, duplicate, take=["email"])
    assert Patient.objects.get(pk=world.patient.pk).bounced_at == world.now


def test_merging_on_repoints_what_was_merged_before(world: World, duplicate: Patient) -> None:
    third = world.another_patient(3)
    merge(world, duplicate)
    services.merge(world.patient.pk, third.pk, by=world.clerk, now=world.now + LATER)
    assert set(Patient.objects.filter(merged_into=third)) == {world.patient, duplicate}


def test_circles_and_pairs_that_cannot_be_are_refused(world: World, duplicate: Patient) -> None:
    third = world.another_patient(3)
    assert codes(lambda: merge(world, world.patient)) == {"same_record"}
    merge(world, duplicate)
    back = lambda: services.merge(world.patient.pk, duplicate.pk, by=None, now=world.now)  # noqa: E731
    assert codes(back) == {"patient_not_current"}
    assert codes(lambda: merge(world, duplicate)) == {"merged_already"}
    elsewhere = lambda: services.merge(duplicate.pk, third.pk, by=None, now=world.now)  # noqa: E731
    assert codes(elsewhere) == {"merged_already"}


def test_the_database_refuses_circles_and_chains(world: World, duplicate: Patient) -> None:
    third = world.another_patient(3)
    Patient.objects.filter(pk=duplicate.pk).update(merged_into=world.patient)
    for row, into in ((world.patient, duplicate), (world.patient, third), (third, duplicate)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Patient.objects.filter(pk=row.pk).update(merged_into=into)


def test_two_appointments_at_once_are_settled_first(world: World, duplicate: Patient) -> None:
    book(world.appointment(), by=world.clerk, now=world.now)
    made = Appointment.objects.get()
    made.pk, made.patient, made.request_key = None, duplicate, ""
    made.save(force_insert=True)
    assert codes(lambda: merge(world, duplicate)) == {"appointments_overlap"}
    assert Patient.objects.get(pk=duplicate.pk).merged_into is None
    cancel(made.pk, reason="recorded twice", by=world.clerk, now=world.now)
    merge(world, duplicate)
    assert Appointment.objects.filter(patient=world.patient).count() == 2


def test_a_booking_that_was_under_way_does_not_come_to_the_merged_record(
    world: World, duplicate: Patient
) -> None:
    before = Patient.objects.get(pk=duplicate.pk)
    merge(world, duplicate)
    assert codes(lambda: book(world.appointment(patient=before), by=world.clerk, now=world.now)) == {"taken"}
    assert not Appointment.objects.exists()


def test_two_courses_of_one_region_are_settled_first(world: World, duplicate: Patient) -> None:
    world.performed()
    world.performed(patient=duplicate, day=MONDAY + timedelta(days=7))
    assert codes(lambda: merge(world, duplicate)) == {"courses_overlap"}
    first = FollowUp.objects.get(patient=world.patient)
    mark_closed(first, FollowUp.Closed.OTHER_CARE, at=world.now + timedelta(days=30))
    merge(world, duplicate)
    assert FollowUp.objects.filter(patient=world.patient).count() == 2


def test_courses_of_two_sides_meet_no_obstacle(world: World, duplicate: Patient) -> None:
    world.performed()
    world.performed(patient=duplicate, day=MONDAY + timedelta(days=7), laterality="right")
    merge(world, duplicate)
    assert FollowUp.objects.filter(patient=world.patient, closed_at=None).count() == 2
    assert CourseSummary.objects.filter(patient=world.patient).count() == 2


def test_the_same_wait_and_the_same_opioid_are_settled_first(world: World, duplicate: Patient) -> None:
    for patient in (world.patient, duplicate):
        opioid(world, patient)
        wait(world, patient)
    assert codes(lambda: merge(world, duplicate)) == {"waiting_twice", "opioid_twice"}


def test_what_nobody_thought_of_is_refused_and_nothing_moves(
    world: World, duplicate: Patient, monkeypatch: Any
) -> None:
    for patient in (world.patient, duplicate):
        opioid(world, patient)
    monkeypatch.setattr("patients.services.merges.opioids_twice", lambda *_: [])
    assert codes(lambda: merge(world, duplicate)) == {"not_settled"}
    assert OpioidUse.objects.filter(patient=duplicate).exists()


def test_links_to_the_dropped_address_end_and_the_question_goes_to_the_other(
    world: World, duplicate: Patient
) -> None:
    world.performed(patient=duplicate)
    now = world.at(MONDAY + timedelta(days=1), 11)
    invite_due(now=now)
    asked = CheckIn.objects.get(status=CheckIn.Status.INVITED)
    email = OutgoingEmail.objects.get(contact_attempts__check_in=asked)
    token = issue_link(asked, now=now)
    coming = book(
        world.appointment(patient=duplicate, starts_at=world.at(MONDAY + timedelta(days=30), 9)),
        by=world.clerk,
        now=now,
    )
    shown = issue_appointment_link(coming, now=now)
    assert open_link(token, now=now)
    merge(world, duplicate, now=now)
    assert open_link(token, now=now) is None
    assert open_appointment_link(shown, now=now) is None
    email.refresh_from_db()
    assert email.status == "queued"
    outbox.send_due(now=now)
    assert {address for message in mail.outbox for address in message.to} == {"ann@example.org"}


def test_links_stay_where_the_address_stays(world: World, duplicate: Patient) -> None:
    world.performed(patient=duplicate)
    now = world.at(MONDAY + timedelta(days=1), 11)
    invite_due(now=now)
    token = issue_link(CheckIn.objects.get(status=CheckIn.Status.INVITED), now=now)
    merge(world, duplicate, take=["email"], now=now)
    assert open_link(token, now=now)


def test_a_sent_question_is_asked_again_at_the_new_address(world: World, duplicate: Patient) -> None:
    world.performed(patient=duplicate)
    now = world.at(MONDAY + timedelta(days=1), 11)
    invite_due(now=now)
    OutgoingEmail.objects.update(status="sent", sent_at=now)
    merge(world, duplicate, now=now)
    asked = CheckIn.objects.get(status=CheckIn.Status.INVITED)
    again = OutgoingEmail.objects.get(contact_attempts__check_in=asked, status="queued")
    assert (again.to, again.template) == ("ann@example.org", "outcomes.emails.invitation")


@pytest.mark.parametrize("how", ["died", "opted_out", "no_consent"])
def test_links_of_both_end_with_a_death_or_a_wish_that_the_duplicate_brings(
    world: World, duplicate: Patient, how: str
) -> None:
    """A merge is a door as well: what voids links when it is recorded voids them when it comes with a merge."""
    world.performed()
    now = world.at(MONDAY + timedelta(days=1), 11)
    invite_due(now=now)
    token = issue_link(CheckIn.objects.get(status=CheckIn.Status.INVITED), now=now)
    values: dict[str, Any] = {
        "died": {"died_on": MONDAY},
        "opted_out": {"opted_out_at": now},
        "no_consent": {"consented_at": None, "consent_version": ""},
    }
    Patient.objects.filter(pk=duplicate.pk).update(**values[how])
    assert open_link(token, now=now)
    merge(world, duplicate, now=now)
    assert open_link(token, now=now) is None


def test_a_coming_appointment_is_told_at_the_address_that_counts(world: World, duplicate: Patient) -> None:
    coming = world.appointment(patient=duplicate, starts_at=world.at(MONDAY + timedelta(days=30), 9))
    book(coming, by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    mail.outbox.clear()
    merge(world, duplicate, now=world.now)
    outbox.send_due(now=world.now)
    assert [message.to for message in mail.outbox] == [["ann@example.org"]]


def test_unsubscribing_from_the_duplicates_letters_stops_the_kept_record(world: World) -> None:
    duplicate = world.another_patient(email=world.patient.email.upper())
    token = unsubscribe_url(duplicate).rstrip("/").rsplit("/", 1)[1]
    merge(world, duplicate)
    assert open_unsubscribe_link(token) == world.patient
    services.opt_out(duplicate.pk, by=None, now=world.now)
    assert Patient.objects.get(pk=world.patient.pk).opted_out_at


@pytest.mark.parametrize("corrected", [False, True])
def test_the_reader_of_an_address_that_a_merge_dropped_stops_that_one_alone(
    world: World, client: Client, corrected: bool
) -> None:
    duplicate = world.another_patient(email=world.patient.email if corrected else "wrong@example.org")
    asked = CheckIn.objects.filter(follow_up__procedure=world.performed(patient=duplicate))[0]
    token = issue_link(asked, now=world.now)
    header = unsubscribe_url(duplicate).removeprefix("http://testserver")
    merge(world, duplicate)
    third = world.another_patient(3, email="third@example.org")
    if corrected:
        patient = Patient.objects.get(pk=world.patient.pk)
        patient.email = "new@example.org"
        services.save(patient, changed=["email"], by=world.clerk, now=world.now + LATER)
    services.merge(world.patient.pk, third.pk, by=world.clerk, now=world.now + LATER)
    for path in (f"/c/{token}/stop/", header, f"/c/{token}/stop/"):
        assert client.get(path).status_code == client.post(path).status_code == 200
    services.note_stop(duplicate.email, reason="complained", now=world.now + LATER)
    assert set(Patient.objects.values_list("opted_out_at", flat=True)) == {None}
    stopped = FormerAddress.objects.get(stopped_at__isnull=False)
    assert (stopped.email, stopped.patient) == (duplicate.email, third)


def test_what_was_merged_cannot_be_changed_and_is_found_by_its_number(
    world: World, duplicate: Patient
) -> None:
    merge(world, duplicate)
    duplicate.refresh_from_db()
    assert codes(lambda: services.save(duplicate, by=world.clerk, now=world.now)) == {"patient_not_current"}
    for typed in ("P00002", "obrien anne", "P00001"):
        assert list(Patient.objects.found_by(typed)) == [world.patient]


def test_a_pair_that_was_only_marked_is_finished(world: World, duplicate: Patient) -> None:
    everything(world, duplicate)
    Patient.objects.filter(pk=duplicate.pk).update(merged_into=world.patient)
    CheckIn.objects.filter(offset_minutes=92 * 1440).update(not_sent_reason="merged")
    merge(world, duplicate)
    assert FollowUp.objects.filter(patient=world.patient).exists()
    assert CheckIn.objects.get(offset_minutes=92 * 1440).not_sent_reason == ""


def test_merging_through_the_api(world: World, duplicate: Patient) -> None:
    everything(world, duplicate)
    path, now = f"patients/{world.patient.pk}/merge/", world.now + LATER
    preview = call(world.clerk, "GET", f"{path}?duplicate={duplicate.pk}", now=now)
    assert preview.status_code == 200, preview.json()
    assert preview.json()["obstacles"] == []
    assert set(preview.json()["moves"]) >= {"procedures.appointment", "outcomes.followup"}
    said = {"duplicate": duplicate.pk, "take": ["phone"]}
    done = call(world.clerk, "POST", path, said, now=now)
    assert done.status_code == 200, done.json()
    assert done.json()["kept"]["phone"] == "+1 212 555 0177"
    assert done.json()["moved"] == preview.json()["moves"]
    again = call(world.clerk, "POST", path, said, now=now)
    assert (again.status_code, faults(again)) == (409, [("duplicate", "merged_already")])


def test_the_api_lists_what_must_be_settled(world: World, duplicate: Patient) -> None:
    for patient in (world.patient, duplicate):
        opioid(world, patient)
        wait(world, patient)
    path = f"patients/{world.patient.pk}/merge/"
    listed = call(world.clerk, "GET", f"{path}?duplicate={duplicate.pk}", now=world.now).json()["obstacles"]
    assert {row["code"] for row in listed} == {"opioid_twice", "waiting_twice"}
    refused = call(world.clerk, "POST", path, {"duplicate": duplicate.pk}, now=world.now)
    assert refused.status_code == 409
    assert set(faults(refused)) == {("", "opioid_twice"), ("", "waiting_twice")}


def test_only_who_may_merge_and_sees_both_can(world: World, duplicate: Patient) -> None:
    hillside = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    path, said = f"patients/{world.patient.pk}/merge/", {"duplicate": duplicate.pk}
    assert call(world.nurse, "POST", path, said, now=world.now).status_code == 403
    stranger = staff("stranger@example.org", roles.FRONT_DESK, hillside)
    assert call(stranger, "POST", path, said, now=world.now).status_code == 404
    Patient.objects.filter(pk=duplicate.pk).update(site=hillside)
    for method, where, body in (("POST", path, said), ("GET", f"{path}?duplicate={duplicate.pk}", None)):
        response = call(world.clerk, method, where, body, now=world.now)
        assert faults(response) == [("duplicate", "does_not_exist")]
    page = f"/admin/patients/patient/{world.patient.pk}/merge/{duplicate.pk}/"
    assert signed_in(world.clerk).get(page).status_code == 404
    assert signed_in(world.nurse).get(page).status_code == 403


def test_merging_at_the_desk(world: World, duplicate: Patient, client: Client) -> None:
    everything(world, duplicate)
    signed_in(world.clerk, client)
    with clock(world.now + LATER):
        base = f"/admin/patients/patient/{world.patient.pk}/"
        assert f"{base}merge/" in client.get(f"{base}change/").content.decode()
        found = client.get(f"{base}merge/", {"q": "obrien"})
        assert [row["patient"] for row in found.context["found"]] == [duplicate]
        page = client.get(f"{base}merge/{duplicate.pk}/")
        form = page.context["form"]
        assert set(form.fields) == {"family_name", "given_name", "phone", "email"}
        assert form["phone"].value() == "duplicate"
        assert not Patient.objects.filter(merged_into__isnull=False).exists()
        done = client.post(
            f"{base}merge/{duplicate.pk}/", filled(form) | {"given_name": "duplicate"}, follow=True
        )
    assert done.redirect_chain == [(f"{base}change/", 302)]
    assert "1 appointment" in words(done)
    kept = Patient.objects.get(pk=world.patient.pk)
    assert (kept.given_name, kept.phone, kept.email) == ("Anne", "+1 212 555 0177", "ann@example.org")
    old = client.get(f"/admin/patients/patient/{duplicate.pk}/change/")
    assert f"/admin/patients/patient/{kept.pk}/change/" in old.content.decode()
    assert client.post(f"/admin/patients/patient/{duplicate.pk}/change/", {}).status_code == 403


def test_the_desk_lists_what_must_be_settled_and_merges_nothing(world: World, duplicate: Patient) -> None:
    for patient in (world.patient, duplicate):
        wait(world, patient)
    client, page = signed_in(world.clerk), f"/admin/patients/patient/{world.patient.pk}/merge/{duplicate.pk}/"
    assert [row.code for row in client.get(page).context["obstacles"]] == ["waiting_twice"]
    assert (
        client.post(
            page, {"family_name": "kept", "given_name": "kept", "phone": "kept", "email": "kept"}
        ).status_code
        == 422
    )
    assert not Patient.objects.filter(merged_into__isnull=False).exists()


def test_nobody_marks_a_record_as_merged_on_its_form(
    world: World, duplicate: Patient, client: Client
) -> None:
    signed_in(world.clerk, client)
    form = client.get(f"/admin/patients/patient/{world.patient.pk}/change/").context["adminform"].form
    assert "merged_into" not in form.fields


def test_an_import_by_the_old_number_finds_the_kept_record(world: World, duplicate: Patient) -> None:
    merge(world, duplicate)
    header = "record_number,given_name,family_name,born_on,site,phone"
    row = f"P00002,Ann,O'Brien,{world.patient.born_on},Riverside,+1 212 555 0188"
    data = f"{header}\n{row}\n".encode()
    report = services.import_patients(data, mode=Mode.ALL, by=world.clerk, now=world.now)
    assert report.saved, report.refusals
    assert Patient.objects.get(pk=world.patient.pk).phone == "+1 212 555 0188"
    day = MONDAY + timedelta(days=14)
    data = (
        "record_number,procedure_type,site,date,time,region,side\n"
        f"P00002,rfa_facet,Riverside,{day},09:00,lumbar,left\n"
    ).encode()
    booked = import_appointments(data, mode=Mode.ALL, by=world.clerk, now=world.now)
    assert booked.saved, booked.refusals
    assert Appointment.objects.get(starts_at__date=day).patient == world.patient
