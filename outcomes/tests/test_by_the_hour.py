"""A diary that is asked by the hour, played through the tick minute by minute, also in the nights of a clock change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from clinic import outbox
from outcomes import services
from outcomes.models import CheckIn, FollowUp
from procedures.models import Procedure, ReliefProfile
from procedures.tests.factories import World

HOURS = [30, 60, 120, 240, 360, 480, 720, 1440]


@pytest.fixture
def block(world: World) -> FollowUp:
    """A course that is asked by the hour on its day, then on day 1 and day 7."""
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.check_in_minutes, profile.check_in_days = HOURS, [1, 7]
    profile.save()
    found: FollowUp = world.performed().follow_up
    return found


def sent(now: datetime) -> list[Any]:
    """What a tick and the sender bring out at `now`."""
    services.tick(now=now)
    before = len(mail.outbox)
    outbox.send_due(now=now)
    return mail.outbox[before:]


@pytest.mark.parametrize(
    ("performed", "eighth_hour", "day_1"),
    [
        # New York's clocks go from two to three on 14 March 2027, and from two back to one on 7 November.
        ("2027-03-13T20:30-05:00", "2027-03-14 05:30:00-04:00", "2027-03-14 10:00:00-04:00"),
        ("2027-03-14T01:15-05:00", "2027-03-14 10:15:00-04:00", "2027-03-15 10:00:00-04:00"),
        ("2027-11-06T20:30-04:00", "2027-11-07 03:30:00-05:00", "2027-11-07 10:00:00-05:00"),
        ("2027-11-07T01:15-04:00", "2027-11-07 08:15:00-05:00", "2027-11-08 10:00:00-05:00"),
    ],
)
def test_a_diary_is_asked_once_to_the_minute_though_the_clocks_change(
    world: World, block: FollowUp, performed: str, eighth_hour: str, day_1: str
) -> None:
    at = datetime.fromisoformat(performed).astimezone(UTC)
    Procedure.objects.filter(pk=block.procedure_id).update(performed_at=at, recorded_at=at)
    services.replan(block.pk, reason="test", now=at)
    entries = {check_in.offset_minutes: check_in.due_at for check_in in block.check_ins.all()}
    # The 24th hour is day 1; hours are hours, days are days on the wall.
    assert [entries[minutes] - at for minutes in HOURS[:-1]] == [
        timedelta(minutes=minutes) for minutes in HOURS[:-1]
    ]
    assert str(entries[480].astimezone(world.site.zone)) == eighth_hour
    assert str(entries[1440].astimezone(world.site.zone)) == day_1

    moments = {at + timedelta(minutes=minutes + off) for minutes in HOURS[:-1] for off in (-1, 0, 1)}
    moments |= {entries[1440] + timedelta(minutes=off) for off in (-1, 0, 1)}
    out = {moment: len(sent(moment)) for moment in sorted(moments)}
    assert {moment: count for moment, count in out.items() if count} == {
        entries[30]: 1,
        entries[1440]: 1,
    }
    asked = block.check_ins.filter(status=CheckIn.Status.INVITED)
    assert set(asked.values_list("offset_minutes", flat=True)) == set(HOURS)
