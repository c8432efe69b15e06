"""Implanted devices at the front desk: on their procedure's page, listed by what is due, and what is done with them."""

from typing import Any

import pytest
from django.test import Client

from clinic.models import Site
from clinic.tests.admin_client import clock, errors, queries, signed_in, words
from clinic.tests.factories import DAY, MONDAY, staff
from procedures.models import ImplantedDevice, Procedure
from procedures.tests.factories import World, implant_procedure, recorded_device

PAGES = "/admin/procedures/implanteddevice/"
SAID = {
    "kind": "intrathecal_pump",
    "manufacturer": "Acme",
    "model": "Drip II",
    "serial_number": "A-1001",
    "udi": "",
    "implanted_on": "2027-01-11",
    "refill_due_on": "2027-04-11",
    "battery_due_on": "",
}


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the nurse is signed in."""
    return signed_in(world.nurse, client)


@pytest.fixture
def implant(world: World) -> Procedure:
    return implant_procedure(world)


def get(desk: Client, world: World, path: str, *, day: int = 1) -> Any:
    with clock(world.at(MONDAY + day * DAY, 9)):
        return desk.get(path)


def send(desk: Client, world: World, path: str, said: dict[str, str], *, day: int = 1) -> Any:
    with clock(world.at(MONDAY + day * DAY, 9)):
        return desk.post(f"{PAGES}{path}/", said)


def test_a_device_is_recorded_from_the_procedures_page_and_stands_there(
    desk: Client, world: World, implant: Procedure
) -> None:
    page = f"/admin/procedures/procedure/{implant.pk}/change/"
    assert "Implanted devices Record a device None recorded." in words(get(desk, world, page))
    form = get(desk, world, f"{PAGES}record/{implant.pk}/").context["form"]
    assert (str(form["implanted_on"].value()), form["kind"].value()) == ("2027-01-11", "intrathecal_pump")
    assert send(desk, world, f"record/{implant.pk}", SAID)["Location"] == page
    assert "2027-04-11 –" in words(get(desk, world, page))
    assert "2027-04-11 due –" in words(get(desk, world, page, day=90))


def test_a_procedure_that_leaves_no_device_says_nothing_of_devices(desk: Client, world: World) -> None:
    procedure = world.performed()
    said = words(get(desk, world, f"/admin/procedures/procedure/{procedure.pk}/change/"))
    assert "Record a device" not in said


def test_what_is_done_with_it(desk: Client, world: World, implant: Procedure) -> None:
    device = recorded_device(world, implant)
    send(desk, world, f"{device.pk}/refill", {"next_due_on": "2027-07-10"}, day=90)
    send(desk, world, f"{device.pk}/battery", {"next_due_on": ""}, day=90)
    device.refresh_from_db()
    assert (str(device.refill_due_on), device.battery_due_on) == ("2027-07-10", None)
    out = {"on": "2027-04-12", "reason": "infection", "note": ""}
    send(desk, world, f"{device.pk}/explant", out, day=91)
    device.refresh_from_db()
    assert device.explanted_reason == "infection"
    said = words(get(desk, world, f"{PAGES}{device.pk}/change/", day=91))
    assert "taken out" in said
    assert "Refilled" not in said
    send(desk, world, f"{device.pk}/error", {"reason": "another patient's"}, day=92)
    assert not ImplantedDevice.objects.standing().exists()


@pytest.mark.parametrize(
    ("path", "said", "field", "code"),
    [
        ("refill", {"next_due_on": "2027-01-11"}, "next_due_on", "in_the_past"),
        ("explant", {"on": "2027-01-12", "reason": "", "note": ""}, "reason", "reason_required"),
        ("explant", {"on": "2027-01-12", "reason": "other", "note": ""}, "note", "reason_required"),
        ("explant", {"on": "2027-01-20", "reason": "wish", "note": ""}, "on", "in_the_future"),
        ("error", {"reason": ""}, "reason", "reason_required"),
    ],
)
def test_a_refusal_is_shown_beside_its_field(
    desk: Client, world: World, implant: Procedure, path: str, said: dict[str, str], field: str, code: str
) -> None:
    device = recorded_device(world, implant)
    response = send(desk, world, f"{device.pk}/{path}", said)
    assert (response.status_code, errors(response)) == (422, {field: [code]})


def test_the_list_begins_with_what_is_due_first(desk: Client, world: World, implant: Procedure) -> None:
    unknown = recorded_device(world, implant, serial_number="3", refill_due_on=None, battery_due_on=None)
    later = recorded_device(world, implant, serial_number="2", refill_due_on=MONDAY + 200 * DAY)
    due = recorded_device(world, implant, serial_number="1")

    def listed(query: str = "") -> list[ImplantedDevice]:
        return list(get(desk, world, f"{PAGES}{query}", day=91).context["cl"].result_list)

    assert listed() == [due, later, unknown]
    assert listed("?state=due") == [due]
    assert listed("?q=Brien") == [due, later, unknown]
    out = {"on": "2027-01-12", "reason": "wish", "note": ""}
    send(desk, world, f"{later.pk}/explant", out)
    assert listed() == [due, unknown]
    assert listed("?state=out") == [later]
    assert len(listed("?state=all")) == 3
    assert listed("?state=error") == []


def test_who_may_look_but_not_record(client: Client, world: World, implant: Procedure) -> None:
    device = recorded_device(world, implant)
    desk = signed_in(world.clerk, client)
    assert "Record a device" not in words(
        get(desk, world, f"/admin/procedures/procedure/{implant.pk}/change/")
    )
    for path in ("refill", "battery", "explant", "error"):
        assert get(desk, world, f"{PAGES}{device.pk}/{path}/").status_code == 403
    assert get(desk, world, f"{PAGES}record/{implant.pk}/").status_code == 403


def test_another_sites_devices_do_not_exist(client: Client, world: World, implant: Procedure) -> None:
    device = recorded_device(world, implant)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    desk = signed_in(staff("stranger@example.org", "Physician", other), client)
    for path in (f"record/{implant.pk}", f"{device.pk}/refill", f"{device.pk}/explant"):
        assert get(desk, world, f"{PAGES}{path}/").status_code == 404
    assert list(desk.get(PAGES).context["cl"].result_list) == []


def test_the_list_takes_the_same_number_of_queries_however_long(
    desk: Client, world: World, implant: Procedure
) -> None:
    page = f"/admin/procedures/procedure/{implant.pk}/change/"
    recorded_device(world, implant)
    flat = [queries(lambda path=path: get(desk, world, path)) for path in (PAGES, page)]  # type: ignore[misc]
    for number in range(5):
        recorded_device(world, implant, serial_number=f"B-{number}")
    assert [queries(lambda path=path: get(desk, world, path)) for path in (PAGES, page)] == flat  # type: ignore[misc]
