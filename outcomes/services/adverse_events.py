"""Adverse events: recording them and correcting them. What was written down before stays in the history.

No term and no description stands in the audit trail; the reason of a correction is kept in the row.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.adverse_event_terms import Term
from outcomes.models import AdverseEvent, FollowUp

#: What can be said about an adverse event, and corrected, in the order in which it is asked.
FIELDS = (
    *("term", "description", "onset_on", "severity", "serious"),
    *("outcome", "suspect", "relation", "grade"),
)
#: As much of a reason as is kept.
REASON_LENGTH = 500
#: As much of a description as is kept.
DESCRIPTION_LENGTH = 2000


def check_adverse_event(event: AdverseEvent, *, now: datetime) -> None:
    """Refuse what an adverse event must not say. Wants `follow_up__procedure__site` selected.

    Raises ValidationError by field, with "recorded_already" for what stands already; Refusal "not_allowed_now" for the
    follow-up of a procedure that was entered in error, "before_procedure" and "in_the_future" for the day on which it
    began, "fatal_not_serious", "grade_not_possible", "description_required", "too_long".
    """
    follow_up, procedure = event.follow_up, event.follow_up.procedure
    event.recorded_at = event.recorded_at or now
    event.description = event.description.strip()
    if follow_up.closed_reason == FollowUp.Closed.VOIDED:
        raise Refusal("This procedure was entered in error.", code="not_allowed_now")
    fatal = event.outcome == AdverseEvent.Outcome.FATAL
    if fatal and not (event.serious and event.severity == AdverseEvent.Severity.SEVERE):
        field = "severity" if event.serious else "serious"
        raise Refusal("What was fatal is serious and severe.", code="fatal_not_serious", field=field)
    if event.grade is not None and (event.grade == 5) != fatal:
        raise Refusal(
            "Grade 5 is for what was fatal, and for nothing else.", code="grade_not_possible", field="grade"
        )
    if len(event.description) > DESCRIPTION_LENGTH:
        raise Refusal(
            f"A description has at most {DESCRIPTION_LENGTH} characters.",
            code="too_long",
            field="description",
        )
    if event.term == Term.OTHER and not event.description:
        raise Refusal("Describe what happened.", code="description_required", field="description")
    event.full_clean(exclude={"recorded_by"})
    zone = procedure.site.zone
    if event.onset_on > now.astimezone(zone).date():
        raise Refusal("This date is in the future.", code="in_the_future", field="onset_on")
    if event.onset_on < procedure.performed_at.astimezone(zone).date():
        raise Refusal("This is before the day of the procedure.", code="before_procedure", field="onset_on")


@transaction.atomic
def record_adverse_event(event: AdverseEvent, *, by: User | None, now: datetime) -> AdverseEvent:
    """Write down that something bad happened after a procedure. Raises as `check_adverse_event` does."""
    event.follow_up = locked_follow_up(event.follow_up_id)
    event.recorded_by, event.recorded_at = by, now
    check_adverse_event(event, now=now)
    event.save(force_insert=True)
    audit.record("adverse_event.recorded", event, by=by, at=now, site=event.follow_up.procedure.site)
    return event


@transaction.atomic
def correct_adverse_event(
    event_id: int, *, changes: Mapping[str, Any], reason: str, by: User | None, now: datetime
) -> AdverseEvent:
    """Say better, for a reason of up to 500 characters, what happened or how it went on.

    `changes`: values for some of FIELDS; the rest stays. Raises as `check_adverse_event` does, and Refusal
    "reason_required", "reason_too_long", "nothing_changed", "not_allowed_now" for one that was entered in error.
    """
    event = lock_adverse_event(event_id)
    reason = checked_reason(reason)
    changed = [name for name in FIELDS if name in changes and getattr(event, name) != changes[name]]
    if not changed:
        raise Refusal("This is what stands.", code="nothing_changed")
    for name in changed:
        setattr(event, name, changes[name])
    event.corrected_reason = reason
    check_adverse_event(event, now=now)
    event.save(update_fields=[*changed, "description", "corrected_reason"])
    audit.record("adverse_event.corrected", event, by=by, at=now, site=event.follow_up.procedure.site)
    return event


@transaction.atomic
def void_adverse_event(event_id: int, *, reason: str, by: User | None, now: datetime) -> AdverseEvent:
    """Mark an adverse event, for a reason, as entered in error; its row stays and counts nowhere.

    Raises Refusal "reason_required", "reason_too_long", "not_allowed_now" for one that is marked already.
    """
    event = lock_adverse_event(event_id)
    event.entered_in_error_at, event.entered_in_error_reason = now, checked_reason(reason)
    event.save(update_fields=["entered_in_error_at", "entered_in_error_reason"])
    audit.record("adverse_event.entered_in_error", event, by=by, at=now, site=event.follow_up.procedure.site)
    return event


def locked_follow_up(follow_up_id: int) -> FollowUp:
    """The follow-up, for this transaction alone: of two clicks at once, one is second."""
    rows = FollowUp.objects.select_for_update(of=("self",)).select_related("procedure__site", "patient")
    return rows.get(pk=follow_up_id)


def lock_adverse_event(event_id: int) -> AdverseEvent:
    """The adverse event with its follow-up. Raises Refusal "not_allowed_now" for one that was entered in error."""
    follow_up = locked_follow_up(AdverseEvent.objects.values_list("follow_up", flat=True).get(pk=event_id))
    event = AdverseEvent.objects.select_for_update(of=("self",)).get(pk=event_id)
    event.follow_up = follow_up
    if event.entered_in_error_at:
        raise Refusal("This was entered in error.", code="not_allowed_now")
    return event


def checked_reason(reason: str) -> str:
    """The reason as it is kept. Raises Refusal "reason_required", "reason_too_long", field "reason"."""
    reason = reason.strip()
    if not reason:
        raise Refusal("Say why.", code="reason_required", field="reason")
    if len(reason) > REASON_LENGTH:
        raise Refusal(
            f"Say it in at most {REASON_LENGTH} characters.", code="reason_too_long", field="reason"
        )
    return reason
