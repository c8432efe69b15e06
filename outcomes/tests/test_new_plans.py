"""A new version of a relief profile: courses that run ask by it, and are judged by that of their day.

And the check-ins that lie close together are really asked, each of them, whatever the cap and the quiet hours say.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from clinic import outbox
from clinic.models import AuditEvent
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.check_in_history import why
from outcomes.models import CheckIn, ContactAttempt, FollowUp
from outcomes.services.check_in_questions import steps_of
from procedures import services as procedures
from procedures.catalogue import read_catalogue
from procedures.models import ReliefProfile
from procedures.services.catalogue_loader import load
from procedures.services.relief_profiles import add_profile
from procedures.tests.factories import World

BEFORE = [1, 7, 14, 42, 92, 184, 275, 366, 548, 731]
AFTER = [1, 7, 14, 42, 92, 166, 180, 184, 275, 366, 548, 731]
CONFIRMATION, REPORT = CheckIn.Kind.CONFIRMATION, CheckIn.Kind.REPORT


def days(follow_up: FollowUp, *statuses: str) -> list[int]:
    rows = follow_up.check_ins.filter(kind="planned").order_by("offset_minutes")
    rows = rows.filter(status__in=statuses) if statuses else rows.exclude(status="voided")
    return [offset // 1440 for offset in rows.values_list("offset_minutes", flat=True)]


def day_of(follow_up: FollowUp, day: int) -> CheckIn:
    return follow_up.check_ins.get(offset_minutes=day * 1440, kind="planned")


def new_profile(world: World, *, now: datetime, **changes: Any) -> ReliefProfile:
    """A version that the clinic makes; by default it asks as the catalogue does."""
    profile = world.ablation.relief_profiles.latest("version")
    profile.pk, profile.check_in_days = None, AFTER
    for name, value in changes.items():
        setattr(profile, name, value)
    return add_profile(profile, by=world.physician, now=now)


def on_day(world: World, day: int, hour: int = 12, minute: int = 1) -> datetime:
    return world.at(MONDAY + timedelta(days=day), hour, minute)


def again(follow_up: FollowUp) -> FollowUp:
    return FollowUp.objects.select_related("relief_profile", "check_in_profile").get(pk=follow_up.pk)


@pytest.mark.parametrize("door", ["the admin", "the loader"])
def test_a_course_that_runs_gets_the_new_check_ins_and_keeps_its_figures(world: World, door: str) -> None:
    follow_up = world.performed().follow_up
    assert days(follow_up) == BEFORE
    now = on_day(world, 100)
    if door == "the admin":
        new_profile(
            world,
            now=now,
            window_from_days=179,
            window_until_days=300,
            success_percent=80,
            check_in_days=sorted([*AFTER, 179]),
        )
    else:
        load(read_catalogue(), by=None, now=now)
    assert days(follow_up) == BEFORE  # the tick plans it again
    assert services.tick(now=now)["follow_ups_replanned"] == 1
    found = again(follow_up)
    assert set(AFTER) <= set(days(found))
    assert (found.relief_profile.version, found.plan_profile.version) == (1, 2)
    assert (found.relief_profile.window_from_days, found.relief_profile.success_percent) == (180, 50)
    assert AuditEvent.objects.filter(action="follow_up.replanned", object_id=follow_up.pk).count() == 1
    assert services.tick(now=now + timedelta(minutes=1))["follow_ups_replanned"] == 0
    said = why(day_of(found, 166).pk)[0].said
    assert "v2" in said


def test_a_profile_that_the_clinic_made_asks_on_and_the_loader_changes_no_course(world: World) -> None:
    follow_up = world.performed().follow_up
    own = new_profile(world, now=on_day(world, 1), check_in_days=[1, 42, 170, 180, 400])
    services.tick(now=on_day(world, 1))
    load(read_catalogue(), by=None, now=on_day(world, 2))
    assert services.tick(now=on_day(world, 2))["follow_ups_replanned"] == 0
    assert world.ablation.relief_profiles.latest("version") == own
    assert again(follow_up).plan_profile == own
    assert days(follow_up, "planned") == [42, 170, 180, 400]


def test_what_was_asked_stays_and_what_is_over_is_not_written(world: World) -> None:
    follow_up = world.performed().follow_up
    for day in (1, 7, 14, 42, 92):
        services.tick(now=on_day(world, day, 10, 1))
    now = on_day(world, 172)
    new_profile(world, now=now, check_in_days=[1, 10, 42, 170, 180, 184, 366])
    services.tick(now=now)
    # 10 is over, 170 is not; 14 and 92 were asked and stay, 275 and what follows were not and are void.
    assert days(follow_up) == [1, 7, 14, 42, 92, 170, 180, 184, 366]
    assert days(follow_up, "voided") == [275, 548, 731]
    assert day_of(follow_up, 170).status == "invited"
    services.tick(now=on_day(world, 180, 10, 1))
    assert (day_of(follow_up, 170).status, day_of(follow_up, 180).status) == ("missed", "invited")


def test_what_waits_for_its_answer_closes_when_the_new_plan_asks_the_next(world: World) -> None:
    follow_up = world.performed().follow_up
    services.tick(now=on_day(world, 14, 10, 1))
    before = day_of(follow_up, 14)
    now = on_day(world, 15)
    new_profile(world, now=now, check_in_days=[1, 7, 14, 18, 42, 166, 180, 366])
    services.tick(now=now)
    after, following = day_of(follow_up, 14), day_of(follow_up, 18)
    assert before.closes_at > following.due_at == after.closes_at
    assert (after.status, after.due_at) == ("invited", before.due_at)


def test_what_is_no_part_of_the_plan_is_left_alone(world: World) -> None:
    """A confirmation and a report: planning moves, voids and counts neither."""
    follow_up = world.performed().follow_up
    now = on_day(world, 100)
    values = {"opens_at": now, "due_at": now + timedelta(days=3), "closes_at": now + timedelta(days=5)}
    first = day_of(follow_up, 92)
    CheckIn.objects.create(
        follow_up=follow_up, kind=CONFIRMATION, confirms=first, offset_minutes=166 * 1440, **values
    )
    CheckIn.objects.create(follow_up=follow_up, kind=REPORT, offset_minutes=900 * 1440, **values)
    others = follow_up.check_ins.exclude(kind="planned").order_by("pk")
    before = list(others.values("kind", "offset_minutes", "opens_at", "due_at", "closes_at"))
    new_profile(world, now=now, check_in_every_days=100)
    services.tick(now=now)
    assert list(others.values("kind", "offset_minutes", "opens_at", "due_at", "closes_at")) == before
    assert days(follow_up) == [*AFTER, 831]
    services.tick(now=day_of(follow_up, 831).due_at + timedelta(minutes=1))
    assert days(follow_up)[-1] == 931


def test_a_confirmation_replaces_nothing_of_the_plan_and_is_not_replaced(world: World) -> None:
    follow_up = world.performed().follow_up
    day_42 = day_of(follow_up, 42)
    confirmation = CheckIn.objects.create(
        follow_up=follow_up,
        kind=CONFIRMATION,
        confirms=day_of(follow_up, 14),
        offset_minutes=43 * 1440,
        opens_at=day_42.opens_at,
        due_at=day_42.due_at,
        closes_at=day_42.closes_at,
    )
    services.tick(now=day_42.due_at)
    # Nothing is suspected of this course: when it is judged again, the confirmation is withdrawn, and not replaced.
    withdrawn = CheckIn.objects.get(pk=confirmation.pk).status
    assert (day_of(follow_up, 42).status, withdrawn) == ("invited", "voided")


def test_a_course_that_is_over_keeps_its_plan(world: World) -> None:
    follow_up = world.performed().follow_up
    services.end_follow_up(
        follow_up.pk, closed_reason="transferred", by=world.physician, now=on_day(world, 2)
    )
    new_profile(world, now=on_day(world, 3))
    assert services.tick(now=on_day(world, 3))["follow_ups_replanned"] == 0
    assert again(follow_up).check_in_profile is None
    # It goes on after all: on the hour the tick finds that it has missed the new plan.
    services.resume_follow_up(follow_up.pk, reason="came back", by=world.physician, now=on_day(world, 4))
    services.tick(now=on_day(world, 4, 13, 0))
    assert days(follow_up) == AFTER


def test_on_the_hour_the_tick_finds_what_was_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_up = world.performed().follow_up
    with monkeypatch.context() as fault:
        fault.setattr("outcomes.receivers.services.take_new_plan", lambda *_, **__: 0)
        new_profile(world, now=on_day(world, 3))
    assert services.tick(now=on_day(world, 3, 12, 59))["follow_ups_replanned"] == 0
    assert services.tick(now=on_day(world, 3, 13, 0))["follow_ups_replanned"] == 1
    assert days(follow_up) == AFTER


def test_a_new_version_with_the_same_plan_plans_nothing_again(world: World) -> None:
    follow_up = world.performed().follow_up
    new_profile(world, now=on_day(world, 1))
    services.tick(now=on_day(world, 1))
    newest = new_profile(world, now=on_day(world, 2), window_source="Our own 40 courses")
    assert services.tick(now=on_day(world, 2))["follow_ups_replanned"] == 0
    assert again(follow_up).plan_profile == newest


def test_a_procedure_written_down_late_asks_by_the_plan_of_today(world: World) -> None:
    booked = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    new_profile(world, now=on_day(world, 1))
    record = procedures.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=8)
    procedure = procedures.perform(booked.pk, record, by=world.physician, now=on_day(world, 2))
    found = again(procedure.follow_up)
    assert (found.relief_profile.version, found.plan_profile.version) == (1, 2)
    assert days(found) == AFTER


def test_a_corrected_time_changes_the_figures_and_not_the_plan(world: World) -> None:
    follow_up = world.performed(hour=9).follow_up
    new_profile(world, now=world.at(MONDAY, 9, 30), window_until_days=300)
    for hour, version in ((10, 2), (9, 1)):
        procedures.correct_time(
            follow_up.procedure_id,
            performed_at=world.at(MONDAY, hour),
            reason="typed the wrong hour",
            by=world.physician,
            now=world.at(MONDAY, 12),
        )
        found = again(follow_up)
        assert (found.relief_profile.version, found.plan_profile.version) == (version, 2)
        assert days(found) == AFTER


def test_a_diary_that_is_being_written_does_not_change(world: World) -> None:
    first = new_profile(world, now=world.now, check_in_minutes=[30, 60, 120])
    follow_up = world.performed().follow_up
    services.tick(now=world.at(MONDAY, 10, 1))
    entry = follow_up.check_ins.get(offset_minutes=30)
    now = world.at(MONDAY, 10, 2)
    services.store_answer(entry.pk, values={"nrs.now": 2}, channel="email", language="en", by=None, now=now)
    new_profile(world, now=now, check_in_minutes=[45, 90], check_in_days=[1, 42, 166, 180, 366])
    services.tick(now=now)
    found = again(follow_up)
    assert found.relief_profile == first
    entry.follow_up = found
    assert [check_in.offset_minutes for check_in in services.diary_of(entry)] == [30, 60, 120]
    assert {check_in.status for check_in in services.diary_of(entry)} == {"answered", "invited"}
    assert days(found, "planned") == [1, 42, 166, 180, 366]


# What lies close together.


def asked_at(follow_up: FollowUp) -> dict[int, datetime]:
    """On which day of the course each check-in was put into an e-mail for the first time."""
    rows = ContactAttempt.objects.filter(
        check_in__follow_up=follow_up, kind="invitation", outcome="queued", check_in__kind="planned"
    )
    return {row.check_in.offset_minutes // 1440: row.at for row in rows.select_related("check_in")}


INJECTION: dict[str, Any] = {
    "check_in_days": [1, 3, 7, 14, 18, 21, 28, 60, 92, 180, 184],
    "onset_from_days": 2,
    "onset_until_days": 7,
    "window_from_days": 21,
    "window_until_days": 180,
    "evaluate_after_days": 14,
}


@pytest.mark.parametrize(
    ("changes", "first", "last", "close"),
    [(INJECTION, 13, 29, [14, 18, 21, 28]), ({}, 165, 190, [166, 180, 184])],
    ids=["injection", "ablation"],
)
@pytest.mark.parametrize("answers_after", [None, 36], ids=["silent", "a day and a half late"])
def test_check_ins_close_together_are_all_asked_with_the_usual_cap_and_quiet_hours(
    world: World, changes: dict[str, Any], first: int, last: int, close: list[int], answers_after: int | None
) -> None:
    new_profile(world, now=world.now, **changes)
    follow_up = world.performed().follow_up
    follow_up.check_ins.filter(offset_minutes__lt=first * 1440).update(status="missed")
    open_at_once = 0
    for now in [on_day(world, day, hour, 0) for day in range(first, last) for hour in (8, 10, 22)]:
        services.tick(now=now)
        outbox.send_due(now=now)
        invited = list(follow_up.check_ins.filter(status="invited"))
        open_at_once = max(open_at_once, len(invited))
        for check_in in invited:
            if answers_after and check_in.invited_at + timedelta(hours=answers_after) <= now:  # type: ignore[operator]
                services.store_answer(
                    check_in.pk, values={"nrs.now": 3}, channel="email", language="en", by=None, now=now
                )
    asked = asked_at(follow_up)
    assert sorted(asked) == close
    for day, at in asked.items():
        # A silent patient has had four e-mails in a week by then: what has time waits for up to three days.
        assert timedelta(0) <= at - on_day(world, day, 10, 0) <= timedelta(days=3 if day == close[-1] else 0)
    assert open_at_once == 1
    statuses = {day: day_of(follow_up, day).status for day in close[:-1]}
    assert set(statuses.values()) == {"answered" if answers_after else "missed"}


def test_a_check_in_of_a_quiet_course_is_one_question(world: World) -> None:
    new_profile(world, now=world.now)
    follow_up = world.performed().follow_up
    for day, score in ((42, 2), (92, 2), (166, 3), (180, 8)):
        check_in = day_of(follow_up, day)
        services.store_answer(
            check_in.pk,
            values={"nrs.now": score},
            channel="email",
            language="en",
            by=None,
            now=check_in.due_at,
        )
    for day, asked in ((166, ["nrs.now"]), (180, ["nrs.now"]), (184, None)):
        check_in = CheckIn.objects.select_related(
            "follow_up__procedure__procedure_type",
            "follow_up__procedure__site",
            "follow_up__relief_profile",
            "follow_up__check_in_profile",
        ).get(pk=day_of(follow_up, day).pk)
        found = [question.key for step in steps_of(check_in) for question in step.questions]
        assert found == asked if asked else len(found) > 5
