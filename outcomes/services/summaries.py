"""Keeping what reports count: one row a follow-up, written with every judgement (`judgement.judge`)."""

from collections.abc import Mapping, Sequence

from outcomes.models import CHANNELS, CheckIn, CourseSummary, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import CHANGE, PAIN_NOW, PEG
from outcomes.relief import DEFINITION, Course, Judgement
from outcomes.relief_end import lasting, lasting_by_lord
from outcomes.schedule import DAY
from outcomes.services.course_data import SATISFIED, CheckInReading

#: A check-in in one of these has fallen due for the patient: it came back, or its time is over.
DUE = (CheckIn.Status.ANSWERED, CheckIn.Status.MISSED)
#: Columns that `keep` writes; the key stays.
COLUMNS = [field.name for field in CourseSummary._meta.fields if not field.primary_key]


def summary_of(
    follow_up: FollowUp,
    course: Course,
    judgement: Judgement,
    rows: Sequence[CheckInReading],
    *,
    baseline_peg: int | None,
) -> CourseSummary:
    """The row of a follow-up with these check-ins, not saved. Wants `procedure__site` and `relief_profile` selected."""
    procedure = follow_up.procedure
    last = lords = None
    if follow_up.judged_as == JudgedAs.TREATMENT:  # pain after a test or a trial is no end of relief to count
        last, lords = lasting(course, judgement), lasting_by_lord(course, judgement)
    days = course.unit == "day"
    asked = [row for row in rows if row.status in DUE and row.kind == CheckIn.Kind.PLANNED]
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
        voided=follow_up.closed_reason == FollowUp.Closed.VOIDED,
        verdict=judgement.verdict.value,
        definition=DEFINITION,
        unit=course.unit,
        evaluate_after=course.evaluate_after,
        window_from=course.window_from,
        window_until=course.window_until,
        success_percent=course.success_percent,
        baseline=course.baseline,
        baseline_peg=baseline_peg,
        lost_after=last.after if last else None,
        lost_until=last.until if last else None,
        responded=last.responded if last else False,
        suspected_until=last.suspected_until if last else None,
        covered_percent=judgement.covered_percent,
        loss_kind=judgement.loss_kind,
        back_since=judgement.back_since,
        remarks=[remark.note.value for remark in judgement.remarks],
        repeated_at=course.repeated_at,
        last_answer=course.last_answer,
        lords_after=lords.after if lords else None,
        lords_until=lords.ended_by if lords else None,
        days=[point.offset_minutes // DAY if days else point.offset_minutes for point in asked],
        scores=[point.values.get(PAIN_NOW) for point in asked],
        channels=[CHANNELS.index(point.channel) for point in asked],
        pegs=[peg_sum(point.values) for point in asked],
        changes=[point.values.get(CHANGE) for point in asked],
        satisfied=[point.values.get(SATISFIED) for point in asked],
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
