"""Trials of a stimulator or a pump: saying when the lead or catheter came out, and what stands beside the verdict."""

from dataclasses import dataclass
from datetime import date, datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import MEDICINE
from outcomes.services.courses import fetched_check_ins
from outcomes.services.judgement import peg_sum, update_verdict
from outcomes.services.verdicts import trial_from
from outcomes.trial_result import Result


@dataclass(frozen=True)
class Trial:
    """What a trial shows, with function and pain medicine beside it; they decide nothing.

    `result`: None without a pain score above 0 before. `peg_before` and `peg_last`: the sum of the PEG, 0–30, which
    looks back on a week. `medicine_last`: how much pain medicine is taken against before, by `pain_medicine.any`, in
    the last answer up to the day on which lead or catheter came out. None where it was not answered.
    """

    result: Result | None
    ended_on: date | None
    days_percent: int
    peg_before: int | None
    peg_last: int | None
    medicine_last: int | None


def trial_of(follow_up: FollowUp) -> Trial | None:
    """What a trial shows; None for any other follow-up. Asks the database for nothing.

    Wants `procedure__site`, `procedure__procedure_type`, `relief_profile` and `summary` selected, and
    `check_ins__answer__measurements` fetched.
    """
    if follow_up.judged_as != JudgedAs.TRIAL:
        return None
    rows, out, zone = fetched_check_ins(follow_up), follow_up.trial_ended_on, follow_up.procedure.site.zone
    given = sorted(((row.answered_at, row) for row in rows if row.answered_at), key=lambda pair: pair[0])
    pegs = [total for _, row in given if (total := peg_sum(row.values)) is not None]
    medicine = [
        row.values[MEDICINE]
        for moment, row in given
        if MEDICINE in row.values and (not out or moment.astimezone(zone).date() <= out)
    ]
    return Trial(
        result=trial_from(follow_up, rows),
        ended_on=out,
        days_percent=follow_up.relief_profile.trial_days_percent,
        peg_before=follow_up.summary.baseline_peg if hasattr(follow_up, "summary") else None,
        peg_last=pegs[-1] if pegs else None,
        medicine_last=medicine[-1] if medicine else None,
    )


@transaction.atomic
def end_trial(follow_up_id: int, *, on: date, by: User | None, now: datetime) -> FollowUp:
    """Keep on which day, at the site, the lead or catheter of a trial came out, and judge it by the days up to there.

    Another day later corrects the first; the same one changes nothing. The course goes on: what its plan still asks is
    for safety.

    Raises Refusal "not_a_trial", "before_procedure", "in_the_future" (field "on"); PermissionDenied without the
    permission to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type")
        .get(pk=follow_up_id)
    )
    site = follow_up.procedure.site
    if follow_up.judged_as != JudgedAs.TRIAL:
        raise Refusal("Only a trial ends so.", code="not_a_trial", field="on")
    if on < follow_up.procedure.performed_at.astimezone(site.zone).date():
        raise Refusal("This is before the procedure.", code="before_procedure", field="on")
    if on > now.astimezone(site.zone).date():
        raise Refusal("This day has not come yet.", code="in_the_future", field="on")
    if follow_up.trial_ended_on != on:
        follow_up.trial_ended_on = on
        follow_up.save(update_fields=["trial_ended_on"])
        audit.record("follow_up.trial_ended", follow_up, by=by, at=now, site=site)
    return update_verdict(follow_up_id, now=now)
