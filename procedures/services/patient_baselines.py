"""What patients say themselves before a procedure: by the link of their appointment, or on the clinic's tablet.

A tablet's page is a link of its own. Staff are told six digits, and whoever types them at `/tablet/` within CODE_FOR
has the page, until it was sent or PAGE_FOR is over.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic import audit
from clinic.links import new_token, token_hash
from clinic.models import User
from clinic.refusals import Refusal
from clinic.timezones import day_span
from procedures.baselines import PAIN
from procedures.models import Appointment, AppointmentLink, Baseline
from procedures.services.baselines import note_baseline
from procedures.services.transitions import lock_appointment, refuse_unless

#: How long the digits can be typed in, and how long the page then waits for the patient (choices; unconfirmed).
CODE_FOR, PAGE_FOR = timedelta(minutes=10), timedelta(minutes=30)
DIGITS = 6
#: The same score once more within so long is a second click (a choice; unconfirmed).
SAME_WITHIN = timedelta(minutes=10)

Status = Appointment.Status
#: The patient waits for the procedure, in the house.
WAITING = (Status.ARRIVED, Status.READY)
#: The procedure has begun.
BEGUN = (Status.IN_PROCEDURE, Status.RECOVERING, Status.COMPLETED)


def open_baseline_link(token: str, *, now: datetime) -> AppointmentLink | None:
    """The link behind a token whose page asks before a procedure, with its appointment.

    None when the token is unknown or revoked, the appointment is over, or a tablet's time has run out. A tablet's link
    that was sent is revoked, and is returned all the same until its time is over: a second click is no fault.
    """
    link = (
        AppointmentLink.objects.filter(token_hash=token_hash(token))
        .select_related("appointment__patient", "appointment__site", "appointment__procedure_type")
        .first()
    )
    if link is None:
        return None
    if link.tablet_until:
        return link if now < link.tablet_until and not link.code else None
    found = link.appointment
    shut = link.revoked_at or found.ends_at <= now or found.status == Status.NO_SHOW
    return None if shut else link


def why_not_to_say(link: AppointmentLink, *, now: datetime) -> str:
    """The code of the reason why the patient cannot say now how it is before the procedure; "" when they can.

    "performed_already": it has begun or is over. "not_allowed_now": nobody comes for it, or, with the e-mailed link,
    its time has come and nobody has seen the patient arrive, so that nobody knows whether it has begun. A tablet is
    for those who wait in the house.
    """
    if link.tablet_until and link.appointment.status in Appointment.EXPECTED:
        return "not_allowed_now"
    return why_too_late(link.appointment, now=now)


def why_too_late(appointment: Appointment, *, now: datetime) -> str:
    """The same for the link that the patient got by e-mail."""
    if appointment.status in BEGUN:
        return "performed_already"
    expected = appointment.status in Appointment.EXPECTED and now < appointment.starts_at
    return "" if expected or appointment.status in WAITING else "not_allowed_now"


def said_today(appointment: Appointment, *, now: datetime) -> dict[str, int]:
    """What the patient has said on this day of the site, by "instrument.item", the latest of each."""
    start, end = day_span(now.astimezone(appointment.site.zone).date(), appointment.site.zone)
    own = Baseline.objects.filter(
        appointment=appointment, channel__in=Baseline.OWN, taken_at__gte=start, taken_at__lt=end
    )
    return {row.key: row.value for row in own.order_by("taken_at", "pk")}


@transaction.atomic
def record_own_baseline(link: AppointmentLink, *, values: Mapping[str, int], now: datetime) -> list[Baseline]:
    """Note what the patient says now; the rows that are new. Sent from a tablet, its link ends.

    `values` by "instrument.item": those that were answered. What was said within SAME_WITHIN and has not changed is a
    second click and is not noted again.

    Raises Refusal "performed_already" or "not_allowed_now" as `why_not_to_say` says, "item_missing" (field "nrs.now")
    for no value at all, and as `note_baseline` does.
    """
    appointment = link.appointment = lock_appointment(link.appointment_id)
    on_tablet = link.tablet_until is not None
    reason = why_not_to_say(link, now=now)
    if reason:
        raise Refusal("The time for these questions is over.", code=reason, field="status")
    if not values:
        raise Refusal("Name the pain now.", code="item_missing", field=PAIN)
    lately = Baseline.objects.filter(
        appointment=appointment, channel__in=Baseline.OWN, taken_at__gt=now - SAME_WITHIN
    )
    known = {row.key: row.value for row in lately.order_by("taken_at", "pk")}
    news = {key: value for key, value in values.items() if known.get(key) != value}
    channel = Baseline.Channel.TABLET if on_tablet else Baseline.Channel.LINK
    rows = []
    if news:
        rows = note_baseline(appointment.pk, values=news, taken_at=now, by=None, channel=channel, now=now)
    if on_tablet:
        AppointmentLink.objects.filter(pk=link.pk, revoked_at=None).update(revoked_at=now)
    return rows


@transaction.atomic
def offer_tablet(appointment_id: int, *, by: User | None, now: datetime) -> str:
    """The digits with which a tablet opens the questions before the procedure; those offered before open nothing.

    Raises PermissionDenied when `by` may not note scores; Refusal "not_allowed_now" unless the patient waits in the
    house.
    """
    if by is not None and not by.has_perm("procedures.record_baseline"):
        raise PermissionDenied
    appointment = lock_appointment(appointment_id)
    refuse_unless(appointment, frozenset(WAITING))
    offered = AppointmentLink.objects.exclude(code="")
    offered.filter(appointment=appointment).update(code="", revoked_at=now)
    offered.filter(tablet_until__lte=now).update(code="", revoked_at=now)
    taken = set(offered.values_list("code", flat=True))
    while (code := f"{secrets.randbelow(10**DIGITS):0{DIGITS}}") in taken:
        pass
    AppointmentLink.objects.create(
        appointment=appointment,
        token_hash=token_hash(new_token()),  # of nobody's: the tablet gets its own
        created_at=now,
        tablet_until=now + CODE_FOR,
        code=code,
    )
    audit.record("baseline.tablet_offered", appointment, by=by, at=now, site=appointment.site)
    return code


def offered_code(appointment: Appointment, *, now: datetime) -> AppointmentLink | None:
    """The link whose digits can still be typed in on a tablet; None when there is none."""
    return appointment.links.exclude(code="").filter(revoked_at=None, tablet_until__gt=now).first()


@transaction.atomic
def open_on_tablet(code: str, *, now: datetime) -> str:
    """The token of the page that these digits open. They open nothing a second time.

    Raises Refusal "code_unknown" (field "code") for digits that were not offered, were used, or are too old.
    """
    links = AppointmentLink.objects.select_for_update().filter(revoked_at=None, tablet_until__gt=now)
    digits = len(code) == DIGITS and code.isascii() and code.isdecimal()
    found = list(links.filter(code=code)[:2]) if digits else []
    if len(found) != 1:  # two: drawn at the same instant, and then neither may open the other's
        raise Refusal("These digits open nothing.", code="code_unknown", field="code")
    (link,), token = found, new_token()
    link.token_hash, link.code, link.tablet_until = token_hash(token), "", now + PAGE_FOR
    link.save(update_fields=["token_hash", "code", "tablet_until"])
    return token
