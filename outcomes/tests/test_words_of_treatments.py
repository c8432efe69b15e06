"""Every output of a test, a trial and an upkeep course, searched for the words of a treatment.

Pages are read from their main part on: around it, and in the fields of forms, stand the names of all lists and
verdicts.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.tests.admin_client import clock, signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.admin.courses import VERDICT_LABELS
from outcomes.models import Alert, FollowUp
from outcomes.relief import Verdict
from outcomes.reports import WORKLISTS
from outcomes.services.expiry import close_past
from outcomes.tests.factories import answer_days, diary_profile, export_rows, invitations_sent, write_diary
from procedures.models import ProcedureType
from procedures.tests.factories import World, another_type

DAY = timedelta(days=1)
#: Words that are said of treatments alone.
OF_TREATMENTS = re.compile(
    r"\blost\b|\blosing|loss of|outlast|\bin relief|out of relief|no relief|partial relief|without relief"
    r"|relief (was )?(expected|ended|seen|lost)|relief window|counts as relief|does not count"
    r"|relief has worn off|responders\b|responded|confounded|fluctuating|repeat|how long relief|median|still in relief",
    re.I,
)
#: Codes of verdicts that only treatments have.
CODES = set(Verdict) - {
    *(Verdict.POSITIVE, Verdict.NEGATIVE, Verdict.INDETERMINATE, Verdict.PASSED, Verdict.FAILED),
    *(Verdict.NOT_JUDGED, Verdict.TOO_EARLY, Verdict.NO_BASELINE),
}
#: Keys and columns that are empty of anything but a treatment.
EMPTY = {
    *(
        "relief_ended",
        "responder",
        "lost_after",
        "lost_until",
        "suspected_until",
        "responded",
        "confounded_by",
    ),
}


def device(world: World, code: str, **values: Any) -> ProcedureType:
    """A type of devices that asks on days 1 to 7."""
    found = another_type(world, code, **values)
    newest = found.relief_profiles.get()
    newest.pk, newest.version, newest.in_force_from = None, 2, world.now - DAY
    newest.onset_from_days = newest.onset_until_days = 0
    newest.window_from_days, newest.window_until_days = 1, 10
    newest.check_in_days, newest.check_in_every_days = [1, 2, 3, 4, 5, 6, 7], None
    newest.evaluate_after_days, newest.ongoing = 1, False
    newest.save()
    return found


@pytest.fixture
def courses(world: World) -> dict[str, FollowUp]:
    """One course of each result, each of a patient of its own, by its name."""
    lead = device(world, "scs_trial", family="spinal_cord_stimulation", purpose="device_trial")
    refill = device(world, "itp_refill_adjustment", family="device_maintenance", purpose="device_maintenance")
    diary_profile(world)
    done: dict[str, FollowUp] = {}
    tests = {
        "positive": {30: 0, 60: 0, 120: 0, 180: 8},
        "negative": {30: 8, 60: 8, 120: 8, 180: 8},
        "indeterminate": {30: 0, 60: 0},
    }
    for number, (name, entries) in enumerate(tests.items(), 2):
        procedure = world.performed(
            intent="diagnostic", patient=world.another_patient(number), hour=6 + number
        )
        done[name] = write_diary(procedure.follow_up, entries)
    days: dict[str, tuple[dict[int, int], int | None]] = {
        "passed": (dict.fromkeys(range(1, 8), 2), 7),
        "failed": ({1: 2, **dict.fromkeys(range(2, 8), 9)}, 7),
        "no end": ({1: 2, 7: 8}, None),
    }
    for number, (name, (scores, out)) in enumerate(days.items(), 5):
        procedure = world.performed(
            procedure_type=lead,
            region="thoracic",
            laterality="",
            patient=world.another_patient(number),
            hour=6 + number,
        )
        done[name] = answer_days(procedure.follow_up, scores)
        if out:
            services.end_trial(
                done[name].pk, on=MONDAY + out * DAY, by=world.physician, now=world.at(MONDAY + 9 * DAY, 9)
            )
    procedure = world.performed(
        procedure_type=refill,
        region="device",
        laterality="",
        patient=world.another_patient(8),
        hour=14,
        baseline=2,
    )
    done["upkeep"] = answer_days(procedure.follow_up, {3: 2, 4: 1, 5: 6, 6: 6})
    world.performed(  # ends the refill's course, as each next one does
        procedure_type=refill,
        region="device",
        laterality="",
        patient=done["upkeep"].patient,
        day=MONDAY + 8 * DAY,
        hour=14,
        baseline=2,
    )
    close_past(now=later(world))
    for follow_up in done.values():
        follow_up.refresh_from_db()
    return done


def later(world: World) -> datetime:
    return world.at(MONDAY + 40 * DAY, 9)


def main_of(response: Any) -> str:
    """What the page says in its main part, without markup, forms' fields and links of navigation."""
    assert response.status_code == 200
    html = response.content.decode()
    for begins in (
        '<div class="desk-report"',
        '<article class="desk-course"',
        'id="result_list"',
        "<main",
        "<body",
    ):
        if begins in html:
            html = html[html.index(begins) :]
            if begins == 'id="result_list"':
                html = html[: html.index("</table>")]  # filters by verdict follow
            break
    html = re.sub(
        r"<(script|style|select|nav|form class=\"desk-filters\")\b.*?</(script|style|select|nav|form)>",
        " ",
        html,
        flags=re.S,
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def found(text: str) -> list[str]:
    """The words of a treatment, each with what stands around it."""
    return [text[max(0, match.start() - 40) : match.end() + 40] for match in OF_TREATMENTS.finditer(text)]


def values_of(thing: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document, with its key."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            yield from values_of(value, name) if value not in ({}, []) else [(name, value)]
    elif isinstance(thing, list):
        for value in thing:
            yield from values_of(value, key)
    else:
        yield key, thing


def clean(document: Any) -> None:
    """No value of a JSON document is one of a treatment, and what is of treatments is empty."""
    for name, value in values_of(document):
        if isinstance(value, str):
            assert value not in CODES, (name, value)
            assert name == "closed_reason" or not found(value), (name, value)
        if name in EMPTY:
            assert value is None, (name, value)


def test_each_course_is_what_it_should_be(courses: dict[str, FollowUp]) -> None:
    assert {name: follow_up.verdict for name, follow_up in courses.items()} == {
        "positive": "positive",
        "negative": "negative",
        "indeterminate": "indeterminate",
        "passed": "passed",
        "failed": "failed",
        "no end": "indeterminate",
        "upkeep": "not_judged",
    }


def test_no_result_of_a_test_or_a_trial_is_shown_as_a_warning() -> None:
    """A positive block in orange reads as a failure."""
    results = ("positive", "negative", "indeterminate", "passed", "failed", "not_judged")
    assert {VERDICT_LABELS[result] for result in results} <= {"success", "default", "info"}


def test_the_pages_of_staff(world: World, courses: dict[str, FollowUp], client: Client) -> None:
    signed_in(world.admin, client)
    with clock(later(world)):
        for name, follow_up in courses.items():
            for address in (
                f"outcomes/followup/{follow_up.pk}/change/",
                f"outcomes/followup/?q={follow_up.patient.record_number}",
                f"patients/patient/{follow_up.patient_id}/course/",
                f"patients/patient/{follow_up.patient_id}/change/",
            ):
                page = main_of(client.get(f"/admin/{address}"))
                assert not found(page), (name, address, found(page))
            assert follow_up.get_verdict_display() in main_of(
                client.get(f"/admin/outcomes/followup/{follow_up.pk}/change/")
            )
        for intent in ("diagnostic", "trial", "maintenance"):
            page = main_of(client.get(f"/admin/outcomes/followup/reports/procedures/?intent={intent}"))
            assert not found(page), (intent, found(page))


def test_no_list_of_treatments_holds_any_of_them(world: World, courses: dict[str, FollowUp]) -> None:
    assert courses
    for code, worklist in WORKLISTS.items():
        held = worklist.rows(world.admin, later(world))
        if code == "trials_without_end":
            continue  # of trials alone
        assert code == "silent" or not held.exists(), code
        shown = call(world.admin, "GET", f"reports/worklists/{code}/", now=later(world)).json()
        clean(shown["results"])
    kinds = set(Alert.objects.values_list("kind", flat=True))
    assert kinds <= {"worse", "silent"}
    overview = call(world.admin, "GET", "reports/overview/", now=later(world)).json()
    (site,) = overview["sites"]
    assert (site["lost_early"], site["no_relief"]) == (0, 0)


def test_the_api(world: World, courses: dict[str, FollowUp]) -> None:
    now = later(world)
    clean(call(world.admin, "GET", "follow-ups/", now=now).json()["results"])
    clean(call(world.admin, "GET", "alerts/", now=now).json()["results"])
    for course in courses.values():
        clean(call(world.admin, "GET", f"follow-ups/{course.pk}/", now=now).json())
        clean(call(world.admin, "GET", f"patients/{course.patient_id}/course/", now=now).json())
    for intent, results in (
        ("diagnostic", {"positive", "negative", "indeterminate"}),
        ("trial", {"passed", "failed", "indeterminate"}),
        ("maintenance", {"not_judged"}),
    ):
        report = call(world.admin, "GET", f"reports/procedure/?intent={intent}", now=now).json()
        assert {code for code, number in report["verdicts"].items() if number} == results
        assert (report["curves"], report["points"], report["window"]) == ([], [], None)
        assert not any(report["funnel"].values())
        assert report["satisfied"]["treated"] == 0


def test_the_schema_has_no_verdict_of_a_treatment_for_a_test_or_a_trial(
    world: World, courses: dict[str, FollowUp]
) -> None:
    assert courses
    schema = call(world.admin, "GET", "schema/?format=json", now=later(world)).json()
    for name in ("Diary", "Trial", "TestCounts", "TrialCounts"):
        said = json.dumps(schema["components"]["schemas"][name])
        assert not [code for code in CODES if re.search(rf"\b{code}\b", said)], name


def test_the_exports(world: World, courses: dict[str, FollowUp]) -> None:
    assert courses
    rows = export_rows(world, "follow_ups")
    assert len(rows) == len(courses) + 1  # the refill after the refill
    for row in rows:
        for name, value in row.items():
            assert value not in CODES, (name, value)
            assert name == "closed_reason" or not found(value), (name, value)
            assert name not in EMPTY or not value, (name, value)
        assert (row["window_from"] == "") == (row["intent"] != "diagnostic")
    assert sorted(row["trial_days"] for row in rows) == ["", "", "", "", "", "", "7", "7"]
    for row in export_rows(world, "check_ins"):
        assert not found(" ".join(row.values()))


def test_what_patients_read(world: World, courses: dict[str, FollowUp], client: Client) -> None:
    """E-mails, the page of a check-in, its thanks, and the page on which pain is reported."""
    assert courses
    bodies = []
    for intent, day in (("diagnostic", 0), ("trial", 2), ("maintenance", 2)):
        asked = fresh(world, intent).check_ins.filter(offset_minutes__gte=day * 1440).earliest("due_at")
        bodies += [str(message.body) for message in invitations_sent(asked.due_at)]
    assert len(bodies) >= 3
    for body in bodies:
        assert not found(body)
    for path in sorted({path for body in bodies for path in re.findall(r"/[cp]/[^/\s]+/", body)}):
        page = client.get(path, follow=True)
        if page.status_code == 200:
            assert not found(main_of(page)), path


def fresh(world: World, intent: str) -> FollowUp:
    """A course of that intent that has just begun, of a patient of its own."""
    others = {"trial": "scs_trial", "maintenance": "itp_refill_adjustment"}
    place = 20 + len(intent)
    of: dict[str, Any] = {"patient": world.another_patient(place), "day": MONDAY + DAY}
    if intent == "diagnostic":
        of |= {"intent": intent, "hour": 9}
    else:
        found = ProcedureType.objects.get(code=others[intent])
        of |= {"procedure_type": found, "laterality": "", "region": "device", "hour": 10 + len(intent) // 4}
    course: FollowUp = world.performed(**of).follow_up
    return course
