"""A follow-up as the front desk sees it: verdict, chart, and the same figures as a table."""

from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from clinic.admin.base import staff
from clinic.admin.datetime_widgets import site_time_text
from outcomes.charts.course import Labels, draw
from outcomes.models import Answer, CheckIn, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.relief import Course, Verdict, percent_relief, relief_of
from outcomes.services import course_from
from outcomes.services.courses import PAIN_NOW, PainScore, felt_at, position
from patients.admin import PatientAdmin
from patients.models import Patient
from procedures.admin.descriptions import age_before

VERDICT_LABELS = {
    Verdict.TOO_EARLY.value: "info",
    Verdict.IN_RELIEF.value: "success",
    Verdict.PARTIAL.value: "warning",
    Verdict.NO_RELIEF.value: "danger",
    Verdict.LOST_EARLY.value: "danger",
    Verdict.POSSIBLY_EARLY.value: "danger",
    Verdict.DATE_UNKNOWN.value: "warning",
    Verdict.LOST_WITHIN.value: "warning",
    Verdict.REACHED_END.value: "info",
    Verdict.LOST.value: "danger",
    Verdict.LOST_UNCONFIRMED.value: "warning",
    Verdict.FLUCTUATING.value: "warning",
    Verdict.OUTLASTING.value: "success",
    Verdict.CONFOUNDED.value: "default",
    Verdict.NO_BASELINE.value: "warning",
    Verdict.UNKNOWN.value: "default",
    Verdict.POSITIVE.value: "success",
    Verdict.NEGATIVE.value: "default",
    Verdict.INDETERMINATE.value: "info",
    Verdict.PASSED.value: "success",
    Verdict.FAILED.value: "default",
    Verdict.NOT_JUDGED.value: "default",
}
#: How many follow-ups a patient's page shows; the rest is one click away.
MOST = 10


class CourseRow(NamedTuple):
    """One line of the table under a chart."""

    when: str
    due: str
    status: str
    pain: str
    change: str
    channel: str


def with_answers(rows: QuerySet[FollowUp]) -> QuerySet[FollowUp]:
    """The follow-ups with everything that their charts need, in a fixed number of queries."""
    answered = CheckIn.objects.select_related("answer").prefetch_related("answer__measurements")
    return rows.select_related(
        "procedure__site", "procedure__procedure_type", "procedure__performer", "relief_profile", "patient"
    ).prefetch_related(Prefetch("check_ins", answered.order_by("offset_minutes")))


def pain_now(answer: Answer | None) -> int | None:
    """The pain score of an answer; None when there is none."""
    if answer is None:
        return None
    return next(
        (
            measurement.value
            for measurement in answer.measurements.all()
            if measurement.instrument == PAIN_NOW["instrument"] and measurement.item == PAIN_NOW["item"]
        ),
        None,
    )


def course_fragment(request: HttpRequest, follow_up: FollowUp, *, now: datetime, linked: bool) -> SafeString:
    """One follow-up as HTML. `linked`: with a link to its own page."""
    procedure = follow_up.procedure
    course = read_course(follow_up)
    running = follow_up.closed_at is None
    today = (
        position(now, procedure.performed_at, zone=procedure.site.zone, minutes=course.unit == "minute")
        if running
        else None
    )
    context = {
        "follow_up": follow_up,
        "procedure": procedure,
        "performed": site_time_text(procedure.performed_at, procedure.site),
        "label": VERDICT_LABELS[follow_up.verdict],
        "chart": chart(follow_up, course, today),
        "rows": [row(check_in, course) for check_in in follow_up.check_ins.all()],
        "remarks": remarks(follow_up),
        "proxies": proxies(follow_up),
        "baseline": procedure.baseline_pain,
        "baseline_age": age_before(procedure),
        "page": reverse("admin:outcomes_followup_change", args=[follow_up.pk]) if linked else "",
    }
    return SafeString(render_to_string("admin/outcomes/course.html", context, request=request))


def read_course(follow_up: FollowUp) -> Course:
    """The course of a follow-up that `with_answers` fetched; asks the database for nothing."""
    answered = [
        PainScore(felt_at(check_in, check_in.answer, follow_up.procedure.performed_at), score)
        for check_in in follow_up.check_ins.all()
        if (score := pain_now(getattr(check_in, "answer", None))) is not None
    ]
    silent = [
        check_in.offset_minutes
        for check_in in follow_up.check_ins.all()
        if check_in.status == CheckIn.Status.MISSED and check_in.kind == CheckIn.Kind.PLANNED
    ]  # a chart shows each question that nobody answered
    return course_from(follow_up, scores=sorted(answered), silent=silent)


def chart(follow_up: FollowUp, course: Course, today: int | None) -> SafeString:
    """The SVG of a course, in the reader's language."""
    words = {"type": follow_up.procedure.procedure_type.name, "verdict": follow_up.get_verdict_display()}
    kind = follow_up.judged_as
    window, counts, less = {
        JudgedAs.TREATMENT: (_("relief expected to end"), _("counts as relief"), _("does not count")),
        JudgedAs.TEST: (_("anesthetic expected to wear off"), _("enough less pain"), _("less than that")),
        JudgedAs.TRIAL: (_("lead or catheter in"), _("enough less pain"), _("less than that")),
        JudgedAs.UPKEEP: ("", _("at least half of the pain gone"), _("less than that")),
    }[kind]
    if kind == JudgedAs.TRIAL:
        performed_on = follow_up.procedure.performed_at.astimezone(follow_up.procedure.site.zone).date()
        out = follow_up.trial_ended_on
        if out:
            course = replace(course, window_from=0, window_until=(out - performed_on).days)
        else:
            window = _("usual length of a trial")
    labels = Labels(
        title=_("Pain after %(type)s: %(verdict)s") % words,
        description=follow_up.verdict_reason + " " + _("The figures stand in the table below."),
        before=_("before"),
        today=_("today"),
        window=window,
        threshold=_("% less pain"),
        relief=counts,
        no_relief=less,
        answered=_("answered"),
        silent=_("not answered"),
        axis=_("days since the procedure"),
        axis_hours=_("hours since the procedure"),
        pain=_("pain, 0–10"),
        no_baseline=_("no pain score before the procedure: relief cannot be computed"),
    )
    # Every word that goes into it is escaped there.
    return mark_safe(draw(course, labels, name=f"course-{follow_up.pk}", today=today))  # noqa: S308


def row(check_in: CheckIn, course: Course) -> CourseRow:
    """A check-in's line in the table."""
    answer: Answer | None = getattr(check_in, "answer", None)
    score = pain_now(answer)
    percent = None if score is None else percent_relief(course.baseline, score)
    return CourseRow(
        when=check_in.when,
        due=site_time_text(check_in.due_at, check_in.follow_up.procedure.site),
        status=str(check_in.get_status_display()),
        pain="" if score is None else f"{score} / 10",
        change=""
        if percent is None or score is None
        else change_words(percent, points=low_points(course, score)),
        channel=answer.how if answer else "",
    )


def proxies(follow_up: FollowUp) -> tuple[int, int]:
    """How many of the scores of a follow-up a caregiver named in the patient's place, and how many scores there are."""
    answers = [getattr(check_in, "answer", None) for check_in in follow_up.check_ins.all()]
    scored = [answer for answer in answers if pain_now(answer) is not None]
    return sum(answer.by_caregiver for answer in scored if answer), len(scored)


def remarks(follow_up: FollowUp) -> list[tuple[str, str]]:
    """What patients told in their own words, the latest first, each with its check-in."""
    told = [
        (check_in.when, answer.remark)
        for check_in in follow_up.check_ins.all()
        if (answer := getattr(check_in, "answer", None)) and answer.remark
    ]
    return told[::-1]


def low_points(course: Course, score: int) -> int:
    """The points of change to show beside the percentage: after a low baseline; 0 otherwise."""
    shown = relief_of(course.baseline, score)
    return abs(shown.points or 0) if shown.low_baseline else 0


def change_words(percent: int, *, points: int = 0) -> str:
    """Percent relief as it is said: less, more, unchanged; with so many `points`, those too."""
    if percent == 0:
        return _("unchanged")
    words = (_("%d %% less") if percent > 0 else _("%d %% more")) % abs(percent)
    return f"{words}: {ngettext('%d point', '%d points', points) % points}" if points else words


@PatientAdmin.panel
def follow_ups(request: HttpRequest, patient: Patient) -> SafeString:
    """The patient's follow-ups at the user's sites, newest first, each with its chart."""
    if not request.user.has_perm("outcomes.view_followup"):
        return SafeString("")
    rows: list[Any] = list(
        with_answers(FollowUp.objects.visible_to(staff(request)).filter(patient=patient)).order_by(
            "-procedure__performed_at"
        )[: MOST + 1]
    )
    now = timezone.now()
    context = {
        "patient": patient,
        "courses": [course_fragment(request, follow_up, now=now, linked=True) for follow_up in rows[:MOST]],
        "more": len(rows) > MOST,
    }
    return SafeString(render_to_string("admin/outcomes/panel.html", context, request=request))
