"""Trials of a stimulator or pump: judged by their days, until the lead or catheter is out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from django.test import Client

from clinic.refusals import Refusal
from clinic.tests.admin_client import signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Alert, CourseSummary, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.reports import WORKLISTS, Selection, procedure_report
from outcomes.services.check_in_questions import steps_of
from outcomes.services.expiry import close_past
from outcomes.services.rejudgement import judge_again
from outcomes.tests.factories import answer_days
from procedures.models import Procedure
from procedures.services import correct_time
from procedures.tests.factories import World, another_type

DAY = timedelta(days=1)


@pytest.fixture
def trial(world: World) -> FollowUp:
    """A lead for up to ten days, asked about on days 1 to 7, pain 8 before; half of the days pass it."""
    lead = another_type(world, "scs_trial", family="spinal_cord_stimulation", purpose="device_trial")
    newest = lead.relief_profiles.get()
    newest.pk, newest.version, newest.in_force_from = None, 2, world.now - DAY
    newest.onset_from_days = newest.onset_until_days = 0
    newest.window_from_days, newest.window_until_days = 1, 10
    newest.check_in_days, newest.check_in_every_days = [1, 2, 3, 4, 5, 6, 7], None
    newest.evaluate_after_days, newest.ongoing = 1, False
    newest.save()
    procedure = world.performed(procedure_type=lead, region="thoracic", laterality="")
    return FollowUp.objects.get(procedure=procedure)


def told(world: World, trial: FollowUp, scores: Mapping[int, int], out: int | None = None) -> str:
    answer_days(trial, dict(scores))
    if out is not None:
        close_past(now=world.at(MONDAY + 30 * DAY, 9))
        services.end_trial(
            trial.pk, on=MONDAY + out * DAY, by=world.physician, now=world.at(MONDAY + 30 * DAY, 9)
        )
    trial.refresh_from_db()
    return trial.verdict


@pytest.mark.parametrize(
    ("scores", "out", "verdict"),
    [
        (dict.fromkeys(range(1, 8), 2), 7, "passed"),
        (dict.fromkeys(range(1, 8), 8), 7, "failed"),
        ({1: 2, 2: 2, 3: 8}, 3, "passed"),
        ({1: 2, 2: 8, 3: 8}, 3, "failed"),
        ({1: 2, 2: 2}, 7, "indeterminate"),
        ({7: 2}, None, "too_early"),
        (dict.fromkeys(range(1, 7), 2), None, "too_early"),
    ],
)
def test_the_share_of_days_until_the_lead_is_out_decides(
    world: World, trial: FollowUp, scores: dict[int, int], out: int | None, verdict: str
) -> None:
    assert trial.judged_as == JudgedAs.TRIAL
    assert told(world, trial, scores, out) == verdict
    kept = trial.summary
    assert (kept.lost_after, kept.loss_kind, kept.responded) == (None, "", False)


def test_a_trial_without_an_end_is_indeterminate_when_its_plan_is_over(world: World, trial: FollowUp) -> None:
    assert told(world, trial, {1: 2, 2: 2}) == "too_early"
    services.tick(now=world.at(MONDAY + 40 * DAY, 9))
    trial.refresh_from_db()
    assert (trial.verdict, trial.trial_ended_on) == ("indeterminate", None)
    assert "Nobody has said when the lead or catheter came out" in trial.verdict_reason
    services.end_trial(trial.pk, on=MONDAY + 3 * DAY, by=world.physician, now=world.at(MONDAY + 41 * DAY, 9))
    trial.refresh_from_db()
    assert trial.verdict == "passed"


@pytest.mark.parametrize("performed", ["2027-03-12T23:30-05:00", "2027-11-05T22:30-04:00"])
def test_midnight_and_a_clock_change_change_no_day_of_a_trial(
    world: World, trial: FollowUp, performed: str
) -> None:
    moment = datetime.fromisoformat(performed)
    type(trial.procedure).objects.filter(pk=trial.procedure_id).update(
        performed_at=moment, recorded_at=moment
    )
    services.replan(trial.pk, reason="test", now=moment)
    trial = FollowUp.objects.get(pk=trial.pk)
    answer_days(trial, {3: 8, 1: 2, 2: 2})  # in whatever order
    out = moment.date() + 3 * DAY
    trial = services.end_trial(trial.pk, on=out, by=world.physician, now=moment + 6 * DAY)
    found = services.trial_of(FollowUp.objects.get(pk=trial.pk))
    assert trial.verdict == "passed"
    assert found
    assert found.result
    assert (found.result.days, found.result.known, found.result.relief) == (3, 3, 2)


def test_trials_of_before_are_judged_anew(world: World, trial: FollowUp) -> None:
    told(world, trial, dict.fromkeys(range(1, 8), 2))
    close_past(now=world.at(MONDAY + 40 * DAY, 9))
    FollowUp.objects.filter(pk=trial.pk).update(verdict="lost_within_window")
    CourseSummary.objects.update(definition=2, lost_after=3, lost_until=5, responded=True)
    (progress,) = judge_again(now=world.at(MONDAY + 41 * DAY, 9))
    assert progress.changed == {("lost_within_window", "indeterminate"): 1}
    kept = CourseSummary.objects.get(pk=trial.pk)
    assert (kept.lost_after, kept.lost_until, kept.responded) == (None, None, False)


def test_the_days_of_a_treatment_that_blurs_a_trial_decide_nothing(world: World, trial: FollowUp) -> None:
    told(world, trial, dict.fromkeys(range(1, 8), 2), 7)
    assert trial.verdict == "passed"
    other = world.performed(patient=world.another_patient(), hour=13).follow_up
    FollowUp.objects.filter(pk=trial.pk).update(confounded_by=other)
    assert services.update_verdict(trial.pk, now=world.at(MONDAY + 40 * DAY, 9)).verdict == "indeterminate"


def test_a_patient_who_says_that_the_pain_is_back_during_a_trial_is_heard(
    world: World, trial: FollowUp
) -> None:
    answer_days(trial, {1: 2, 2: 2, 3: 2})
    now = world.at(MONDAY + 3 * DAY, 18)
    services.report_pain(trial.pk, pain=8, channel="phone", language="en", by=world.nurse, now=now)
    assert Alert.objects.get(follow_up=trial).kind == Alert.Kind.PAIN_BACK


def test_a_trial_of_a_week_asks_for_function_on_its_last_day(world: World, trial: FollowUp) -> None:
    asked = {
        day: [
            q.key for step in steps_of(trial.check_ins.get(offset_minutes=day * 1440)) for q in step.questions
        ]
        for day in (5, 7)
    }
    assert "peg.activity" not in asked[5]
    assert "peg.activity" in asked[7]
    assert "pain_medicine.any" in asked[5]


def test_a_trial_alerts_of_worse_pain_and_of_nothing_that_a_treatment_would_lose(
    world: World, trial: FollowUp
) -> None:
    assert told(world, trial, {1: 2, 2: 2, 3: 9, 4: 9}, 4) == "passed"
    assert set(Alert.objects.filter(follow_up=trial).values_list("kind", flat=True)) <= {"worse", "silent"}


def test_what_cannot_be_the_end_of_a_trial_is_refused(world: World, trial: FollowUp) -> None:
    def refused(pk: int, days: int) -> str:
        with pytest.raises(Refusal) as refusal:
            services.end_trial(
                pk, on=MONDAY + days * DAY, by=world.physician, now=world.at(MONDAY + 5 * DAY, 9)
            )
        return str(refusal.value.code)

    other = world.performed(patient=world.another_patient(), hour=13).follow_up
    assert [refused(trial.pk, -1), refused(trial.pk, 6), refused(other.pk, 3)] == [
        "before_procedure",
        "in_the_future",
        "not_a_trial",
    ]


def test_staff_see_a_trial_with_function_beside_it_and_say_when_the_lead_came_out(
    world: World, trial: FollowUp, client: Client
) -> None:
    told(world, trial, {1: 2, 2: 2, 3: 2, 4: 8})
    now = world.at(MONDAY + 8 * DAY, 9)
    shown = call(
        world.physician, "POST", f"follow-ups/{trial.pk}/end-trial/", {"on": str(MONDAY + 4 * DAY)}, now=now
    ).json()
    assert shown["verdict"] == "passed"
    assert shown["trial"] == {
        "outcome": "passed",
        "days": 4,
        "known": 4,
        "relief": 3,
        "days_percent": 50,
        "ended_on": str(MONDAY + 4 * DAY),
        "peg_before": None,
        "peg_last": None,
        "medicine_last": None,
    }
    assert (
        call(
            world.clerk, "POST", f"follow-ups/{trial.pk}/end-trial/", {"on": "2027-01-12"}, now=now
        ).status_code
        == 403
    )
    signed_in(world.physician, client)
    page = f"/admin/outcomes/followup/{trial.pk}/"
    assert client.post(f"{page}trial/", {"on": str(MONDAY - DAY)}).status_code == 422
    trial.refresh_from_db()
    assert trial.trial_ended_on == MONDAY + 4 * DAY
    assert "Enough less pain on 3 of 4 known days, of 4 in all" in words(client.get(f"{page}change/"))
    report = procedure_report(Selection(procedure_type="scs_trial"), user=world.admin, now=now)
    assert (report.funnel.treated, report.trials.trials, report.trials.passed) == (0, 1, 1)
    assert list(report.curves) == []


def test_a_trial_that_is_over_waits_on_a_list_until_its_last_day_is_known(
    world: World, trial: FollowUp
) -> None:
    def listed(day: int) -> list[FollowUp]:
        return list(WORKLISTS["trials_without_end"].rows(world.nurse, world.at(MONDAY + day * DAY, 12)))

    assert (listed(9), listed(11)) == ([], [trial])
    now = world.at(MONDAY + 40 * DAY, 9)
    services.tick(now=now)
    services.end_follow_up(trial.pk, closed_reason=FollowUp.Closed.OTHER_CARE, by=world.physician, now=now)
    assert listed(41) == [trial]  # without its last day it has no result, ended or not
    services.end_trial(trial.pk, on=MONDAY + 3 * DAY, by=world.physician, now=now)
    assert listed(41) == []


def test_an_end_before_the_corrected_day_of_the_procedure_is_none(world: World, trial: FollowUp) -> None:
    told(world, trial, {}, out=1)
    now = world.at(MONDAY + 31 * DAY, 9)
    Procedure.objects.update(recorded_at=now)  # it was recorded late
    correct_time(
        trial.procedure_id,
        performed_at=world.at(MONDAY + 2 * DAY, 9),
        reason="It was on Wednesday.",
        by=world.physician,
        now=now,
    )
    trial.refresh_from_db()
    assert (trial.trial_ended_on, trial.verdict) == (None, "indeterminate")
