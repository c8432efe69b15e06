"""The diary of a diagnostic block on one page: what was filled in, what can be, what comes later."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.formats import date_format, get_format, time_format
from django.utils.translation import gettext as _

from clinic.patient_pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.diary_result import late_after
from outcomes.instruments import BilingualText, latest
from outcomes.models import Alert, Answer, CheckIn
from outcomes.patient_curve import CurvePoint
from outcomes.questions import PAIN_NOW, TOOK_MEDICINE, Question, from_instrument
from outcomes.services.check_in_questions import red_flags_of
from outcomes.views.answered_check_ins import Curve, curve, following
from outcomes.views.question_forms import (
    CLOSED_CODES,
    ShownQuestion,
    advice_on,
    flag_groups,
    question_field,
    read_questions,
    redirect_here,
    ticked_flags,
    wrong,
)

MEDICINE = Question(TOOK_MEDICINE, BilingualText("", None), "yes_no")


class DiaryRow(NamedTuple):
    """One planned hour. `state`: "done", "open", "newest" of those that are open, "later" or "closed".

    `pain` 0–10 and `took_medicine` as they were written, None when they were not. `questions`: of an open one, and
    of one that is done and can still be changed.
    """

    pk: int
    time: str
    state: str
    late: bool = False
    pain: int | None = None
    took_medicine: bool | None = None
    questions: tuple[ShownQuestion, ...] = ()
    faulty: bool = False


def show(
    request: HttpRequest, found: CheckIn, entries: list[CheckIn], token: str, now: datetime
) -> HttpResponseBase:
    """The whole diary, or what is sent of it is taken; after a yes to a red flag, first what to do."""
    flags = red_flags_of(found.follow_up.procedure.procedure_type)
    caregiver = found.opened_by
    for entry in entries:
        entry.opened_by = caregiver
    faults: dict[int, dict[str, str]] = {}
    sent: dict[int, dict[str, int]] = {}
    changes: dict[int, dict[str, int]] = {}
    refused = False
    ticked: list[str] = []
    if request.method == "POST":
        tongue = request.POST.get("lang")
        sent, faults = taken(request, entries, now)
        changes, refused = changed(request, entries, now)
        ticked = ticked_flags(flags, request.POST)
        if not (sent or faults or ticked or changes or refused):
            newest = None if speaks(tongue) else newest_of(entries, now)
            if newest is None or f"{PAIN_NOW}-{newest.pk}" in request.POST.getlist("asked"):
                return redirect_here(request, **({"lang": tongue} if speaks(tongue) else {}))
            faults[newest.pk] = {PAIN_NOW: wrong(questions()[0])}
        try:  # a yes to a red flag does not wait until the rest is right, nor does what is right
            services.fill_in(
                found.pk,
                {pk: values for pk, values in sent.items() if ticked or not faults if pk not in faults},
                changes=changes,
                red_flags=ticked,
                language=translation.get_language() or "en",
                caregiver=caregiver,
                now=now,
            )
        except Refusal as refusal:
            if refusal.code not in CLOSED_CODES:
                raise
            return gone(request)
        if ticked or not (faults or refused):
            return redirect_here(
                request,
                **({"lang": tongue} if speaks(tongue) else {}),
                **({"show": "help"} if ticked else {"saved": 1}),
            )
    alert = found.follow_up.alerts.filter(kind=Alert.Kind.RED_FLAG, resolved_at=None).first()
    advice = advice_on(flags, alert.codes if alert else [])
    site = found.follow_up.procedure.site
    if advice and request.method != "POST" and request.GET.get("show") == "help":
        return page(
            request,
            "outcomes/help.html",
            site,
            advice=advice,
            token=token,
            here="show=help",
            caregiver=caregiver,
        )
    if refused:  # what is right was kept: see what stands now
        entries = services.diary_of(found)
    rows = rows_of(entries, now, sent, faults)
    return page(
        request,
        "outcomes/diary.html",
        site,
        status=422 if faults else 409 if refused else 200,
        token=token,
        rows=rows,
        open=any(row.questions for row in rows),
        refused=refused,
        complete=all(row.state == "done" for row in rows),
        saved="saved" in request.GET and request.method != "POST",
        faulty=bool(faults),
        groups=flag_groups(flags, {}, with_none=False),
        advice=advice,
        following=following(token, now),
        curve=own(found, entries),
        caregiver=caregiver,
    )


def taken(
    request: HttpRequest, entries: list[CheckIn], now: datetime
) -> tuple[dict[int, dict[str, int]], dict[int, dict[str, str]]]:
    """What the form holds of the entries that are open now: by their number the values, and what is wrong.

    An entry whose pain was asked for once already and is empty again is none.
    """
    values: dict[int, dict[str, int]] = {}
    faults: dict[int, dict[str, str]] = {}
    asked = request.POST.getlist("asked")
    for entry in entries:
        names = {f"{question.key}-{entry.pk}": question.key for question in questions()}
        form = {key: request.POST[name] for name, key in names.items() if name in request.POST}
        if form and entry.open_at(now):
            again = [key for name, key in names.items() if name in asked]
            given, wrong = read_questions(questions(), form, asked=again)
            if wrong:
                faults[entry.pk] = wrong
            if wrong or PAIN_NOW in given:
                values[entry.pk] = given
    return values, faults


def changed(
    request: HttpRequest, entries: list[CheckIn], now: datetime
) -> tuple[dict[int, dict[str, int]], bool]:
    """What the form holds anew of entries that are filled in: by their number the values; and whether it holds
    something else of one that its page did not know as filled in, or whose hour is over. The same is nothing."""
    values: dict[int, dict[str, int]] = {}
    refused = False
    knows = request.POST.getlist("change")
    for entry in entries:
        names = {question.key: f"{question.key}-{entry.pk}" for question in questions()}
        form = {key: request.POST[name] for key, name in names.items() if name in request.POST}
        if not form or not hasattr(entry, "answer"):
            continue
        given, _wrong = read_questions(questions(), form, asked=names)
        stands = written(entry)
        if given.items() <= stands.items():
            continue
        if str(entry.pk) in knows and changeable(entry, entries, now):
            values[entry.pk] = stands | given
        else:
            refused = True
    return values, refused


def changeable(entry: CheckIn, entries: list[CheckIn], now: datetime) -> bool:
    """Whether the reader can change an entry that is filled in: it is their own, and its hour lasts."""
    own = entry.answer.by_caregiver == (entry.opened_by is not None)
    return own and now < services.changeable_until(entry, entries)


def written(entry: CheckIn) -> dict[str, int]:
    """The figures of an entry that is filled in, by "instrument.item"."""
    return {
        f"{measurement.instrument}.{measurement.item}": measurement.value
        for measurement in entry.answer.measurements.all()
    }


def questions() -> tuple[Question, Question]:
    """What every entry asks: the pain, and pain medicine."""
    return from_instrument(PAIN_NOW, {"nrs": latest("nrs")}), MEDICINE


def rows_of(
    entries: list[CheckIn],
    now: datetime,
    sent: dict[int, dict[str, int]],
    faults: dict[int, dict[str, str]],
) -> list[DiaryRow]:
    """A row for each planned hour, in order of time."""
    hours = [entry.offset_minutes for entry in entries]
    newest = newest_of(entries, now)
    rows = []
    for entry in entries:
        answer: Answer | None = getattr(entry, "answer", None)
        at = clock(entry)
        if answer:
            given = written(entry)
            medicine = given.get(TOOK_MEDICINE)
            took = None if medicine is None else bool(medicine)
            row = DiaryRow(entry.pk, at, "done", answer.late, given.get(PAIN_NOW), took)
            if changeable(entry, entries, now):
                row = row._replace(
                    questions=open_row(entry, at, True, False, {entry.pk: given}, {}).questions
                )
            rows.append(row)
        elif entry.opens_at > now:
            rows.append(DiaryRow(entry.pk, at, "later"))
        elif not entry.open_at(now):
            rows.append(DiaryRow(entry.pk, at, "closed"))
        else:
            performed_at = entry.follow_up.procedure.performed_at
            late = now > performed_at + timedelta(minutes=late_after(hours, entry.offset_minutes))
            rows.append(open_row(entry, at, late, entry == newest, sent, faults))
    return rows


def newest_of(entries: list[CheckIn], now: datetime) -> CheckIn | None:
    """The latest hour that can be filled in now; None when none can."""
    return max(
        (entry for entry in entries if entry.open_at(now)),
        key=lambda check_in: check_in.opens_at,
        default=None,
    )


def open_row(
    entry: CheckIn,
    at: str,
    late: bool,
    newest: bool,
    sent: dict[int, dict[str, int]],
    faults: dict[int, dict[str, str]],
) -> DiaryRow:
    """The row of an entry that can be filled in now."""
    given, wrong = sent.get(entry.pk, {}), faults.get(entry.pk, {})
    asked = []
    for question in questions():
        field = question_field(question, given.get(question.key), wrong.get(question.key, ""))
        words = field.text
        if question.key == TOOK_MEDICINE:
            words = _("Have you taken pain medicine since the last entry?")
        elif late:
            words = _("How bad was your pain at %(time)s?") % {"time": at}
        asked.append(field._replace(key=f"{field.key}-{entry.pk}", id=f"{field.id}-{entry.pk}", text=words))
    return DiaryRow(
        entry.pk, at, "newest" if newest else "open", late, questions=tuple(asked), faulty=bool(wrong)
    )


def clock(entry: CheckIn) -> str:
    """An entry's hour on the site's wall clock, as the reader's language writes it; after midnight with the day."""
    procedure = entry.follow_up.procedure
    zone = procedure.site.zone
    at = entry.opens_at.astimezone(zone)
    hour = time_format(at.time(), "TIME_FORMAT")
    return (
        hour
        if at.date() == procedure.performed_at.astimezone(zone).date()
        else f"{date_format(at, 'l')}, {hour}"
    )


def brief(entry: CheckIn) -> str:
    """The same as short as it can be, for a drawing: without "p.m.", where the language has it."""
    at = entry.opens_at.astimezone(entry.follow_up.procedure.site.zone).time()
    plain = get_format("TIME_FORMAT")
    return time_format(at, "g:i" if plain == "P" else plain)


def own(found: CheckIn, entries: list[CheckIn]) -> Curve | None:
    """What was written so far as a curve; None before the first entry."""
    baseline = found.follow_up.procedure.baseline_pain
    points = [] if baseline is None else [CurvePoint(_("Before"), _("Before"), baseline)]
    written = [entry for entry in entries if hasattr(entry, "answer")]
    for entry in written:
        for measurement in entry.answer.measurements.all():
            if f"{measurement.instrument}.{measurement.item}" == PAIN_NOW:
                points.append(CurvePoint(brief(entry), clock(entry), measurement.value))
    return curve(points) if written else None
