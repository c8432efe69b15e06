"""A patient's whole course on one page for the chart: a time line, and the follow-ups as a table."""

from datetime import datetime, timedelta
from string import ascii_lowercase
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from clinic.admin.base import staff
from clinic.admin.datetime_widgets import site_time_text
from outcomes.admin.courses import VERDICT_LABELS, change_words
from outcomes.charts.timeline import Band, Dose, EventMark, Labels, draw
from outcomes.models import CourseSummary
from outcomes.models.follow_ups import JudgedAs
from outcomes.patient_course import DoseStep, FollowUpScores, PatientCourse, Score, patient_course
from outcomes.relief import percent_relief
from outcomes.services.courses import in_minutes
from patients import services
from patients.admin import PatientAdmin
from patients.admin.opioids import left_out_words, total_words, worth
from patients.models import Patient
from procedures.admin.descriptions import baseline_words
from procedures.models import Procedure

PERMISSIONS = ("patients.view_patient", "outcomes.view_followup")
#: So many follow-ups fit on one printed page with their reasons; of more, only so many of the latest keep them.
WHOLE_ON_PAPER, WHOLE_OF_MORE = 8, 5


class FollowUpRow(NamedTuple):
    """One follow-up in the table."""

    number: int
    course: FollowUpScores
    page: str
    label: str
    performed: str
    where: str
    baseline: str
    ended: str
    last: str


def course_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The page. That somebody looked is written down."""
    user = staff(request)
    if not user.has_perms(PERMISSIONS):
        raise PermissionDenied
    patient = get_object_or_404(Patient.objects.visible_to(user).select_related("site"), pk=pk)
    now = timezone.now()
    services.record_page_view(patient, by=user, now=now)
    known = patient_course(patient, user=user, now=now)
    names = {number_of.follow_up.pk: place for place, number_of in enumerate(known.follow_ups, 1)}
    context = {
        **admin.site.each_context(request),
        "title": _("Patient course"),
        "subtitle": str(patient),
        "patient": patient,
        "known": known,
        "made": site_time_text(now, patient.site),
        "chart": chart(known, now=now),
        "lines": [line(place, course) for place, course in enumerate(known.follow_ups, 1)],
        "treated": any(up.follow_up.judged_as == JudgedAs.TREATMENT for up in known.follow_ups),
        "brief": len(names) - WHOLE_OF_MORE if len(names) > WHOLE_ON_PAPER else 0,
        "scores": [score_row(course, score, names) for course, score in by_time(known)],
        "steps": [step_row(step) for step in known.steps],
        "opioids": [{"use": use, "worth": worth(use)} for use in known.opioids or []],
        "events": [
            {"letter": letter(place), "event": event, "number": names.get(event.follow_up_id, "")}
            for place, event in enumerate(known.events or [])
        ],
    }
    return TemplateResponse(request, "admin/outcomes/patient_course.html", context)


def letter(place: int) -> str:
    """What stands beside an adverse event on the time line and in the table: a, b, …, z, a2, b2, …"""
    again, which = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[which] + (str(again + 1) if again else "")


def by_time(known: PatientCourse) -> list[tuple[FollowUpScores, Score]]:
    """All answers of all follow-ups, the latest first."""
    pairs = [(course, score) for course in known.follow_ups for score in course.scores]
    return sorted(pairs, key=lambda pair: pair[1].felt_at, reverse=True)


def line(number: int, course: FollowUpScores) -> FollowUpRow:
    """A follow-up's line in the table."""
    follow_up = course.follow_up
    procedure = follow_up.procedure
    last = course.scores[-1] if course.scores else None
    return FollowUpRow(
        number=number,
        course=course,
        page=reverse("admin:outcomes_followup_change", args=[follow_up.pk]),
        label=VERDICT_LABELS[follow_up.verdict],
        performed=f"{procedure.performed_at.astimezone(procedure.site.zone):%-d %b %Y}",
        where=where(procedure),
        baseline="" if procedure.baseline_pain is None else baseline_words(procedure),
        ended=ended_words(course.summary),
        last=last_words(course, last) if last else "",
    )


def where(procedure: Procedure) -> str:
    """Region, side and levels as they were performed; "" when nothing was said."""
    side = str(procedure.get_laterality_display()) if procedure.laterality else ""
    return " · ".join(part for part in (procedure.region.replace("_", " "), side, procedure.levels) if part)


def last_words(course: FollowUpScores, last: Score) -> str:
    """The last answer: its day, its score, and how it stands against the one before the procedure."""
    procedure = course.follow_up.procedure
    percent = percent_relief(procedure.baseline_pain, last.score)
    said = f"{last.felt_at.astimezone(procedure.site.zone):%-d %b %Y}: {last.score} / 10"
    return said if percent is None else f"{said} ({change_words(percent)})"


def ended_words(summary: CourseSummary | None) -> str:
    """When relief ended, in days or hours after the procedure: "after day 30, by day 93"; "" when unknown."""
    if summary is None or summary.lost_after is None:
        return ""

    def at(time: int) -> str:
        if summary.unit == CourseSummary.Unit.MINUTE:
            return _("hour %s") % f"{time / 60:g}"
        return _("day %s") % time

    after = _("after %s") % at(summary.lost_after)
    if summary.lost_until is not None:
        by = _("by %s") % at(summary.lost_until)
        return f"{after}, {by}" if summary.lost_after else by
    said = f"{after}, " + _("end not seen")
    if summary.suspected_until is not None:
        said += "; " + _("suspected by %s") % at(summary.suspected_until)
    return said


def score_row(course: FollowUpScores, score: Score, names: dict[int, int]) -> dict[str, Any]:
    """One answer in the table of scores: every figure that it holds, by its name."""
    procedure = course.follow_up.procedure
    others = [
        f"{measurement.instrument}.{measurement.item} {measurement.value}"
        for measurement in score.answer.measurements.all()
        if measurement.instrument in ("peg", "pgic", "satisfaction", "pain_medicine")
    ]
    return {
        "number": names[course.follow_up.pk],
        "on": f"{score.felt_at.astimezone(procedure.site.zone):%-d %b %Y}",
        "check_in": score.answer.check_in.when,
        "score": f"{score.score} / 10",
        "others": ", ".join(others),
        "channel": score.answer.how,
    }


def step_row(step: DoseStep) -> dict[str, Any]:
    """The opioids of some days."""
    return {"step": step, "total": total_words(step.total), "left_out": left_out_words(step.total)}


def on_calendar(moment: datetime, zone: ZoneInfo) -> float:
    """A moment as the time line has it: the day on the wall clock, as an ordinal, and the time of the day after it."""
    wall = moment.astimezone(zone)
    return wall.toordinal() + (wall.hour * 60 + wall.minute) / (24 * 60)


def band(number: int, course: FollowUpScores, *, now: datetime) -> Band:
    """A follow-up as the time line has it."""
    follow_up, summary = course.follow_up, course.summary
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    zone, minutes = procedure.site.zone, in_minutes(follow_up)
    performed = on_calendar(procedure.performed_at, zone)

    def after(count: int) -> float:
        return performed + (count / (24 * 60) if minutes else count)

    treats = follow_up.judged_as == JudgedAs.TREATMENT
    taken = procedure.baseline_taken_at or procedure.performed_at
    told = summary is not None and summary.lost_after is not None
    return Band(
        number=number,
        name=str(procedure.procedure_type),
        verdict=str(follow_up.get_verdict_display()),
        performed=performed,
        until=on_calendar(follow_up.closed_at or now, zone),
        window=(after(profile.window_from_days), after(profile.window_until_days)) if treats else None,
        baseline=None
        if procedure.baseline_pain is None
        else (on_calendar(taken, zone), procedure.baseline_pain),
        scores=[(on_calendar(score.felt_at, zone), score.score) for score in course.scores],
        proxies=[
            (on_calendar(score.felt_at, zone), score.score)
            for score in course.scores
            if score.answer.by_caregiver
        ],
        missed=[on_calendar(check_in.due_at, zone) for check_in in course.missed],
        relief_until=after(summary.lost_after)
        if summary and told and summary.responded and summary.lost_after
        else None,
        lost_until=after(summary.lost_until) if summary and told and summary.lost_until else None,
    )


def chart(known: PatientCourse, *, now: datetime) -> SafeString:
    """The SVG, in the reader's language; "" without a follow-up."""
    if not known.follow_ups:
        return SafeString("")
    bands = [band(place, course, now=now) for place, course in enumerate(known.follow_ups, 1)]
    doses = [
        Dose(
            begins=step.from_on.toordinal(),
            ends=None if step.until_on is None else (step.until_on + timedelta(days=1)).toordinal(),
            mme=None if step.total.mme is None else float(step.total.mme),
            least=bool(step.total.left_out),
        )
        for step in known.steps
    ]
    marks = [
        EventMark(event.onset_on.toordinal(), letter(place), event.serious)
        for place, event in enumerate(known.events or [])
    ]
    labels = Labels(
        title=_("The whole course on one time line"),
        description=" ".join(
            f"{band.number}: {band.name}, {band.verdict}. {course.follow_up.verdict_reason}"
            for band, course in zip(bands, known.follow_ups, strict=True)
        )
        + " "
        + _("The figures stand in the tables below."),
        today=_("today"),
        pain=(_("pain"), _("0–10")),
        opioids=(_("opioids"), _("MME/day")),
        opioids_note=_("estimate; never use it to switch drugs"),
        not_counted=_("not counted"),
        events=(_("adverse"), _("events")),
        baseline=_("before the procedure"),
        answered=_("answered"),
        proxy=_("answered by a caregiver"),
        missed=_("not answered"),
        procedure=_("procedure, by number"),
        event=_("adverse event, by letter"),
        serious=_("serious one"),
        relief=_("relief was seen"),
        ended=_("relief ended in here"),
        window=_("relief expected to end"),
    )
    today = on_calendar(now, known.patient.site.zone)
    # Every word that goes into it is escaped there.
    return mark_safe(draw(bands, doses, marks, labels, name="timeline", today=today))  # noqa: S308


@PatientAdmin.first_panel
def link_to_course(request: HttpRequest, patient: Patient) -> SafeString:
    """The way to the page from the patient's."""
    if not staff(request).has_perms(PERMISSIONS):
        return SafeString("")
    return SafeString(render_to_string("admin/outcomes/patient_course_link.html", {"patient": patient}))


PatientAdmin.pages += [
    path("<int:pk>/course/", admin.site.admin_view(course_page), name="patients_patient_course"),
]
