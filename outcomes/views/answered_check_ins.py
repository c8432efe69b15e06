"""A check-in that is answered: the thanks, what was answered when another tab sends something else, and changing it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.formats import date_format, time_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from clinic.models import Site
from clinic.patient_pages import page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import CheckIn
from outcomes.patient_curve import CurvePoint, sentence, sketch
from outcomes.questions import PAIN_NOW, CheckInStep
from outcomes.relief import Reading
from outcomes.services import course_of, next_of_several, token_of_all
from outcomes.services.answers import said_yes
from outcomes.services.courses import position
from outcomes.services.staff_answers import values_of
from outcomes.views.question_forms import (
    CLOSED_CODES,
    advice_of_steps,
    answer_text,
    flag_groups,
    parted_flags,
    question_field,
    read_all,
    redirect_here,
    too_long,
)


def show(request: HttpRequest, check_in: CheckIn, token: str, now: datetime) -> HttpResponseBase:
    """The thanks; or the form with which the answer is changed, or what it sends is taken; or, for what another tab
    sends and the answer does not say, that it was not taken, with what was answered."""
    stands = values_of(check_in.answer)
    whole = request.method == "POST" or "change" in request.GET  # a look needs not read the course once more
    steps = services.steps_of(check_in, pain=stands.get(PAIN_NOW) if whole else None)
    changeable = not services.why_not_to_change(check_in, now=now)
    if request.method == "POST":
        if changeable and "change" in request.POST:
            return change(request, check_in, steps, stands, token, now)
        return reject_resubmission(request, check_in, steps, stands, token, now)
    if changeable and "change" in request.GET:
        return change_form_page(request, check_in, steps, stands, token, remark=check_in.answer.remark)
    return page(
        request,
        "outcomes/thanks.html",
        check_in.site,
        token=token,
        advice=advice_of_steps(steps, stands),
        curve=own_curve(check_in, now),
        changeable=changeable,
        takes_reports=services.takes_reports(check_in.follow_up),
        following=following(token, now),
        caregiver=check_in.opened_by,
    )


def reject_resubmission(
    request: HttpRequest,
    check_in: CheckIn,
    steps: list[CheckInStep],
    stands: dict[str, int],
    token: str,
    now: datetime,
) -> HttpResponseBase:
    """What an older page sends once more: the same leads to the thanks, as of a second click; anything else is refused,
    with status 409 and what was answered. A yes to a red flag is heard all the same."""
    sent, _faults = read_all(steps, request.POST, today=today(check_in, now))
    news = {key: value for key, value in sent.items() if stands.get(key) != value}
    if not news:
        return redirect_here(request)
    yes = said_yes(news)
    if yes:
        services.save_step(
            check_in.pk,
            values={f"red_flag.{code}": 1 for code in yes},
            remark=None,
            step=None,
            caregiver=check_in.opened_by,
            now=now,
        )
    return page(
        request,
        "outcomes/answered.html",
        check_in.site,
        status=409,
        token=token,
        advice=advice_of_steps(steps, {**stands, **{f"red_flag.{code}": 1 for code in yes}}),
        answered_at=moment(check_in.answer.answered_at, check_in.site),
        rows=answer_rows(steps, stands),
        changeable=not services.why_not_to_change(check_in, now=now),
        caregiver=check_in.opened_by,
    )


def change(
    request: HttpRequest,
    check_in: CheckIn,
    steps: list[CheckInStep],
    stands: dict[str, int],
    token: str,
    now: datetime,
) -> HttpResponseBase:
    """Take what the answer shall say from now on. What is not said any more is not answered; the pain stays."""
    values, faults = read_all(steps, request.POST, today=today(check_in, now))
    values.setdefault(PAIN_NOW, stands[PAIN_NOW])
    remark, tongue = request.POST.get("remark", ""), request.POST.get("lang", "")
    yes = said_yes(values) - said_yes(stands)
    if speaks(tongue) and not yes:  # nothing is kept yet: what was typed goes along
        with translation.override(tongue):
            return change_form_page(request, check_in, steps, values, token, remark=remark)
    if too_long(remark):
        faults["remark"] = _("Your remark is too long. At most 2,000 characters can be sent.")
    if faults and not yes:
        return change_form_page(request, check_in, steps, values, token, remark=remark, faults=faults)
    asked = {question.key for step in steps for question in step.questions}
    others = {key: value for key, value in stands.items() if key not in asked}
    try:
        services.change_own_answer(
            check_in.pk,
            values=others | values,
            remark=None if "remark" in faults else remark,
            caregiver=check_in.opened_by,
            now=now,
        )
    except Refusal as refusal:
        if refusal.code not in CLOSED_CODES:
            raise
    return redirect_here(request)  # with a yes, the thanks begin with what to do


def change_form_page(
    request: HttpRequest,
    check_in: CheckIn,
    steps: list[CheckInStep],
    values: dict[str, int],
    token: str,
    *,
    remark: str,
    faults: dict[str, str] | None = None,
) -> HttpResponse:
    """All that was asked on one page, with what is chosen."""
    faults = faults or {}
    flags, others = parted_flags(steps)
    return page(
        request,
        "outcomes/change.html",
        check_in.site,
        status=422 if faults else 200,
        token=token,
        questions=[
            question_field(other, values.get(other.key), faults.get(other.key, "")) for other in others
        ],
        groups=flag_groups(flags, values, faults),
        remark=remark,
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        caregiver=check_in.opened_by,
    )


def answer_rows(steps: list[CheckInStep], values: dict[str, int]) -> list[tuple[str, str]]:
    """Each question that was answered, and the answer in words; of the red flags those with a yes, else one row."""
    flags, others = parted_flags(steps)
    rows = [
        (question_field(other, None).text, answer_text(other, values[other.key]))
        for other in others
        if other.key in values
    ]
    answered = [flag for flag in flags if flag.key in values]
    yes = [(question_field(flag, None).text, _("Yes")) for flag in answered if values[flag.key] == 1]
    none = [(_("Is everything all right?"), _("None of these"))] if answered else []
    return rows + (yes or none)


def today(check_in: CheckIn, now: datetime) -> date:
    """The day at the site."""
    return now.astimezone(check_in.site.zone).date()


def moment(at: datetime, where: Site) -> str:
    """An instant on the wall clock of the site, as the reader's language writes it."""
    local = at.astimezone(where.zone)
    return f"{date_format(local, 'DATE_FORMAT')}, {time_format(local.time(), 'TIME_FORMAT')}"


class Curve(NamedTuple):
    """The patient's own curve: a drawing, "" for fewer than two scores, and the same in a sentence."""

    drawing: SafeString
    words: str


def own_curve(check_in: CheckIn, now: datetime) -> Curve | None:
    """The patient's own pain from before the procedure to this check-in's answer, in days; no word of a verdict."""
    follow_up = check_in.follow_up
    procedure = follow_up.procedure
    zone = procedure.site.zone
    course = course_of(follow_up)
    answered_at = check_in.answer.answered_at
    until = position(answered_at, procedure.performed_at, zone=zone, minutes=course.unit == "minute")
    readings = [reading for reading in course.readings if reading.at <= until]
    points = [] if course.baseline is None else [CurvePoint(_("Before"), _("Before"), course.baseline)]
    today = answered_at.astimezone(zone).date() == now.astimezone(zone).date()
    for number, reading in enumerate(readings, start=1):
        last = today and number == len(readings)
        points.append(point(reading, today=last, minutes=course.unit == "minute"))
    return curve(points)


def point(reading: Reading, *, today: bool, minutes: bool) -> CurvePoint:
    """One answer of the curve, as the patient says when it was."""
    if today:
        return CurvePoint(_("Today"), _("Today"), reading.score)
    if minutes and reading.at < 24 * 60:
        hour = f"{round(reading.at / 30) / 2:g}"  # to the half
        return CurvePoint(
            _("%(hour)s h") % {"hour": hour}, _("Hour %(hour)s") % {"hour": hour}, reading.score
        )
    day = reading.at // (24 * 60) if minutes else reading.at
    return CurvePoint(str(day), _("Day %(day)d") % {"day": day}, reading.score)


def curve(points: Sequence[CurvePoint]) -> Curve | None:
    """A curve of these points; None for none."""
    if not points:
        return None
    return Curve(mark_safe(sketch(points)), sentence(points))  # noqa: S308 (every word in it is escaped there)


def following(token: str, now: datetime) -> tuple[str, date] | None:
    """What the same e-mail asked besides and can still be answered: its token, and the day of its visit."""
    several = next_of_several(token, now=now) if token_of_all(token) != token else None
    if several is None:
        return None
    procedure = several[1].follow_up.procedure
    return several[0], procedure.performed_at.astimezone(procedure.site.zone).date()
