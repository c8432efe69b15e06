"""The diary of a diagnostic block on one page: what was filled in, what can be, what comes later."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.formats import get_format, time_format
from django.utils.translation import gettext as _

from clinic.pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.diary import late_after
from outcomes.instruments import Text, latest
from outcomes.models import Alert, Answer, CheckIn
from outcomes.own_curve import Point
from outcomes.questions import PAIN_NOW, TOOK_MEDICINE, Question, from_instrument
from outcomes.services.answering import red_flags_of
from outcomes.views.showing import Curve, Shown, curve, following, lead, read, shown, what_to_do, wrong

MEDICINE = Question(TOOK_MEDICINE, Text("", None), "yes_no")


class Row(NamedTuple):
    """One planned hour. `state`: "done", "open", "newest" of those that are open, "later" or "closed".

    `pain` 0–10 and `took_medicine` as they were written, None when they were not. `questions` of an open one.
    """

    time: str
    state: str
    late: bool = False
    pain: int | None = None
    took_medicine: bool | None = None
    questions: tuple[Shown, ...] = ()
    faulty: bool = False


def show(
    request: HttpRequest, found: CheckIn, entries: list[CheckIn], token: str, now: datetime
) -> HttpResponseBase:
    """The whole diary, or what is sent of it is taken; after a yes to a red flag, first what to do."""
    flags = red_flags_of(found.follow_up.procedure.procedure_type)
    faults: dict[int, dict[str, str]] = {}
    sent: dict[int, dict[str, int]] = {}
    ticked: list[str] = []
    if request.method == "POST":
        tongue = request.POST.get("lang")
        sent, faults = taken(request, entries, now)
        ticked = [f.key.partition(".")[2] for f in flags if f.key in request.POST.getlist("red_flag")]
        if speaks(tongue) and not (sent or ticked):
            return lead(request, lang=tongue)
        if not (sent or ticked):
            newest = newest_of(entries, now)
            if newest is None:
                return lead(request)
            faults[newest.pk] = {PAIN_NOW: wrong(questions()[0])}
        try:  # a yes to a red flag does not wait until the rest is right
            services.fill_in(
                found.pk,
                {} if faults else sent,
                red_flags=ticked,
                language=translation.get_language() or "en",
                now=now,
            )
        except Refusal as refusal:
            if refusal.code != "closed":
                raise
            return gone(request)
        if not faults:
            if speaks(tongue):
                return lead(request, lang=tongue)
            return lead(request, show="help") if ticked else lead(request, saved=1)
    alert = found.follow_up.alerts.filter(kind=Alert.Kind.RED_FLAG, resolved_at=None).first()
    told = what_to_do(flags, alert.codes if alert else [])
    site = found.follow_up.procedure.site
    if told and request.method != "POST" and request.GET.get("show") == "help":
        return page(request, "outcomes/help.html", site, told=told, token=token, here="show=help")
    rows = rows_of(entries, now, sent, faults)
    return page(
        request,
        "outcomes/diary.html",
        site,
        status=422 if faults else 200,
        token=token,
        rows=rows,
        open=any(row.state in ("open", "newest") for row in rows),
        complete=all(row.state == "done" for row in rows),
        saved="saved" in request.GET and request.method != "POST",
        faulty=bool(faults),
        flags=[shown(flag, 1 if flag.key.partition(".")[2] in ticked else None) for flag in flags],
        told=told,
        following=following(token, now),
        curve=own(found, entries),
    )


def taken(
    request: HttpRequest, entries: list[CheckIn], now: datetime
) -> tuple[dict[int, dict[str, int]], dict[int, dict[str, str]]]:
    """What the form holds of the entries that are open now: by their number the values, and what is wrong."""
    values: dict[int, dict[str, int]] = {}
    faults: dict[int, dict[str, str]] = {}
    for entry in entries:
        form = {
            question.key: request.POST[f"{question.key}-{entry.pk}"]
            for question in questions()
            if f"{question.key}-{entry.pk}" in request.POST
        }
        if form and entry.open_at(now):
            given, wrong = read(questions(), form)
            if wrong:
                faults[entry.pk] = wrong
            values[entry.pk] = given
    return values, faults


def questions() -> tuple[Question, Question]:
    """What every entry asks: the pain, and pain medicine."""
    return from_instrument(PAIN_NOW, {"nrs": latest("nrs")}), MEDICINE


def rows_of(
    entries: list[CheckIn],
    now: datetime,
    sent: dict[int, dict[str, int]],
    faults: dict[int, dict[str, str]],
) -> list[Row]:
    """A row for each planned hour, in order of time."""
    hours = [entry.offset_minutes for entry in entries]
    newest = newest_of(entries, now)
    rows = []
    for entry in entries:
        answer: Answer | None = getattr(entry, "answer", None)
        at = clock(entry)
        if answer:
            given = {f"{m.instrument}.{m.item}": m.value for m in answer.measurements.all()}
            medicine = given.get(TOOK_MEDICINE)
            took = None if medicine is None else bool(medicine)
            rows.append(Row(at, "done", answer.late, given.get(PAIN_NOW), took))
        elif entry.opens_at > now:
            rows.append(Row(at, "later"))
        elif not entry.open_at(now):
            rows.append(Row(at, "closed"))
        else:
            performed_at = entry.follow_up.procedure.performed_at
            late = now > performed_at + timedelta(minutes=late_after(hours, entry.offset_minutes))
            rows.append(open_row(entry, at, late, entry == newest, sent, faults))
    return rows


def newest_of(entries: list[CheckIn], now: datetime) -> CheckIn | None:
    """The latest hour that can be filled in now; None when none can."""
    return max((one for one in entries if one.open_at(now)), key=lambda one: one.opens_at, default=None)


def open_row(
    entry: CheckIn,
    at: str,
    late: bool,
    newest: bool,
    sent: dict[int, dict[str, int]],
    faults: dict[int, dict[str, str]],
) -> Row:
    """The row of an entry that can be filled in now."""
    given, wrong = sent.get(entry.pk, {}), faults.get(entry.pk, {})
    asked = []
    for question in questions():
        one = shown(question, given.get(question.key), wrong.get(question.key, ""))
        words = one.text
        if question.key == TOOK_MEDICINE:
            words = _("Have you taken pain medicine since the last entry?")
        elif late:
            words = _("How bad was your pain at %(time)s?") % {"time": at}
        asked.append(one._replace(key=f"{one.key}-{entry.pk}", id=f"{one.id}-{entry.pk}", text=words))
    return Row(at, "newest" if newest else "open", late, questions=tuple(asked), faulty=bool(wrong))


def clock(entry: CheckIn) -> str:
    """The hour of an entry on the site's wall clock, as the reader's language writes it."""
    return time_format(entry.opens_at.astimezone(entry.follow_up.procedure.site.zone).time(), "TIME_FORMAT")


def brief(entry: CheckIn) -> str:
    """The same as short as it can be, for a drawing: without "p.m.", where the language has it."""
    at = entry.opens_at.astimezone(entry.follow_up.procedure.site.zone).time()
    plain = get_format("TIME_FORMAT")
    return time_format(at, "g:i" if plain == "P" else plain)


def own(found: CheckIn, entries: list[CheckIn]) -> Curve | None:
    """What was written so far as a curve; None before the first entry."""
    baseline = found.follow_up.procedure.baseline_pain
    points = [] if baseline is None else [Point(_("Before"), _("Before"), baseline)]
    written = [entry for entry in entries if hasattr(entry, "answer")]
    for entry in written:
        for one in entry.answer.measurements.all():
            if f"{one.instrument}.{one.item}" == PAIN_NOW:
                points.append(Point(brief(entry), clock(entry), one.value))
    return curve(points) if written else None
