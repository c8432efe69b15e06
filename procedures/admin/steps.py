"""The steps of an appointment: which are possible now, for whom, and the page on which each is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import show_refusal, tell
from procedures.admin.forms import ArriveForm, CancelForm, NoShowForm, PerformForm, RescheduleForm, StepForm
from procedures.models import Appointment

Status = Appointment.Status


@dataclass(frozen=True)
class Step:
    """One thing that can be done with an appointment."""

    name: str
    label: Promise
    title: Promise
    permission: str
    form: type[StepForm]
    done: Promise
    #: Whether the day allows it: the local day of the appointment, the local day now, and whether it has begun.
    timely: Callable[[Any, Any, bool], bool]
    statuses: tuple[str, ...] = (Status.BOOKED,)
    #: In which statuses it is the next step, and so is offered in lists.
    listed: tuple[str, ...] = ()
    #: Whether one click is enough, with nothing to fill in.
    at_once: bool = False
    danger: bool = False

    def possible(self, appointment: Appointment, *, now: datetime) -> bool:
        """Whether it makes sense now; the service has the last word."""
        zone = appointment.site.zone
        day, today = (moment.astimezone(zone).date() for moment in (appointment.starts_at, now))
        return appointment.status in self.statuses and self.timely(day, today, appointment.starts_at <= now)

    def url(self, appointment: Appointment) -> str:
        return reverse("admin:procedures_appointment_step", args=[appointment.pk, self.name])


STEPS = {
    step.name: step
    for step in (
        Step(
            "arrive",
            _("Arrived"),
            _("The patient is here"),
            "procedures.receive_appointment",
            ArriveForm,
            _("The patient is marked as arrived."),
            lambda day, today, begun: day == today,
            listed=(Status.BOOKED,),
            at_once=True,
        ),
        Step(
            "perform",
            _("Perform"),
            _("Record what was performed"),
            "procedures.perform_procedure",
            PerformForm,
            _("The procedure is recorded; its follow-up has begun."),
            lambda day, today, begun: day <= today,
            statuses=(Status.BOOKED, Status.ARRIVED),
            listed=(Status.ARRIVED,),
        ),
        Step(
            "no-show",
            _("No-show"),
            _("The patient did not come"),
            "procedures.receive_appointment",
            NoShowForm,
            _("The appointment is marked as a no-show; its resources are free."),
            lambda day, today, begun: begun,
            listed=(Status.BOOKED,),
            at_once=True,
        ),
        Step(
            "reschedule",
            _("Reschedule"),
            _("Reschedule"),
            "procedures.book_appointment",
            RescheduleForm,
            _("The appointment has its new time; the old one is free."),
            lambda day, today, begun: True,
        ),
        Step(
            "cancel",
            _("Cancel"),
            _("Cancel the appointment"),
            "procedures.cancel_appointment",
            CancelForm,
            _("The appointment is cancelled; its time is free."),
            lambda day, today, begun: True,
            statuses=(Status.BOOKED, Status.ARRIVED),
            danger=True,
        ),
    )
}


def steps_for(request: HttpRequest, appointment: Appointment, *, now: datetime) -> list[Step]:
    """The steps that are possible now and that the user may take."""
    return [
        step
        for step in STEPS.values()
        if request.user.has_perm(step.permission) and step.possible(appointment, now=now)
    ]


def buttons(steps: list[Step], appointment: Appointment, *, query: str | None = None) -> SafeString:
    """A button for each step; those done at once post by themselves, inside the form that stands around them.

    `query`: that of the list to come back to; None to go to the appointment's page.
    """
    if not steps:
        return SafeString("")
    suffix = "" if query is None else "?" + urlencode({"back": query})
    return format_html(
        '<div class="desk-steps">{}</div>',
        format_html_join("", "{}", [(button(step, appointment, suffix),) for step in steps]),
    )


def button(step: Step, appointment: Appointment, suffix: str) -> SafeString:
    address = step.url(appointment) + suffix
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


def take(
    request: HttpRequest,
    form: forms.Form,
    act: Callable[[], str],
    *,
    done: Any,
    back: str,
    context: Mapping[str, Any],
) -> HttpResponse:
    """A page with one form. Only POST acts; what is refused is shown with everything typed still there.

    `act` raises the service's refusals and returns the address to go to. Where nothing that could be typed would
    help (it was clicked twice, somebody else was faster, or there is nothing to type) the reader is taken to the
    page `back`, which shows how things stand.
    """
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            goal = act()
        except ValidationError as refusal:
            if not form.fields or getattr(refusal, "code", None) == "not_allowed_now":
                tell(request, refusal)
                return HttpResponseRedirect(back)
            show_refusal(form, refusal, getattr(form, "names", {}))
        else:
            messages.success(request, str(done))
            return HttpResponseRedirect(goal)
    if form.errors:
        status = 422
    page = {**admin.site.each_context(request), "form": form, "media": form.media, "back": back, **context}
    return TemplateResponse(request, "admin/procedures/step.html", page, status=status)
