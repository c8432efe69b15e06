"""Keeping what reports count: one row a follow-up, written with every judgement (`judging.judge`)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from outcomes.lasting import lasting
from outcomes.models import CHANNELS, CheckIn, CourseSummary, FollowUp
from outcomes.questions import CHANGE, PAIN_NOW, PEG
from outcomes.relief import Course, Judgement, Reading
from outcomes.schedule import DAY
from outcomes.services.reading import SATISFIED, Read

#: A check-in in one of these has fallen due for the patient: it came back, or its time is over.
DUE = (CheckIn.Status.ANSWERED, CheckIn.Status.MISSED)
#: Columns that `keep` writes; the key stays.
COLUMNS = [field.name for field in CourseSummary._meta.fields if not field.primary_key]


class Ending(NamedTuple):
    """What the end of a course tells of relief: where the treatment was repeated, or a device was taken out because it
    did not help enough; in the course's unit, None otherwise.

    `pain_at_repeat`: the pain before the repeat, 0–10; None without one, or when nobody asked.
    """

    repeated_at: int | None = None
    useless_at: int | None = None
    pain_at_repeat: int | None = None


def summary_of(
    follow_up: FollowUp,
    course: Course,
    judgement: Judgement,
    rows: Sequence[Read],
    ending: Ending,
    *,
    baseline_peg: int | None,
) -> CourseSummary:
    """The row of a follow-up with these check-ins, not saved. Wants `procedure__site` and `relief_profile` selected.

    A device that was taken out because it did not help had lost its effect by that day, if not before.
    """
    procedure = follow_up.procedure
    at_repeat = None
    if ending.repeated_at is not None and ending.pain_at_repeat is not None:
        at_repeat = Reading(ending.repeated_at, ending.pain_at_repeat)
    last = lasting(course, judgement, at_repeat=at_repeat)
    lost_until = last.until if last else None
    if last and lost_until is None and ending.useless_at is not None:
        lost_until = max(ending.useless_at, last.after + 1)
    days = course.unit == "day"
    asked = [row for row in rows if row.status in DUE]
    return CourseSummary(
        follow_up=follow_up,
        patient_id=follow_up.patient_id,
        procedure_type_id=procedure.procedure_type_id,
        site_id=procedure.site_id,
        performer_id=procedure.performer_id,
        intent=procedure.intent,
        indication=procedure.indication,
        region=procedure.region,
        performed_on=procedure.performed_at.astimezone(procedure.site.zone).date(),
        voided=follow_up.closed_because == FollowUp.Closed.VOIDED,
        verdict=judgement.verdict.value,
        unit=course.unit,
        evaluate_after=course.evaluate_after,
        window_from=course.window_from,
        window_until=course.window_until,
        success_percent=course.success_percent,
        baseline=course.baseline,
        baseline_peg=baseline_peg,
        lost_after=last.after if last else None,
        lost_until=lost_until,
        responded=last.responded if last else False,
        suspected_until=last.suspected_until if last else None,
        repeated_at=ending.repeated_at,
        last_answer=course.readings[-1].at if course.readings else None,
        days=[one.offset_minutes // DAY if days else one.offset_minutes for one in asked],
        scores=[one.values.get(PAIN_NOW) for one in asked],
        channels=[CHANNELS.index(one.channel) for one in asked],
        pegs=[peg_sum(one.values) for one in asked],
        changes=[one.values.get(CHANGE) for one in asked],
        satisfied=[one.values.get(SATISFIED) for one in asked],
    )


def peg_sum(values: Mapping[str, int]) -> int | None:
    """The sum of the PEG's three items, 0–30; None unless all three were answered."""
    given = [values[key] for key in PEG if key in values]
    return sum(given) if len(given) == len(PEG) else None


def keep(summaries: Sequence[CourseSummary]) -> None:
    """Write the rows, in the place of those that are there."""
    CourseSummary.objects.bulk_create(
        summaries, update_conflicts=True, unique_fields=["follow_up"], update_fields=COLUMNS
    )
