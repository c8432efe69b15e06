"""Adverse events by severity and procedure type: in the report, by API and as a table to take away."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.models import User
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes.models import AdverseEvent, FollowUp
from outcomes.rates import share
from outcomes.reports import Selection, procedure_report
from outcomes.reports.drill_down import rows_behind
from outcomes.reports.safety import HarmOfType
from outcomes.tests.factories import answered_course, export_rows
from procedures.models import Procedure, ProcedureType
from procedures.tests.factories import World

REPORT = "/admin/outcomes/followup/reports/procedures/?intent="


def event(world: World, follow_up: FollowUp, severity: str, **values: Any) -> AdverseEvent:
    return AdverseEvent.objects.create(
        follow_up=follow_up,
        severity=severity,
        onset_on=MONDAY,
        recorded_at=world.now + timedelta(days=900),
        **{"term": "bleeding", "outcome": "resolved", "relation": "possible", **values},
    )


@pytest.fixture
def harmed(world: World) -> World:
    """Five ablations, of which one led to a mild and a severe event and one to a mild one; two of another type."""
    found = [answered_course(world, {42: 3}) for _ in range(7)]
    other = ProcedureType.objects.get(pk=world.ablation.pk)
    other.pk, other.code, other.name = None, "another", "=Another, with a formula"
    other.save()
    for follow_up in found[5:]:
        Procedure.objects.filter(pk=follow_up.procedure_id).update(procedure_type=other)
        type(follow_up.summary).objects.filter(pk=follow_up.pk).update(procedure_type=other)
    event(world, found[0], "mild")
    event(world, found[0], "severe", term="infection", serious=True)
    event(world, found[1], "mild", term="infection")
    event(world, found[1], "severe", entered_in_error_at=world.now, entered_in_error_reason="wrong record")
    event(world, found[5], "moderate")
    return world


def by_type(world: World) -> dict[str, HarmOfType]:
    report = procedure_report(Selection(), user=world.physician, now=world.now).adverse
    return {harm_of_type.code: harm_of_type for harm_of_type in report.types}


def test_each_procedure_counts_once_by_its_worst_event(harmed: World) -> None:
    harmed.site.smallest_cell = 1
    harmed.site.save()
    found = by_type(harmed)
    assert set(found) == {"rfa_facet", "another"}
    facet = found["rfa_facet"]
    assert (facet.procedures, facet.any.count, facet.mild.count, facet.moderate.count) == (5, 2, 1, 0)
    assert (facet.severe.count, facet.serious.count) == (1, 1)
    assert facet.moderate.share == share(0, 5), "zero events have an interval like any other number"
    assert facet.any.share == share(2, 5)


def test_counts_are_never_hidden_and_rates_of_few_procedures_are(harmed: World) -> None:
    found = by_type(harmed)
    assert (found["another"].procedures, found["another"].moderate.count, found["another"].hidden) == (
        2,
        1,
        True,
    )
    assert found["another"].moderate.share is None
    assert found["rfa_facet"].moderate.share is not None


def test_every_number_is_the_number_of_rows_behind_it(harmed: World) -> None:
    for code, row in by_type(harmed).items():
        for name in ("any", "mild", "moderate", "severe", "serious"):
            cell = f"adverse:{name}" if name in ("any", "serious") else f"adverse:worst:{name}"
            behind = rows_behind(Selection(procedure_type=code), cell, harmed.physician, now=harmed.now)
            assert behind.count() == getattr(row, name).count, (code, name)


def test_the_page_shows_all_types_in_one_table_with_a_total(harmed: World, client: Client) -> None:
    with clock(harmed.now):
        said = words(signed_in(harmed.physician, client).get(REPORT))
    table = said.partition("By procedure type")[2]
    assert "All 7" in table
    assert "1 20 % (4–62 %)" in table, "one of five ablations had a severe event"
    assert "0 0 % (0–43 %)" in table, "none of five had a moderate one"


def test_the_api_says_the_same(harmed: World) -> None:
    body = call(harmed.physician, "GET", "reports/procedure/", now=harmed.now).json()["adverse"]
    facet = next(row for row in body["types"] if row["code"] == "rfa_facet")
    assert (facet["procedures"], facet["hidden"], facet["severe"]["count"]) == (5, False, 1)
    assert facet["severe"]["share"]["of"] == 5
    other = next(row for row in body["types"] if row["code"] == "another")
    assert (other["hidden"], other["moderate"]) == (True, {"count": 1, "share": None})


def test_the_table_can_be_taken_away(harmed: World) -> None:
    rows = {row["procedure_type"]: row for row in export_rows(harmed, "harm")}
    facet, other = rows["rfa_facet"], rows["another"]
    assert (facet["procedures"], facet["with_any"], facet["worst_severe"]) == ("5", "2", "1")
    assert (facet["with_serious"], facet["worst_moderate_share"]) == ("1", "0.0")
    assert float(facet["worst_moderate_high"]) == pytest.approx(share(0, 5).high, abs=1e-4)  # type: ignore[union-attr]
    assert (other["worst_moderate"], other["worst_moderate_share"]) == ("1", "")
    assert other["procedure_type_name"] == "'=Another, with a formula"


def test_a_de_identified_table_has_no_type_of_few_procedures(harmed: World) -> None:
    rows = export_rows(harmed, "harm", deidentified=True)
    assert [row["procedure_type"] for row in rows] == ["rfa_facet"]


def test_it_takes_no_more_queries_for_more_types(harmed: World) -> None:
    def asked() -> int:
        user = User.objects.get(pk=harmed.physician.pk)  # who remembers nothing of the last time
        with CaptureQueriesContext(connection) as captured:
            procedure_report(Selection(), user=user, now=harmed.now)
        return len(captured)

    before = asked()
    more = replace_type(harmed)
    assert {"another", "rfa_facet", more} == set(by_type(harmed))
    assert asked() == before


def replace_type(world: World) -> str:
    """One of the follow-ups gets a type of its own."""
    other = ProcedureType.objects.get(code="another")
    other.pk, other.code, other.name = None, "third", "Third"
    other.save()
    follow_up = FollowUp.objects.filter(procedure__procedure_type__code="another").earliest("pk")
    Procedure.objects.filter(pk=follow_up.procedure_id).update(procedure_type=other)
    type(follow_up.summary).objects.filter(pk=follow_up.pk).update(procedure_type=other)
    return "third"
