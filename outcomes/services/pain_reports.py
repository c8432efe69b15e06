"""“My pain is back”: what a patient says of their own accord, or staff for them, at any time of a course."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from clinic.timezones import day_span
from outcomes.alert_rules import LOSSES_OF_EFFECT, called_for
from outcomes.instruments import latest
from outcomes.models import Alert, Answer, CheckIn, FollowUp, Measurement
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import ENDED_ON, PAIN_NOW, WORN_OFF, Question, from_instrument
from outcomes.relief import Course, Judgement
from outcomes.relief import judge as judge_course
from outcomes.schedule import DAY, days_after
from outcomes.services.alerts import raise_alert, raise_red_flags
from outcomes.services.answers import (
    GRACE,
    actor_of,
    measurements_of,
    plain_remark,
    refuse_future,
    refuse_revoked,
    said_by,
)
from outcomes.services.check_in_questions import since_when_question
from outcomes.services.courses import course_of
from outcomes.services.judgement import update_verdict
from outcomes.services.links import takes_reports
from outcomes.services.staff_answers import values_of
from patients.models import AnsweredBy, Caregiver


def questions_about(follow_up: FollowUp) -> tuple[Question, Question]:
    """What a report asks: the pain now, and since which day. Wants `procedure__site` selected."""
    return from_instrument(PAIN_NOW, {"nrs": latest("nrs")}), since_when_question(follow_up)


@transaction.atomic
def report_pain(
    follow_up_id: int,
    *,
    pain: int,
    ended_on: int | None = None,
    red_flags: Sequence[str] = (),
    remark: str = "",
    channel: str,
    language: str,
    answered_by: str = AnsweredBy.PATIENT,
    caregiver: Caregiver | None = None,
    by: User | None,
    now: datetime,
) -> Answer:
    """Keep that the pain is back, as a check-in that nobody asked for, and judge the follow-up again.

    `pain`: now, 0–10. `ended_on`: since which day it has been back, in days after the procedure on the site's calendar;
    None when none was named. `red_flags`: codes that were said yes to; they raise their alert. `by` None: the patient
    said so themselves, or the `caregiver` whose link it came through. `answered_by`: as for `answer`. A bad score after
    relief is a loss by the patient's own word. Anything else, such as a good score or one before any relief, is a
    question to staff: it raises the alert that the patient says that the pain is back. So does a loss about which
    nobody else hears: of a trial, which is not held against a window, or one whose alert somebody resolved when it was
    not confirmed.

    The same on the same day, as by a second click, changes nothing and returns the first.

    Raises Refusal "closed" (field "follow_up") when the course has ended, "not_possible" of a test and of upkeep;
    "score_out_of_range" (field "nrs.now"), "before_procedure" and "in_the_future" (field "relief.ended_on"),
    "remark_too_long"; "revoked" as `answer` does.
    """
    refuse_revoked(caregiver)
    values = {PAIN_NOW: pain, WORN_OFF: 1} | ({} if ended_on is None else {ENDED_ON: ended_on})
    values |= {f"red_flag.{code}": 1 for code in red_flags}
    rows, text = measurements_of(values), plain_remark(remark)
    follow_up = reportable(follow_up_id)
    procedure = follow_up.procedure
    refuse_future(values, follow_up, at=now)
    for report in reports_of_the_day(follow_up, now):
        if (values_of(report.answer), report.answer.remark) == (values, text):
            return report.answer
    before = judge_course(course_of(follow_up))
    report = CheckIn.objects.create(
        follow_up=follow_up,
        kind=CheckIn.Kind.REPORT,
        offset_minutes=days_after(procedure.performed_at, now, procedure.site.zone) * DAY,
        opens_at=now,
        due_at=now,
        closes_at=now + GRACE,
        status=CheckIn.Status.ANSWERED,
    )
    given = Answer.objects.create(
        check_in=report,
        channel=channel,
        language=language,
        answered_at=now,
        recorded_by=by,
        remark=text,
        **said_by(answered_by, caregiver, follow_up),
    )
    for row in rows:
        row.answer = given
    Measurement.objects.bulk_create(rows)
    audit.record(
        "follow_up.pain_reported",
        follow_up,
        by=by,
        at=now,
        site=procedure.site,
        actor=actor_of(by, caregiver),
    )
    raise_red_flags(report, sorted(red_flags), now=now)
    update_verdict(follow_up.pk, now=now)
    course = course_of(follow_up)
    after = judge_course(course)
    known = follow_up.judged_as == JudgedAs.TREATMENT and shows_loss(before, after)
    if not known or is_passed_over(follow_up, course, after):
        raise_alert(follow_up, Alert.Kind.PAIN_BACK, now=now)
    return given


@transaction.atomic
def report_unasked(
    follow_up_id: int, *, red_flags: Sequence[str], caregiver: Caregiver | None = None, now: datetime
) -> Alert | None:
    """Raise the alert of red flags that the patient said yes to before the report is whole; None for no codes. The
    report, when it follows, raises nothing twice while that alert is open.

    Raises Refusal "closed" and "not_possible" as `report_pain` does, "unknown_item" for a code that nobody asks,
    "revoked" as `answer` does.
    """
    refuse_revoked(caregiver)
    measurements_of({f"red_flag.{code}": 1 for code in red_flags})
    return raise_red_flags(reportable(follow_up_id), sorted(red_flags), now=now)


def reportable(follow_up_id: int) -> FollowUp:
    """The follow-up, locked, of which a report is taken. Raises Refusal "closed" and "not_possible"."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "relief_profile", "patient")
        .get(pk=follow_up_id)
    )
    if follow_up.closed_at:
        raise Refusal("This course has ended.", code="closed", field="follow_up")
    if not takes_reports(follow_up):
        raise Refusal(
            "A test and the upkeep of a device take no reports.", code="not_possible", field="follow_up"
        )
    return follow_up


def reports_of_the_day(follow_up: FollowUp, now: datetime) -> list[CheckIn]:
    """What has been reported on this day already, on the site's calendar."""
    zone = follow_up.procedure.site.zone
    starts, ends = day_span(now.astimezone(zone).date(), zone)
    reports = follow_up.check_ins.filter(
        kind=CheckIn.Kind.REPORT, answer__answered_at__gte=starts, answer__answered_at__lt=ends
    )
    return list(reports.select_related("answer").order_by("pk"))


def shows_loss(before: Judgement, after: Judgement) -> bool:
    """Whether what was judged `after` a report is a loss, or the suspicion of one, that was not there `before`."""
    return (after.loss is not None and after.loss != before.loss) or (
        after.suspected is not None and after.suspected != before.suspected
    )


def is_passed_over(follow_up: FollowUp, course: Course, judgement: Judgement) -> bool:
    """Whether nobody hears of the loss that a report shows: it is on no list, and no open alert tells it.

    A loss within the window or after it needs no alert: who has one is due for a repeat. Nor does a site hear what it
    does not want to.
    """
    called = {Alert.Kind(kind) for kind in called_for(course, judgement) if kind in LOSSES_OF_EFFECT.values()}
    wanted = called - set(follow_up.procedure.site.alert_kinds_off)
    return bool(wanted) and not follow_up.alerts.open().filter(kind__in=wanted).exists()
