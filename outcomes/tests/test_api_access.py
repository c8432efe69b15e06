"""Who may use which address: every route of the project, and every route of the API × role × site."""

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from clinic.api.permissions import ANYONE, HasNamedPermission
from clinic.models import Closure, Site, User
from clinic.roles import ADMINISTRATOR, EVERYONE, FRONT_DESK, MANAGER, NURSE, PHYSICIAN
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from outcomes.models import FollowUp
from outcomes.services import raise_alert
from outcomes.tests.api_operations import OPEN_IN_API, operations, routes
from outcomes.tests.factories import recorded_adverse_event
from patients.tests.factories import recorded_opioid_use
from procedures.models import Appointment, ImplantedDevice, Procedure
from procedures.services import book
from procedures.tests.factories import World, device, freed_time, on_waitlist

#: Addresses outside the API at which nobody has to be signed in, each with its reason.
OPEN = {
    "": "sends on to the admin site, which asks for sign-in",
    "admin/login/": "where staff sign in",
    "admin/logout/": "ends a session where there is one",
    "admin/jsi18n/": "translated words of the admin's scripts; nothing about anybody",
    "c/<str:token>/": "the patient's page: the secret in the link is the key",
    "c/<str:token>/stop/": "stops the e-mails of the patient whose link it is",
    "a/<str:token>/": "the patient's page about one appointment: the secret in the link is the key",
    "a/<str:token>/before/": "the same patient's page of questions before the procedure, with the same key",
    "tablet/": "where the clinic's tablet is given its digits: throttled, and opens nothing without them",
    "p/<str:token>/": "the patient of a follow-up, who says that the pain is back: the token is the key",
    "u/<str:token>/": "unsubscribes the patient whose link it is: the signed key in it is the key",
    "webhooks/email/": "a mail service's reports: signed in by the secret of the address, 404 without one",
    "calendar/<str:token>.ics": "a clinician's calendar without patients' names: the secret in the address is the key",
    "health/live": "for machines; says nothing about anybody",
    "health/ready": "for machines; says nothing about anybody",
    "health/jobs": "for machines; says nothing about anybody",
    "api/<path:rest>": "404 for every address that does not exist",
}

EVERY = set(EVERYONE)
STAFF = {FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR}
CLINICIANS = {NURSE, PHYSICIAN, ADMINISTRATOR}
REPORTING = {NURSE, PHYSICIAN, MANAGER, ADMINISTRATOR}
#: Operation → the roles that may. "{pk}" is a row of Riverside.
MAY: dict[str, set[str]] = {
    "GET sites/": EVERY,
    "GET sites/{pk}/": EVERY,
    "GET resources/": EVERY,
    "GET resources/{pk}/": EVERY,
    "GET resources/{pk}/calendar-feed/": EVERY,
    "POST resources/{pk}/calendar-feed/": {FRONT_DESK, PHYSICIAN, MANAGER, ADMINISTRATOR},
    "DELETE resources/{pk}/calendar-feed/": {FRONT_DESK, PHYSICIAN, MANAGER, ADMINISTRATOR},
    "GET procedure-types/": EVERY,
    "GET procedure-types/{code}/": EVERY,
    "GET patients/": EVERY,
    "GET patients/{pk}/": EVERY,
    "POST patients/": STAFF | {MANAGER},
    "PATCH patients/{pk}/": STAFF | {MANAGER},
    "GET patients/{pk}/caregiver/": EVERY,
    "PUT patients/{pk}/caregiver/": STAFF | {MANAGER},
    "POST patients/{pk}/caregiver/revoke/": STAFF | {MANAGER},
    "GET patients/{pk}/merge/": {FRONT_DESK, MANAGER, ADMINISTRATOR},
    "POST patients/{pk}/merge/": {FRONT_DESK, MANAGER, ADMINISTRATOR},
    "POST patients/{pk}/cancel-appointments/": STAFF,
    "GET patients/{patient}/course/": EVERY,
    "GET patients/{patient}/opioids/": EVERY,
    "GET patients/{patient}/opioids/total/": EVERY,
    "GET patients/{patient}/opioids/{pk}/": EVERY,
    "POST patients/{patient}/opioids/": CLINICIANS,
    "POST patients/{patient}/opioids/{pk}/end/": CLINICIANS,
    "POST patients/{patient}/opioids/{pk}/correct/": CLINICIANS,
    "GET slots/": EVERY,
    "GET appointments/": EVERY,
    "GET appointments/{pk}/": EVERY,
    "POST appointments/": STAFF,
    "PATCH appointments/{pk}/": STAFF,
    "POST appointments/{pk}/reschedule/": STAFF,
    "POST appointments/{pk}/cancel/": STAFF,
    "POST appointments/{pk}/accept/": STAFF,
    "POST appointments/{pk}/book/": STAFF,
    "POST appointments/{pk}/settle-change/": STAFF,
    "POST appointments/{pk}/confirm/": STAFF,
    "POST appointments/{pk}/arrive/": STAFF,
    "POST appointments/{pk}/undo-arrival/": STAFF,
    "POST appointments/{pk}/mark-no-show/": STAFF,
    "POST appointments/{pk}/undo-no-show/": STAFF,
    "POST appointments/{pk}/make-ready/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST appointments/{pk}/start/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST appointments/{pk}/to-recovery/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST appointments/{pk}/baselines/": STAFF,
    "POST appointments/{pk}/complete/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST appointments/{pk}/enter-in-error/": {PHYSICIAN, ADMINISTRATOR},
    "GET displaced/": EVERY,
    "POST displaced/": STAFF,
    "GET closures/": EVERY,
    "GET closures/{pk}/": EVERY,
    "GET closures/{pk}/displaced/": EVERY,
    # Physicians and nurses: their own leave; of what is others' the service refuses, code "not_yours".
    "POST closures/": EVERY,
    "POST closures/preview/": EVERY,
    "DELETE closures/{pk}/": EVERY,
    "GET waitlist/": EVERY,
    "GET waitlist/{pk}/": EVERY,
    "POST waitlist/": STAFF,
    "POST waitlist/{pk}/withdraw/": STAFF,
    "POST waitlist/{pk}/still-waiting/": STAFF,
    "POST waitlist/{pk}/book/": STAFF,
    "GET freed-times/": EVERY,
    "GET freed-times/{pk}/": EVERY,
    "POST freed-times/{pk}/dismiss/": STAFF,
    "POST freed-times/{pk}/book/": STAFF,
    "POST imports/patients/": STAFF | {MANAGER},
    "POST imports/appointments/": STAFF,
    "GET procedures/": EVERY,
    "GET procedures/{pk}/": EVERY,
    "POST procedures/{pk}/void/": {PHYSICIAN, ADMINISTRATOR},
    "POST procedures/{pk}/correct-baseline/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST procedures/{pk}/correct-time/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "GET devices/": EVERY,
    "GET devices/{pk}/": EVERY,
    "POST devices/": CLINICIANS,
    "POST devices/{pk}/refill/": CLINICIANS,
    "POST devices/{pk}/check-battery/": CLINICIANS,
    "POST devices/{pk}/explant/": CLINICIANS,
    "POST devices/{pk}/void/": CLINICIANS,
    "GET follow-ups/": EVERY,
    "GET follow-ups/{pk}/": EVERY,
    "POST follow-ups/{pk}/end/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST follow-ups/{pk}/resume/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST follow-ups/{pk}/pain-reports/": {FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST follow-ups/{pk}/end-trial/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST follow-ups/{pk}/tell-apart/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST follow-ups/{pk}/duration/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "GET check-ins/": EVERY,
    "GET check-ins/{pk}/": EVERY,
    "POST check-ins/{pk}/answer/": {FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST check-ins/{pk}/call/": {FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST check-ins/{pk}/correct/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "GET check-ins/{pk}/why/": EVERY,
    "GET calls/": {FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR},
    "GET reports/comparison/": REPORTING,
    "GET reports/overview/": REPORTING,
    "GET reports/procedure/": REPORTING,
    "GET reports/response/": REPORTING,
    "GET reports/worklists/{code}/": EVERY,
    "GET sending/": {FRONT_DESK, MANAGER, ADMINISTRATOR},
    "GET alerts/": EVERY,
    "GET alerts/{pk}/": EVERY,
    "POST alerts/{pk}/acknowledge/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST alerts/{pk}/hand-over/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST alerts/{pk}/snooze/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "POST alerts/{pk}/resolve/": {NURSE, PHYSICIAN, ADMINISTRATOR},
    "GET adverse-events/": EVERY,
    "GET adverse-events/{pk}/": EVERY,
    "POST adverse-events/": CLINICIANS,
    "POST adverse-events/{pk}/correct/": CLINICIANS,
    "POST adverse-events/{pk}/void/": CLINICIANS,
}
#: For whoever is signed in, whatever the role: what it shows is about themselves, or about nobody.
SIGNED_IN = {"GET me/", "GET schema/", "GET docs/", "DELETE token/"}
#: Rows that belong to who asked for them, and not to a site: see outcomes/tests/test_exports.py.
OWN = {
    *("GET exports/", "POST exports/", "GET exports/{pk}/"),
    *("GET exports/{pk}/download/", "GET exports/dictionary/"),
}
#: What an address has to be asked.
QUERIES = {
    "slots/": "?procedure_type=rfa_facet&starts_from=2027-01-11T00:00:00Z&starts_before=2027-01-13T00:00:00Z",
    "patients/{pk}/merge/": "?duplicate={other}",
    "reports/comparison/": "?dimension=intent&one=therapeutic&other=trial",
}
#: The same at every site, or an answer that counts what is there: nothing.
EVERYWHERE = {"GET procedure-types/", "GET procedure-types/{code}/", "GET sending/"} | {
    f"GET reports/{name}/" for name in ("comparison", "overview", "procedure", "response")
}


def test_every_operation_of_the_api_demands_a_permission_by_name() -> None:
    opened = set()
    for operation, view, action in operations():
        assert view.permission_classes == [HasNamedPermission], operation
        needed = getattr(view, "permissions_needed", {}).get(action)
        assert needed, f"{operation} names no permission"
        if needed == ANYONE:
            opened.add(operation)
    assert opened == set(OPEN_IN_API)


def test_every_operation_of_the_api_is_in_the_table() -> None:
    assert {operation for operation, *_ in operations()} == set(MAY) | SIGNED_IN | OWN | set(OPEN_IN_API)


def test_every_other_address_asks_for_sign_in_or_is_open_for_a_reason(world: World) -> None:
    client = Client()
    for route, view in routes():
        if hasattr(view, "cls") or route in OPEN:
            continue
        assert route.startswith("admin/"), f"{route} is neither listed as open nor known to be shut"
        path = "/" + re.sub(r"<[^>]+>|\(\?P?[^)]*\)", "1", route)
        response = client.get(path)
        assert response.status_code == 302, path
        assert response["Location"].startswith("/admin/login/"), path


#: What a role may with what is their own; the row of the test is nobody's.
WITH_THEIR_OWN = {
    "POST resources/{pk}/calendar-feed/": {PHYSICIAN},
    "DELETE resources/{pk}/calendar-feed/": {PHYSICIAN},
}


def test_each_role_may_what_the_table_says_at_its_own_site_only(world: World) -> None:
    procedure = world.performed()
    check_in = procedure.follow_up.check_ins.all()[0]
    check_in.opens_at = check_in.due_at = check_in.call_at = world.now
    check_in.save()
    FollowUp.objects.update(verdict="unknown")  # on the worklist of the silent
    rows = {
        "sites": world.site.pk,
        "resources": world.room.pk,
        "patients": world.patient.pk,
        "appointments": procedure.appointment_id,
        "procedures": procedure.pk,
        "follow-ups": procedure.follow_up.pk,
        "check-ins": check_in.pk,
        "alerts": raise_alert(procedure.follow_up, "worse", now=world.now).pk,  # type: ignore[union-attr]
        "opioids": recorded_opioid_use(world).pk,
        "devices": pump(procedure).pk,
        "adverse-events": recorded_adverse_event(world, procedure.follow_up).pk,
        "waitlist": on_waitlist(world).pk,
        "freed-times": freed_time(world, starts_at=world.at(MONDAY, 13)).pk,
        "closures": Closure.objects.create(
            site=world.site, starts_at=world.now, ends_at=world.at(MONDAY, 8), reason="Works"
        ).pk,
    }
    other = world.another_patient(88)
    lost = world.appointment(patient=other, starts_at=world.at(MONDAY, 15))
    book(lost, by=world.clerk, now=world.now)
    Appointment.objects.filter(pk=lost.pk).update(displaced_reason="closed")
    elsewhere = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    people: list[tuple[str, Site | None, User | None]] = [("", None, None)]
    for number, role in enumerate(EVERYONE):
        for site in (world.site, elsewhere):
            people.append((role, site, staff(f"{number}@{site.pk}.example.org", role, site)))
    seen, expected = {}, {}
    for operation, allowed in MAY.items():
        method, path = operation.split()
        # "{pk}" is a row of the collection that stands before it.
        pk = rows.get(path.partition("/{pk}")[0].rpartition("/")[2])
        code = "silent" if path.startswith("reports/") else "rfa_facet"
        asked = path + QUERIES.get(path, "")
        path = asked.format(pk=pk, patient=world.patient.pk, code=code, other=other.pk)
        for role, at, user in people:
            case = f"{operation} as {role or 'nobody'} of {at or 'nowhere'}"
            inputs: dict[str, Any] | None = None if method == "GET" else {}
            with transaction.atomic():  # the next one finds what this one found
                seen[case] = outcome(call(user, method, path, inputs, now=world.now))
                transaction.set_rollback(True)
            if user is None:
                expected[case] = "401"
            elif role not in allowed or (at == world.site and role in WITH_THEIR_OWN.get(operation, ())):
                expected[case] = "403"
            elif at == elsewhere and operation not in EVERYWHERE:
                if "{pk}" in operation or "{patient}" in operation:
                    expected[case] = "404"
                else:
                    # Its own site is all that a site of no patients and no rooms has to show.
                    expected[case] = (
                        "done" if operation == "GET sites/" else "nothing" if method == "GET" else "reached"
                    )
            else:
                expected[case] = "done" if method == "GET" else "reached"
    assert seen == expected
    assert len(seen) == len(MAY) * 11


def pump(procedure: Procedure) -> ImplantedDevice:
    """A device of a procedure that really leaves none."""
    kept = device(procedure, recorded_at=procedure.recorded_at)
    kept.save()
    return kept


def outcome(response: Any) -> str:
    """The response in a word. "reached": the service or the form had the last word, not the permission."""
    if response.status_code == 200 and response.request["REQUEST_METHOD"] == "GET":
        return "nothing" if response.json().get("results") == [] else "done"
    # 415: an import that was brought no form.
    return "reached" if response.status_code in (200, 201, 204, 400, 415) else str(response.status_code)


@pytest.mark.parametrize("operation", sorted(SIGNED_IN))
def test_what_everybody_may_needs_a_sign_in(world: World, operation: str) -> None:
    method, path = operation.split()
    response = call(None, method, path, now=world.now)
    assert response.status_code == (302 if path == "docs/" else 401)
