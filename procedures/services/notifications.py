"""What patients are told about their appointments: letters in the outbox, and the secret address behind each.

An appointment that is moved is a new row with the old one behind it: the two, and all before them, are one *chain*,
which the patient knows as one appointment.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import CharField, Exists, OuterRef, Q, Value
from django.db.models.functions import Cast, Concat

from clinic import outbox
from clinic.links import new_token, token_hash
from clinic.models import OutgoingEmail, Site
from clinic.timezones import on_wall
from patients.unsubscribe import token_of
from procedures.models import Appointment, AppointmentLink

#: From a wall time to the same one a day later: 25 hours when clocks fall back, and one more where the earlier one was
#: jumped over.
LONGEST_DAY = timedelta(hours=26)

BOOKED, CANCELLED, REMINDER = "booked", "cancelled", "reminder"


def letter_key(appointment_id: int, kind: str) -> str:
    """The outbox key of a letter: no appointment gets two of one kind. `kind`: BOOKED, CANCELLED or REMINDER."""
    return f"appointment {appointment_id} {kind}"


def notify_booked(appointment: Appointment, *, now: datetime) -> None:
    """Queue the letter that confirms an appointment, or tells its new time.

    None for a hold or a request, for a time that has begun, and for a patient who must not be mailed. An appointment
    becomes booked once: no such letter can be there yet.
    """
    if appointment.status == Appointment.Status.BOOKED:
        queue_email(appointment, BOOKED, now=now, first=True)


def notify_cancelled(appointment: Appointment, *, now: datetime) -> None:
    """Queue the letter that an appointment does not take place, unless it should have begun by now."""
    queue_email(appointment, CANCELLED, now=now)


def queue_email(
    appointment: Appointment, kind: str, *, now: datetime, again: str = "", first: bool = False
) -> bool:
    """Put one letter into the outbox, in the caller's transaction; whether it is a new one that may be sent.

    `again`: tells a letter that is sent once more from the first. `first`: as for `outbox.queue`.
    """
    if appointment.starts_at <= now or appointment.patient.why_no_email:
        return False
    email = outbox.queue(
        letter_key(appointment.pk, kind) + again,
        template=f"procedures.emails.{kind}",
        context={"appointment_id": appointment.pk},
        to=appointment.patient.email,
        site=appointment.site,
        now=now,
        due_at=remind_at(appointment) if kind == REMINDER else now,
        first=first,
    )
    return email is not None


def remind_at(appointment: Appointment) -> datetime:
    """When the reminder is due: the day before, when the site's clock shows the time of the appointment. In UTC."""
    wall = appointment.starts_at.astimezone(appointment.site.zone)
    return on_wall(wall.date() - timedelta(days=1), wall.time().replace(fold=0), appointment.site.zone)


def queue_due_reminders(*, now: datetime) -> int:
    """Queue the reminders that are due, each once; how many.

    An appointment that was booked or moved after its reminder would have been due has none: its confirmation has just
    been sent. After an outage reminders are late, but never later than the appointment.
    """
    reminded = OutgoingEmail.objects.filter(key=OuterRef("reminder"))
    key = Concat(Value("appointment "), Cast("pk", CharField()), Value(f" {REMINDER}"))
    queued = 0
    # Site by site, because that is how appointments are indexed by time.
    for site in Site.objects.all():
        coming = (
            Appointment.objects.filter(
                site=site,
                status__in=Appointment.EXPECTED,
                starts_at__gt=now,
                starts_at__lte=now + LONGEST_DAY,
            )
            .annotate(reminder=key)
            .filter(~Exists(reminded))
            .select_related("patient", "site")
        )
        queued += sum(
            queue_email(appointment, REMINDER, now=now)
            for appointment in coming
            if appointment.created_at <= remind_at(appointment) <= now
        )
    return queued


def letter_skip_reason(appointment: Appointment, *, now: datetime) -> str:
    """The code of the reason why a confirmation or reminder must not go out any more; "" when it may.

    Looked at when the e-mail is sent, because minutes or days may lie between: "moved", "cancelled", "voided",
    "arrived", "begun", or why the patient must not be mailed at all.
    """
    if appointment.status == Appointment.Status.CANCELLED:
        return "moved" if was_moved(appointment) else "cancelled"
    if appointment.status == Appointment.Status.ENTERED_IN_ERROR:
        return "voided"
    if appointment.status in (*Appointment.PRESENT, Appointment.Status.COMPLETED):
        return "arrived"
    if appointment.status not in Appointment.EXPECTED or appointment.starts_at <= now:
        return "begun"
    return appointment.patient.why_no_email


def why_not_to_cancel(appointment: Appointment, *, now: datetime) -> str:
    """The same for the letter that an appointment was cancelled; "never_told": no letter spoke of it before."""
    if appointment.status not in (Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR):
        return "not_cancelled"
    if appointment.starts_at <= now:
        return "begun"
    # Booked and cancelled before the first letter went out: to write now would only puzzle. Where there was no letter
    # at all, as for an imported appointment, the patient knows of it from elsewhere.
    told = letters_about(chain(appointment))
    if told and not any(letter.status in TOLD for letter in told):
        return "never_told"
    return appointment.patient.why_no_email


#: A letter in one of these has reached the patient, or may have.
TOLD = (OutgoingEmail.Status.SENDING, OutgoingEmail.Status.SENT, OutgoingEmail.Status.FAILED)


def letters_about(appointments: list[Appointment]) -> list[OutgoingEmail]:
    """The confirmations of these appointments, whatever became of them."""
    keys = [letter_key(appointment.pk, BOOKED) for appointment in appointments]
    return list(OutgoingEmail.objects.filter(key__in=keys))


def is_news_of_change(appointment: Appointment) -> bool:
    """Whether the patient has been written of an earlier time of the same appointment."""
    return any(letter.status in TOLD for letter in letters_about(chain(appointment)[1:]))


def was_moved(appointment: Appointment) -> bool:
    """Whether another appointment has taken its place."""
    return Appointment.objects.filter(rescheduled_from=appointment).exists()


def chain(appointment: Appointment) -> list[Appointment]:
    """The appointment and those that it took the place of, the newest first."""
    links = [appointment]
    while before := links[-1].rescheduled_from:
        links.append(before)
    return links


def latest(appointment: Appointment) -> Appointment:
    """The last of those that took the place of `appointment`, one after the other; itself where none did."""
    while later := Appointment.objects.filter(rescheduled_from=appointment).select_related("site").first():
        appointment = later
    return appointment


def issue_link(appointment: Appointment, *, now: datetime) -> str:
    """Make a new secret address for the appointment and return its token, which is kept nowhere.

    Earlier links of the appointment go on working: their e-mails may be under way.
    """
    token = new_token()
    AppointmentLink.objects.create(
        appointment=appointment,
        token_hash=token_hash(token),
        created_at=now,
        stop_key=appointment.patient.unsubscribe_key,
    )
    return token


def void_links(appointments: Sequence[int], *, now: datetime) -> int:
    """Let everything that was e-mailed about these appointments, by number, open nothing any more; how many links. A
    tablet's stays: it was e-mailed to nobody."""
    links = AppointmentLink.objects.filter(appointment__in=appointments, tablet_until=None, revoked_at=None)
    return links.update(revoked_at=now)


def notify_at_new_address(appointments: Sequence[int], *, now: datetime) -> int:
    """Queue the letters of those of these appointments, by number, that are to come and of which an earlier address was
    told, if only by a reminder; how many. What still waits in the outbox goes to the new address anyhow."""
    coming = Appointment.objects.filter(
        pk__in=appointments, status__in=Appointment.EXPECTED, starts_at__gt=now
    ).select_related("patient", "site")
    told = [appointment for appointment in coming if was_notified(appointment)]
    again = f" {now:%Y-%m-%dT%H:%M:%S.%f}"
    return sum(queue_email(appointment, BOOKED, now=now, again=again) for appointment in told)


def was_notified(appointment: Appointment) -> bool:
    """Whether a confirmation, however often it was sent, or a reminder has told of the appointment, and none waits in
    the outbox."""
    key = letter_key(appointment.pk, BOOKED)
    about = OutgoingEmail.objects.filter(
        Q(key__in=(key, letter_key(appointment.pk, REMINDER))) | Q(key__startswith=f"{key} ")
    )
    found = set(about.values_list("status", flat=True))
    return OutgoingEmail.Status.QUEUED not in found and not found.isdisjoint(TOLD)


def stop_token(token: str) -> str:
    """The token with which the reader of a letter stops e-mail to the address that it went to, by that of its link,
    whether it still opens or not; "" for an unknown one."""
    link = (
        AppointmentLink.objects.filter(token_hash=token_hash(token), tablet_until=None)
        .select_related("appointment__patient")
        .first()
    )
    return token_of(link.stop_key or link.appointment.patient.unsubscribe_key) if link else ""


def open_link(token: str, *, now: datetime) -> Appointment | None:
    """The appointment behind a token; None when the token is unknown or revoked, or the appointment has ended.

    A tablet's link opens the questions before the procedure (`patient_baselines`) and nothing here. A cancelled one is
    returned until its time is over, so that the page can say that it was cancelled.
    """
    link = (
        AppointmentLink.objects.filter(token_hash=token_hash(token), revoked_at=None, tablet_until=None)
        .select_related("appointment__patient", "appointment__site", "appointment__procedure_type")
        .first()
    )
    if link is None:
        return None
    found = link.appointment
    return None if found.ends_at <= now or found.status == Appointment.Status.NO_SHOW else found
