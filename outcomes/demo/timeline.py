"""One patient's life, played in order of time through the services that staff, patients and the clock use.

The clock is passed in, so two years take a second. What the services would do clinic-wide once a minute is asked of
them here for this patient alone, at the instant at which it falls due. `visits` is what happens at the clinic,
`check_ins` what patients are asked and answer, `alerts` what staff do about it, `records` what they write down beside.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from clinic import outbox
from clinic.models import Resource
from outcomes.demo.alerts import DemoAlerts
from outcomes.demo.baselines import OwnScores
from outcomes.demo.check_ins import DemoCheckIns
from outcomes.demo.clinic import DemoClinic, Place
from outcomes.demo.made_up_patients import Person
from outcomes.demo.records import Records
from outcomes.demo.relief_courses import SimulatedCourse, score
from outcomes.demo.visits import Visits
from outcomes.models import FollowUp
from patients.models import Patient

#: Takes e-mails and delivers none: what was sent in the made-up past is in nobody's inbox.
NO_POST = "outcomes.demo.mail_server.Post"


@dataclass(frozen=True)
class Truth:
    """What really goes on after one procedure."""

    course: SimulatedCourse
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


class PatientTimeline:
    """The events of one patient still to come; playing one may add others."""

    def __init__(self, person: Person, patient: Patient, house: DemoClinic, seed: str, chapter: str) -> None:
        """`seed`, the person's number and the chapter of the life decide every chance."""
        self.person, self.patient, self.house, self.seed = person, patient, house, seed
        self.place: Place = house.places[person.site]
        self.rng = Random(f"{seed}:{person.number}:{chapter}")
        doctors = [doctor for doctor, _ in self.place.doctors]
        self.doctor: Resource = Random(f"{seed}:{person.number}:doctor").choice(doctors)
        self.now = patient.created_at
        self.events: list[tuple[datetime, int, Callable[[], None]]] = []
        self.numbers = count()
        #: From then on staff are behind with their work: what they have not done yet is what the demo shows today.
        self.behind_since = datetime.max.replace(tzinfo=UTC)
        self.truths: dict[int, Truth] = {}  # by follow-up
        self.visits, self.asking, self.caring = Visits(self), DemoCheckIns(self), DemoAlerts(self)
        self.scores = OwnScores(self)
        self.records = Records(self, Random(f"{seed}:{person.number}:{chapter}:records"))

    def at(self, moment: datetime, do: Callable[[], None]) -> None:
        """Have `do` done at `moment`, or at once if that is past."""
        heapq.heappush(self.events, (max(moment.astimezone(UTC), self.now), next(self.numbers), do))

    def play(self, until: datetime) -> None:
        """Let everything up to and including `until` happen, in order."""
        while self.events and self.events[0][0] <= until:
            self.now, _, do = heapq.heappop(self.events)
            do()

    def know(
        self, follow_up: FollowUp, course: SimulatedCourse, *, performed_at: datetime, baseline: int
    ) -> None:
        """A follow-up has begun: from now on what is true after it, and what is asked."""
        repeats = follow_up.plan_profile.check_in_every_days is not None
        self.truths[follow_up.pk] = Truth(course, performed_at, baseline, repeats, follow_up)
        self.asking.watch(follow_up.pk)

    @property
    def behind(self) -> bool:
        return self.now >= self.behind_since

    def chance(self, *what: object) -> Random:
        """A source of chances for one matter alone, which changes no other chance."""
        return Random(":".join(map(str, (self.person.number, *what))))

    def in_office(self, moment: datetime, rng: Random) -> datetime:
        """Some minutes after `moment`, or on the next working day when nobody is there by then."""
        place, day = self.place, self.place.working_day(self.place.day(moment))
        if moment > place.at(day, 16):
            day = place.working_day(day + timedelta(days=1))
        return max(moment, place.at(day, 8, 30)) + timedelta(minutes=rng.randint(1, 50))

    def deliver(self, key: str) -> bool:
        """Send the e-mail with this key, if there is one, to nobody; whether it went out."""
        return outbox.send_due(now=self.now, limit=1, key=key, backend=NO_POST)["sent"] == 1

    def alarm(self, follow_up_id: int) -> None:
        """Something was raised perhaps: have somebody see to it."""
        self.caring.alarm(follow_up_id)
