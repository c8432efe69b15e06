"""Wall clocks and instants, where clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.timezones import NoSuchTime, day_span, instant, occurs_twice, on_wall

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour
PHOENIX = ZoneInfo("America/Phoenix")  # never changes
zones = st.sampled_from([NEW_YORK, LORD_HOWE, PHOENIX, ZoneInfo("Europe/London")])


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2027-01-15T09:00", NEW_YORK, "2027-01-15T14:00"),
        ("2027-07-15T09:00", NEW_YORK, "2027-07-15T13:00"),
        ("2027-11-07T01:30", NEW_YORK, "2027-11-07T05:30"),  # occurs twice: the first
        ("2027-07-15T09:00", PHOENIX, "2027-07-15T16:00"),
    ],
)
def test_wall_times_become_instants(text: str, zone: ZoneInfo, utc: str) -> None:
    assert instant(wall(text), zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(("text", "zone"), [("2027-03-14T02:30", NEW_YORK), ("2027-10-03T02:15", LORD_HOWE)])
def test_a_time_that_the_clock_jumps_over_is_refused(text: str, zone: ZoneInfo) -> None:
    with pytest.raises(NoSuchTime, match="does not exist"):
        instant(wall(text), zone)


def test_only_the_repeated_hour_occurs_twice() -> None:
    assert occurs_twice(wall("2027-11-07T01:30"), NEW_YORK)
    assert not occurs_twice(wall("2027-11-07T03:30"), NEW_YORK)
    assert not occurs_twice(wall("2027-03-14T02:30"), NEW_YORK)
    assert not occurs_twice(wall("2027-11-07T01:30"), PHOENIX)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), zones)  # noqa: DTZ001  (wall times)
def test_an_instant_reads_back_as_the_same_wall_time(moment: datetime, zone: ZoneInfo) -> None:
    moment = moment.replace(second=0, microsecond=0)
    try:
        found = instant(moment, zone)
    except NoSuchTime:
        return
    assert found.astimezone(zone).replace(tzinfo=None) == moment


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), zones)
def test_days_follow_each_other_without_gap_or_overlap(day: date, zone: ZoneInfo) -> None:
    start, end = day_span(day, zone)
    assert end == day_span(day + timedelta(days=1), zone)[0]
    assert timedelta(hours=23) <= end - start <= timedelta(hours=25)


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), zones)
def test_ten_is_always_ten_on_the_wall(day: date, zone: ZoneInfo) -> None:
    assert on_wall(day, time(10), zone).astimezone(zone).time() == time(10)
