"""What became of a check-in, in sentences that staff can read out to a patient who says "I never got it".

Reads only, and always with the same few queries. The sentences stand in check_in_sentences.py, in the reader's language
where it is translated; times are on the wall clock of the procedure's site. The API gives the same, with the code of
each.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from clinic.models import AuditEvent, DeliveryReport, OutgoingEmail, OutgoingText, Site
from clinic.restores.decisions import MARKED
from outcomes.check_in_sentences import SENTENCES
from outcomes.models import Answer, CheckIn, ContactAttempt, Draft
from outcomes.schedule import DAY
from outcomes.services.invitations import invitation_key
from outcomes.services.sms_reminders import text_key
from patients.email_reasons import NO_EMAIL
from patients.models import Patient

#: Why nothing was sent, by its code.
HELD_BACK: Mapping[str, Any] = {**SENTENCES["held_back"], **NO_EMAIL}
#: What a report about an e-mail is called: the code of its fact, and the sentence.
REPORTED = {kind: kind.value for kind in DeliveryReport.Kind} | {
    DeliveryReport.Kind.BOUNCED: "came_back.bounced",
    DeliveryReport.Kind.REFUSED: "came_back.refused",
}


class Fact(NamedTuple):
    """One thing that happened, or did not. `code` is stable; `at` None: at no certain time; `said`: a sentence."""

    code: str
    at: datetime | None
    said: str


class Say:
    """Makes facts of a check-in at a site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __call__(self, name: str, at: datetime | None, /, **words: Any) -> Fact:
        """The fact of a code, "sent", or of one of its sentences, "sent.text". Instants among the words are written on
        the site's clock."""
        code, _dot, which = name.partition(".")
        told = {key: self.clock(word) if isinstance(word, datetime) else word for key, word in words.items()}
        return Fact(code, at, (_(SENTENCES["facts"][code][which or code]) % told).strip())

    def clock(self, moment: datetime) -> str:
        """An instant on the site's wall clock: "Tue 13 Apr 2027, 10:00 EDT"."""
        return f"{moment.astimezone(self.site.zone):%a %-d %b %Y, %H:%M %Z}"


def why(check_in_id: int) -> list[Fact]:
    """Everything that is known about how a check-in came about and what became of it, in order of time.

    Raises CheckIn.DoesNotExist.
    """
    rows = CheckIn.objects.select_related(
        *(
            "follow_up__patient",
            "follow_up__procedure__site",
            "confirms__answer",
            "answer__recorded_by",
            "draft",
        ),
        *("follow_up__relief_profile__procedure_type", "follow_up__check_in_profile__procedure_type"),
    )
    fetched = ("contact_attempts__email__reports", "contact_attempts__by", "answer__corrections__by")
    check_in = rows.prefetch_related(*fetched).get(pk=check_in_id)
    say = Say(check_in.site)
    later = [*contacts(check_in, say), *answers(check_in, say), *end(check_in, say)]
    first = [planned(check_in, say), *moves(check_in, say)]
    return [*first, *sorted(later, key=lambda fact: fact.at or datetime.max.replace(tzinfo=UTC))]


def planned(check_in: CheckIn, say: Say) -> Fact:
    """When it was to be asked, and by which rule of the relief profile."""
    follow_up, offset = check_in.follow_up, check_in.offset_minutes
    if check_in.kind == CheckIn.Kind.REPORT:
        # Nobody asked: there was no plan for it, and nothing that it could be late for.
        return say("reported", check_in.due_at)
    profile = follow_up.plan_profile
    if offset % DAY or offset // DAY not in profile.check_in_days:
        own = follow_up.relief_profile  # its diary, and what was asked before the plan changed
        if offset in own.check_in_minutes or (offset % DAY == 0 and offset // DAY in own.check_in_days):
            profile = own
    if check_in.kind == CheckIn.Kind.CONFIRMATION:
        rule = "confirmation"
    elif offset % DAY == 0 and offset // DAY in profile.check_in_days:
        rule = "day"
    elif offset in profile.check_in_minutes:
        rule = "diary"
    else:
        rule = "repeated" if profile.check_in_every_days else "other"
    first_bad, at = check_in.confirms, f"{check_in.due_at.astimezone(say.site.zone):%H:%M}"
    words: dict[str, Any] = {
        "profile": f"{profile.procedure_type} v{profile.version}",
        "days": profile.check_in_every_days,
    }
    words |= {"at": at, "site": say.site, "due": check_in.due_at, "closes": check_in.closes_at}
    words |= {"when": check_in.when, "confirms": first_bad.when if first_bad else ""}
    planned_at = first_bad.answer.answered_at if first_bad else follow_up.opened_at
    return say(f"planned.{rule}", planned_at, **words)


def moves(check_in: CheckIn, say: Say) -> Iterator[Fact]:
    """Each time the plan was changed, as the database's own history tells it, and why.

    A row's history carries the time at which its transaction began; the trail's event of the same planning is the first
    one after that.
    """
    trail = AuditEvent.objects.filter(action="follow_up.replanned", object_type="outcomes.followup")
    trail = trail.filter(object_id=check_in.follow_up_id).order_by("recorded_at")
    reasons = list(trail.values_list("recorded_at", "reason"))
    events = check_in.events.order_by("pgh_id").values_list("pgh_created_at", "due_at")  # type: ignore[attr-defined]
    before: datetime | None = None
    for at, due_at in events:
        if before is not None and due_at is not None and due_at != before:
            reason = next((reason for recorded_at, reason in reasons if recorded_at >= at), "")
            yield say("moved", at, before=before, after=due_at, why=reason)
        before = due_at or before


def contacts(check_in: CheckIn, say: Say) -> Iterator[Fact]:
    """Every attempt to reach the patient, what became of it, and what is still to come."""
    patient, attempts = check_in.follow_up.patient, list(check_in.contact_attempts.all())
    for attempt in attempts:
        kind, at = attempt.get_kind_display(), attempt.at
        if attempt.kind == ContactAttempt.Kind.CALL:
            words = {"who": attempt.by or _("Somebody"), "what": attempt.get_outcome_display()}
            yield say("called.again" if attempt.again_at else "called", at, again=attempt.again_at, **words)
        elif attempt.outcome == ContactAttempt.Outcome.SKIPPED:
            yield say("not_sent", at, what=kind, why=reason(attempt.reason))
        elif attempt.kind == ContactAttempt.Kind.SMS:
            yield say("queued.text", at)
            if text := OutgoingText.objects.filter(key=text_key(check_in)).first():
                yield text_outcome(text, at, say)
        elif attempt.email is not None:
            yield from email_outcome(attempt.email, str(kind), at, patient, say)
        else:
            yield say("queued.other", at, what=kind)
    # What was asked before attempts were written down is known by its key.
    early = OutgoingEmail.objects.filter(key=invitation_key(check_in)).first()
    if early is not None and early.pk not in {attempt.email_id for attempt in attempts}:
        invitation = str(ContactAttempt.Kind.INVITATION.label)
        yield from email_outcome(early, invitation, early.created_at, patient, say)
    skipped = any(attempt.outcome == ContactAttempt.Outcome.SKIPPED for attempt in attempts)
    if check_in.not_sent_reason and not skipped:
        yield say("not_sent", check_in.due_at, what=_("e-mail"), why=reason(check_in.not_sent_reason))
    if check_in.status in CheckIn.OPEN:
        if check_in.hold_until and check_in.status == CheckIn.Status.PLANNED:
            yield say("waits", check_in.hold_until, until=check_in.hold_until)
        if check_in.remind_at:
            yield say("to_remind", check_in.remind_at, due=check_in.remind_at)
        if check_in.call_at:
            yield say("to_call", check_in.call_at, due=check_in.call_at)


def email_outcome(
    email: OutgoingEmail, kind: str, at: datetime, patient: Patient, say: Say
) -> Iterator[Fact]:
    """What became of one e-mail. `kind`: of attempt, in words; `at`: when it was put into the outbox."""
    tries = ngettext("%d try", "%d tries", email.attempts) % email.attempts
    words = {"what": kind, "to": email.to, "tries": tries, "why": problem(email.problem)}
    tell = partial(say, **words, held=reason(email.problem), due=email.not_before)
    yield tell("queued.email", at)
    if email.problem == MARKED and email.sent_at:
        yield tell("held_back.email_marked", email.sent_at)
    elif email.status == OutgoingEmail.Status.SENT and email.sent_at:
        yield tell("sent.email", email.sent_at)
        reports = list(email.reports.all())
        for report in reports:
            yield tell(REPORTED[DeliveryReport.Kind(report.kind)], report.at)
        back = {DeliveryReport.Kind.BOUNCED, DeliveryReport.Kind.REFUSED} & {
            report.kind for report in reports
        }
        known = patient.bounced_at if patient.email == email.to else None
        if known and known >= email.sent_at and not back:
            yield tell("came_back.unknown", known)
    elif email.status == OutgoingEmail.Status.SKIPPED:
        yield tell("held_back.email", at)
    elif email.status == OutgoingEmail.Status.FAILED:
        yield tell("failed.email", email.claimed_at or at)
    elif email.status == OutgoingEmail.Status.SENDING:
        yield tell("sending.email", email.claimed_at or at)
    else:  # with a problem and no try it was its turn, at a bad hour
        waiting = "email_tried" if email.attempts else "email_held" if email.problem else "email"
        yield tell(f"waiting.{waiting}", email.not_before)


def text_outcome(text: OutgoingText, at: datetime, say: Say) -> Fact:
    """What became of a text message that was put into the outbox at `at`."""
    if text.problem == MARKED:
        return say("held_back.text_marked", text.sent_at)
    if text.status == OutgoingText.Status.SENT:
        return say("sent.text", text.sent_at)
    if text.status == OutgoingText.Status.SKIPPED:
        return say("held_back.text", at, held=reason(text.problem))
    if text.status == OutgoingText.Status.FAILED:
        return say("failed.text", text.claimed_at or at, problem=text.problem)
    if text.not_before:
        held = reason(text.problem) if text.problem in HELD_BACK else f"({text.problem})"
        return say("waiting.text_tried", text.not_before, held=held, due=text.not_before)
    return say("waiting.text", at)


def reason(code: str) -> str:
    """Why nothing was sent, in words."""
    return _(str(HELD_BACK.get(code, code))) if code else ""


def problem(code: str) -> str:
    """What went wrong with an e-mail, in words; the codes are those of `clinic.outbox`."""
    who, refused, reply = code.partition("_refused_")
    words = SENTENCES["problems"]
    if refused:
        return _(words.get(who, "%(reply)s")) % {"reply": reply}
    return _(words.get(code, words["other"])) % {"code": code} if code else ""


def answers(check_in: CheckIn, say: Say) -> Iterator[Fact]:
    """That it was opened and answered, by whom, and what was corrected."""
    draft: Draft | None = getattr(check_in, "draft", None)
    if draft is not None:
        yield say("opened", draft.started_at)
    given: Answer | None = getattr(check_in, "answer", None)
    if given is None:
        return
    sentence = "answered.by_staff" if given.recorded_by else "answered"
    yield say(sentence, given.answered_at, channel=given.how, by=given.recorded_by)
    for correction in given.corrections.all():
        words = {"by": correction.by or _("the patient"), "version": correction.version}
        yield say("corrected", correction.at, why=correction.reason, **words)


def end(check_in: CheckIn, say: Say) -> Iterator[Fact]:
    """How it ended without an answer."""
    follow_up = check_in.follow_up
    if check_in.status == CheckIn.Status.MISSED:
        yield say("missed", check_in.closes_at, closed=check_in.closes_at)
    elif check_in.status == CheckIn.Status.SUPERSEDED:
        planned_ones = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
        later = planned_ones.filter(offset_minutes__gt=check_in.offset_minutes)
        newer = later.exclude(status=CheckIn.Status.SUPERSEDED).order_by("offset_minutes").first()
        sentence, due_at, when = ("known", newer.due_at, newer.when) if newer else ("unknown", None, "")
        yield say(f"superseded.{sentence}", due_at, newer=when)
    elif check_in.status == CheckIn.Status.VOIDED:
        withdrawn = check_in.kind == CheckIn.Kind.CONFIRMATION
        sentence = "ended" if follow_up.closed_reason else "withdrawn" if withdrawn else "voided"
        yield say(f"voided.{sentence}", follow_up.closed_at, why=follow_up.get_closed_reason_display())
