"""What one made-up patient is asked, when they answer, and how staff reach them when they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from outcomes import services as outcomes
from outcomes.demo.made_up_patients import delay, willing
from outcomes.demo.replies import remark, replies
from outcomes.models import Answer, CheckIn, ContactAttempt
from outcomes.questions import PAIN_NOW
from outcomes.schedule import DAY
from outcomes.services.check_in_questions import steps_of
from outcomes.services.expiry import call_unsent, close_past_of
from outcomes.services.follow_ups import extend
from outcomes.services.invitations import due_now, invite_some, quiet_at, remind_some, to_remind
from patients import services as patients

if TYPE_CHECKING:
    from outcomes.demo.timeline import PatientTimeline

#: What comes of a call, with its share: of those who were asked by e-mail and were silent, and of those whom no e-mail
#: can ask (working values).
CALLS = {
    "reached": 0.14,
    ContactAttempt.Outcome.NO_ANSWER: 0.7,
    ContactAttempt.Outcome.CALL_AGAIN: 0.07,
    ContactAttempt.Outcome.DECLINED: 0.08,
    ContactAttempt.Outcome.WRONG_NUMBER: 0.01,
}
CALLS_WITHOUT_EMAIL = CALLS | {"reached": 0.4}
#: Of those who are to be called so many are, fewer when staff are behind, and so many a day later than they could be
#: (working values).
CALLED, CALLED_BEHIND, DAY_LATER = 0.75, 0.2, 0.3
#: Who has no e-mail brings the answer on paper now and then (working value).
ON_PAPER = 0.25
#: Chance that an answer by e-mail is the last, because the patient stops the e-mails (working value).
STOPS = 0.005
#: Chance that something else than what was meant is written down, and how far it is off (working values).
MISTAKEN, OFF_BY = 0.012, 3
#: Chance that one of the red flags of a check-in is answered with yes (working value).
RED_FLAG = 0.012
#: What the ladder changes of a check-in.
LADDER = ["status", "hold_until", "remind_at", "call_at"]


@dataclass
class DemoCheckIns:
    """The check-ins of one patient's life. `open`: what can still be answered, by number."""

    life: PatientTimeline
    open: dict[int, CheckIn] = field(default_factory=dict)

    def watch(self, follow_up_id: int) -> None:
        """Wait for the follow-up's check-ins that are new, and no more for those that a repeat has ended."""
        alive = {
            check_in.pk: check_in
            for check_in in CheckIn.objects.filter(
                follow_up__patient=self.life.patient, status__in=CheckIn.OPEN
            ).order_by("due_at")
        }
        fresh = [check_in for check_in in alive.values() if check_in.pk not in self.open]
        self.open = alive
        for check_in in fresh:
            if check_in.follow_up_id == follow_up_id:
                self.await_end(check_in)

    def await_end(self, check_in: CheckIn) -> None:
        """Ask when it falls due, and see it closed when its time is over."""
        if check_in.status == CheckIn.Status.PLANNED:
            self.life.at(check_in.due_at, partial(self.ask, check_in))
        self.life.at(check_in.closes_at, partial(self.close, check_in))

    def ask(self, check_in: CheckIn) -> None:
        """What the tick does with a check-in that is due, and the sender with its e-mail."""
        if check_in.pk not in self.open:
            return
        life, follow_up_id = self.life, check_in.follow_up_id
        check_in.refresh_from_db(fields=LADDER)
        if check_in.status == CheckIn.Status.PLANNED:
            invite_some(due_now(life.now), [life.patient.pk], now=life.now)
            check_in.refresh_from_db(fields=LADDER)
        if check_in.status == CheckIn.Status.SUPERSEDED:
            del self.open[check_in.pk]
            return
        if check_in.hold_until and check_in.hold_until > life.now:
            life.at(check_in.hold_until, partial(self.ask, check_in))
            return
        sent = check_in.status == CheckIn.Status.INVITED and self.sent(check_in)
        if life.patient.died_on:
            return
        if check_in.status == CheckIn.Status.INVITED and not sent:
            call_unsent(now=life.now)
            check_in.refresh_from_db(fields=LADDER)
        self.respond(check_in, sent=sent)
        self.climb(check_in)
        last = max(other.offset_minutes for other in self.open.values() if other.follow_up_id == follow_up_id)
        if life.truths[follow_up_id].repeats and check_in.offset_minutes == last:
            extend(follow_up_id, now=life.now)
            self.watch(follow_up_id)

    def sent(self, check_in: CheckIn) -> bool:
        """Send the latest e-mail that asks it, unless that went out before; whether the patient has it."""
        email = check_in.contact_attempts.exclude(email=None).latest("pk").email
        return email is not None and (email.status == email.Status.SENT or self.life.deliver(email.key))

    # The ladder

    def climb(self, check_in: CheckIn) -> None:
        """Wait for the reminder or the call that comes next, as the check-in says."""
        if check_in.remind_at:
            self.life.at(check_in.remind_at, partial(self.remind, check_in))
        elif check_in.call_at:
            rng = self.chance(check_in, "call", check_in.call_at)
            if rng.random() < (CALLED_BEHIND if self.life.behind else CALLED):
                later = timedelta(days=rng.random() < DAY_LATER)
                moment = self.life.in_office(max(check_in.call_at, self.life.now) + later, rng)
                self.life.at(moment, partial(self.call, check_in))

    def remind(self, check_in: CheckIn) -> None:
        """What the tick does with a check-in that nobody has answered yet, and the sender with its e-mail."""
        if check_in.pk not in self.open:
            return
        life = self.life
        if morning := quiet_at(life.place.site, life.now):
            life.at(morning, partial(self.remind, check_in))
            return
        check_in.refresh_from_db(fields=LADDER)
        if check_in.status == CheckIn.Status.INVITED and check_in.remind_at:
            if check_in.remind_at <= life.now:
                remind_some(to_remind(life.now), [life.patient.pk], now=life.now)
                self.sent(check_in)
                check_in.refresh_from_db(fields=LADDER)
            self.climb(check_in)

    def call(self, check_in: CheckIn) -> None:
        """Somebody telephones."""
        life = self.life
        if check_in.pk not in self.open or not check_in.opens_at <= life.now < check_in.closes_at:
            return None
        check_in.refresh_from_db(fields=LADDER)
        if check_in.status not in CheckIn.OPEN or check_in.call_at is None or life.patient.died_on:
            return None
        rng = self.chance(check_in, "called", life.now)
        shares = CALLS_WITHOUT_EMAIL if life.patient.why_no_email else CALLS
        (outcome,) = rng.choices(list(shares), list(shares.values()))
        if outcome == "reached":
            return self.answer(check_in, Answer.Channel.PHONE)
        again = life.in_office(life.now + timedelta(days=1), rng)
        if outcome == ContactAttempt.Outcome.CALL_AGAIN and again >= check_in.closes_at:
            outcome = ContactAttempt.Outcome.NO_ANSWER
        outcomes.note_call(
            check_in.pk,
            outcome=outcome,
            again_at=again if outcome == ContactAttempt.Outcome.CALL_AGAIN else None,
            by=life.place.clerk if rng.random() < 0.5 else life.place.nurse,
            now=life.now,
        )
        check_in.refresh_from_db(fields=LADDER)
        return self.climb(check_in)

    # Answers

    def respond(self, check_in: CheckIn, *, sent: bool) -> None:
        """Whether, when and how the patient will answer by themselves. Most silence is just silence."""
        life, diary = self.life, check_in.offset_minutes < DAY
        truth = life.truths[check_in.follow_up_id]
        since = truth.day(life.now)
        chance = willing(life.person.answers, day=since, works=truth.course.works(since), diary=diary)
        lots = [life.rng.random() for _ in range(4)]  # always as many: one e-mail changes no other chance
        if check_in.offset_minutes <= 30:
            if lots[0] < 0.95:
                here = partial(self.answer, check_in, Answer.Channel.CLINIC)
                life.at(life.now + timedelta(minutes=2), here)
        elif sent and lots[0] < chance:
            life.at(
                life.now + delay(lots[1], diary=diary), partial(self.answer, check_in, Answer.Channel.EMAIL)
            )
        elif not sent and not diary and lots[0] < ON_PAPER:
            moment = life.in_office(life.now + timedelta(days=lots[1]), life.rng)
            life.at(moment, partial(self.answer, check_in, Answer.Channel.PAPER))

    def answer(self, check_in: CheckIn, channel: str) -> None:
        """Give the answer, unless it comes too late."""
        life = self.life
        if check_in.pk not in self.open or life.now >= check_in.closes_at:
            return
        truth = life.truths[check_in.follow_up_id]
        pain = truth.score(life.now, life.rng)
        rng = self.chance(check_in, "replies")
        asked = []
        if check_in.offset_minutes >= DAY:
            check_in.follow_up = truth.follow_up
            asked = [
                question.key for step in steps_of(check_in, by_staff=True) for question in step.questions
            ]
        meant = replies(asked, truth.course, truth.day(life.now), baseline=truth.baseline, pain=pain, rng=rng)
        lots = self.chance(check_in, "slips")
        flags = [key for key in meant if key.startswith("red_flag.")]
        if flags and lots.random() < RED_FLAG:
            meant[lots.choice(flags)] = 1
        said = dict(meant)
        if asked and lots.random() < MISTAKEN:
            said[PAIN_NOW] = pain - OFF_BY if pain > 5 else pain + OFF_BY
        words = remark(life.patient.language, rng)
        by_link = channel == Answer.Channel.EMAIL
        take: Callable[..., Answer] = outcomes.store_answer if by_link else outcomes.record_answer
        given = take(
            check_in.pk,
            values=said,
            remark=words,
            channel=channel,
            language=life.patient.language,
            by=None if by_link else life.place.nurse,
            now=life.now,
        )
        life.alarm(check_in.follow_up_id)
        del self.open[check_in.pk]
        if said != meant:
            life.caring.correct_later(given, meant, channel)
        if by_link and life.rng.random() < STOPS:
            patients.opt_out(check_in.follow_up.patient_id, by=None, now=life.now)

    def close(self, check_in: CheckIn) -> None:
        """What the tick does with a check-in that nobody answered in time."""
        if self.open.pop(check_in.pk, None):
            close_past_of(check_in.follow_up_id, now=self.life.now)
            self.life.alarm(check_in.follow_up_id)

    def chance(self, check_in: CheckIn, *what: object) -> Random:
        """A source of chances for one matter of this check-in alone."""
        performed_at = self.life.truths[check_in.follow_up_id].performed_at
        return self.life.chance(performed_at.isoformat(), check_in.offset_minutes, *what)
