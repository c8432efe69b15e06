"""A text message instead of the second reminder, for patients who agreed to texts."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from clinic import sms
from clinic.outbox import Skip, Wait
from outcomes.models import CheckIn, ContactAttempt
from outcomes.services.invitations import (
    in_batches,
    lock_due_check_ins,
    quiet_at,
    schedule_next_reminder,
    to_remind,
)
from outcomes.services.links import issue_link
from patients.models import Caregiver


def text_due(*, now: datetime, limit: int = 5000) -> int:
    """Queue a text in place of each second reminder that is due; how many.

    Runs before reminders by e-mail do, which then find nothing to do for these. A patient gets one text at a time: what
    else is due goes by e-mail, and so does all that a caregiver is asked. Nothing without SMS_BACKEND.
    """
    if not settings.SMS_BACKEND:
        return 0
    waiting = (
        to_remind(now)
        .filter(
            reminders=1,
            follow_up__patient__sms_consented_at__isnull=False,
            follow_up__patient__opted_out_at=None,
            follow_up__patient__died_on=None,
            follow_up__patient__merged_into=None,
        )
        .exclude(follow_up__patient__phone="")
        .exclude(Exists(Caregiver.objects.asked().filter(patient=OuterRef("follow_up__patient"))))
    )
    return in_batches(text_some, waiting=waiting, now=now, limit=limit, tally=["texted"])["texted"]


@transaction.atomic
def text_some(waiting: QuerySet[CheckIn], patients: Sequence[int], *, now: datetime) -> dict[str, int]:
    """Text each of these patients about the first of what is waiting of theirs; how many were "texted"."""
    first: dict[int, CheckIn] = {}
    for check_in in lock_due_check_ins(waiting, patients):
        first.setdefault(check_in.follow_up.patient_id, check_in)
    for check_in in first.values():
        due_at = check_in.remind_at
        schedule_next_reminder(check_in, now=now)
        check_in.save(update_fields=["reminders", "remind_at", "call_at"])
        sms.queue(
            text_key(check_in),
            template="outcomes.services.sms_reminders.text",
            context={"check_in_id": check_in.pk},
            site=check_in.follow_up.procedure.site,
            now=now,
            due_at=due_at,
        )
        ContactAttempt.objects.create(
            check_in=check_in, kind=ContactAttempt.Kind.SMS, outcome=ContactAttempt.Outcome.QUEUED, at=now
        )
    return {"texted": len(first)}


def text_key(check_in: CheckIn) -> str:
    """The key of a check-in's text message: none gets two."""
    return f"check-in {check_in.pk} text"


def text(check_in_id: int, *, now: datetime) -> sms.TextMessage | Skip | Wait:
    """What the text says, in the patient's language: no name, no clinic, nothing about health. Looked at once more."""
    check_in = CheckIn.objects.select_related("follow_up__patient", "follow_up__procedure__site").get(
        pk=check_in_id
    )
    patient, site = check_in.follow_up.patient, check_in.follow_up.procedure.site
    if check_in.status != CheckIn.Status.INVITED or now >= check_in.closes_at:
        return Skip("answered" if check_in.status == CheckIn.Status.ANSWERED else "closed")
    if patient.why_no_text or site.emails_paused:
        return Skip(patient.why_no_text or "paused")
    if Caregiver.objects.asked_for([patient]):
        return Skip("caregiver")
    if morning := quiet_at(site, now):
        return Wait(morning, "quiet_hours")
    url = settings.SITE_URL + reverse("check_in", args=[issue_link(check_in, now=now)])
    with translation.override(patient.language):
        return sms.TextMessage(patient.phone, _("How are you? %(link)s") % {"link": url})
