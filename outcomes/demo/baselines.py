"""What made-up patients say of their pain before a procedure by themselves, by the reminder's link or on a tablet."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from outcomes.demo.replies import FOLLOWS, peg
from outcomes.questions import PAIN_NOW
from procedures import services as procedures
from procedures.models import Appointment
from procedures.services import notifications

if TYPE_CHECKING:
    from outcomes.demo.timeline import PatientTimeline

#: Shares of reminders after which it is said by the link, and of arrivals after which the tablet is handed over
#: (working values).
BY_LINK, ON_TABLET = 0.4, 0.25


def usual(pain: float, rng: Random) -> int:
    """A score before a procedure, 4–10, of somebody whose pain is mostly `pain`."""
    return min(10, max(4, round(rng.gauss(pain, 1))))


class OwnScores:
    """The scores of one patient's life. `said`: by appointment the pain, 0–10, that was said last."""

    def __init__(self, life: PatientTimeline) -> None:
        self.life = life
        self.said: dict[int, int] = {}

    def reminded(self, appointment: Appointment) -> None:
        """The reminder has come; perhaps its link is followed, some minutes or hours later."""
        lots = self.life.chance(appointment.starts_at, "by link")
        if lots.random() < BY_LINK:
            hence = timedelta(minutes=lots.randint(5, 500))
            self.life.at(self.life.now + hence, partial(self.by_link, appointment, lots))

    def arrives(self, appointment: Appointment, *, at: datetime) -> None:
        """The patient will arrive at that instant; perhaps somebody at the desk hands over the tablet then."""
        lots = self.life.chance(appointment.starts_at, "on the tablet")
        if lots.random() < ON_TABLET:
            self.life.at(at + timedelta(minutes=2), partial(self.on_tablet, appointment, lots))

    def by_link(self, appointment: Appointment, lots: Random) -> None:
        self.say(appointment, notifications.issue_link(appointment, now=self.life.now), lots)

    def on_tablet(self, appointment: Appointment, lots: Random) -> None:
        now = self.life.now
        code = procedures.offer_tablet(appointment.pk, by=self.life.place.clerk, now=now)
        self.say(appointment, procedures.open_on_tablet(code, now=now), lots)

    def say(self, appointment: Appointment, token: str, lots: Random) -> None:
        """Answer the page behind the token, unless it is too late."""
        life = self.life
        link = procedures.open_baseline_link(token, now=life.now)
        if link is None or procedures.why_not_to_say(link, now=life.now):
            return
        pain = usual(life.person.usual_pain, lots)
        values = {key: peg(key, 0, baseline=pain, noise=lots.gauss(0, 1)) for key in FOLLOWS}
        procedures.record_own_baseline(link, values={PAIN_NOW: pain, **values}, now=life.now)
        self.said[appointment.pk] = pain
