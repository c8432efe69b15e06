"""Everything known of one patient's course: follow-ups, opioids and adverse events, as one who asks may see them.

Reads only, always with the same few queries. The admin draws it on one time line, the API writes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.db.models import Prefetch

from clinic.models import User
from outcomes.models import AdverseEvent, Answer, CheckIn, CourseSummary, FollowUp
from outcomes.services.courses import PAIN_NOW, felt_at
from patients import mme
from patients.models import OpioidUse, Patient

VIEW_OPIOIDS, VIEW_EVENTS = "patients.view_opioiduse", "outcomes.view_adverseevent"


@dataclass(frozen=True)
class Score:
    """The pain now, 0–10, that an answer named, and when it was felt."""

    answer: Answer
    felt_at: datetime
    score: int


@dataclass(frozen=True)
class DoseStep:
    """The opioids from one day until another, both included. `until_on` None: no change is known after `from_on`.

    `total.mme` is an estimate, never to be used to switch drugs.
    """

    from_on: date
    until_on: date | None
    total: mme.MmeTotal


@dataclass(frozen=True)
class FollowUpScores:
    """One follow-up. `summary`: what reports count of it; None while it was never judged.

    `missed`: the check-ins that nobody answered, in order.
    """

    follow_up: FollowUp
    summary: CourseSummary | None
    scores: Sequence[Score]
    missed: Sequence[CheckIn]


@dataclass(frozen=True)
class PatientCourse:
    """What is known of a patient, each list in order of time.

    `today`: the day at the patient's site. Procedures that were entered in error are not in it, nor are opioids and
    adverse events that were. `opioids` and `events` are None for one whose role may not see them.
    """

    patient: Patient
    today: date
    follow_ups: Sequence[FollowUpScores]
    opioids: Sequence[OpioidUse] | None
    steps: Sequence[DoseStep]
    events: Sequence[AdverseEvent] | None


def patient_course(patient: Patient, *, user: User, now: datetime) -> PatientCourse:
    """What `user` may see of the patient, whose `site` is fetched."""
    answered = CheckIn.objects.select_related("answer").prefetch_related("answer__measurements")
    rows = (
        FollowUp.objects.visible_to(user)
        .filter(patient=patient)
        .exclude(closed_reason=FollowUp.Closed.VOIDED)
        .select_related(
            "patient",
            "procedure__site",
            "procedure__procedure_type",
            "procedure__performer",
            "relief_profile",
            "summary",
        )
        .prefetch_related(Prefetch("check_ins", answered.order_by("offset_minutes")), "verdict_changes")
        .order_by("procedure__performed_at", "pk")
    )
    opioids = events = None
    if user.has_perm(VIEW_OPIOIDS):
        opioids = list(patient.opioid_uses.standing().order_by("from_on", "pk"))
    if user.has_perm(VIEW_EVENTS):
        events = list(
            AdverseEvent.objects.visible_to(user)
            .standing()
            .filter(follow_up__patient=patient)
            .select_related(
                "follow_up__patient",
                "follow_up__procedure__procedure_type",
                "follow_up__procedure__site",
            )
            .exclude(follow_up__closed_reason=FollowUp.Closed.VOIDED)
            .order_by("onset_on", "pk")
        )
    return PatientCourse(
        patient=patient,
        today=now.astimezone(patient.site.zone).date(),
        follow_ups=[course_of(follow_up) for follow_up in rows],
        opioids=opioids,
        steps=dose_steps(opioids or []),
        events=events,
    )


def course_of(follow_up: FollowUp) -> FollowUpScores:
    """One follow-up whose check-ins are fetched."""
    scores, missed = [], []
    for check_in in follow_up.check_ins.all():
        answer: Answer | None = getattr(check_in, "answer", None)
        if answer is not None:
            felt = felt_at(check_in, answer, follow_up.procedure.performed_at)
            scores += [
                Score(answer, felt, measurement.value)
                for measurement in answer.measurements.all()
                if (measurement.instrument, measurement.item) == (PAIN_NOW["instrument"], PAIN_NOW["item"])
            ]
        elif check_in.status == CheckIn.Status.MISSED and check_in.kind == CheckIn.Kind.PLANNED:
            missed.append(check_in)
    scores.sort(key=lambda score: score.felt_at)
    return FollowUpScores(follow_up, getattr(follow_up, "summary", None), scores, missed)


def dose_steps(opioids: Iterable[OpioidUse]) -> list[DoseStep]:
    """The totals of all days, in stretches in which nothing changed; none before the first opioid."""
    rows = list(opioids)
    starts = {row.from_on for row in rows} | {
        row.until_on + timedelta(days=1) for row in rows if row.until_on is not None
    }
    totals = [(day, mme.total_on(rows, day)) for day in sorted(starts)]
    # The day after a dose that another one took over on its last day brings nothing new.
    changes = [totals[0], *(new for old, new in pairwise(totals) if new[1] != old[1])] if totals else []
    ends = [day - timedelta(days=1) for day, _ in changes[1:]]
    return [DoseStep(day, until, total) for (day, total), until in zip(changes, [*ends, None], strict=False)]
