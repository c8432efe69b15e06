"""One made-up patient's appointments: booked, moved, missed, kept, and what is done at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

from clinic.refusals import Refusal
from outcomes import services as outcomes
from outcomes.demo.baselines import usual
from outcomes.demo.pathways import PATHWAYS, STEROIDS, Path, Visit
from outcomes.demo.relief_courses import SHAPES
from outcomes.demo.replies import FOLLOWS, peg
from outcomes.models import FollowUp
from outcomes.models.follow_ups import JudgedAs
from patients import services as patients
from procedures import services as procedures
from procedures.models import Appointment, Procedure, ProcedureType
from procedures.services import notifications

if TYPE_CHECKING:
    from outcomes.demo.timeline import PatientTimeline

#: Refusals that mean "look for another time".
BUSY = ("taken", "kept_not_free", "outside_hours", "closed")
#: Shares of bookings that end otherwise, and of procedures without a baseline (working values).
CANCELLED, NO_SHOW, RESCHEDULED = 0.04, 0.04, 0.06
PARTIAL, ABORTED, VOIDED, NO_BASELINE = 0.02, 0.01, 0.01, 0.05
#: The share of trials of which nobody writes down when the lead came out (working value).
NOT_WRITTEN_DOWN = 0.1
#: The same of procedures of today and yesterday: some have still to be asked (working value).
NOT_YET_ASKED = 0.2
#: Shares of bookings at a wrong time, taken back at once, and of reminders after which the patient says that they will
#: come (working values).
WRONG_DAY, PROMISES = 0.015, 0.55


@dataclass
class Visits:
    """The visits of one patient's life. `path`: the way on; None: nothing follows. See `follow` for `last_on`."""

    life: PatientTimeline
    path: Path | None = None
    last_on: date = date.max

    # Booking

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
        life = self.life
        first = next(iter(starts := list(starts)), None)
        on_duty = life.place.doctors_on(life.place.day(first)) if first else []
        if first is None or not on_duty:
            return False
        if life.doctor not in on_duty:
            if not life.person.newcomer:
                return False
            life.doctor = on_duty[0]
        called_on = life.place.day(min(now, first)) - timedelta(days=life.rng.randint(2, 20))
        life.now = life.place.at(called_on, life.rng.randint(9, 15), life.rng.randrange(60))
        appointment = self.book(visit, starts)
        if appointment is None:
            return False
        if comes:
            self.come(appointment, visit, performed_at=performed_at, step_by_step=performed_at is None)
        else:
            late = appointment.starts_at + timedelta(minutes=45)
            life.at(late, partial(self.stay_away, appointment, visit))
        life.play(now)
        return True

    def way(self) -> Path:
        """The patient's way, from its beginning."""
        person = self.life.person
        return PATHWAYS[person.pathway][0](Random(f"{self.life.seed}:{person.number}:path"))

    def first(self) -> Visit:
        """The first visit of the patient's way."""
        return next(self.way())

    def follow(self, first_on: date, last_on: date) -> None:
        """Go the patient's way, from `first_on` on; no procedure is planned after `last_on`."""
        self.path, self.last_on = self.way(), last_on
        self.plan(next(self.path), first_on)

    def plan(self, visit: Visit, day: date) -> None:
        """Have `visit` booked some time before `day`, when the front desk is there."""
        if day > self.last_on:
            return
        called_on = day - timedelta(days=self.life.rng.randint(4, 25))
        moment = self.life.place.at(called_on, self.life.rng.randint(8, 16), self.life.rng.randrange(60))
        self.life.at(moment, partial(self.arrange, visit, day))

    def arrange(self, visit: Visit, day: date) -> None:
        """Book `visit` on `day` or soon after, and see what becomes of it; nothing for who has died meanwhile."""
        life = self.life
        if life.patient.died_on:
            return
        first_on = max(day, life.place.day(life.now))
        if life.chance(life.now, "slips").random() < WRONG_DAY:
            self.slip(visit, self.free_times(visit, first_on + timedelta(days=7)))
        appointment = self.book(visit, self.free_times(visit, first_on))
        if appointment is None:
            self.plan(visit, first_on + timedelta(days=25))
            return
        lot = life.rng.random()
        if lot < CANCELLED:
            life.at(self.before(appointment), partial(self.cancel, appointment, visit))
        elif lot < CANCELLED + NO_SHOW:
            late = appointment.starts_at + timedelta(minutes=45)
            life.at(late, partial(self.stay_away, appointment, visit))
        elif lot < CANCELLED + NO_SHOW + RESCHEDULED:
            life.at(self.before(appointment), partial(self.move, appointment, visit))
        else:
            self.come(appointment, visit)

    def before(self, appointment: Appointment) -> datetime:
        """Some instant between now and the appointment's start, at which somebody is at the desk if that can be."""
        life, left = self.life, appointment.starts_at - self.life.now
        moment = life.now + left * life.rng.uniform(0.1, 0.9)
        in_office = life.in_office(moment, life.rng)
        return in_office if in_office < appointment.starts_at else moment

    def free_times(self, visit: Visit, first_on: date) -> Iterable[datetime]:
        """Times within three weeks from `first_on` at which the patient's physician works, none of them past.

        Whole hours of a day before and after one drawn at random, so that the days fill evenly.
        """
        for day in (first_on + timedelta(days=number) for number in range(21)):
            if self.life.doctor in self.life.place.doctors_on(day):
                starts = list(self.life.place.starts(day, self.kind(visit)))
                turn = self.life.rng.randrange(len(starts)) if starts else 0
                for start in chain(starts[turn:], starts[:turn]):
                    if start > self.life.now:
                        yield start

    def kind(self, visit: Visit) -> ProcedureType:
        return self.life.house.kinds[visit.code]

    def appointment(self, visit: Visit, start: datetime) -> Appointment:
        """The appointment that `visit` would be at `start`; not saved."""
        return Appointment(
            patient=self.life.patient,
            procedure_type=self.kind(visit),
            site=self.life.place.site,
            starts_at=start,
            intent=visit.intent,
            region=visit.region,
            laterality=visit.side,
            levels=visit.levels,
            indication=visit.indication,
        )

    def book(self, visit: Visit, starts: Iterable[datetime], *, written: bool = True) -> Appointment | None:
        """Book `visit` at the first of `starts` at which everything is free; None when nothing is.

        Not `written`: its letter waits.
        """
        life = self.life
        life.patient.refresh_from_db()  # whether letters may go to it
        for start in starts:
            appointment = self.appointment(visit, start)
            try:
                procedures.book(appointment, resources=[life.doctor], by=life.place.clerk, now=life.now)
            except Refusal as refusal:
                if refusal.code not in BUSY:
                    raise
            else:
                if written:
                    self.write(appointment)
                return appointment
        return None

    def slip(self, visit: Visit, starts: Iterable[datetime]) -> None:
        """The clerk books at a wrong time and takes it back before the first letter has gone out."""
        appointment = self.book(visit, starts, written=False)
        if appointment:
            reason = "booked on the wrong day"
            procedures.cancel(appointment.pk, reason=reason, by=self.life.place.clerk, now=self.life.now)
            for letter in (notifications.BOOKED, notifications.CANCELLED):
                self.life.deliver(notifications.letter_key(appointment.pk, letter))

    # Letters

    def write(self, appointment: Appointment) -> None:
        """The letter of a booking or a move goes out, and the reminder when it is due."""
        self.life.deliver(notifications.letter_key(appointment.pk, notifications.BOOKED))
        due = notifications.remind_at(appointment)
        if due >= self.life.now:
            self.life.at(due, partial(self.remind, appointment))

    def remind(self, appointment: Appointment) -> None:
        """What the tick does with an appointment that is a day away, and the sender with its e-mail."""
        life = self.life
        booked = Appointment.objects.select_related("patient", "site").get(pk=appointment.pk)
        if booked.status in Appointment.EXPECTED and notifications.queue_email(
            booked, notifications.REMINDER, now=life.now
        ):
            sent = life.deliver(notifications.letter_key(booked.pk, notifications.REMINDER))
            lots = life.chance(booked.starts_at, "promise")
            if sent and lots.random() < PROMISES:
                hence = timedelta(minutes=lots.randint(5, 500))
                life.at(life.now + hence, partial(self.promise, appointment))
            if sent:
                life.scores.reminded(appointment)

    def promise(self, appointment: Appointment) -> None:
        """The patient says on the page of the appointment that they will come."""
        procedures.confirm_by_patient(appointment.pk, now=self.life.now)

    # What becomes of an appointment

    def cancel(self, appointment: Appointment, visit: Visit) -> None:
        life = self.life
        reason = life.rng.choice(("patient is ill", "patient's wish", "no driver found"))
        procedures.cancel(
            appointment.pk, reason=reason, ended_by="patient", by=life.place.clerk, now=life.now
        )
        life.deliver(notifications.letter_key(appointment.pk, notifications.CANCELLED))
        life.at(appointment.starts_at, self.pass_by)
        self.plan(visit, life.place.day(life.now) + timedelta(days=life.rng.randint(14, 40)))

    def pass_by(self) -> None:
        """What the tick does with times that came free and that nobody has taken."""
        procedures.close_passed_times(now=self.life.now)

    def stay_away(self, appointment: Appointment, visit: Visit) -> None:
        life = self.life
        procedures.mark_no_show(appointment.pk, by=life.place.clerk, now=life.now)
        self.plan(visit, life.place.day(life.now) + timedelta(days=life.rng.randint(10, 30)))

    def move(self, appointment: Appointment, visit: Visit) -> None:
        """Move the appointment to a day of the week after."""
        life = self.life
        day = life.place.day(appointment.starts_at) + timedelta(days=life.rng.randint(1, 7))
        for start in self.free_times(visit, day):
            try:
                clerk, doctors = life.place.clerk, [life.doctor]
                moved = procedures.reschedule(
                    appointment.pk, starts_at=start, resources=doctors, by=clerk, now=life.now
                )
            except Refusal as refusal:
                if refusal.code not in BUSY:
                    raise
            else:
                self.write(moved)
                life.at(appointment.starts_at, self.pass_by)
                return self.come(moved, visit)
        return self.come(appointment, visit)

    # Coming

    def come(
        self,
        appointment: Appointment,
        visit: Visit,
        *,
        performed_at: datetime | None = None,
        step_by_step: bool = False,
    ) -> None:
        """The patient arrives and the procedure is done, at `performed_at` to the second if that is given.

        `step_by_step`: staff move the patient along the day board; otherwise all is recorded at once, afterwards.
        """
        life, start = self.life, appointment.starts_at
        arrived = start - timedelta(minutes=life.rng.randint(5, 25))
        life.at(arrived, partial(self.step, appointment, "arrive"))
        life.scores.arrives(appointment, at=arrived)
        begun = performed_at or start + timedelta(minutes=life.rng.randint(0, 5))
        over = begun + timedelta(minutes=20 if performed_at else self.kind(visit).procedure_minutes)
        if step_by_step:
            life.at(arrived + (begun - arrived) / 2, partial(self.step, appointment, "make_ready"))
            life.at(begun, partial(self.step, appointment, "start"))
            life.at(over, partial(self.step, appointment, "to_recovery"))
            over += timedelta(minutes=self.kind(visit).recovery_minutes * 0.8)
        unasked = NOT_YET_ASKED if step_by_step else NO_BASELINE
        life.at(over, partial(self.perform, appointment, visit, begun, unasked=unasked))

    def step(self, appointment: Appointment, name: str) -> None:
        by = self.life.place.clerk if name == "arrive" else self.life.place.nurse
        procedures.take_step(appointment.pk, name, by=by, now=self.life.now)

    def perform(
        self, appointment: Appointment, visit: Visit, performed_at: datetime, *, unasked: float = NO_BASELINE
    ) -> None:
        """Record the procedure; its follow-up begins, and the pathway says what comes next.

        `unasked`: the chance that the pain before is missing.
        """
        life = self.life
        status = life.rng.choices(
            (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED),
            (1 - PARTIAL - ABORTED, PARTIAL, ABORTED),
        )[0]
        baseline = usual(life.person.usual_pain, life.rng)
        before = life.chance(performed_at.isoformat(), "before")
        pegs = {
            key: peg(key, 0, baseline=baseline, noise=before.gauss(0, 1))
            for key in FOLLOWS
            if before.random() >= NO_BASELINE
        }
        pain = None if life.rng.random() < unasked else baseline
        if (own := life.scores.said.get(appointment.pk)) is not None:
            if procedures.said_today(appointment, now=performed_at):
                pain, pegs = None, {}  # nobody asks twice on one day
            baseline = own if pain is None else baseline
        record = procedures.Performed(
            performed_at=performed_at,
            baselines=pegs,
            status=status,
            baseline_pain=pain,
            performer=life.doctor.user,
            agent=visit.agent,
            steroid_given=visit.agent.startswith(STEROIDS) if visit.agent else None,
        )
        procedure = procedures.perform(appointment.pk, record, by=life.doctor.user, now=life.now)
        today = life.place.day(life.now)
        if status == Procedure.Status.ABORTED:
            return self.plan(visit, today + timedelta(days=life.rng.randint(7, 21)))
        if self.path is not None and life.rng.random() < VOIDED:
            mistaken = partial(self.void, procedure, visit)
            return life.at(life.now + timedelta(minutes=life.rng.randint(5, 90)), mistaken)
        course = SHAPES[visit.code](life.rng)
        related = ("relief_profile", "check_in_profile", "procedure__procedure_type", "procedure__site")
        rows = FollowUp.objects.select_related(*related)
        rows = rows.prefetch_related("procedure__procedure_type__red_flags")
        follow_up = rows.get(procedure=procedure)
        life.know(follow_up, course, performed_at=performed_at, baseline=baseline)
        life.records.after(procedure, follow_up, visit, course)
        if follow_up.judged_as == JudgedAs.TRIAL:
            self.trial_ends(follow_up)
        if self.path is not None:
            try:
                following = self.path.send(course)
            except StopIteration:
                return life.caring.nothing_follows(course)
            self.plan(following, today + timedelta(days=following.wait))
        return None

    def trial_ends(self, follow_up: FollowUp) -> None:
        """The lead comes out at a visit after a week, the catheter of a pump's trial the next day (working values)."""
        life = self.life
        lots = life.chance(follow_up.procedure.performed_at.isoformat(), "trial")
        days = 1 if follow_up.relief_profile.window_until_days < 7 else lots.randint(5, 7)
        day = life.place.working_day(life.place.day(life.now) + timedelta(days=days))
        if lots.random() < NOT_WRITTEN_DOWN:
            return
        moment = life.place.at(day, lots.randint(14, 16), lots.randrange(60))
        life.at(moment, partial(self.end_trial, follow_up, day))

    def end_trial(self, follow_up: FollowUp, day: date) -> None:
        """Staff write down that the lead or catheter is out."""
        outcomes.end_trial(follow_up.pk, on=day, by=self.life.doctor.user, now=self.life.now)

    def void(self, procedure: Procedure, visit: Visit) -> None:
        """It was entered in the wrong record; the patient's own procedure comes later."""
        life = self.life
        procedures.void(procedure.pk, reason="entered in the wrong record", by=life.doctor.user, now=life.now)
        self.plan(visit, life.place.day(life.now) + timedelta(days=life.rng.randint(3, 14)))

    def die(self) -> None:
        """The patient dies; what was booked is cancelled, and what was asked is closed when its time is over."""
        life = self.life
        life.patient.refresh_from_db()
        life.patient.died_on = life.place.day(life.now)
        patients.save(life.patient, by=life.place.clerk, now=life.now)
        for appointment in life.patient.appointments.filter(status__in=Appointment.EXPECTED):
            procedures.cancel(appointment.pk, reason="patient has died", by=life.place.clerk, now=life.now)
        life.events.clear()
        for check_in in life.asking.open.values():
            life.asking.await_end(check_in)
