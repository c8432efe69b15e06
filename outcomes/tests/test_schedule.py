"""When check-ins fall due."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.schedule import DAY, following, plan, quiet_until, reminder_schedule

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2027, 3, 10, 17, tzinfo=UTC)  # noon in New York, four days before the clocks change


def test_days_are_calendar_days_at_the_sites_hour_across_a_clock_change() -> None:
    planned = plan(NOON, days=[1, 7], minutes=[], every_days=None, at=time(10), zone=NEW_YORK)
    assert [str(entry.due_at.astimezone(NEW_YORK)) for entry in planned] == [
        "2027-03-11 10:00:00-05:00",
        "2027-03-17 10:00:00-04:00",
    ]
    assert [entry.opens_at.astimezone(NEW_YORK).hour for entry in planned] == [0, 0]


def test_diary_entries_fall_due_to_the_minute_and_the_24th_hour_is_day_1() -> None:
    planned = plan(NOON, days=[1], minutes=[30, 60, DAY], every_days=None, at=time(10), zone=NEW_YORK)
    assert [entry.offset_minutes for entry in planned] == [30, 60, DAY]
    assert planned[0].due_at == NOON + timedelta(minutes=30)
    # The whole diary stays open for a day after its last entry.
    assert [entry.closes_at for entry in planned[:2]] == [NOON + timedelta(minutes=60, hours=24)] * 2
    assert planned[2].due_at.astimezone(NEW_YORK).time() == time(10)


def test_a_device_is_asked_about_again_and_again() -> None:
    planned = plan(NOON, days=[1, 90], minutes=[], every_days=180, at=time(10), zone=NEW_YORK)
    assert [entry.offset_minutes // DAY for entry in planned] == [1, 90, 270]
    after = following(NOON, last_offset=270 * DAY, every_days=180, at=time(10), zone=NEW_YORK)
    assert after.offset_minutes == 450 * DAY


@pytest.mark.parametrize(
    ("days", "open_for"),
    [
        ([14, 18, 21, 28], [3, 3, 3.5, 3.5]),
        ([166, 180, 184, 275], [7, 3, 14, 14]),
        ([1, 3, 7, 14], [2, 3, 3.5, 3.5]),
        ([1, 2, 3], [1, 1, 1]),
    ],
)
def test_a_check_in_waits_three_days_or_until_the_next_is_due(days: list[int], open_for: list[float]) -> None:
    planned = plan(
        NOON, days=days, minutes=[], every_days=None, at=time(10), zone=ZoneInfo("America/Phoenix")
    )
    assert [entry.closes_at - entry.due_at for entry in planned] == [
        timedelta(days=some) for some in open_for
    ]


def test_of_a_short_gap_over_a_clock_change_the_first_closes_when_the_next_is_due() -> None:
    planned = plan(NOON, days=[2, 5], minutes=[], every_days=None, at=time(10), zone=NEW_YORK)
    assert planned[0].closes_at == planned[1].due_at == planned[0].due_at + timedelta(days=3, hours=-1)


days = st.lists(st.integers(1, 800), min_size=1, max_size=12, unique=True)
minutes = st.lists(st.integers(15, 20 * 60), max_size=8, unique=True)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)).map(lambda m: m.replace(tzinfo=UTC)),  # noqa: DTZ001
    days,
    minutes,
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "America/Phoenix", "Europe/London"]),
)
def test_check_ins_come_in_order_and_each_can_be_answered(
    performed: datetime, on_days: list[int], at_minutes: list[int], zone: str
) -> None:
    planned = plan(
        performed, days=on_days, minutes=at_minutes, every_days=None, at=time(10), zone=ZoneInfo(zone)
    )
    assert [entry.offset_minutes for entry in planned] == sorted(
        {*at_minutes, *(day * DAY for day in on_days)}
    )
    for first in planned:
        assert first.opens_at <= first.due_at < first.closes_at <= first.due_at + timedelta(days=14)
    by_day = [entry for entry in planned if entry.offset_minutes % DAY == 0]
    for earlier, later in pairwise(by_day):
        assert earlier.closes_at <= later.due_at
        assert earlier.closes_at >= min(later.due_at, earlier.due_at + timedelta(days=3))


def test_the_ladder_stands_within_the_time_that_a_check_in_is_open() -> None:
    closes = NOON + timedelta(days=4)
    assert reminder_schedule(NOON, closes) == tuple(NOON + timedelta(days=day) for day in (1, 2, 3))


@pytest.mark.parametrize(
    ("clock", "ends"),
    [
        ("2027-03-13 19:59", None),
        ("2027-03-13 20:00", "2027-03-14 08:00:00-04:00"),
        ("2027-03-14 00:30", "2027-03-14 08:00:00-04:00"),
        ("2027-03-14 07:59", "2027-03-14 08:00:00-04:00"),
        ("2027-03-14 08:00", None),
    ],
)
def test_quiet_hours_run_over_midnight_and_over_a_clock_change(clock: str, ends: str | None) -> None:
    moment = datetime.fromisoformat(clock).replace(tzinfo=NEW_YORK).astimezone(UTC)
    end = quiet_until(moment, quiet_from=time(20), quiet_until=time(8), zone=NEW_YORK)
    assert (str(end.astimezone(NEW_YORK)) if end else None) == ends


def test_equal_ends_mean_no_quiet_hours() -> None:
    assert quiet_until(NOON, quiet_from=time(8), quiet_until=time(8), zone=NEW_YORK) is None
    assert quiet_until(NOON, quiet_from=time(11), quiet_until=time(13), zone=NEW_YORK) is not None
