"""Likely duplicates are shown before somebody is registered twice, in the admin, the API and files."""

from datetime import date
from typing import Any

import pytest
from django.test import Client

from clinic import roles
from clinic.csv_import.imports import Mode
from clinic.models import Site
from clinic.tests.admin_client import clock, errors, filled, signed_in
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from patients import services
from patients.models import Patient
from procedures.tests.factories import World

ADD = "/admin/patients/patient/add/"
HEADER = "record_number,given_name,family_name,born_on,site,phone,another_person"


def registration(world: World, **changes: Any) -> dict[str, Any]:
    """A person who has nothing in common with anybody."""
    return {
        "record_number": "N-17",
        "given_name": "Zoë",
        "family_name": "Nguyễn",
        "born_on": "1961-02-28",
        "site": world.site.pk,
        "email": "zoe@example.org",
    } | changes


#: What a second record may have in common with the world's patient, and what that is called.
SAME = [
    ({"given_name": "Anne", "family_name": "OBrien", "born_on": "1944-05-06"}, ["name_and_birth_date"]),
    ({"given_name": "O’Brien", "family_name": "Ann", "born_on": "1944-05-06"}, ["name_and_birth_date"]),
    ({"phone": "(212) 555-0177"}, ["phone"]),
    ({"phone": "+12125550177"}, ["phone"]),
    ({"email": "ANN@example.org"}, ["email"]),
]
#: What many people have in common.
NOT_THE_SAME = [
    {"given_name": "Ann", "family_name": "O'Brien"},
    {"born_on": "1944-05-06"},
    {"email": "", "phone": ""},
    {"phone": "+1 212 555 0178"},
]


@pytest.fixture(autouse=True)
def phone(world: World) -> None:
    Patient.objects.update(phone="+1 212 555 0177")


@pytest.mark.parametrize(("changes", "reasons"), SAME)
def test_the_api_answers_with_the_matches_and_takes_an_insisting(
    world: World, changes: dict[str, str], reasons: list[str]
) -> None:
    said = registration(world, **changes)
    refused = call(world.clerk, "POST", "patients/", said, now=world.now)
    assert (refused.status_code, faults(refused)) == (409, [("", "likely_duplicate")])
    (match,) = refused.json()["matches"]
    assert (match["patient"]["record_number"], match["reasons"]) == ("P00001", reasons)
    assert Patient.objects.count() == 1
    done = call(world.clerk, "POST", "patients/", said | {"insist": True}, now=world.now)
    assert done.status_code == 201, done.json()
    said = registration(world, record_number="N-18", born_on="1990-01-01", email="")
    assert call(world.clerk, "POST", "patients/", said | {"insist": "yes"}, now=world.now).status_code == 400


@pytest.mark.parametrize("changes", NOT_THE_SAME)
def test_who_has_little_in_common_is_registered_at_once(world: World, changes: dict[str, str]) -> None:
    response = call(world.clerk, "POST", "patients/", registration(world, **changes), now=world.now)
    assert response.status_code == 201, response.json()


def test_the_very_same_person_is_not_saved_twice(world: World) -> None:
    said = registration(world, phone="+1 212 555 0123")
    assert call(world.clerk, "POST", "patients/", said, now=world.now).status_code == 201
    again = call(world.clerk, "POST", "patients/", said | {"record_number": "N-18"}, now=world.now)
    assert again.json()["matches"][0]["reasons"] == ["name_and_birth_date", "phone", "email"]


def test_matches_are_only_those_whom_the_caller_may_see(world: World) -> None:
    hillside = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.FRONT_DESK, hillside)
    said = registration(world, site=hillside.pk, email="ann@example.org", phone="+1 212 555 0177")
    response = call(stranger, "POST", "patients/", said, now=world.now)
    assert response.status_code == 201
    assert "P00001" not in response.content.decode()


def test_a_merged_record_is_no_match_but_the_kept_one_is(world: World) -> None:
    other = world.another_patient(email="other@example.org")
    services.merge(other.pk, world.patient.pk, by=None, now=world.now)
    shown = services.matches(
        Patient(family_name=other.family_name, given_name=other.given_name, born_on=other.born_on), by=None
    )
    assert shown == []


def form(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "family_name": "OBrien",
        "given_name": "Anne",
        "born_on": "1944-05-06",
        "record_number": "N-17",
        "language": "en",
        "site": world.site.pk,
    } | changes


def test_the_desk_shows_the_matches_and_lets_one_insist(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        shown = client.post(ADD, form(world))
        assert errors(shown) == {"__all__": ["likely_duplicate"]}
        assert [row["patient"] for row in shown.context["matches"]] == [world.patient]
        text = shown.content.decode()
        assert f"/admin/patients/patient/{world.patient.pk}/change/" in text
        assert 'name="insist"' in text
        assert Patient.objects.count() == 1
        assert client.post(ADD, form(world, insist="yes")).status_code == 302
    assert Patient.objects.count() == 2


#: What makes the other patient look like the world's, and what that is called.
CHANGES = [
    ({"given_name": "Anne", "family_name": "OBrien", "born_on": "1944-05-06"}, ["name_and_birth_date"]),
    ({"phone": "(212) 555-0177"}, ["phone"]),
    ({"email": "ANN@example.org"}, ["email"]),
]


def somebody_else(world: World) -> Patient:
    """A patient who has nothing in common with the world's."""
    said = registration(world, phone="+1 212 555 0123")
    made = call(world.clerk, "POST", "patients/", said, now=world.now)
    return Patient.objects.get(pk=made.json()["id"])


@pytest.mark.parametrize(("changes", "reasons"), CHANGES)
def test_a_change_that_makes_somebody_look_like_another_is_asked_about(
    world: World, changes: dict[str, str], reasons: list[str]
) -> None:
    other = somebody_else(world)
    before = Patient.objects.filter(pk=other.pk).values().get()
    path = f"patients/{other.pk}/"
    refused = call(world.clerk, "PATCH", path, changes, now=world.now)
    assert (refused.status_code, faults(refused)) == (409, [("", "likely_duplicate")])
    (match,) = refused.json()["matches"]
    assert (match["patient"]["record_number"], match["reasons"]) == ("P00001", reasons)
    assert Patient.objects.filter(pk=other.pk).values().get() == before
    assert call(world.clerk, "PATCH", path, changes | {"insist": "yes"}, now=world.now).status_code == 400
    done = call(world.clerk, "PATCH", path, changes | {"insist": True}, now=world.now)
    assert done.status_code == 200, done.json()
    # From now on they are alike, and nothing else about them is asked about.
    for later in (changes, {"language": "es"}, {"email": "other@example.org"}, {"given_name": "Annie"}):
        answer = call(world.clerk, "PATCH", path, later, now=world.now)
        assert answer.status_code == 200, (later, answer.json())


def test_the_same_in_another_hand_is_no_change(world: World) -> None:
    """A couple shares a telephone; writing it otherwise asks nothing, nor does anything else."""
    other = somebody_else(world)
    Patient.objects.filter(pk=other.pk).update(phone="+1 212 555 0177", email="ann@example.org")
    path = f"patients/{other.pk}/"
    for said in ({"phone": "+1 (212) 555-0177"}, {"email": "Ann@example.org"}, {"family_name": "Nguyen"}):
        assert call(world.clerk, "PATCH", path, said, now=world.now).status_code == 200, said


def test_a_change_is_matched_only_with_those_whom_the_caller_may_see(world: World) -> None:
    hillside = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.FRONT_DESK, hillside)
    other = somebody_else(world)
    Patient.objects.filter(pk=other.pk).update(site=hillside)
    said = {"phone": "+1 212 555 0177", "email": "ann@example.org"}
    assert call(stranger, "PATCH", f"patients/{other.pk}/", said, now=world.now).status_code == 200


def test_the_desk_asks_about_a_change_and_lets_one_insist(world: World) -> None:
    other = somebody_else(world)
    desk = signed_in(world.clerk)
    address = f"/admin/patients/patient/{other.pk}/change/"
    with clock(world.now):
        said = filled(desk.get(address).context["adminform"].form)
        assert desk.post(address, said).status_code == 302  # nothing was changed
        shown = desk.post(address, said | {"phone": "212 555 0177"})
        assert errors(shown) == {"__all__": ["likely_duplicate"]}
        assert [row["patient"] for row in shown.context["matches"]] == [world.patient]
        assert 'name="insist"' in shown.content.decode()
        other.refresh_from_db()
        assert other.phone == "+1 212 555 0123"
        assert desk.post(address, said | {"phone": "212 555 0177", "insist": "yes"}).status_code == 302
        # Both have it by now.
        assert desk.post(address, said | {"phone": "212 555 0177", "given_name": "Zo"}).status_code == 302
    other.refresh_from_db()
    assert (other.phone, other.given_name) == ("212 555 0177", "Zo")


def brought(world: World, *rows: str) -> Any:
    data = "\n".join([HEADER, *rows, ""]).encode()
    return services.import_patients(data, mode=Mode.GOOD, by=world.clerk, now=world.now)


@pytest.mark.parametrize(
    "row",
    [
        "P00001,Ben,Okoro,1970-01-01,Riverside,,",
        "P00001,Ben,Okoro,1944-05-06,Riverside,,",
        "P00001,Ann,O'Brien,1944-06-05,Riverside,,",
        "p1,Ben,Okoro,1970-01-01,Riverside,,yes",
    ],
)
def test_a_row_with_anothers_number_is_refused_with_both_shown(world: World, row: str) -> None:
    before = list(Patient.objects.values())
    report = brought(world, row)
    (refusal,) = report.refusals
    assert (refusal.column, refusal.code) == ("record_number", "other_person")
    for part in ("O'Brien, Ann", "1944-05-06", ", ".join(row.split(",")[2:0:-1]), row.split(",")[3]):
        assert part in refusal.sentence
    assert list(Patient.objects.values()) == before


def test_a_row_may_correct_a_name(world: World) -> None:
    report = brought(world, "P00001,Anne,O’Brien,1944-05-06,Riverside,,")
    assert not report.refusals
    assert Patient.objects.get().given_name == "Anne"


def test_a_row_with_a_new_number_of_somebody_known_is_refused_unless_it_insists(world: World) -> None:
    (refusal,) = brought(world, "N-1,Ann,O'Brien,1944-05-06,Riverside,,").refusals
    assert (refusal.column, refusal.code) == ("record_number", "likely_duplicate")
    assert "P00001" in refusal.sentence
    report = brought(world, "N-1,Ann,O'Brien,1944-05-06,Riverside,,yes", "N-2,A,B,1970-01-01,Riverside,,yep")
    assert [(refusal.row, refusal.code) for refusal in report.refusals] == [(3, "yes_or_no")]
    assert Patient.objects.filter(born_on=date(1944, 5, 6)).count() == 2


def test_a_row_that_makes_somebody_look_like_another_is_refused_unless_it_insists(world: World) -> None:
    somebody_else(world)
    row = "N-17,Zoë,Nguyễn,1961-02-28,Riverside,+1 212 555 0177,"
    for mode in (Mode.CHECK, Mode.GOOD):
        report = services.import_patients(
            f"{HEADER}\n{row}\n".encode(), mode=mode, by=world.clerk, now=world.now
        )
        (refusal,) = report.refusals
        assert (refusal.column, refusal.code) == ("record_number", "likely_duplicate")
        assert "P00001" in refusal.sentence
    assert not Patient.objects.filter(record_number="N-17", phone="+1 212 555 0177").exists()
    assert not brought(world, f"{row}yes").refusals
    assert not brought(world, row).refusals  # unchanged by now


@pytest.mark.parametrize("mode", list(Mode))
def test_one_person_in_two_rows_under_two_numbers_is_registered_once(world: World, mode: Mode) -> None:
    rows = [
        *("N-1,Zoë,Nguyễn,1961-02-28,Riverside,,", "N-2,ZOË,NGUYỄN,1961-02-28,Riverside,,"),
        *("N-3,Zoë,Nguyễn,1961-02-28,Riverside,,yes", "N-4,ANN,O’BRIEN,1944-05-06,Riverside,,"),
    ]
    data = "\n".join([HEADER, *rows, ""]).encode()
    report = services.import_patients(data, mode=mode, by=world.clerk, now=world.now)
    assert [(refusal.row, refusal.code) for refusal in report.refusals] == [
        (3, "likely_duplicate"),
        (5, "likely_duplicate"),
    ]
