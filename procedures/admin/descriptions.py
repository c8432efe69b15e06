"""How appointments and closures are spoken of at the front desk, and where an appointment's page is."""

from datetime import date, datetime
from typing import Any

from django.db.models import Case, Count, Prefetch, QuerySet, Value, When
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clinic.admin.datetime_widgets import site_time_text
from clinic.models import Closure, Site
from clinic.timezones import day_span
from procedures.baselines import PAIN, days_before
from procedures.models import Appointment, Baseline, Procedure

#: Colour of each status; its word always stands beside it.
STATUS_LABELS = {
    "requested": "default",
    "held": "default",
    "booked": "info",
    "confirmed": "info",
    "arrived": "warning",
    "ready": "warning",
    "in_procedure": "primary",
    "recovering": "primary",
    "completed": "success",
    "no_show": "danger",
    "cancelled": "default",
    "entered_in_error": "default",
}


#: Of an appointment whose place another one took; its code is that of a cancelled one.
RESCHEDULED = "rescheduled"


def tallies(rows: QuerySet[Appointment]) -> list[tuple[str, str, int]]:
    """How many of `rows` have each status, as label, colour and number. What was moved counts as no cancellation."""
    counted = (
        rows.order_by()
        .annotate(
            state=Case(
                When(
                    status=Appointment.Status.CANCELLED,
                    rescheduled_to__isnull=False,
                    then=Value(RESCHEDULED),
                ),
                default="status",
            )
        )
        .values_list("state")
        .annotate(Count("pk", distinct=True))
    )
    counts = dict(counted)
    labels = [*Appointment.Status.choices, (RESCHEDULED, _("rescheduled"))]
    return [
        (str(label), STATUS_LABELS.get(value, "default"), counts[value])
        for value, label in labels
        if value in counts
    ]


#: What is asked before a procedure, in short.
BASELINE_LABELS = {
    "nrs.now": gettext_lazy("pain now"),
    "peg.pain": gettext_lazy("PEG: pain on average"),
    "peg.enjoyment": gettext_lazy("PEG: enjoyment of life"),
    "peg.activity": gettext_lazy("PEG: general activity"),
}


def page_of(appointment: Appointment) -> str:
    return reverse("admin:procedures_appointment_change", args=[appointment.pk])


def span(appointment: Appointment) -> str:
    """From when to when, on the site's wall clock: "Mon 11 Jan 2027, 09:00–10:45 EST"."""
    zone = appointment.site.zone
    start, end = appointment.starts_at.astimezone(zone), appointment.ends_at.astimezone(zone)
    return f"{start:%a %-d %b %Y, %H:%M}–{end:%H:%M %Z}"


def now_at(appointment: Appointment) -> SafeString:
    """Of a moved appointment the way to the one that took its place, read with it; "" of any other."""
    if not appointment.moved:
        return SafeString("")
    new = appointment.rescheduled_to
    return format_html(
        '<a class="desk-link desk-sub" href="{}">{}</a>',
        page_of(new),
        _("now %s") % site_time_text(new.starts_at, new.site),
    )


def displaced_words(appointment: Appointment, *, now: datetime) -> str:
    """That it has lost what it holds, and why; "" when it has not."""
    lost = appointment.lies_displaced(now)
    return _("displaced: %s") % appointment.get_displaced_reason_display() if lost else ""


def marks(appointment: Appointment, *, baseline: bool = True) -> list[tuple[str, str]]:
    """What somebody must know beside the status, each with the colour it is shown in.

    `baseline` False: a missing pain score is said elsewhere.
    """
    now = timezone.now()
    result = []
    if appointment.status == Appointment.Status.HELD and appointment.held_until:
        result.append(
            (
                _("held until %s") % f"{appointment.held_until.astimezone(appointment.site.zone):%H:%M}",
                "warning",
            )
        )
    if is_late(appointment):
        minutes = int((now - appointment.starts_at).total_seconds() // 60)
        result.append((_("late by %d min") % minutes if minutes < 24 * 60 else _("overdue"), "danger"))
    if lost := displaced_words(appointment, now=now):
        result.append((lost, "danger"))
    if appointment.overbooked_reason:
        result.append((_("overbooked"), "warning"))
    if appointment.wants_change_at and appointment.status in Appointment.EXPECTED:
        result.append((_("asked for another time"), "warning"))
    procedure = getattr(appointment, "procedure", None)
    if not baseline:
        return result
    if procedure is not None and procedure.status in procedure.FOLLOWED:
        if procedure.baseline_pain is None:
            result.append((_("pain before missing"), "danger"))
        elif procedure.baseline_source == procedure.BaselineSource.EARLIER:
            result.append((_("pain before is old: %s") % age_of_baseline(procedure), "warning"))
    return result


def age_of_baseline(procedure: Procedure) -> str:
    """How long before the procedure the pain before was named: "12 days"; "on the day"."""
    if procedure.baseline_taken_at is None:
        return _("on the day")
    return age(days_before(procedure.baseline_taken_at, procedure.performed_at, zone=procedure.site.zone))


def age_before(procedure: Procedure) -> str:
    """What is to be added where the pain before is not of the day: ", 12 days before"; else ""."""
    if procedure.baseline_source != procedure.BaselineSource.EARLIER:
        return ""
    return ", " + _("%s before") % age_of_baseline(procedure)


def age(days: int) -> str:
    """So many days before the procedure, in words."""
    return ngettext("%d day", "%d days", days) % days if days else _("on the day")


def baseline_words(procedure: Procedure) -> str:
    """The pain before a procedure, and how old it was when it was not asked on the day: "7 / 10, 12 days before"."""
    return f"{procedure.baseline_pain} / 10{age_before(procedure)}"


#: Reads with appointments, as `pains`, what was noted of the pain before, the latest first.
PAINS = Prefetch(
    "baselines",
    Baseline.objects.filter(instrument=PAIN.partition(".")[0], item=PAIN.partition(".")[2]),
    "pains",
)


def pain_noted(appointment: Appointment, *, on_the_day: bool = False) -> Baseline | None:
    """The pain that was noted last, of an appointment read with PAINS; None for none, or none on its own day."""
    zone = appointment.site.zone
    noted: list[Baseline] = appointment.pains  # type: ignore[attr-defined]
    of_day = (
        baseline
        for baseline in noted
        if days_before(baseline.taken_at, appointment.starts_at, zone=zone) == 0
    )
    return next(of_day if on_the_day else iter(noted), None)


def who_noted(row: Baseline) -> str:
    """Who wrote a score down: a member of staff by name, else how it came; and that a caregiver said it."""
    if row.recorded_by is None or row.by_caregiver:
        return f"{row.recorded_by}: {row.how}" if row.recorded_by else row.how
    return str(row.recorded_by)


def is_late(appointment: Appointment) -> bool:
    """Whether the patient is expected and the time has come."""
    return appointment.status in Appointment.EXPECTED and appointment.starts_at < timezone.now()


def meant(appointment: Appointment) -> str:
    """Region, side and levels in one line; "" when nothing was said."""
    side = str(appointment.get_laterality_display()) if appointment.laterality else ""
    return " · ".join(
        part for part in (appointment.region.replace("_", " "), side, appointment.levels) if part
    )


def label(text: Any, kind: str, marks: list[tuple[Any, str]]) -> SafeString:
    """A coloured word with the marks beside it, as in the list of appointments."""
    html = render_to_string("admin/procedures/state.html", {"status": text, "kind": kind, "marks": marks})
    return SafeString(html)


def touches(closure: Closure, day: date, site: Site) -> bool:
    """Whether something is closed then on that day of the site."""
    start, end = day_span(day, site.zone)
    return closure.starts_at < end and closure.ends_at > start


def closed_words(closure: Closure, day: date, site: Site) -> str:
    """What is closed on that day, when and why: "Riverside, all day: Thanksgiving"."""
    start, end = day_span(day, site.zone)
    whom = str(closure.resource or site)
    if closure.starts_at <= start and closure.ends_at >= end:
        return _("%(whom)s, all day: %(reason)s") % {"whom": whom, "reason": closure.reason}
    begins = max(closure.starts_at, start).astimezone(site.zone)
    finishes = min(closure.ends_at, end).astimezone(site.zone)
    return f"{whom}, {begins:%H:%M}–{finishes:%H:%M}: {closure.reason}"
