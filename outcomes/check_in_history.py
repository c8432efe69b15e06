"""What became of a check-in, in sentences that staff can read out to a patient who says "I never got it".

Reads only, and always with the same few queries. The sentences are in the reader's language; times are on the wall
clock of the procedure's site. The API gives the same, with the code of each.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clinic.models import AuditEvent, DeliveryReport, OutgoingEmail, OutgoingText, Site
from clinic.restores.decisions import MARKED
from outcomes.models import Answer, CheckIn, ContactAttempt, Draft
from outcomes.schedule import DAY
from outcomes.services.invitations import invitation_key
from outcomes.services.sms_reminders import text_key
from patients.email_reasons import NO_EMAIL
from patients.models import Patient

Kind, Outcome = ContactAttempt.Kind, ContactAttempt.Outcome

#: Why an e-mail that was queued was held back in the end, or none was queued, besides what NO_EMAIL says.
HELD_BACK = {
    "answered": gettext_lazy("The patient had answered by then."),
    "voided": gettext_lazy("The check-in was void by then."),
    "closed": gettext_lazy("The check-in was closed by then."),
    "paused": gettext_lazy("All questions of this site were stopped."),
    "not_asked": gettext_lazy("Nothing was sent before it closed."),
    "superseded": gettext_lazy("A newer question was due as well."),
    "quiet_hours": gettext_lazy("It was too late or too early in the day."),
    "no_phone": gettext_lazy("No phone number is known."),
    "caregiver": gettext_lazy("A caregiver is asked in the patient's place, by e-mail."),
    "next_reminder": gettext_lazy("The next reminder was due as well."),
    "weekly_cap": gettext_lazy("The patient had had as many e-mails that week as the site allows."),
    **NO_EMAIL,
}


#: What a report about an e-mail means: the code of its fact, and a sentence.
REPORTED = {
    DeliveryReport.Kind.DELIVERED: ("delivered", gettext_lazy("The %(what)s to %(to)s was delivered.")),
    DeliveryReport.Kind.DELAYED: ("delayed", gettext_lazy("The %(what)s to %(to)s is not delivered yet.")),
    DeliveryReport.Kind.BOUNCED: (
        "came_back",
        gettext_lazy("The %(what)s came back: there is no address %(to)s."),
    ),
    DeliveryReport.Kind.REFUSED: (
        "came_back",
        gettext_lazy("The %(what)s to %(to)s came back: the mailbox did not take it."),
    ),
    DeliveryReport.Kind.COMPLAINED: (
        "complained",
        gettext_lazy("The %(what)s was marked as spam at %(to)s; none is sent any more."),
    ),
    DeliveryReport.Kind.UNSUBSCRIBED: (
        "unsubscribed",
        gettext_lazy("Somebody unsubscribed %(to)s at the mail service; none is sent any more."),
    ),
}


class Fact(NamedTuple):
    """One thing that happened, or did not. `code` is stable; `at` None: at no certain time; `said`: a sentence."""

    code: str
    at: datetime | None
    said: str


def why(check_in_id: int) -> list[Fact]:
    """Everything that is known about how a check-in came about and what became of it, in order of time.

    Raises CheckIn.DoesNotExist.
    """
    check_in = (
        CheckIn.objects.select_related(
            "follow_up__patient",
            "follow_up__relief_profile__procedure_type",
            "follow_up__check_in_profile__procedure_type",
            "follow_up__procedure__site",
            "confirms__answer",
            "answer__recorded_by",
            "draft",
        )
        .prefetch_related(
            "contact_attempts__email__reports", "contact_attempts__by", "answer__corrections__by"
        )
        .get(pk=check_in_id)
    )
    site = check_in.follow_up.procedure.site
    first = [planned(check_in, site), *moved(check_in, site)]
    later = [*tried(check_in, site), *answered(check_in, site), *ended(check_in, site)]
    return [*first, *sorted(later, key=lambda fact: fact.at or datetime.max.replace(tzinfo=UTC))]


def clock(moment: datetime, site: Site) -> str:
    """An instant on the site's wall clock: "Tue 13 Apr 2027, 10:00 EDT"."""
    return f"{moment.astimezone(site.zone):%a %-d %b %Y, %H:%M %Z}"


def planned(check_in: CheckIn, site: Site) -> Fact:
    """When it was to be asked, and by which rule of the relief profile."""
    follow_up, offset = check_in.follow_up, check_in.offset_minutes
    profile = follow_up.plan_profile
    if offset % DAY or offset // DAY not in profile.check_in_days:
        own = follow_up.relief_profile  # its diary, and what was asked before the plan changed
        if offset in own.check_in_minutes or (offset % DAY == 0 and offset // DAY in own.check_in_days):
            profile = own
    words = {
        "profile": f"{profile.procedure_type} v{profile.version}",
        "at": f"{check_in.due_at.astimezone(site.zone):%H:%M}",
        "site": site,
        "due": clock(check_in.due_at, site),
        "when": check_in.when,
        "days": profile.check_in_every_days,
        "confirms": check_in.confirms.when if check_in.confirms else "",
    }
    if check_in.kind == CheckIn.Kind.REPORT:
        # Nobody asked: there was no plan for it, and nothing that it could be late for.
        return Fact("reported", check_in.due_at, _("The pain is back: said without being asked."))
    if check_in.kind == CheckIn.Kind.CONFIRMATION:
        said = _("Asks once more, because of a first bad score after relief on %(confirms)s: %(due)s.")
    elif offset % DAY == 0 and offset // DAY in profile.check_in_days:
        said = _(
            "Planned for %(when)s of the relief profile %(profile)s, at %(at)s on the clock of %(site)s: %(due)s."
        )
    elif offset in profile.check_in_minutes:
        said = _(
            "Planned for %(when)s after the procedure, from the diary of the relief profile %(profile)s: %(due)s."
        )
    elif profile.check_in_every_days:
        said = _(
            "Planned for %(when)s, as the relief profile %(profile)s repeats its question every %(days)s days, "
            "at %(at)s on the clock of %(site)s: %(due)s."
        )
    else:
        said = _("Planned for %(when)s by the relief profile %(profile)s: %(due)s.")
    closes = _("Answers are taken until %s.") % clock(check_in.closes_at, site)
    planned_at = check_in.confirms.answer.answered_at if check_in.confirms else check_in.follow_up.opened_at
    return Fact("planned", planned_at, f"{said % words} {closes}")


def moved(check_in: CheckIn, site: Site) -> Iterator[Fact]:
    """Each time the plan was changed, as the database's own history tells it, and why.

    A row's history carries the time at which its transaction began; the trail's event of the same planning is the first
    one after that.
    """
    reasons = list(
        AuditEvent.objects.filter(
            action="follow_up.replanned",
            object_type="outcomes.followup",
            object_id=check_in.follow_up_id,
        )
        .order_by("recorded_at")
        .values_list("recorded_at", "reason")
    )
    events = check_in.events.order_by("pgh_id").values_list("pgh_created_at", "due_at")  # type: ignore[attr-defined]
    before: datetime | None = None
    for at, due_at in events:
        if before is not None and due_at is not None and due_at != before:
            said = _("Moved from %(before)s to %(after)s.") % {
                "before": clock(before, site),
                "after": clock(due_at, site),
            }
            reason = next((reason for recorded_at, reason in reasons if recorded_at >= at), "")
            yield Fact("moved", at, f"{said} {reason}".strip())
        before = due_at or before


def tried(check_in: CheckIn, site: Site) -> Iterator[Fact]:
    """Every attempt to reach the patient, what became of it, and what is still to come."""
    patient = check_in.follow_up.patient
    attempts = list(check_in.contact_attempts.all())
    named = {attempt.email_id for attempt in attempts if attempt.email_id}
    for attempt in attempts:
        if attempt.kind == Kind.CALL:
            yield called(attempt, site)
        elif attempt.outcome == Outcome.SKIPPED:
            words = {"what": attempt.get_kind_display(), "why": reason(attempt.reason)}
            yield Fact("not_sent", attempt.at, _("No %(what)s was sent: %(why)s") % words)
        elif attempt.kind == Kind.SMS:
            yield from texted(attempt, check_in, site)
        elif attempt.email is not None:
            yield from sent(attempt.email, str(attempt.get_kind_display()), attempt.at, patient, site)
        else:
            yield Fact("queued", attempt.at, _("A %s was put into the outbox.") % attempt.get_kind_display())
    # What was asked before attempts were written down is known by its key.
    early = OutgoingEmail.objects.filter(key=invitation_key(check_in)).first()
    if early is not None and early.pk not in named:
        yield from sent(early, str(Kind.INVITATION.label), early.created_at, patient, site)
    if check_in.not_sent_reason and not any(attempt.outcome == Outcome.SKIPPED for attempt in attempts):
        yield Fact(
            "not_sent", check_in.due_at, _("No e-mail was sent: %s") % reason(check_in.not_sent_reason)
        )
    if check_in.status in CheckIn.OPEN:
        if check_in.hold_until and check_in.status == CheckIn.Status.PLANNED:
            said = _(
                "It waits until %s: another question is about to come, or the patient has had enough e-mails."
            )
            yield Fact("waits", check_in.hold_until, said % clock(check_in.hold_until, site))
        if check_in.remind_at:
            yield Fact(
                "to_remind", check_in.remind_at, _("A reminder is due: %s.") % clock(check_in.remind_at, site)
            )
        if check_in.call_at:
            yield Fact("to_call", check_in.call_at, _("To be called: %s.") % clock(check_in.call_at, site))


def called(attempt: ContactAttempt, site: Site) -> Fact:
    """A telephone call, and what came of it."""
    words = {"who": attempt.by or _("Somebody"), "what": attempt.get_outcome_display()}
    said = _("%(who)s called: %(what)s.") % words
    if attempt.again_at:
        said += " " + _("The patient is to be called again: %s.") % clock(attempt.again_at, site)
    return Fact("called", attempt.at, said)


def sent(email: OutgoingEmail, what: str, at: datetime, patient: Patient, site: Site) -> Iterator[Fact]:
    """What became of one e-mail. `what` it is, in words; `at`: when it was put into the outbox."""
    tries = ngettext("%d try", "%d tries", email.attempts) % email.attempts
    words = {"what": what, "to": email.to, "tries": tries, "why": trouble(email.problem)}
    yield Fact("queued", at, _("An e-mail (%(what)s) to %(to)s was put into the outbox.") % words)
    if email.problem == MARKED and email.sent_at:
        said = (
            _("Not sent again: somebody said after a restore that the %(what)s had gone out already.") % words
        )
        yield Fact("held_back", email.sent_at, said)
    elif email.status == OutgoingEmail.Status.SENT and email.sent_at:
        said = _("The mail server took the %(what)s to %(to)s, after %(tries)s.") % words
        yield Fact("sent", email.sent_at, said)
        yield from reported(email, words, patient)
    elif email.status == OutgoingEmail.Status.SKIPPED:
        why_not = reason(email.problem)
        yield Fact("held_back", at, _("The %(what)s was held back: ") % words + why_not)
    elif email.status == OutgoingEmail.Status.FAILED:
        yield Fact(
            "failed", email.claimed_at or at, _("The %(what)s was given up after %(tries)s: %(why)s") % words
        )
    elif email.status == OutgoingEmail.Status.SENDING:
        yield Fact("sending", email.claimed_at or at, _("The %(what)s is just being sent.") % words)
    elif email.attempts:
        next_try = _("Next try: %s.") % clock(email.not_before, site)
        yield Fact(
            "waiting",
            email.not_before,
            _("The %(what)s did not go out in %(tries)s: %(why)s") % words + f" {next_try}",
        )
    else:
        waits = [
            _("The %(what)s has not gone out yet.") % words,
            _("It is due: %s.") % clock(email.not_before, site),
        ]
        if email.problem:  # it was its turn, at a bad hour
            waits.insert(1, reason(email.problem))
        yield Fact("waiting", email.not_before, " ".join(waits))


def reported(email: OutgoingEmail, words: dict[str, str], patient: Patient) -> Iterator[Fact]:
    """What was heard of an e-mail after it had gone out. Wants its reports fetched."""
    reports = list(email.reports.all())
    for report in reports:
        code, said = REPORTED[DeliveryReport.Kind(report.kind)]
        yield Fact(code, report.at, str(said) % words)
    back = any(REPORTED[DeliveryReport.Kind(report.kind)][0] == "came_back" for report in reports)
    known = patient.bounced_at if patient.email == email.to else None
    if known and email.sent_at and known >= email.sent_at and not back:
        yield Fact(
            "came_back", known, _("An e-mail to %(to)s came back, and none goes there any more.") % words
        )


def texted(attempt: ContactAttempt, check_in: CheckIn, site: Site) -> Iterator[Fact]:
    """What became of the text message about a check-in."""
    yield Fact("queued", attempt.at, _("A text message was put into the outbox."))
    text = OutgoingText.objects.filter(key=text_key(check_in)).first()
    if text is None:
        return
    if text.problem == MARKED:
        said = _("Not sent again: somebody said after a restore that it had gone out already.")
        yield Fact("held_back", text.sent_at, said)
    elif text.status == OutgoingText.Status.SENT:
        yield Fact("sent", text.sent_at, _("The text message went out."))
    elif text.status == OutgoingText.Status.SKIPPED:
        yield Fact("held_back", attempt.at, _("The text message was held back: ") + reason(text.problem))
    elif text.status == OutgoingText.Status.FAILED:
        yield Fact(
            "failed",
            text.claimed_at or attempt.at,
            _("The text message did not go out (%s); it is not tried again.") % text.problem,
        )
    elif text.not_before:
        why_not = reason(text.problem) if text.problem in HELD_BACK else f"({text.problem})"
        said = _("The text message has not gone out yet.") + f" {why_not} "
        yield Fact("waiting", text.not_before, said + _("Next try: %s.") % clock(text.not_before, site))
    else:
        yield Fact("waiting", attempt.at, _("The text message has not gone out yet."))


def reason(code: str) -> str:
    """Why nothing was sent, in words."""
    return str(HELD_BACK.get(code, code))


def trouble(code: str) -> str:
    """What went wrong with an e-mail, in words; the codes are those of `clinic.outbox`."""
    who, refused, reply = code.partition("_refused_")
    if refused:
        words = {
            "recipient": _("The mail server refuses this address (reply %s)."),
            "sender": _("The mail server refuses the clinic as a sender (reply %s)."),
            "message": _("The mail server refuses the message (reply %s)."),
        }
        return words.get(who, "%s") % reply
    if code == "abandoned":
        return _("Sending stopped in the middle, time after time.")
    return _("The mail server could not be reached (%s).") % code if code else ""


def answered(check_in: CheckIn, site: Site) -> Iterator[Fact]:
    """That it was opened and answered, by whom, and what was corrected."""
    draft: Draft | None = getattr(check_in, "draft", None)
    if draft is not None:
        yield Fact(
            "opened",
            draft.started_at,
            _("The link was opened and an answer begun; nothing was sent yet."),
        )
    given: Answer | None = getattr(check_in, "answer", None)
    if given is None:
        return
    words = {"channel": given.how, "by": given.recorded_by}
    said = (
        _("Answered; channel: %(channel)s.")
        if given.recorded_by is None
        else _("Answered; channel: %(channel)s, written down by %(by)s.")
    )
    yield Fact("answered", given.answered_at, said % words)
    for correction in given.corrections.all():
        told = {
            "by": correction.by or _("the patient"),
            "version": correction.version,
            "why": correction.reason,
        }
        yield Fact("corrected", correction.at, _("Corrected by %(by)s, version %(version)s: %(why)s") % told)


def ended(check_in: CheckIn, site: Site) -> Iterator[Fact]:
    """How it ended without an answer."""
    if check_in.status == CheckIn.Status.MISSED:
        yield Fact(
            "missed",
            check_in.closes_at,
            _("Nobody answered until it closed: %s.") % clock(check_in.closes_at, site),
        )
    elif check_in.status == CheckIn.Status.SUPERSEDED:
        newer = (
            CheckIn.objects.filter(
                follow_up=check_in.follow_up_id,
                kind=CheckIn.Kind.PLANNED,
                offset_minutes__gt=check_in.offset_minutes,
            )
            .exclude(status=CheckIn.Status.SUPERSEDED)
            .order_by("offset_minutes")
            .first()
        )
        said = (
            _("Not asked any more: %s was due by then as well, and only the newest is asked.") % newer.when
            if newer
            else _("Not asked any more: a newer one was due by then as well.")
        )
        yield Fact("superseded", newer.due_at if newer else None, said)
    elif check_in.status == CheckIn.Status.VOIDED:
        follow_up = check_in.follow_up
        if follow_up.closed_reason:
            said = _("Void: the follow-up ended, because %s.") % follow_up.get_closed_reason_display()
        elif check_in.kind == CheckIn.Kind.CONFIRMATION:
            said = _("Withdrawn: there is nothing left to confirm.")
        else:
            said = _("Void.")
        yield Fact("voided", follow_up.closed_at, said)
