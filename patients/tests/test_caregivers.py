"""Who answers for a patient: recorded, changed and revoked at the front desk and by API, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client

from clinic import roles
from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, queries, signed_in
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from patients import services
from patients.models import Caregiver, FormerAddress, Patient
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures.tests.factories import World

SAID: dict[str, Any] = {
    "name": "Rosa García",
    "relation": "child",
    "email": DAUGHTER,
    "language": "es",
    "consented_at": "2027-01-08T10:00:00Z",
    "consent_version": "1",
    "permitted_by": "patient",
    "permitted_on": "2027-01-07",
}


def api(world: World, method: str, data: Any = None, path: str = "", user: Any = None, **how: Any) -> Any:
    address = f"patients/{world.patient.pk}/caregiver/{path}"
    return call(user or world.clerk, method, address, data, now=how.pop("now", world.now), **how)


def test_a_caregiver_from_the_recording_to_the_revocation_by_api(world: World) -> None:
    assert api(world, "GET").json() == {"asked": "patient", "caregiver": None}
    made = api(world, "PUT", SAID)
    assert made.status_code == 200
    told = made.json()
    assert (told["asked"], told["caregiver"]["why_no_email"]) == ("caregiver", "")
    assert made["ETag"] == api(world, "GET")["ETag"]
    changed = api(
        world, "PUT", SAID | {"email": "rosa@example.org", "consented_at": None, "consent_version": ""}
    )
    told = changed.json()
    assert (told["asked"], told["caregiver"]["why_no_email"]) == ("patient", "no_consent")
    assert Caregiver.objects.count() == 1
    over = api(world, "POST", {"reason": "moved away"}, "revoke/")
    assert over.json() == {"asked": "patient", "caregiver": None}
    again = api(world, "POST", {"reason": "moved away"}, "revoke/")
    assert (again.status_code, again.json()["code"]) == (409, "revoked_already")
    actions = AuditEvent.objects.filter(object_type="patients.caregiver").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        *("caregiver.recorded", "caregiver.consented", "caregiver.changed"),
        *("caregiver.consent_withdrawn", "caregiver.revoked"),
    ]
    assert "Rosa" not in str(list(actions.values()))
    daughter = Caregiver.objects.get()
    assert (daughter.revoked_by, daughter.revoked_reason) == (world.clerk, "moved away")
    assert daughter.events.count() == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"email": "PATIENT"}, ("email", "address_of_patient")),
        ({"email": ""}, ("email", "blank")),
        ({"email": "nobody"}, ("email", "invalid")),
        ({"relation": "neighbor"}, ("relation", "invalid_choice")),
        ({"permitted_by": "nobody"}, ("permitted_by", "invalid_choice")),
        ({"permitted_on": "2027-01-09"}, ("permitted_on", "in_the_future")),
        ({"consented_at": "2027-02-01T10:00:00Z"}, ("consented_at", "in_the_future")),
        ({"consent_version": "99"}, ("consent_version", "unknown_consent_version")),
        ({"name": "=1+1"}, ("name", "formula")),
    ],
)
def test_what_is_refused(world: World, said: dict[str, str], refused: tuple[str, str]) -> None:
    own = {"email": world.patient.email.upper()} if said.get("email") == "PATIENT" else {}
    answer = api(world, "PUT", SAID | said | own)
    assert answer.status_code == 400
    assert faults(answer) == [refused]
    assert not Caregiver.objects.exists()


def test_who_may_not_change_the_patient_may_not_change_the_caregiver(world: World) -> None:
    world.nurse.groups.clear()
    assert api(world, "PUT", SAID, user=world.nurse, **{"If-Match": '"x"'}).status_code == 403
    with clock(world.now):
        path = f"/admin/patients/patient/{world.patient.pk}/caregiver/"
        assert signed_in(world.nurse).get(path).status_code == 403
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1 312 555 0100")
    stranger = staff("stranger@example.org", roles.FRONT_DESK, elsewhere)
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "revoke/")):
        tag = {"If-Match": '"x"'}
        assert api(world, method, SAID, path, user=stranger, **tag).status_code == 404
    browser = signed_in(stranger)
    with clock(world.now):
        assert browser.get(f"/admin/patients/patient/{world.patient.pk}/caregiver/").status_code == 404


def test_nobody_changes_by_api_what_they_have_not_read(world: World) -> None:
    tag = api(world, "GET")["ETag"]
    assert api(world, "PUT", SAID, **{"If-Match": tag}).status_code == 200
    late = api(world, "PUT", SAID | {"name": "Somebody Else"}, **{"If-Match": tag})
    assert late.status_code == 412
    assert Caregiver.objects.get().name == "Rosa García"


def test_one_stands_and_the_database_holds_it(world: World) -> None:
    daughter = caregiver(world)
    with pytest.raises(Refusal) as refused:
        caregiver(world, email="son@example.org")
    assert refused.value.code == "caregiver_already"
    with pytest.raises(IntegrityError), transaction.atomic():
        Caregiver.objects.create(
            patient=world.patient,
            email="son@example.org",
            permitted_on=world.now.date(),
            recorded_at=world.now,
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Caregiver.objects.update(revoked_at=world.now)  # nobody says why
    with pytest.raises(DatabaseError), transaction.atomic():
        daughter.delete()
    for reason, code in (("  ", "reason_required"), ("x" * 501, "reason_too_long")):
        with pytest.raises(Refusal) as refused:
            services.revoke_caregiver(daughter.pk, reason=reason, by=world.clerk, now=world.now)
        assert refused.value.code == code
    services.revoke_caregiver(daughter.pk, reason="x", by=world.clerk, now=world.now)
    caregiver(world, email="son@example.org")
    with pytest.raises(Refusal) as refused:
        services.save_caregiver(daughter, changed=["name"], by=world.clerk, now=world.now)
    assert refused.value.code == "revoked_already"


def test_a_patient_does_not_take_the_caregivers_address(world: World) -> None:
    caregiver(world)
    refused = call(
        world.clerk, "PATCH", f"patients/{world.patient.pk}/", {"email": DAUGHTER.upper()}, now=world.now
    )
    assert faults(refused) == [("email", "address_of_caregiver")]


def test_nobody_new_answers_for_who_has_died(world: World) -> None:
    Patient.objects.update(died_on=world.now.date())
    assert faults(api(world, "PUT", SAID)) == [("patient", "deceased")]


def test_an_address_whose_reader_wants_no_e_mail_stays_silent(world: World) -> None:
    daughter = caregiver(world)
    services.opt_out_caregiver(daughter.pk, reason="unsubscribed", now=world.now)
    services.revoke_caregiver(daughter.pk, reason="moved away", by=world.clerk, now=world.now)
    assert FormerAddress.objects.get().stopped_at == world.now
    again = caregiver(world, now=world.now + timedelta(days=1))
    assert again.why_no_email == "opted_out"


def test_the_desk_records_changes_and_revokes(world: World, client: Client) -> None:
    desk, patient = signed_in(world.clerk, client), f"/admin/patients/patient/{world.patient.pk}/"
    said = {
        name: SAID[name] for name in ("name", "relation", "email", "language", "permitted_by", "permitted_on")
    }
    with clock(world.now):
        assert desk.get(f"{patient}caregiver/").status_code == 200
        refused = desk.post(f"{patient}caregiver/", said | {"email": world.patient.email})
        assert refused.status_code == 422
        assert "email" in refused.context["form"].errors
        assert desk.post(f"{patient}caregiver/", said).status_code == 302
        daughter = Caregiver.objects.get()
        assert (daughter.consented_at, daughter.recorded_by) == (None, world.clerk)
        assert desk.post(f"{patient}caregiver/", said | {"agreed": "on"}).status_code == 302
        daughter.refresh_from_db()
        assert (daughter.consented_at, daughter.consent_version) == (world.now, "1")
        page = desk.get(f"{patient}change/")
        assert DAUGHTER in page.content.decode()
        assert desk.post(f"{patient}caregiver/", said | {"agreed": "on", "stopped": "on"}).status_code == 302
        daughter.refresh_from_db()
        assert daughter.opted_out_at == world.now
        assert desk.post(f"{patient}caregiver/revoke/", {"reason": ""}).status_code == 422
        assert desk.post(f"{patient}caregiver/revoke/", {"reason": "moved away"}).status_code == 302
        daughter.refresh_from_db()
        assert (daughter.revoked_at, daughter.revoked_reason) == (world.now, "moved away")
        assert desk.get(f"{patient}caregiver/revoke/").status_code == 302


def test_a_form_that_somebody_has_overtaken_saves_nothing(world: World) -> None:
    daughter = caregiver(world)
    desk, path = signed_in(world.clerk), f"/admin/patients/patient/{world.patient.pk}/caregiver/"
    said = {
        name: SAID[name] for name in ("name", "relation", "email", "language", "permitted_by", "permitted_on")
    }
    with clock(world.now):
        shown = desk.get(path).context["shown"]
        daughter.email = "rosa@example.org"
        services.save_caregiver(daughter, changed=["email"], by=world.nurse, now=world.now)
        late = desk.post(path, said | {"agreed": "on", "shown-version": shown})
    assert late.status_code == 409
    daughter.refresh_from_db()
    assert daughter.email == "rosa@example.org"


def test_the_patients_page_asks_for_caregivers_once(world: World) -> None:
    desk, path = signed_in(world.clerk), f"/admin/patients/patient/{world.patient.pk}/change/"
    with clock(world.now):
        for number in range(3):
            daughter = caregiver(world, email=f"c{number}@example.org")
            services.revoke_caregiver(daughter.pk, reason="x", by=world.clerk, now=world.now)
        desk.get(path)
        many = queries(lambda: desk.get(path))
        world.patient = world.another_patient(7)
        path = f"/admin/patients/patient/{world.patient.pk}/change/"
        assert queries(lambda: desk.get(path)) == many


def test_two_caregivers_are_settled_before_two_records_become_one(world: World) -> None:
    duplicate = world.another_patient()
    daughter = caregiver(world)
    caregiver(world, patient=duplicate, email="son@example.org")
    preview = call(
        world.clerk,
        "GET",
        f"patients/{world.patient.pk}/merge/?duplicate={duplicate.pk}",
        now=world.now,
    ).json()
    assert [row["code"] for row in preview["obstacles"]] == ["caregiver_twice"]
    with pytest.raises(ValidationError):
        services.merge(duplicate.pk, world.patient.pk, by=world.clerk, now=world.now)
    services.revoke_caregiver(daughter.pk, reason="x", by=world.clerk, now=world.now)
    merged = services.merge(duplicate.pk, world.patient.pk, by=world.clerk, now=world.now)
    stands = services.read_caregiver(world.patient.pk)
    assert stands is not None
    assert stands.email == "son@example.org"
    assert merged.moved["patients.caregiver"] == [stands.pk]


def test_a_merge_takes_no_address_of_a_caregiver(world: World) -> None:
    duplicate = world.another_patient(email=DAUGHTER)
    caregiver(world)
    with pytest.raises(Refusal) as refused:
        services.merge(duplicate.pk, world.patient.pk, take=["email"], by=world.clerk, now=world.now)
    assert refused.value.code == "address_of_caregiver"


def test_two_clicks_on_a_page_of_the_caregiver_lead_where_one_does(world: World) -> None:
    desk, patient = signed_in(world.clerk), f"/admin/patients/patient/{world.patient.pk}/"
    said = {
        name: SAID[name] for name in ("name", "relation", "email", "language", "permitted_by", "permitted_on")
    }
    with clock(world.now):
        for below, sent in (("caregiver/", said), ("caregiver/revoke/", {"reason": "moved away"})):
            click = sent | {"shown-version": desk.get(f"{patient}{below}").context["shown"]}
            first, second = (desk.post(f"{patient}{below}", click) for _twice in range(2))
            assert (first.status_code, second.status_code) == (302, 302)
            assert first["Location"] == second["Location"]
    assert Caregiver.objects.get().revoked_at == world.now


def test_the_revocation_of_a_caregiver_whom_somebody_else_revoked_leads_back(world: World) -> None:
    daughter = caregiver(world)
    desk, path = signed_in(world.clerk), f"/admin/patients/patient/{world.patient.pk}/caregiver/revoke/"
    with clock(world.now):
        shown = desk.get(path).context["shown"]
        services.revoke_caregiver(daughter.pk, reason="moved away", by=world.nurse, now=world.now)
        late = desk.post(path, {"reason": "moved", "shown-version": shown})
        assert late.status_code == 409
        again = desk.post(path, {"reason": "moved", "shown-version": late.context["shown"]})
    assert again.status_code == 302
    daughter.refresh_from_db()
    assert daughter.revoked_reason == "moved away"


def test_an_agreement_that_a_caregiver_took_back_is_not_brought_back_by_its_old_date(world: World) -> None:
    caregiver(world)
    later = world.now + timedelta(days=1)
    old = SAID | {"consented_at": world.now.isoformat()}
    assert (
        api(world, "put", old | {"consented_at": None, "consent_version": ""}, now=later).status_code == 200
    )
    assert faults(api(world, "put", old, now=later)) == [("consented_at", "withdrawn_since")]
    # Nor as a new one at the same address.
    assert api(world, "post", {"reason": "a mistake"}, "revoke/", now=later).status_code == 200
    assert faults(api(world, "put", old, now=later)) == [("consented_at", "withdrawn_since")]
    assert api(world, "put", old | {"email": "son@example.org"}, now=later).status_code == 200
