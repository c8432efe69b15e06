"""Whatever a patient answers and says, and in whatever order it is written down: the row, the curve, the alerts, the
worklists and the API say of a course what one function says of it."""

import random
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from django.db import transaction

from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Alert, CheckIn, FollowUp, VerdictChange
from outcomes.relief import judge
from outcomes.relief_end import lasting
from outcomes.reports import WORKLISTS
from procedures.models import ReliefProfile
from procedures.tests.factories import World

DAYS = [1, 7, 14, 42, 92, 166, 180, 184, 275, 366, 548, 731]
EARLY = ("lost_early", "possibly_early")


class Said(NamedTuple):
    """One answer to the check-in of `day`, or a report (`asked` False): so many hours after noon."""

    day: int
    hours: int
    pain: int
    asked: bool = True
    worn_off: int | None = None
    since: int | None = None


def made_up(rng: random.Random) -> list[Said]:
    """What a patient says in the course of two years: good days and bad ones, late answers, gaps, reports."""
    mood, told = rng.random(), list[Said]()

    def pain() -> int:
        return rng.randrange(5) if rng.random() < mood else rng.randrange(4, 11)

    for day in rng.sample(DAYS, 8):
        word = rng.choice([None, None, 0, 1, 2])
        since = rng.randrange(day + 1) if word and rng.random() < 0.5 else None
        told.append(Said(day, rng.choice([0, 0, 24, 48]), pain(), worn_off=word, since=since))
    for day in rng.sample(range(500), rng.randrange(3)):
        since = rng.choice([None, rng.randrange(day + 1)])
        told.append(Said(day, rng.randrange(11), pain(), asked=False, since=since))
    return told


def write_down(world: World, follow_up: FollowUp, said: Said) -> datetime:
    """Through the service that takes it; when it was said."""
    now = world.at(MONDAY + timedelta(days=said.day), 12) + timedelta(hours=said.hours)
    if not said.asked:
        services.report_pain(
            follow_up.pk,
            pain=said.pain,
            ended_on=said.since,
            channel="email",
            language="en",
            by=None,
            now=now,
        )
        return now
    check_in = follow_up.check_ins.get(kind="planned", offset_minutes=said.day * 1440)
    now = min(now, check_in.closes_at - timedelta(hours=1))
    values = {"nrs.now": said.pain, "relief.worn_off": said.worn_off, "relief.ended_on": said.since}
    given = {key: value for key, value in values.items() if value is not None}
    services.store_answer(check_in.pk, values=given, channel="email", language="en", by=None, now=now)
    return now


def kept() -> list[object]:
    """All that a judgement writes beside the verdict."""
    alerts = Alert.objects.order_by("pk").values_list("pk", "kind", "resolved_at", "confirmed")
    check_ins = CheckIn.objects.order_by("pk").values_list("pk", "status", "due_at")
    return [VerdictChange.objects.count(), *alerts, *check_ins]


def agree(world: World, pk: int, *, now: datetime) -> tuple[object, ...]:
    """Look that everything says the same of the course; what it says."""
    before = kept()
    services.update_verdict(pk, now=now)
    assert kept() == before, "judged twice, nothing changes"
    follow_up = FollowUp.objects.select_related("procedure__site", "relief_profile", "summary").get(pk=pk)
    course, counted = services.course_of(follow_up), follow_up.summary
    judgement = judge(course)
    assert (follow_up.verdict, follow_up.verdict_reason) == (judgement.verdict, judgement.reason)
    assert judgement.responded or not judgement.loss
    curve = lasting(course, judgement)
    interval = (counted.lost_after, counted.lost_until, counted.suspected_until)
    assert interval == ((curve.after, curve.until, curve.suspected_until) if curve else (None, None, None))
    told = call(world.physician, "GET", f"follow-ups/{pk}/", now=now).json()
    ended = told["relief_ended"]
    assert (told["verdict"], ended and ended["after"], ended and ended["until"]) == (
        judgement.verdict,
        *interval[:2],
    )
    alert = Alert.objects.open().filter(follow_up=pk, kind="lost_early").first()
    wanted = judgement.loss_kind in EARLY and judgement.back_since is None
    assert (alert is not None) == wanted
    assert alert is None or alert.confirmed == (judgement.loss is not None)
    lists = {
        code
        for code, worklist in WORKLISTS.items()
        if worklist.state(world.admin, now).filter(pk=pk).exists()
    }
    assert ("losing_early" in lists) == wanted
    if judgement.verdict in ("lost_within_window", "reached_end", "lost_date_unknown"):
        assert ("due_for_repeat" in lists) == (judgement.back_since is None)
    assert not {"losing_early", "due_for_repeat"} <= lists
    return (judgement, *interval, alert is None)


@pytest.mark.parametrize("seed", range(3))
def test_a_course_is_told_alike_everywhere_and_in_any_order(world: World, seed: int) -> None:
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.check_in_days = None, 2, DAYS
    profile.in_force_from = world.now - timedelta(days=1)
    profile.save()
    rng = random.Random(seed)
    story = sorted(made_up(rng), key=lambda worklist: worklist[:2])
    follow_up: FollowUp = world.performed(baseline=rng.choice([8, 8, 7, 5, 3, 1, None])).follow_up
    end, found = world.at(MONDAY + timedelta(days=740), 12), list[tuple[object, ...]]()
    for order in (story, rng.sample(story, len(story))):
        with transaction.atomic():
            for said in order:
                agree(world, follow_up.pk, now=write_down(world, follow_up, said))
            found.append(agree(world, follow_up.pk, now=end))
            transaction.set_rollback(True)
    assert found[0] == found[1]
