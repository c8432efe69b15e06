"""Alerts of devices that are due, from the day on which they fall due to the day on which the device comes out."""

from datetime import date, datetime, timedelta

import pytest

from clinic.models import AuditEvent
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Alert, FollowUp
from patients import services as patients
from procedures import services as procedures
from procedures.models import ImplantedDevice, Procedure
from procedures.tests.factories import World, device, implant_procedure, recorded_device

DAY = timedelta(days=1)
#: The day on which the refill of a device as in procedures.tests.test_devices falls due.
DUE = MONDAY + 90 * DAY


@pytest.fixture
def pump(world: World) -> ImplantedDevice:
    return recorded_device(world, implant_procedure(world))


def tick(world: World, day: date, hour: int = 9) -> dict[str, int]:
    """What the tick does about devices at an hour of the site's wall clock."""
    return services.review_devices(now=world.at(day, hour))


def alerts() -> list[str]:
    """How each alert of a device ended, in order of time; "" for an open one."""
    return list(Alert.objects.filter(kind="device_due").order_by("pk").values_list("resolution", flat=True))


def course(device: ImplantedDevice) -> FollowUp:
    return FollowUp.objects.select_related("procedure__site", "patient").get(procedure=device.procedure_id)


def test_a_refill_raises_one_routine_alert_on_the_day_on_which_it_is_due(
    world: World, pump: ImplantedDevice
) -> None:
    assert tick(world, DUE - DAY, 23) == {"raised": 0, "settled": 0}  # the day has come in UTC, not here
    assert tick(world, DUE, 0) == {"raised": 1, "settled": 0}
    for _ in range(2):
        assert tick(world, DUE + 30 * DAY) == {"raised": 0, "settled": 0}
    alert = Alert.objects.get(kind="device_due")
    assert (alert.urgency, alert.patient, alert.site) == ("routine", world.patient, world.site)
    assert alert.follow_up.procedure == pump.procedure
    due = services.due_of(course(pump), now=world.at(DUE, 9))
    assert [(due_row.device, due_row.what, due_row.since) for due_row in due] == [(pump, "refill", DUE)]


def test_the_tick_does_it(world: World, pump: ImplantedDevice) -> None:
    assert services.tick(now=world.at(DUE, 9))["device_alerts_raised"] == 1
    assert alerts() == [""]
    services.update_verdict(
        course(pump).pk, now=world.at(DUE, 10)
    )  # what the course calls for is another matter
    assert services.tick(now=world.at(DUE, 11))["alerts_settled"] == 0
    assert alerts() == [""]


def test_what_falls_due_while_one_is_open_stands_on_that_one(world: World, pump: ImplantedDevice) -> None:
    tick(world, DUE)
    late = MONDAY + 2000 * DAY
    assert tick(world, late) == {"raised": 0, "settled": 0}
    due = services.due_of(course(pump), now=world.at(late, 9))
    assert [(due_row.what, due_row.since) for due_row in due] == [("refill", DUE), ("battery", late)]


def test_a_refill_settles_it_at_once(world: World, pump: ImplantedDevice) -> None:
    tick(world, DUE)
    now = world.at(DUE + DAY, 10)
    procedures.refilled(pump.pk, next_due_on=DUE + 90 * DAY, by=world.nurse, now=now)
    assert alerts() == ["settled"]
    assert tick(world, DUE + 2 * DAY) == {"raised": 0, "settled": 0}
    assert tick(world, DUE + 90 * DAY)["raised"] == 1
    assert alerts() == ["settled", ""]


def test_the_tick_settles_what_changed_behind_the_services(world: World, pump: ImplantedDevice) -> None:
    tick(world, DUE)
    ImplantedDevice.objects.update(refill_due_on=DUE + 90 * DAY)
    assert tick(world, DUE + DAY) == {"raised": 0, "settled": 1}


def test_what_somebody_has_acknowledged_stays_theirs(world: World, pump: ImplantedDevice) -> None:
    tick(world, DUE)
    now = world.at(DUE, 10)
    services.acknowledge(Alert.objects.get(kind="device_due").pk, by=world.nurse, now=now)
    procedures.refilled(pump.pk, next_due_on=DUE + 90 * DAY, by=world.nurse, now=now)
    assert alerts() == [""]


def test_what_a_person_resolved_is_raised_again_only_when_something_more_falls_due(
    world: World, pump: ImplantedDevice
) -> None:
    tick(world, DUE)
    alert = Alert.objects.get(kind="device_due")
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=world.at(DUE, 10))
    assert tick(world, DUE + 30 * DAY) == {"raised": 0, "settled": 0}
    assert tick(world, MONDAY + 2000 * DAY)["raised"] == 1  # the battery
    assert alerts() == ["spoken", ""]


def test_a_site_can_do_without(world: World, pump: ImplantedDevice) -> None:
    world.site.alert_kinds_off = ["device_due"]
    world.site.save()
    assert tick(world, DUE) == {"raised": 0, "settled": 0}
    world.site.alert_kinds_off = []
    world.site.save()
    assert tick(world, DUE + DAY)["raised"] == 1


def test_two_devices_of_one_implant_share_the_alert(world: World, pump: ImplantedDevice) -> None:
    recorded_device(world, pump.procedure, serial_number="A-1002", refill_due_on=DUE - DAY)
    assert tick(world, DUE)["raised"] == 1
    due = services.due_of(course(pump), now=world.at(DUE, 9))
    assert [due_row.device.serial_number for due_row in due] == ["A-1002", "A-1001"]


def test_a_device_is_looked_after_though_its_implant_was_repeated(
    world: World, pump: ImplantedDevice
) -> None:
    """The first pump is still in the patient, whatever the second implant did to the first course."""
    implant_procedure(world, day=MONDAY + 30 * DAY)
    assert course(pump).closed_reason == "repeated"
    assert tick(world, DUE)["raised"] == 1
    assert services.tick(now=world.at(DUE, 10))["alerts_settled"] == 0
    assert alerts() == [""]


def test_a_pump_is_looked_after_though_its_patient_goes_another_way(
    world: World, pump: ImplantedDevice
) -> None:
    """The course is over; the pump is in the patient, and runs dry all the same."""
    services.end_follow_up(
        course(pump).pk, closed_reason="other_care", by=world.physician, now=world.at(MONDAY, 12)
    )
    assert tick(world, DUE)["raised"] == 1
    assert services.tick(now=world.at(DUE, 10))["alerts_settled"] == 0
    assert alerts() == [""]


@pytest.mark.parametrize("how", ["transferred", "died", "voided", "device_voided"])
def test_what_ends_the_care_ends_its_alert(world: World, pump: ImplantedDevice, how: str) -> None:
    tick(world, DUE)
    now = world.at(DUE + DAY, 8)
    match how:
        case "transferred":
            services.end_follow_up(course(pump).pk, closed_reason=how, by=world.physician, now=now)
        case "died":
            world.patient.refresh_from_db()
            world.patient.died_on = now.date()
            patients.save(world.patient, by=world.clerk, now=now)
        case "voided":
            procedures.void(pump.procedure_id, reason="wrong patient", by=world.physician, now=now)
        case "device_voided":
            procedures.void_device(pump.pk, reason="wrong patient", by=world.nurse, now=now)
    tick(world, DUE + DAY)
    assert alerts() == ["settled"]
    assert tick(world, DUE + 2 * DAY) == {"raised": 0, "settled": 0}


# Taken out.


def explant(world: World, pump: ImplantedDevice, *, on: date, now: datetime) -> None:
    procedures.explant(pump.pk, on=on, reason="no_effect", by=world.nurse, now=now)


def test_taking_it_out_ends_the_course_on_that_day_and_settles_the_alert(
    world: World, pump: ImplantedDevice
) -> None:
    tick(world, DUE)
    out = DUE + 5 * DAY
    for _ in range(2):  # once more changes nothing
        explant(world, pump, on=out, now=world.at(out + 3 * DAY, 10))
    follow_up = course(pump)
    assert (follow_up.closed_reason, follow_up.closed_at) == ("explanted", world.at(out + DAY, 0))
    assert not follow_up.check_ins.filter(status__in=["planned", "invited"]).exists()
    assert alerts() == ["settled"]
    event = AuditEvent.objects.get(action="follow_up.explanted")
    assert event.by == world.nurse


def test_taken_out_today_the_course_has_ended_now(world: World, pump: ImplantedDevice) -> None:
    now = world.at(MONDAY + 30 * DAY, 10)
    explant(world, pump, on=MONDAY + 30 * DAY, now=now)
    assert course(pump).closed_at == now


def test_the_course_goes_on_while_another_device_of_the_implant_is_in_place(
    world: World, pump: ImplantedDevice
) -> None:
    other = recorded_device(world, pump.procedure, serial_number="A-1002")
    now = world.at(MONDAY + 30 * DAY, 10)
    explant(world, pump, on=now.date(), now=now)
    assert course(pump).closed_reason == ""
    explant(world, other, on=now.date(), now=now)
    assert course(pump).closed_reason == "explanted"


def test_a_course_that_has_ended_otherwise_stays_so(world: World, pump: ImplantedDevice) -> None:
    now = world.at(MONDAY + 30 * DAY, 10)
    services.end_follow_up(course(pump).pk, closed_reason="transferred", by=world.physician, now=now)
    explant(world, pump, on=now.date(), now=now)
    assert course(pump).closed_reason == "transferred"


def test_the_tick_ends_what_was_missed(world: World, pump: ImplantedDevice) -> None:
    """As after an import."""
    ImplantedDevice.objects.update(explanted_on=MONDAY + 30 * DAY, explanted_reason="infection")
    now = world.at(MONDAY + 31 * DAY, 9)
    assert services.tick(now=now)["follow_ups_explanted"] == 1
    assert services.tick(now=now)["follow_ups_explanted"] == 0
    assert course(pump).closed_reason == "explanted"


def test_implants_without_devices_and_with_one_in_place_go_on(world: World, pump: ImplantedDevice) -> None:
    bare: Procedure = implant_procedure(
        world, day=MONDAY + DAY, patient=world.another_patient(), laterality="right"
    )
    assert services.end_explanted(now=world.at(MONDAY + 31 * DAY, 9)) == 0
    assert bare.follow_up.closed_at is None
    assert device(bare).due_on(DUE + DAY) == [("refill", DUE + DAY)]
