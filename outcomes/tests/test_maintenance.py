"""What the maintenance of a device does to other courses: a refill follows a refill, a revision starts anew."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from clinic.tests.factories import MONDAY
from outcomes.models import FollowUp
from outcomes.reports import WORKLISTS, Selection, procedure_report
from outcomes.services.rejudgement import judge_again
from outcomes.tests.factories import alert_kinds, answer_days
from procedures import services as procedures
from procedures.models import ProcedureType
from procedures.tests.factories import World, another_type

DAY = timedelta(days=1)
WEEKS_10 = MONDAY + 70 * DAY
WEEKS_20 = MONDAY + 140 * DAY


@pytest.fixture
def refill(world: World) -> ProcedureType:
    return another_type(
        world, "itp_refill_adjustment", family="device_maintenance", purpose="device_maintenance"
    )


@pytest.fixture
def stimulator(world: World) -> ProcedureType:
    return another_type(world, "scs_implant", family="spinal_cord_stimulation", purpose="device_implant")


@pytest.fixture
def revision(world: World) -> ProcedureType:
    return another_type(
        world,
        "neurostimulator_revision",
        family="device_maintenance",
        purpose="device_maintenance",
        restarts=["spinal_cord_stimulation", "peripheral_nerve_stimulation"],
    )


def done(
    world: World, of: ProcedureType, day: date, *, region: str = "device", baseline: int = 8, **values: Any
) -> FollowUp:
    values.setdefault("laterality", "")
    procedure = world.performed(procedure_type=of, day=day, region=region, baseline=baseline, **values)
    return FollowUp.objects.get(procedure=procedure)


def ended(follow_up: FollowUp) -> tuple[str, FollowUp | None]:
    follow_up.refresh_from_db()
    return follow_up.closed_reason, follow_up.ended_by


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first one recorded last"])
def test_a_refill_ends_the_course_of_the_refill_before(
    world: World, refill: ProcedureType, late: bool
) -> None:
    days = [WEEKS_10, MONDAY] if late else [MONDAY, WEEKS_10]
    made = {day: done(world, refill, day) for day in days}
    assert ended(made[MONDAY]) == ("repeated", made[WEEKS_10])
    assert made[MONDAY].closed_at == made[WEEKS_10].procedure.performed_at
    assert ended(made[WEEKS_10]) == ("", None)


def test_a_refill_leaves_the_pump_and_every_treatment_alone(world: World, refill: ProcedureType) -> None:
    pump = another_type(world, "itp_implant", family="intrathecal_drug_delivery", purpose="device_implant")
    others = [
        done(world, pump, MONDAY, region="lumbar"),
        done(world, world.ablation, MONDAY + 7 * DAY, region="lumbar", laterality="left"),
    ]
    first = done(world, refill, WEEKS_10, region="lumbar")
    assert [(ended(follow_up), follow_up.confounded_by) for follow_up in (others[0], first)] == [
        (("other_treatment", others[1]), others[1]),
        (("", None), None),
    ]


def test_upkeep_is_not_asked_for_relief_of_its_own(
    world: World, refill: ProcedureType, revision: ProcedureType, stimulator: ProcedureType
) -> None:
    """Before a refill the pump works: that pain is no less afterwards is no failure."""
    now = world.at(WEEKS_20, 9)
    upkeep = answer_days(done(world, refill, MONDAY, baseline=3), {42: 3, 92: 3})
    assert upkeep.verdict == "not_judged"
    assert (upkeep.summary.lost_after, upkeep.summary.loss_kind) == (None, "")
    assert (upkeep.seeks_relief, alert_kinds(upkeep)) == (False, [])
    assert all(list(worklist.rows(world.nurse, now)) == [] for worklist in WORKLISTS.values())
    anew = answer_days(done(world, revision, MONDAY + 7 * DAY, region="thoracic"), {42: 8, 92: 8})
    assert (anew.seeks_relief, alert_kinds(anew)) == (True, [("no_relief", "")])
    assert list(WORKLISTS["no_relief"].rows(world.nurse, now)) == [anew]


def test_upkeep_has_no_verdict_and_alerts_only_of_worse_pain(world: World, refill: ProcedureType) -> None:
    pump = answer_days(done(world, refill, MONDAY, baseline=2), {42: 2, 92: 2})
    assert (pump.verdict, alert_kinds(pump)) == ("not_judged", [])
    worse = answer_days(done(world, refill, WEEKS_20, baseline=2), {42: 3, 92: 4})
    assert (worse.verdict, alert_kinds(worse), worse.summary.remarks) == (
        "not_judged",
        [("worse", "")],
        ["worse"],
    )
    report = procedure_report(Selection(intent="maintenance"), user=world.admin, now=world.at(WEEKS_20, 9))
    assert (report.procedures, report.funnel.treated, report.funnel.in_curve) == (2, 0, 0)
    assert (list(report.curves), list(report.points)) == ([], [])


@pytest.mark.parametrize("region", ["thoracic", "device"])
@pytest.mark.parametrize("late", [False, True], ids=["in order", "the implant recorded last"])
def test_a_revision_starts_the_course_of_the_implant_anew(
    world: World, stimulator: ProcedureType, revision: ProcedureType, region: str, late: bool
) -> None:
    def implanted() -> FollowUp:
        return done(world, stimulator, MONDAY, region="thoracic")

    before = None if late else answer_days(implanted(), {42: 2})
    anew = done(world, revision, WEEKS_10, region=region, baseline=7)
    first = before or implanted()
    assert ended(first) == ("repeated", anew)
    assert (first.confounded_by, anew.confounded_by) == (None, None)
    if before:  # the pain before the revision tells what had become of the relief
        assert first.verdict == "lost_early"
    again = done(world, revision, WEEKS_20, region=region)
    assert ended(anew) == ("repeated", again)


def test_of_two_stimulators_it_is_the_one_in_the_same_region(
    world: World, stimulator: ProcedureType, revision: ProcedureType
) -> None:
    nerve = another_type(
        world, "pns_implant", family="peripheral_nerve_stimulation", purpose="device_implant"
    )
    spine = done(world, stimulator, MONDAY, region="thoracic")
    knee = done(world, nerve, MONDAY + 7 * DAY, region="knee", laterality="left")
    unclear = done(world, revision, WEEKS_10)
    assert [ended(spine), ended(knee)] == [("", None), ("", None)]  # which one, only staff can say
    anew = done(world, revision, WEEKS_20, region="knee", laterality="left")
    assert [ended(spine), ended(knee), ended(unclear)] == [("", None), ("repeated", anew), ("", None)]


def test_a_revision_that_was_an_error_gives_the_implant_its_course_back(
    world: World, stimulator: ProcedureType, revision: ProcedureType
) -> None:
    first = done(world, stimulator, MONDAY, region="thoracic")
    error = done(world, revision, WEEKS_10, region="thoracic")
    procedures.void(
        error.procedure_id, reason="wrong patient", by=world.physician, now=world.at(WEEKS_10, 12)
    )
    assert ended(first) == ("", None)


def test_only_maintenance_starts_anything_anew(world: World) -> None:
    with (
        pytest.raises(IntegrityError, match="procedure_type_only_maintenance_restarts"),
        transaction.atomic(),
    ):
        ProcedureType.objects.filter(pk=world.ablation.pk).update(restarts=["spinal_cord_stimulation"])


def test_a_repeated_course_names_the_one_that_repeated_it(world: World) -> None:
    first = FollowUp.objects.get(procedure=world.performed())
    for values in ({"closed_reason": "repeated", "closed_at": world.now}, {"ended_by": first}):
        with pytest.raises(IntegrityError, match="follow_up_ended_by_another"), transaction.atomic():
            FollowUp.objects.filter(pk=first.pk).update(**values)


def test_upkeep_is_judged_by_what_its_type_restarts_now(world: World, refill: ProcedureType) -> None:
    """Whoever corrects the type after answers has the course judged by the other rules, and back."""
    course = answer_days(done(world, refill, MONDAY, baseline=8), {42: 2, 92: 2})
    seen = []
    for restarts in ([], ["intrathecal_drug_delivery"], []):
        refill.restarts = restarts
        refill.save()
        list(judge_again(everything=True, now=world.at(MONDAY + 100 * DAY, 9)))
        seen.append(FollowUp.objects.get(pk=course.pk).verdict)
    assert seen == ["not_judged", "in_relief", "not_judged"]
