"""Answers that a caregiver gave are marked as such, through whichever door they came and wherever they are shown."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from clinic.tests.admin_client import clock as freeze
from clinic.tests.admin_client import queries, signed_in, words
from clinic.tests.api_client import call, faults
from outcomes import services
from outcomes.exports.check_ins import columns as check_in_columns
from outcomes.exports.columns import Shield
from outcomes.models import Answer
from outcomes.tests.caregiving import ask, paths, question
from outcomes.tests.factories import insist, repeating_follow_up, to_call
from patients.models import Patient
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures import services as procedures
from procedures.tests.factories import World


def test_answers_by_telephone_say_who_answered(world: World, client: Client, clock: list[datetime]) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    desk = signed_in(world.nurse, client)
    path = f"/admin/outcomes/checkin/{check_in.pk}/"
    said = {"nrs.now": "6", "channel": "phone", "language": "en", "answered_by": "caregiver"}
    assert desk.post(f"{path}answer/", said).status_code == 302
    answer = Answer.objects.get()
    assert (answer.answered_by, answer.caregiver, answer.recorded_by) == ("caregiver", daughter, world.nurse)
    assert daughter.name in desk.get(f"{path}change/").context["by_caregiver"]
    page = desk.get(f"/admin/outcomes/followup/{check_in.follow_up_id}/change/")
    assert page.context["proxies"] == (1, 1)
    assert "by a caregiver" in words(desk.get(f"/admin/patients/patient/{world.patient.pk}/course/"))
    told = call(world.nurse, "GET", f"follow-ups/{check_in.follow_up_id}/", now=clock[0]).json()
    assert told["scores_by_caregiver"] == 1
    assert told["measurements"][0]["answered_by"] == "caregiver"
    assert [row["answer"]["caregiver"] for row in told["check_ins"] if row["answer"]] == [daughter.pk]


@pytest.mark.parametrize("known", [True, False])
def test_answers_by_api_say_who_answered(world: World, clock: list[datetime], known: bool) -> None:
    daughter = caregiver(world) if known else None
    check_in = ask(world, clock)
    said = {"score": 6, "channel": "phone", "answered_by": "caregiver"}
    path = f"check-ins/{check_in.pk}/answer/"
    made = call(world.nurse, "POST", path, said, now=clock[0])
    assert made.status_code == 201
    assert made.json()["answer"]["answered_by"] == "caregiver"
    assert Answer.objects.get().caregiver == daughter
    later = clock[0] + timedelta(minutes=1)
    assert call(world.nurse, "POST", path, said, now=later).status_code == 200
    other = call(world.nurse, "POST", path, said | {"answered_by": "patient"}, now=later)
    assert (other.status_code, other.json()["code"]) == (409, "answered_already")
    report = {"score": 8, "channel": "phone", "answered_by": "caregiver"}
    path = f"follow-ups/{check_in.follow_up_id}/pain-reports/"
    made = call(world.nurse, "POST", path, report, now=clock[0])
    assert made.json()["answer"]["answered_by"] == "caregiver"
    nobody = call(world.nurse, "POST", path, report | {"answered_by": "neighbor"}, now=clock[0])
    assert faults(nobody) == [("answered_by", "invalid_choice")]


def test_a_score_before_says_who_said_it(world: World, clock: list[datetime]) -> None:
    booked = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    said = {"values": {"nrs.now": 7}, "answered_by": "caregiver"}
    made = call(world.nurse, "POST", f"appointments/{booked.pk}/baselines/", said, now=world.now)
    assert made.status_code == 201
    assert booked.baselines.get().answered_by == "caregiver"
    assert [row["answered_by"] for row in made.json()["baselines"]] == ["caregiver"]


def test_the_call_list_and_the_worklists_say_who_answers(world: World, client: Client) -> None:
    daughter = caregiver(world, consented_at=None, consent_version="")
    check_in, now = to_call(world)
    desk = signed_in(world.nurse, client)
    with freeze(now):
        rows = desk.get("/admin/outcomes/checkin/calls/").context["rows"]
        assert [row.caregiver for row in rows] == [daughter]
        few = queries(lambda: desk.get("/admin/outcomes/checkin/calls/"))
        for number in range(2, 5):
            other = world.another_patient(number)
            caregiver(world, patient=other, email=f"c{number}@example.org")
            to_call(world, patient=other, hour=9 + number)
        assert queries(lambda: desk.get("/admin/outcomes/checkin/calls/")) == few
    (row, *_) = call(world.nurse, "GET", "calls/", now=now).json()["results"]
    assert row["patient"]["caregiver"] == {"id": daughter.pk, "name": daughter.name, "relation": "child"}
    assert check_in.pk == row["id"]


def test_exports_say_who_answered_and_shielded_ones_not_what_they_are(world: World) -> None:
    columns = {column.name: column for column in check_in_columns()}
    assert columns["answered_by"].shield == Shield.KEEP
    assert columns["caregiver_relation"].shield == Shield.DROP
    assert columns["caregiver_relation"].lookups == ("answer__caregiver__relation",)


def test_the_pain_that_is_back_is_marked_as_the_caregivers_word(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    ask(world, clock)
    path = next(path for path in paths(DAUGHTER) if path[1] == "p")
    assert client.get(path).status_code == 200
    insist(client, path, {"nrs.now": "8"})
    answer = Answer.objects.get(check_in__kind="report")
    assert (answer.answered_by, answer.caregiver) == ("caregiver", daughter)


def test_nobody_changes_what_somebody_else_answered(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world)
    check_in = ask(world, clock)
    services.record_answer(
        check_in.pk,
        values={"nrs.now": 4},
        channel="phone",
        language="en",
        by=world.nurse,
        now=clock[0],
    )
    path = question(DAUGHTER)
    page = client.get(path)
    assert page.status_code == 200
    assert "change=1" not in page.content.decode()
    client.post(path, {"change": "1", "nrs.now": "9"})
    assert services.staff_answers.values_of(Answer.objects.get())["nrs.now"] == 4


def test_a_course_without_end_goes_on_for_a_caregiver_when_the_patient_has_opted_out(world: World) -> None:
    course = repeating_follow_up(world)
    after = course.check_ins.get(offset_minutes=270 * 1440).due_at
    Patient.objects.update(opted_out_at=after - timedelta(days=1))
    assert services.extend_plans(now=after) == 0
    caregiver(world, now=after)
    assert services.extend_plans(now=after) == 1
