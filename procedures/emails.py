"""What the letters about appointments say: where and when. Nothing about what is done, to whom, or how to prepare."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.models import Site
from clinic.outbox import EXAMPLE, NAME, Attachment, Letterhead, Message, Preview, Skip, html_of
from patients.models import Patient
from patients.unsubscribe import unsubscribe_headers
from procedures import calendar
from procedures.models import Appointment
from procedures.services import notifications
from procedures.spoken_times import day_and_time, when

#: Stand for what differs from letter to letter in a sheet that is kept.
LINK, BEFORE, WHEN, BRIEFLY = (
    "https://link.invalid/",
    "https://before.invalid/",
    "when.invalid",
    "briefly.invalid",
)


def booked(appointment_id: int, *, now: datetime) -> Message | Skip:
    """That an appointment is booked, or was moved when the patient had been written of another time."""
    appointment = find(appointment_id)
    reason = notifications.letter_skip_reason(appointment, now=now)
    if reason:
        return Skip(reason)
    kind = "moved" if notifications.is_news_of_change(appointment) else "booked"
    return letter(appointment, kind, method="PUBLISH", now=now)


def reminder(appointment_id: int, *, now: datetime) -> Message | Skip:
    """That an appointment is near. Its date is said, not "tomorrow": an e-mail may be late, and read later still."""
    appointment = find(appointment_id)
    reason = notifications.letter_skip_reason(appointment, now=now)
    return Skip(reason) if reason else letter(appointment, "reminder", method="PUBLISH", now=now)


def cancelled(appointment_id: int, *, now: datetime) -> Message | Skip:
    """That an appointment does not take place."""
    appointment = find(appointment_id)
    reason = notifications.why_not_to_cancel(appointment, now=now)
    return Skip(reason) if reason else letter(appointment, "cancelled", method="CANCEL", now=now)


def find(appointment_id: int) -> Appointment:
    return Appointment.objects.select_related("patient", "site").get(pk=appointment_id)


def letter(appointment: Appointment, kind: str, *, method: str, now: datetime) -> Message:
    """One letter in the patient's language, with a link of its own unless there is nothing left to see.

    A reminder has two: that of the appointment, and to the questions before it.

    `method`: of the calendar file that goes with it. It is an attachment, and no alternative of the text: Outlook would
    show it in place of the letter, and its link would be gone.
    """
    site, patient = appointment.site, appointment.patient
    language = patient.language
    token = "" if kind == "cancelled" else notifications.issue_link(appointment, now=now)
    with translation.override(language):
        times = when(appointment.starts_at, site.zone), day_and_time(appointment.starts_at, site.zone)
        write = {"PUBLISH": calendar.entry, "CANCEL": calendar.cancellation}[method]
        file = write(appointment, now=now)
    return replace(
        filled(letter_sheet(language, kind, Letterhead.of(site), greeted(site)), token, times, patient),
        # Stopping e-mail stops letters too. Only a reminder offers it: news of a change is not stopped in passing.
        headers=unsubscribe_headers(patient) if kind == "reminder" else {},
        attachments=(Attachment("appointment.ics", file, "calendar", {"method": method}),),
        to=patient.email,
    )


def greeted(site: Site) -> str:
    """What stands for the first name in a letter of this site; "" where it does not allow one."""
    return NAME if site.greets_by_first_name else ""


def filled(sheet: Message, token: str, times: tuple[str, str], patient: Patient) -> Message:
    """The sheet with the addresses that the token opens, "" for none, the time, in full and briefly, and the name."""
    time, brief = times
    text, html = sheet.text.replace(WHEN, time), sheet.html.replace(WHEN, escape(time))
    for stands, name in ((LINK, "appointment"), (BEFORE, "before")) if token else ():
        address = settings.SITE_URL + reverse(name, args=[token])
        text, html = text.replace(stands, address), html.replace(stands, escape(address))
    return Message(
        sheet.subject.replace(BRIEFLY, brief),
        text.replace(NAME, patient.called),
        html.replace(BRIEFLY, escape(brief)).replace(NAME, escape(patient.called)),
        language=sheet.language,
    )


@lru_cache(maxsize=256)
def letter_sheet(language: str, kind: str, site: Letterhead, name: str) -> Message:
    """What the letters of one kind, language and site share, with LINK, BEFORE, WHEN, BRIEFLY and NAME in it.

    Kept, because inlining the style and rendering take longer than everything else about an e-mail in this process.
    """
    with translation.override(language):
        heading = {
            "booked": _("Your appointment: %(when)s"),
            "moved": _("New time for your appointment: %(when)s"),
            "reminder": _("Reminder: your appointment, %(when)s"),
            "cancelled": _("Cancelled: your appointment, %(when)s"),
        }[kind] % {"when": BRIEFLY}
        context = {
            "title": heading,
            "name": name,
            "kind": kind,
            "url": LINK,
            "before": BEFORE,
            "when": WHEN,
            "site": site,
            "language": language,
        }
        return Message(
            subject=heading,
            text=render_to_string("procedures/email/letter.txt", context),
            html=html_of("procedures/email/letter.html", context),
            language=language,
        )


#: A made-up time for the previews.
SOME_TIME = datetime(2027, 1, 15, 14, tzinfo=UTC)


def preview(kind: str, language: str, site: Site) -> Message:
    """A letter of that kind with a made-up time and a link that leads nowhere; without its calendar file."""
    with translation.override(language):
        times = when(SOME_TIME, site.zone), day_and_time(SOME_TIME, site.zone)
    patient = Patient(given_name="Maria")
    return filled(letter_sheet(language, kind, Letterhead.of(site), greeted(site)), EXAMPLE, times, patient)


#: What can be looked at in the admin.
PREVIEWS = [
    Preview("booked", gettext_lazy("Appointment: booked"), partial(preview, "booked")),
    Preview("moved", gettext_lazy("Appointment: moved"), partial(preview, "moved")),
    Preview("appointment-reminder", gettext_lazy("Appointment: reminder"), partial(preview, "reminder")),
    Preview("cancelled", gettext_lazy("Appointment: cancelled"), partial(preview, "cancelled")),
]
