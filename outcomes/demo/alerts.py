"""What staff do about one made-up patient's course: alerts, slips of the pen, and courses that lead nowhere."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import isfinite
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from clinic.models import User
from outcomes import services as outcomes
from outcomes.models import Alert, Answer, FollowUp
from outcomes.relief import LOST_VERDICTS, Verdict
from outcomes.services.alert_actions import escalate
from outcomes.services.assignments import ABOUT_RELIEF

if TYPE_CHECKING:
    from outcomes.demo.relief_courses import SimulatedCourse
    from outcomes.demo.timeline import PatientTimeline

Kind, Resolution = Alert.Kind, Alert.Resolution

#: Shares of alerts that nobody looks at in time, that are snoozed, and that the nurse hands to the physician (working
#: values).
LATE, SNOOZED, HANDED_OVER = 0.1, 0.14, 0.2
#: When staff are behind, shares of alerts that nobody has looked at, and of the others that are not resolved (working
#: values).
UNSEEN, UNFINISHED = 0.4, 0.65
#: Days until what is to become of a patient without relief is settled, mostly at the next visit (working values).
UNTIL_SEEN = (3, 45)
#: How alerts end by their kind: resolution, share and a word, see the file.
ENDS: Mapping[str, Sequence[tuple[str, float, str]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text()
)["ends"]
#: Verdicts of courses in which something more should be done, or nobody knows.
UNHAPPY = (
    Verdict.NO_RELIEF,
    Verdict.PARTIAL,
    *sorted(LOST_VERDICTS),
    Verdict.LOST_UNCONFIRMED,
    Verdict.FLUCTUATING,
    Verdict.OUTLASTING,
    Verdict.UNKNOWN,
)
#: Where patients go whom nothing here helps, or who are not heard of.
ELSEWHERE = ("referred to the spine surgeon", "back to the family doctor", "pain programme near home")
AWAY = "another clinic treats the patient now"


@dataclass
class DemoAlerts:
    """The care of one patient's life."""

    life: PatientTimeline

    # Alerts

    def alarm(self, follow_up_id: int) -> None:
        """Somebody sees to what was raised just now; the site is told again when nobody does in time."""
        life = self.life
        for alert in Alert.objects.open().filter(follow_up=follow_up_id, raised_at=life.now):
            rng = life.chance(alert.kind, f"{life.now:%Y-%m-%d}")
            life.at(alert.due_at, partial(self.fall_due, alert.pk))
            if life.behind and rng.random() < UNSEEN:
                continue
            if rng.random() < LATE:
                looks = alert.due_at + timedelta(hours=rng.randint(1, 20))
            elif alert.urgency == Alert.Urgency.ROUTINE:
                looks = life.now + timedelta(hours=rng.randint(2, 44))
            else:
                looks = life.now + timedelta(minutes=rng.randint(3, 12))
            life.at(life.in_office(looks, rng), partial(self.look, alert.pk, rng))

    def fall_due(self, alert_id: int) -> None:
        """What the tick does with an alert that is overdue."""
        escalate(alert_id, now=self.life.now)

    def look(self, alert_id: int, rng: Random) -> None:
        """Somebody takes care of the alert, unless an answer has settled it."""
        life = self.life
        alert = Alert.objects.open().filter(pk=alert_id).first()
        if alert is None:
            return
        doctor, nurse, now = self.doctor, life.place.nurse, life.now
        about_relief = alert.kind in ABOUT_RELIEF
        by = doctor if about_relief and rng.random() < 0.4 else nurse
        alert = outcomes.acknowledge(alert_id, by=by, now=now)
        if alert.due_at > now:
            life.at(alert.due_at, partial(self.fall_due, alert_id))
        routine = alert.urgency == Alert.Urgency.ROUTINE
        done = now + (timedelta(hours=rng.randint(2, 90)) if routine else timedelta(minutes=40))
        if about_relief:
            done = now + timedelta(days=rng.randint(*UNTIL_SEEN))
        if about_relief and by == nurse and rng.random() < HANDED_OVER:
            outcomes.hand_over(alert_id, to=doctor.pk, by=nurse, now=now)
        elif routine and rng.random() < SNOOZED:
            until = life.in_office(now + timedelta(days=rng.randint(4, 12)), rng)
            outcomes.snooze(alert_id, until=until, by=by, now=now)
            done = until + timedelta(hours=rng.randint(1, 30))
        if not (life.behind and rng.random() < UNFINISHED):
            life.at(life.in_office(done, rng), partial(self.resolve, alert_id, rng))

    def resolve(self, alert_id: int, rng: Random) -> None:
        """Whoever has the alert says how it ended."""
        alert = Alert.objects.open().filter(pk=alert_id).select_related("owner").first()
        if alert is None or alert.owner is None:
            return
        ends = ENDS[alert.kind]
        resolution, _share, note = rng.choices(ends, [share for _, share, _ in ends])[0]
        outcomes.resolve(alert_id, resolution=resolution, note=note, by=alert.owner, now=self.life.now)
        if alert.kind == Kind.SILENT:
            reached = resolution != Resolution.NOT_REACHED
            heard = self.life.now + timedelta(days=rng.randint(60, 150) if reached else rng.randint(15, 50))
            self.life.at(self.life.in_office(heard, rng), partial(self.end_silent, alert.follow_up_id))

    @property
    def doctor(self) -> User:
        """Who treats the patient."""
        user: User = self.life.doctor.user  # type: ignore[assignment]  # physicians are people here
        return user

    # Courses that lead nowhere

    def nothing_follows(self, course: SimulatedCourse) -> None:
        """No procedure follows here. When relief has ended, the physician sends the patient elsewhere."""
        rng = self.life.chance("nothing follows", f"{self.life.now:%Y-%m-%d}")
        if isfinite(course.lasts):
            moment = self.life.now + timedelta(days=course.lasts + rng.randint(50, 90))
            self.life.at(
                self.life.in_office(moment, rng), partial(self.send_elsewhere, rng.choice(ELSEWHERE))
            )

    def send_elsewhere(self, reason: str) -> None:
        """End the courses of which nothing good is to be told any more."""
        for follow_up in self.running().filter(verdict__in=UNHAPPY):
            self.end(follow_up, FollowUp.Closed.OTHER_CARE, reason)

    def end_silent(self, follow_up_id: int) -> None:
        """Another clinic writes that it treats the patient, who has been silent all the time."""
        silent = Alert.objects.filter(kind=Kind.SILENT, follow_up=follow_up_id)
        for follow_up in self.running().filter(pk=follow_up_id, verdict=Verdict.UNKNOWN, alerts__in=silent):
            self.end(follow_up, FollowUp.Closed.TRANSFERRED, AWAY)

    def running(self) -> QuerySet[FollowUp]:
        """The courses that have not ended."""
        return FollowUp.objects.filter(patient=self.life.patient, closed_at=None)

    def end(self, follow_up: FollowUp, closed_reason: str, reason: str) -> None:
        life = self.life
        if life.patient.died_on:
            return
        outcomes.end_follow_up(
            follow_up.pk, closed_reason=closed_reason, reason=reason, by=self.doctor, now=life.now
        )
        for check_in in [
            check_in for check_in in life.asking.open.values() if check_in.follow_up_id == follow_up.pk
        ]:
            del life.asking.open[check_in.pk]

    # Slips of the pen

    def correct_later(self, given: Answer, meant: Mapping[str, int], channel: str) -> None:
        """A day or two later somebody notices that something else was meant."""
        rng = self.life.chance(given.answered_at, "noticed")
        moment = self.life.in_office(self.life.now + timedelta(hours=rng.randint(3, 40)), rng)
        reason = {
            Answer.Channel.EMAIL: "The patient rang: pressed the wrong number.",
            Answer.Channel.PAPER: "Misread on the paper form.",
        }.get(Answer.Channel(channel), "Misheard; the patient was asked again.")
        self.life.at(moment, partial(self.correct, given, meant, reason))

    def correct(self, given: Answer, meant: Mapping[str, int], reason: str) -> None:
        outcomes.correct_answer(
            given.pk, values=meant, reason=reason, by=self.life.place.nurse, now=self.life.now
        )
        self.alarm(given.check_in.follow_up_id)
