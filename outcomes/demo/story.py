"""One patient's life, played in order of time through the services that staff, patients and the clock use.

The clock is passed in, so two years take a second. What the services would do clinic-wide once a minute is asked of
them here for this patient alone, at the instant at which it falls due.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain, count
from random import Random

from clinic import mail
from clinic.models import Resource
from clinic.refusals import Refusal
from outcomes import services as outcomes
from outcomes.demo.clinic import House, Place
from outcomes.demo.pathways import Path, Visit
from outcomes.demo.people import Person, delay, willing
from outcomes.demo.records import Records
from outcomes.demo.replies import FOLLOWS, peg, remark, replies
from outcomes.demo.shapes import SHAPES, Course, score
from outcomes.models import Alert, Answer, CheckIn, FollowUp
from outcomes.schedule import DAY
from outcomes.services.answering import steps_of
from outcomes.services.asking import due_now, invite_some
from outcomes.services.closing import close_past_of
from outcomes.services.following import extend
from patients import services as patients
from patients.models import Patient
from procedures import services as procedures
from procedures.models import Appointment, Procedure, ProcedureType
from procedures.services import letters

#: Takes e-mails and does nothing: what was sent in the made-up past is in nobody's inbox.
NO_POST = "django.core.mail.backends.dummy.EmailBackend"
#: Refusals that mean "look for another time".
BUSY = ("taken", "outside_hours", "closed")
#: Shares of bookings that end otherwise, and of procedures without a baseline (working values).
CANCELLED, NO_SHOW, RESCHEDULED, PARTIAL, ABORTED, VOIDED, NO_BASELINE = (
    0.04,
    0.04,
    0.06,
    0.02,
    0.01,
    0.01,
    0.05,
)
#: Chance that the unanswered are reached by telephone, after an e-mail and without one (working values).
CALLED, CALLED_WITHOUT_EMAIL = 0.12, 0.4
#: How alerts end, with the share of each (working values).
ENDED = {"spoken": 0.5, "not_reached": 0.2, "no_action": 0.2, "seen": 0.1}
#: Chance that an answer by e-mail is the last, because the patient stops the e-mails (working value).
STOPS = 0.005


@dataclass(frozen=True)
class Truth:
    """What really goes on after one procedure."""

    course: Course
    performed_at: datetime
    baseline: int
    repeats: bool
    follow_up: FollowUp

    def score(self, moment: datetime, rng: Random) -> int:
        """The pain, 0–10, that the patient would name at `moment`."""
        return score(self.course, self.day(moment), baseline=self.baseline, rng=rng)

    def day(self, moment: datetime) -> float:
        """How many days after the procedure `moment` lies."""
        return (moment - self.performed_at) / timedelta(days=1)


class Life:
    """The events of one patient still to come; playing one may add others."""

    def __init__(self, person: Person, patient: Patient, house: House, seed: str, chapter: str) -> None:
        """`seed`, the person's number and the chapter of the life decide every chance."""
        self.person, self.patient, self.house = person, patient, house
        self.place: Place = house.places[person.site]
        self.rng = Random(f"{seed}:{person.number}:{chapter}")
        doctors = [doctor for doctor, _ in self.place.doctors]
        self.doctor: Resource = Random(f"{seed}:{person.number}:doctor").choice(doctors)
        self.records = Records(self, Random(f"{seed}:{person.number}:{chapter}:records"))
        self.now = patient.created_at
        self.events: list[tuple[datetime, int, Callable[[], None]]] = []
        self.numbers = count()
        self.path: Path | None = None
        self.last_on = date.max
        self.truths: dict[int, Truth] = {}  # by follow-up
        self.open: dict[int, CheckIn] = {}  # what can still be answered

    def at(self, moment: datetime, do: Callable[[], None]) -> None:
        """Have `do` done at `moment`, or at once if that is past."""
        heapq.heappush(self.events, (max(moment.astimezone(UTC), self.now), next(self.numbers), do))

    def play(self, until: datetime) -> None:
        """Let everything up to and including `until` happen, in order."""
        while self.events and self.events[0][0] <= until:
            self.now, _, do = heapq.heappop(self.events)
            do()

    # Visits

    def attend(
        self,
        visit: Visit,
        starts: Iterable[datetime],
        *,
        now: datetime,
        comes: bool = True,
        performed_at: datetime | None = None,
    ) -> bool:
        """Have `visit` booked some days before, at the first free one of `starts`, and play on until `now`.

        Whether a time was found. A newcomer takes whichever physician is there.
        """
        first = next(iter(starts := list(starts)), None)
        on_duty = self.place.doctors_on(self.place.day(first)) if first else []
        if first is None or not on_duty:
            return False
        if self.doctor not in on_duty:
            if not self.person.newcomer:
                return False
            self.doctor = on_duty[0]
        called_on = self.place.day(min(now, first)) - timedelta(days=self.rng.randint(2, 20))
        self.now = self.place.at(called_on, self.rng.randint(9, 15), self.rng.randrange(60))
        appointment = self.book(visit, starts)
        if appointment is None:
            return False
        if comes:
            self.come(appointment, visit, performed_at=performed_at)
        else:
            late = appointment.starts_at + timedelta(minutes=45)
            self.at(late, partial(self.stay_away, appointment, visit))
        self.play(now)
        return True

    def follow(self, path: Path, first_on: date, last_on: date) -> None:
        """Go the pathway, from `first_on` on; no procedure is planned after `last_on`."""
        self.path, self.last_on = path, last_on
        self.plan(next(path), first_on)

    def plan(self, visit: Visit, day: date) -> None:
        """Have `visit` booked some time before `day`, when the front desk is there."""
        if day > self.last_on:
            return
        called_on = day - timedelta(days=self.rng.randint(4, 25))
        moment = self.place.at(called_on, self.rng.randint(8, 16), self.rng.randrange(60))
        self.at(moment, partial(self.arrange, visit, day))

    def arrange(self, visit: Visit, day: date) -> None:
        """Book `visit` on `day` or soon after, and see what becomes of it."""
        appointment = self.book(visit, self.free_times(visit, max(day, self.place.day(self.now))))
        if appointment is None:
            return
        lot = self.rng.random()
        if lot < CANCELLED:
            self.at(self.before(appointment), partial(self.cancel, appointment, visit))
        elif lot < CANCELLED + NO_SHOW:
            late = appointment.starts_at + timedelta(minutes=45)
            self.at(late, partial(self.stay_away, appointment, visit))
        elif lot < CANCELLED + NO_SHOW + RESCHEDULED:
            self.at(self.before(appointment), partial(self.move, appointment, visit))
        else:
            self.come(appointment, visit)

    def before(self, appointment: Appointment) -> datetime:
        """Some instant between now and the appointment's start."""
        return self.now + (appointment.starts_at - self.now) * self.rng.uniform(0.1, 0.9)

    def free_times(self, visit: Visit, first_on: date) -> Iterable[datetime]:
        """Times within three weeks from `first_on` at which the patient's physician works, none of them past.

        Whole hours of a day before and after one drawn at random, so that the days fill evenly.
        """
        for day in (first_on + timedelta(days=number) for number in range(21)):
            if self.doctor in self.place.doctors_on(day):
                starts = list(self.place.starts(day, self.kind(visit)))
                turn = self.rng.randrange(len(starts)) if starts else 0
                for start in chain(starts[turn:], starts[:turn]):
                    if start > self.now:
                        yield start

    def kind(self, visit: Visit) -> ProcedureType:
        return self.house.kinds[visit.code]

    def book(self, visit: Visit, starts: Iterable[datetime]) -> Appointment | None:
        """Book `visit` at the first of `starts` at which everything is free; None when nothing is."""
        self.patient.refresh_from_db()  # whether letters may go to it
        for start in starts:
            appointment = Appointment(
                patient=self.patient,
                procedure_type=self.kind(visit),
                site=self.place.site,
                starts_at=start,
                intent=visit.intent,
                region=visit.region,
                laterality=visit.side,
                levels=visit.levels,
                indication=visit.indication,
            )
            try:
                procedures.book(appointment, resources=[self.doctor], by=self.place.clerk, now=self.now)
            except Refusal as refusal:
                if refusal.code not in BUSY:
                    raise
            else:
                self.write(appointment)
                return appointment
        return None

    def write(self, appointment: Appointment) -> None:
        """The letter of a booking or a move goes out, and the reminder when it is due."""
        self.deliver(letters.letter_key(appointment.pk, letters.BOOKED))
        due = letters.remind_at(appointment)
        if due >= self.now:
            self.at(due, partial(self.remind, appointment))

    def remind(self, appointment: Appointment) -> None:
        """What the tick does with an appointment that is a day away, and the sender with its e-mail."""
        booked = Appointment.objects.select_related("patient", "site").get(pk=appointment.pk)
        if booked.status in Appointment.EXPECTED:
            letters.queue(booked, letters.REMINDER, now=self.now)
            self.deliver(letters.letter_key(booked.pk, letters.REMINDER))

    def deliver(self, key: str) -> bool:
        """Send the e-mail with this key, if there is one, to nobody; whether it went out."""
        return mail.send_due(now=self.now, limit=1, key=key, backend=NO_POST)["sent"] == 1

    def cancel(self, appointment: Appointment, visit: Visit) -> None:
        reason = self.rng.choice(("patient is ill", "patient's wish", "no driver found"))
        procedures.cancel(appointment.pk, reason=reason, by=self.place.clerk, now=self.now)
        self.deliver(letters.letter_key(appointment.pk, letters.CANCELLED))
        self.plan(visit, self.place.day(self.now) + timedelta(days=self.rng.randint(14, 40)))

    def stay_away(self, appointment: Appointment, visit: Visit) -> None:
        procedures.mark_no_show(appointment.pk, by=self.place.clerk, now=self.now)
        self.plan(visit, self.place.day(self.now) + timedelta(days=self.rng.randint(10, 30)))

    def move(self, appointment: Appointment, visit: Visit) -> None:
        """Move the appointment to a day of the week after."""
        day = self.place.day(appointment.starts_at) + timedelta(days=self.rng.randint(1, 7))
        for start in self.free_times(visit, day):
            try:
                moved = procedures.reschedule(
                    appointment.pk,
                    starts_at=start,
                    resources=[self.doctor],
                    by=self.place.clerk,
                    now=self.now,
                )
            except Refusal as refusal:
                if refusal.code not in BUSY:
                    raise
            else:
                self.write(moved)
                return self.come(moved, visit)
        return self.come(appointment, visit)

    def come(
        self,
        appointment: Appointment,
        visit: Visit,
        *,
        performed_at: datetime | None = None,
    ) -> None:
        """The patient arrives and the procedure is done, at `performed_at` to the second if that is given."""
        start = appointment.starts_at
        self.at(start - timedelta(minutes=self.rng.randint(5, 25)), partial(self.arrive, appointment))
        begun = performed_at or start + timedelta(minutes=self.rng.randint(0, 5))
        minutes = 20 if performed_at else self.kind(visit).procedure_minutes
        self.at(begun + timedelta(minutes=minutes), partial(self.perform, appointment, visit, begun))

    def arrive(self, appointment: Appointment) -> None:
        procedures.arrive(appointment.pk, by=self.place.clerk, now=self.now)

    def perform(self, appointment: Appointment, visit: Visit, performed_at: datetime) -> None:
        """Record the procedure; its follow-up begins, and the pathway says what comes next."""
        status = self.rng.choices(
            (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED),
            (1 - PARTIAL - ABORTED, PARTIAL, ABORTED),
        )[0]
        baseline = min(10, max(4, round(self.rng.gauss(self.person.usual_pain, 1))))
        # A source of its own changes no other chance.
        before = Random(f"{self.person.number}:{performed_at.isoformat()}:before")
        record = procedures.Performed(
            performed_at=performed_at,
            baselines={
                key: peg(key, 0, baseline=baseline, noise=before.gauss(0, 1))
                for key in FOLLOWS
                if before.random() >= NO_BASELINE
            },
            status=status,
            baseline_pain=None if self.rng.random() < NO_BASELINE else baseline,
            performer=self.doctor.user,
            agent=visit.agent,
        )
        procedure = procedures.perform(appointment.pk, record, by=self.doctor.user, now=self.now)
        today = self.place.day(self.now)
        if status == Procedure.Status.ABORTED:
            return self.plan(visit, today + timedelta(days=self.rng.randint(7, 21)))
        if self.path is not None and self.rng.random() < VOIDED:
            mistaken = partial(self.void, procedure, visit)
            return self.at(self.now + timedelta(minutes=self.rng.randint(5, 90)), mistaken)
        course = SHAPES[visit.code](self.rng)
        follow_up = (
            FollowUp.objects.select_related("relief_profile", "procedure__procedure_type", "procedure__site")
            .prefetch_related("procedure__procedure_type__red_flags")
            .get(procedure=procedure)
        )
        repeats = follow_up.relief_profile.check_in_every_days is not None
        self.truths[follow_up.pk] = Truth(course, performed_at, baseline, repeats, follow_up)
        self.watch(follow_up.pk)
        self.records.after(procedure, follow_up, visit, course)
        if self.path is not None:
            try:
                following = self.path.send(course)
            except StopIteration:
                return None
            self.plan(following, today + timedelta(days=following.wait))
        return None

    def void(self, procedure: Procedure, visit: Visit) -> None:
        """It was entered in the wrong record; the patient's own procedure comes later."""
        procedures.void(procedure.pk, reason="entered in the wrong record", by=self.doctor.user, now=self.now)
        self.plan(visit, self.place.day(self.now) + timedelta(days=self.rng.randint(3, 14)))

    def die(self) -> None:
        """The patient dies; what was booked is cancelled."""
        self.patient.refresh_from_db()
        self.patient.died_on = self.place.day(self.now)
        patients.save(self.patient, by=self.place.clerk, now=self.now)
        for appointment in self.patient.appointments.filter(status=Appointment.Status.BOOKED):
            procedures.cancel(appointment.pk, reason="patient has died", by=self.place.clerk, now=self.now)
        self.events.clear()
        for check_in in self.open.values():
            self.await_end(check_in)

    # Check-ins

    def watch(self, follow_up_id: int) -> None:
        """Wait for the follow-up's check-ins that are new, and no more for those that a repeat has ended."""
        alive = {
            check_in.pk: check_in
            for check_in in CheckIn.objects.filter(
                follow_up__patient=self.patient, status__in=CheckIn.OPEN
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
            self.at(check_in.due_at, partial(self.ask, check_in))
        self.at(check_in.closes_at, partial(self.close, check_in))

    def ask(self, check_in: CheckIn) -> None:
        """What the tick does with a check-in that is due, and the sender with its e-mail."""
        if check_in.pk not in self.open:
            return
        follow_up_id = check_in.follow_up_id
        check_in.refresh_from_db(fields=["status", "hold_until"])
        if check_in.status == CheckIn.Status.PLANNED:
            invite_some(due_now(self.now), [self.patient.pk], now=self.now)
            check_in.refresh_from_db(fields=["status", "hold_until"])
        if check_in.status == CheckIn.Status.SUPERSEDED:
            del self.open[check_in.pk]
            return
        if check_in.hold_until and check_in.hold_until > self.now:
            self.at(check_in.hold_until, partial(self.ask, check_in))
            return
        sent = check_in.status == CheckIn.Status.INVITED and self.asked(check_in)
        if self.patient.died_on:
            return
        self.respond(check_in, sent=sent)
        last = max(other.offset_minutes for other in self.open.values() if other.follow_up_id == follow_up_id)
        if self.truths[follow_up_id].repeats and check_in.offset_minutes == last:
            extend(follow_up_id, now=self.now)
            self.watch(follow_up_id)

    def asked(self, check_in: CheckIn) -> bool:
        """Send the e-mail that asks it, unless that went out before; whether the patient has it."""
        email = check_in.contact_attempts.exclude(email=None).latest("pk").email
        return email is not None and (email.status == email.Status.SENT or self.deliver(email.key))

    def respond(self, check_in: CheckIn, *, sent: bool) -> None:
        """Whether, when and how the patient will answer. Most silence is just silence."""
        diary = check_in.offset_minutes < DAY
        truth = self.truths[check_in.follow_up_id]
        since = truth.day(self.now)
        chance = willing(self.person.answers, day=since, works=truth.course.works(since), diary=diary)
        lots = [
            self.rng.random() for _ in range(4)
        ]  # always as many: a refused e-mail changes no other chance
        if check_in.offset_minutes <= 30:
            if lots[0] < 0.95:
                self.at(
                    self.now + timedelta(minutes=2),
                    partial(self.answer, check_in, Answer.Channel.CLINIC),
                )
        elif sent and lots[0] < chance:
            self.at(
                self.now + delay(lots[1], diary=diary), partial(self.answer, check_in, Answer.Channel.EMAIL)
            )
        elif (
            not diary
            and check_in.offset_minutes >= 7 * DAY
            and lots[2] < (CALLED if sent else CALLED_WITHOUT_EMAIL)
        ):
            day = self.place.day(self.now) + timedelta(days=1 + int(lots[3] * 3))
            while day.weekday() not in self.place.plan.weekdays:
                day += timedelta(days=1)
            moment = self.place.at(day, 9 + int(lots[1] * 7), int(lots[0] * 60))
            self.at(moment, partial(self.answer, check_in, Answer.Channel.PHONE))

    def answer(self, check_in: CheckIn, channel: str) -> None:
        """Give the answer, unless it comes too late."""
        if check_in.pk not in self.open or self.now >= check_in.closes_at:
            return
        by = None if channel == Answer.Channel.EMAIL else self.place.nurse
        truth = self.truths[check_in.follow_up_id]
        pain = truth.score(self.now, self.rng)
        # What else is asked comes from a source of its own, which changes no other chance.
        rng = Random(
            f"{self.person.number}:{truth.performed_at.isoformat()}:{check_in.offset_minutes}:replies"
        )
        asked = []
        if check_in.offset_minutes >= DAY:
            check_in.follow_up = truth.follow_up
            asked = [
                question.key for step in steps_of(check_in, by_staff=True) for question in step.questions
            ]
        outcomes.answer(
            check_in.pk,
            values=replies(
                asked, truth.course, truth.day(self.now), baseline=truth.baseline, pain=pain, rng=rng
            ),
            remark=remark(self.patient.language, rng),
            channel=channel,
            language=self.patient.language,
            by=by,
            now=self.now,
        )
        self.alarm(check_in.follow_up_id)
        del self.open[check_in.pk]
        if by is None and self.rng.random() < STOPS:
            outcomes.stop_emails(check_in, now=self.now)

    def close(self, check_in: CheckIn) -> None:
        """What the tick does with a check-in that nobody answered in time."""
        if self.open.pop(check_in.pk, None):
            close_past_of(check_in.follow_up_id, now=self.now)
            self.alarm(check_in.follow_up_id)

    # Alerts

    def alarm(self, follow_up_id: int) -> None:
        """A nurse sees to what was raised just now, one to three working days later."""
        for alert in Alert.objects.open().filter(follow_up=follow_up_id, raised_at=self.now):
            rng = Random(f"{self.person.number}:{alert.kind}:{self.now:%Y-%m-%d}")  # changes no other chance
            day = self.place.day(self.now) + timedelta(days=rng.randint(1, 3))
            while day.weekday() not in self.place.plan.weekdays:
                day += timedelta(days=1)
            moment = self.place.at(day, rng.randint(9, 15), rng.randrange(60))
            self.at(moment, partial(self.see_to, alert.pk, rng.choices(list(ENDED), list(ENDED.values()))[0]))

    def see_to(self, alert_id: int, ended: str) -> None:
        """The nurse resolves the alert, unless an answer has settled it."""
        if Alert.objects.open().filter(pk=alert_id).exists():
            outcomes.resolve(alert_id, resolution=ended, by=self.place.nurse, now=self.now)
