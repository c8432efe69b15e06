"""Made-up patients of one procedure type, followed by the real services against a clock of its own.

Everything goes the way that it goes in a clinic: the procedure is recorded, its follow-up opens, the tick asks, reminds
and closes, answers are taken and judged. Only registering and booking, which nothing here measures, are written as
rows. All is undone in the end: see `followed`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from django.db import connection, transaction
from django.db.models import Min, Q

from outcomes import services as outcomes
from outcomes.demo.check_ins import CALLED, CALLS
from outcomes.demo.clinic import Place
from outcomes.demo.made_up_patients import delay, willing
from outcomes.demo.replies import replies
from outcomes.models import Alert, Answer, CheckIn, ContactAttempt, FollowUp, Measurement, VerdictChange
from outcomes.questions import ENDED_ON, PAIN_NOW, WORN_OFF
from outcomes.schedule import DAY
from outcomes.services.calls import TRIES
from outcomes.services.check_in_questions import least_bad_score
from outcomes.simulation.counts import PatientRecord, RaisedAlert
from outcomes.simulation.simulated_patients import Habits, Patient, Window, invent
from patients.models import Patient as Row
from procedures import services as procedures
from procedures.models import Appointment, Intent, Procedure, ProcedureType, ReliefProfile

#: The day of all procedures. They are done at the hour at which check-ins go out: day n is n whole days later.
BEGIN_ON = date(2027, 1, 4)
#: What a procedure type is done for, where it is to bring relief.
INTENTS = {"device_implant": Intent.IMPLANT, "device_maintenance": Intent.MAINTENANCE}
#: The clock stops after so many days: what asks about an implant goes on without end.
LAST_DAY = 760
#: The hours between which staff telephone.
OFFICE = (9, 16)
#: The check-ins of the catalogue before those on START and END were added: what today's are compared with.
BEFORE: dict[str, tuple[int, ...]] = {
    "epidural_adhesiolysis": (1, 3, 7, 14, 28, 60, 92, 184),
    **dict.fromkeys(("esi_caudal", "esi_interlaminar", "esi_transforaminal"), (1, 3, 7, 14, 28, 60, 92, 184)),
    **dict.fromkeys(("facet_joint_injection", "sacroiliac_joint_injection"), (1, 3, 7, 14, 28, 60, 92, 122)),
    "itp_implant": (1, 2, 3, 7, 14, 30, 60, 90, 180, 270, 365),
    "joint_injection": (1, 3, 7, 14, 28, 42, 60, 90),
    "neurostimulator_revision": (1, 3, 7, 14, 42, 90, 180),
    **dict.fromkeys(("occipital_nerve_block", "trigger_point_injection"), (1, 3, 7, 14, 28, 42, 60)),
    **dict.fromkeys(("pns_implant", "scs_implant"), (1, 3, 7, 14, 42, 90, 180, 270, 365)),
    **dict.fromkeys(
        ("rfa_facet", "rfa_peripheral", "rfa_sacroiliac"), (1, 7, 14, 42, 92, 184, 275, 366, 548, 731)
    ),
}
ONE_DAY = timedelta(days=1)
#: The tables that a run fills.
GROWING = (FollowUp, CheckIn, Answer, Measurement, ContactAttempt, Alert, VerdictChange, Procedure)


def profile_with(kind: ProcedureType, days: Sequence[int]) -> ReliefProfile:
    """A new version of the type's relief profile that asks on these days, in force from then on."""
    latest = kind.relief_profiles.latest("version")
    columns = [field.attname for field in ReliefProfile._meta.concrete_fields if not field.primary_key]
    return ReliefProfile.objects.create(
        **{name: getattr(latest, name) for name in columns}
        | {
            "version": latest.version + 1,
            "in_force_from": datetime.combine(BEGIN_ON, datetime.min.time(), UTC) - ONE_DAY,
            "check_in_days": list(days),
            "check_in_minutes": [],
        }
    )


def followed(
    code: str, place: Place, *, days: Sequence[int], seed: str, number: int, habits: Habits
) -> list[PatientRecord]:
    """Follow that many patients until their last check-in has closed, and read what the database says of them.

    `days`: those of the check-ins. Nothing of it stays in the database.
    """
    with transaction.atomic():
        kind = ProcedureType.objects.get(code=code)
        profile = profile_with(kind, days)
        window = Window(profile.evaluate_after_days, profile.window_from_days)
        run = Run(place, kind, window, habits)
        run.admit(invent(code, window, seed=seed, number=number, habits=habits))
        run.play()
        told = run.read()
        transaction.set_rollback(True)
    return told


@dataclass
class Run:
    """`now` is the clock. `events`: what patients and staff do, by instant; all else is found in the database."""

    place: Place
    kind: ProcedureType
    window: Window
    habits: Habits
    now: datetime = field(init=False)
    people: dict[int, Patient] = field(default_factory=dict)  # by follow-up
    events: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)
    given: int = 0  # answers

    def __post_init__(self) -> None:
        self.begin = self.now = self.place.at(BEGIN_ON, self.place.site.check_in_at.hour)

    def admit(self, people: Sequence[Patient]) -> None:
        """Register and book them as rows, and record their procedures as performed."""
        kind, site, before = self.kind, self.place.site, self.begin - ONE_DAY
        rows = Row.objects.bulk_create(
            Row(
                record_number=f"SIM-{number:05}",
                given_name="Sim",
                family_name=f"Number{number}",
                born_on=date(1960, 1, 1),
                site=site,
                email=f"sim{number}@example.org",
                consented_at=before,
                created_at=before,
            )
            for number, _ in enumerate(people)
        )
        booked = Appointment.objects.bulk_create(
            Appointment(
                patient=row,
                procedure_type=kind,
                site=site,
                starts_at=self.begin,
                ends_at=self.begin + timedelta(minutes=kind.total_minutes),
                intent=INTENTS.get(kind.purpose, Intent.THERAPEUTIC),
                region=kind.regions[0],
                laterality=(kind.laterality_options or [""])[0],
                created_at=before,
            )
            for row in rows
        )
        by = self.place.doctors[0][0].user
        for appointment, person in zip(booked, people, strict=True):
            record = procedures.Performed(
                performed_at=self.begin, baseline_pain=person.baseline, performer=by
            )
            done = procedures.perform(appointment.pk, record, by=by, now=self.begin)
            follow_up = FollowUp.objects.get(procedure=done)
            self.people[follow_up.pk] = person
            says = person.says_back_on() if self.habits.reports else None
            if says is not None:
                self.at(self.begin + says * ONE_DAY, partial(self.say_back, follow_up.pk))

    # The clock

    def at(self, moment: datetime, do: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.numbers), do))

    def play(self) -> None:
        """Let time pass, from one instant at which something falls due to the next, until nothing is left."""
        last, analyzed = self.begin + LAST_DAY * ONE_DAY, 0
        while True:
            due = self.next_due()
            next_event = self.events[0][0] if self.events else None
            if due is None or due > last:
                return
            if next_event is not None and next_event < due:
                self.now, _, do = heapq.heappop(self.events)
                do()
                continue
            self.now = due
            outcomes.tick(now=due)
            self.meet()
            if self.given >= 2 * analyzed:  # what autovacuum would do
                analyzed = max(self.given, 100)
                with connection.cursor() as cursor:
                    cursor.execute(f"ANALYZE {', '.join(model._meta.db_table for model in GROWING)}")

    def next_due(self) -> datetime | None:
        """The next instant at which the tick has something to do with a check-in; None when all are over."""
        columns = ("due_at", "hold_until", "remind_at", "call_at", "closes_at")
        later = {column: Min(column, filter=Q(**{f"{column}__gt": self.now})) for column in columns}
        found = CheckIn.objects.filter(status__in=CheckIn.OPEN).aggregate(**later)
        return min((moment for moment in found.values() if moment), default=None)

    def meet(self) -> None:
        """What patients and staff do about the check-ins that were asked, or are to be called about, just now."""
        mine = CheckIn.objects.filter(follow_up__in=self.people).order_by("follow_up", "offset_minutes", "pk")
        if self.habits.exact:
            for check_in in mine.filter(status__in=CheckIn.OPEN, due_at=self.now):
                self.answer(check_in.pk, Answer.Channel.EMAIL)
            return
        for check_in in mine.filter(status=CheckIn.Status.INVITED, invited_at=self.now):
            self.consider(check_in)
        if self.habits.calls:
            for check_in in mine.filter(status=CheckIn.Status.INVITED, call_at=self.now):
                self.call(check_in)

    # Patients

    def day(self) -> float:
        """How many days have passed since the procedure."""
        return (self.now - self.begin) / ONE_DAY

    def consider(self, check_in: CheckIn) -> None:
        """Whether and when the patient answers an e-mail of just now, as in the demo (`outcomes.demo.check_ins`)."""
        person, day = self.people[check_in.follow_up_id], self.day()
        lots = person.chance(check_in.kind, check_in.offset_minutes, "answers")
        chance = willing(person.answers, day=day, works=person.course.works(day), diary=False)
        if lots.random() < chance:
            moment = self.now + delay(lots.random(), diary=False)
            self.at(moment, partial(self.answer, check_in.pk, Answer.Channel.EMAIL))

    def answer(self, check_in_id: int, channel: str) -> None:
        """Give the answer, unless it comes too late."""
        check_in = CheckIn.objects.select_related(
            "follow_up__procedure__site", "follow_up__relief_profile"
        ).get(pk=check_in_id)
        if not check_in.open_at(self.now):
            return
        person = self.people[check_in.follow_up_id]
        rng = person.chance(check_in.kind, check_in.offset_minutes, "says")
        pain = person.pain(self.day(), rng, exact=self.habits.exact)
        said = {PAIN_NOW: pain}
        if not self.habits.exact and 2 * pain > person.baseline:
            least = least_bad_score(check_in)
            if least is not None and pain >= least:
                said |= replies(
                    [WORN_OFF], person.course, self.day(), baseline=person.baseline, pain=pain, rng=rng
                )
                since = person.names(self.day(), rng)
                if said.get(WORN_OFF) == 1 and since is not None:
                    said[ENDED_ON] = since
        self.given += 1
        if channel == Answer.Channel.EMAIL:
            outcomes.store_answer(
                check_in_id, values=said, channel=channel, language="en", by=None, now=self.now
            )
        else:
            outcomes.record_answer(
                check_in_id, values=said, channel=channel, language="en", by=self.place.nurse, now=self.now
            )

    def say_back(self, follow_up_id: int) -> None:
        """The patient says unasked that the pain is back."""
        person = self.people[follow_up_id]
        rng = person.chance("says back", "what")
        pain = person.pain(self.day(), rng, exact=False)
        if 2 * pain > person.baseline:
            outcomes.report_pain(
                follow_up_id,
                pain=pain,
                ended_on=person.names(self.day(), rng),
                channel=Answer.Channel.EMAIL,
                language="en",
                by=None,
                now=self.now,
            )

    # Staff

    def call(self, check_in: CheckIn) -> None:
        """Staff telephone, today or on the days after, at an hour when somebody is there; as often as in the demo they
        find no time to. A call that reaches nobody is not written down: no call list is looked at here."""
        lots = self.people[check_in.follow_up_id].chance(check_in.kind, check_in.offset_minutes, "call")
        if lots.random() >= CALLED:
            return None
        today = self.place.day(self.now)
        for days in range(TRIES):
            (outcome,) = lots.choices(list(CALLS), list(CALLS.values()))
            hour = self.place.at(today + days * ONE_DAY, lots.randint(*OFFICE))
            if outcome == "reached":
                return self.at(max(hour, self.now), partial(self.answer, check_in.pk, Answer.Channel.PHONE))
            if outcome == ContactAttempt.Outcome.DECLINED:
                return None
        return None

    # What the database says

    def read(self) -> list[PatientRecord]:
        """What was told of everybody, in their order."""

        def by_follow_up(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
            found: dict[int, list[tuple[Any, ...]]] = {pk: [] for pk in self.people}
            for pk, *rest in rows:
                found[pk].append(tuple(rest))
            return found

        def days(moment: datetime | None) -> float:
            return float("inf") if moment is None else (moment - self.begin) / ONE_DAY

        zone, first = self.place.site.zone, BEGIN_ON
        of = {"follow_up__in": self.people}
        changes = by_follow_up(
            VerdictChange.objects.filter(**of).order_by("pk").values_list("follow_up", "verdict")
        )
        last = dict(FollowUp.objects.filter(pk__in=self.people).values_list("pk", "verdict"))
        alerts = by_follow_up(
            Alert.objects.filter(**of)
            .order_by("pk")
            .values_list("follow_up", "kind", "raised_at", "resolved_at")
        )
        asked = by_follow_up(
            CheckIn.objects.filter(**of, offset_minutes__gte=DAY)
            .exclude(Q(status=CheckIn.Status.VOIDED) | Q(kind=CheckIn.Kind.REPORT))
            .order_by("answer__answered_at")
            .values_list("follow_up", "answer__answered_at")
        )
        return [
            PatientRecord(
                person,
                self.window,
                [*(verdict for (verdict,) in changes[pk]), last[pk]],
                [RaisedAlert(kind, days(raised), days(until)) for kind, raised, until in alerts[pk]],
                [
                    (days(at), (at.astimezone(zone).date() - first).days)
                    for (at,) in asked[pk]
                    if at is not None
                ],
                len(asked[pk]),
            )
            for pk, person in self.people.items()
        ]
