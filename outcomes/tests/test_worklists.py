"""Who is on which list, and in what order."""

from datetime import timedelta

from clinic.tests.desk import signed_in
from conftest import MONDAY, World
from outcomes import services
from outcomes.models import FollowUp
from outcomes.reports import WORKLISTS
from outcomes.schedule import DAY
from outcomes.tests.test_reports import course
from procedures import services as procedures


def listed(world: World, code: str) -> list[FollowUp]:
    return list(WORKLISTS[code].rows(world.nurse, world.now + timedelta(days=400)))


def test_each_list_holds_its_own_and_the_most_urgent_first(world: World) -> None:
    late, soon = course(world, {42: 2, 92: 7, 184: 8}), course(world, {14: 2, 42: 7, 92: 8})
    never = course(world, {42: 8, 92: 8})
    silent = course(world, {42: 2})
    silent.check_ins.filter(offset_minutes__in=[92 * DAY, 184 * DAY]).update(status="missed")
    services.judge(silent.pk, now=world.now)
    within = course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    assert listed(world, "losing_early") == [soon, late]
    assert listed(world, "no_relief") == [never]
    assert listed(world, "silent") == [silent]
    assert listed(world, "due_for_repeat") == [within]


def test_who_is_booked_already_is_not_due_for_a_repeat(world: World) -> None:
    lost = course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    day = MONDAY + timedelta(days=427 - 7)
    procedures.book(
        world.appointment(patient=lost.patient, starts_at=world.at(day, 9)), by=world.clerk, now=world.now
    )
    assert listed(world, "due_for_repeat") == []


def test_an_ended_course_and_a_patient_who_has_died_are_on_no_list(world: World) -> None:
    ended, died = course(world, {42: 8, 92: 8}), course(world, {42: 8, 92: 8})
    services.end_follow_up(ended.pk, because="transferred", by=world.physician, now=world.now)
    died.patient.died_on = MONDAY + timedelta(days=300)
    died.patient.save()
    assert all(listed(world, code) == [] for code in WORKLISTS)


def test_what_was_diagnostic_is_on_no_list(world: World) -> None:
    """That its anaesthetic has worn off, or did nothing, is the result that was asked for."""
    profile = world.ablation.relief_profiles.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now
    profile.window_from_minutes, profile.window_until_minutes = 120, 720
    profile.save()
    world.ablation.purpose = "diagnostic"
    world.ablation.save()
    block = course(world, {42: 9, 92: 9}, intent="diagnostic")
    assert block.verdict == "no_relief"
    assert all(listed(world, code) == [] for code in WORKLISTS)
    course(world, {42: 9, 92: 9})
    client = signed_in(world.physician)
    groups = client.get("/admin/").context["overview"]
    (card,) = (card for group in groups for card in group["cards"] if card["label"] == "no relief")
    assert card["count"] == len(client.get(card["link"]).context["rows"])
