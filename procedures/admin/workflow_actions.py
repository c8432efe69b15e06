"""The steps of an appointment: which are possible now, for whom, and the page on which each is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from clinic.row_versions import beside
from procedures.admin.appointment_forms import (
    AcceptForm,
    CancelForm,
    CorrectForm,
    ErrorForm,
    RescheduleForm,
    SettleForm,
    StepForm,
)
from procedures.admin.procedure_forms import BaselineForm, PerformForm, TabletForm
from procedures.models import Appointment
from procedures.services.corrections import CORRECTABLE
from procedures.services.patient_baselines import WAITING
from procedures.services.transitions import UNDONE_WITHIN
from procedures.workflow import BOOK, EXPECTED
from procedures.workflow import STEPS as WAYS

Status = Appointment.Status


def whenever(day: Any, today: Any, begun: bool) -> bool:
    """The day does not matter."""
    return True


@dataclass(frozen=True)
class StepButton:
    """One thing that can be done with an appointment; from which statuses and by whom, says `procedures.workflow`.

    `name` is its address, `step` its name there; "" when it is no step of that table.
    """

    name: str
    step: str
    label: Promise
    title: Promise
    done: Promise
    form: type[StepForm] = StepForm
    #: Whether the day allows it: the local day of the appointment, the local day now, and whether it has begun.
    timely: Callable[[Any, Any, bool], bool] = whenever
    #: In which statuses it is the next step, and so is offered in lists and on the board.
    listed: tuple[str, ...] = ()
    #: Whether one click is enough, with nothing to fill in.
    at_once: bool = False
    danger: bool = False
    #: For what is no step of that table: what staff must hold, and from which statuses it leads on.
    needs: str = BOOK
    origins: frozenset[str] = frozenset(EXPECTED)

    @property
    def permission(self) -> str:
        """What staff must hold."""
        return WAYS[self.step].permission if self.step else self.needs

    @property
    def statuses(self) -> frozenset[str]:
        """From which statuses it leads on."""
        return WAYS[self.step].origins if self.step else self.origins

    def possible(self, appointment: Appointment, *, now: datetime) -> bool:
        """Whether it makes sense now; the service has the last word."""
        if self.name == SETTLE and not appointment.wants_change_at:
            return False
        zone = appointment.site.zone
        day, today = (moment.astimezone(zone).date() for moment in (appointment.starts_at, now))
        return appointment.status in self.statuses and self.timely(day, today, appointment.starts_at <= now)

    def url(self, appointment: Appointment) -> str:
        return reverse("admin:procedures_appointment_step", args=[appointment.pk, self.name])


#: No steps of the table: the first ends an appointment and begins another, the others leave it where it is.
RESCHEDULE, SETTLE, BASELINE, TABLET = "reschedule", "settle-change", "baseline", "tablet"
#: These ask for the pain before, which is asked once on the day.
ASKS = (BASELINE, TABLET)

STEPS = {
    step.name: step
    for step in (
        StepButton("accept", "accept", _("Accept"), _("Book what was requested"), _("The appointment is booked."),
             AcceptForm, listed=(Status.REQUESTED,)),
        StepButton("book", "book", _("Book"), _("Book the held time"), _("The time is booked."),
             listed=(Status.HELD,), at_once=True),
        StepButton("confirm", "confirm", _("Confirm"), _("The patient has confirmed"),
             _("The appointment is confirmed."), timely=lambda day, today, begun: not begun,
             listed=(Status.BOOKED,), at_once=True),
        StepButton("arrive", "arrive", _("Arrived"), _("The patient is here"), _("The patient is marked as arrived."),
             timely=lambda day, today, begun: day == today,
             listed=(Status.BOOKED, Status.CONFIRMED), at_once=True),
        StepButton("undo-arrival", "undo_arrival", _("Not here after all"), _("The patient is not here after all"),
             _("The patient is expected again."), at_once=True),
        StepButton("make-ready", "make_ready", _("Ready"), _("The patient is ready"),
             _("The patient is marked as ready."), listed=(Status.ARRIVED,), at_once=True),
        StepButton("start", "start", _("Start"), _("The procedure starts"), _("The procedure has started."),
             listed=(Status.READY,), at_once=True),
        StepButton("to-recovery", "to_recovery", _("To recovery"), _("The patient goes to recovery"),
             _("The patient is in recovery."), listed=(Status.IN_PROCEDURE,), at_once=True),
        StepButton("perform", "complete", _("Perform"), _("Record what was performed"),
             _("The procedure is recorded; its follow-up has begun."), PerformForm,
             timely=lambda day, today, begun: day <= today,
             listed=(Status.ARRIVED, Status.READY, Status.IN_PROCEDURE, Status.RECOVERING)),
        StepButton(BASELINE, "", _("Note pain before"), _("Note the pain before the procedure"),
             _("The pain before is noted."), BaselineForm, listed=(Status.ARRIVED, Status.READY),
             needs="procedures.record_baseline",
             origins=frozenset((*Appointment.EXPECTED, *Appointment.PRESENT))),
        StepButton(TABLET, "", _("Ask on the tablet"), _("Ask the patient on the tablet"),
             _("Six digits open the questions on a tablet."), TabletForm,
             listed=(Status.ARRIVED, Status.READY), at_once=True, needs="procedures.record_baseline",
             origins=frozenset(WAITING)),
        StepButton("no-show", "mark_no_show", _("No-show"), _("The patient did not come"),
             _("The appointment is marked as a no-show; its resources are free."),
             timely=lambda day, today, begun: begun,
             listed=(Status.BOOKED, Status.CONFIRMED), at_once=True),
        StepButton("undo-no-show", "undo_no_show", _("Expected after all"), _("The patient is expected after all"),
             _("The patient is expected again."),
             timely=lambda day, today, begun: today - day <= UNDONE_WITHIN,
             listed=(Status.NO_SHOW,), at_once=True),
        StepButton(RESCHEDULE, "", _("Type a new time"), _("Reschedule"),
             _("The appointment has its new time; the old one is free."), RescheduleForm),
        StepButton("correct", "", _("Correct"), _("Correct side, levels, indication or note"),
             _("The appointment is corrected."), CorrectForm, origins=CORRECTABLE),
        StepButton(SETTLE, "", _("Settle"), _("The wish for another time is settled"),
             _("The wish for another time is settled; the appointment stands."), SettleForm,
             listed=(Status.BOOKED, Status.CONFIRMED), at_once=True),
        StepButton("cancel", "cancel", _("Cancel"), _("Cancel the appointment"),
             _("The appointment is cancelled; its time is free."), CancelForm, danger=True),
        StepButton("error", "enter_in_error", _("Entered in error"), _("Mark as entered in error"),
             _("The appointment is marked as entered in error; nothing follows from it."), ErrorForm, danger=True),
    )
}  # fmt: skip


def steps_for(request: HttpRequest, appointment: Appointment, *, now: datetime) -> list[StepButton]:
    """The steps that are possible now and that the user may take."""
    return [
        step
        for step in STEPS.values()
        if request.user.has_perm(step.permission) and step.possible(appointment, now=now)
    ]


def buttons(steps: list[StepButton], appointment: Appointment, *, back: str = "") -> SafeString:
    """A button for each step; those done at once post by themselves, inside the form that stands around them.

    `back`: the page of ours to come back to; "": the appointment's.
    """
    if not steps:
        return SafeString("")
    suffix = "?" + urlencode({"next": back}) if back else ""
    return format_html(
        '<div class="desk-steps">{}</div>',
        format_html_join("", "{}", [(button(step, appointment, suffix),) for step in steps]),
    )


def button(step: StepButton, appointment: Appointment, suffix: str) -> SafeString:
    address = step.url(appointment) + suffix
    if step.at_once:  # no page stands between, which could say what it has shown
        address += f"{'&' if suffix else '?'}{beside(appointment)}"
    label = format_html('<span class="desk-hidden">: {}</span>', appointment.patient)
    if step.at_once:
        return format_html(
            '<button type="submit" class="desk-button" formaction="{}" formnovalidate>{}{}</button>',
            address,
            step.label,
            label,
        )
    return format_html(
        '<a class="desk-button{}" href="{}">{}{}</a>',
        " desk-danger" if step.danger else "",
        address,
        step.label,
        label,
    )
