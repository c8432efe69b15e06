"""Bringing a file of appointments by API: through the rules of booking, and none of them twice."""

from clinic.models import Site
from clinic.tests.api_client import bring, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World, appointment_row, appointments_csv

PATH = "imports/appointments/"


def test_a_file_is_checked_then_booked_and_never_twice(world: World) -> None:
    data = appointments_csv(appointment_row(external_id="A-17"))
    checked = bring(world.clerk, PATH, data, now=world.now)
    assert (checked.status_code, checked.json()["counts"]["added"]) == (200, 1)
    assert not Appointment.objects.exists()
    booked = bring(world.clerk, PATH, data, now=world.now, mode="all")
    assert (booked.status_code, booked.json()["saved"]) == (200, True)
    appointment = Appointment.objects.get()
    assert (appointment.starts_at, appointment.booked_by) == (world.at(MONDAY, 9), world.clerk)
    again = bring(
        world.nurse,
        PATH,
        appointments_csv(appointment_row(external_id="A-17", levels="L4")),
        now=world.now,
        mode="all",
    )
    assert again.json()["counts"] == {"added": 0, "changed": 0, "unchanged": 1, "refused": 0}
    assert again.json()["noted"] == [{"row": 2, "outcome": "unchanged", "columns": ["levels"], "kept": []}]
    assert Appointment.objects.get().levels == ""


def test_a_taken_time_keeps_all_out_or_itself_only(world: World) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    world.another_patient()
    data = appointments_csv(
        appointment_row(record_number="P00002"), appointment_row(record_number="P00002", time="13:00")
    )
    refused = bring(world.clerk, PATH, data, now=world.now, mode="all")
    assert (refused.status_code, faults(refused)) == (422, [("file", "rows_refused")])
    (first,) = refused.json()["report"]["refusals"]
    assert (first["row"], first["column"], first["code"]) == (2, "time", "taken")
    assert Appointment.objects.count() == 1
    good = bring(world.clerk, PATH, data, now=world.now, mode="good").json()
    assert (good["saved"], good["counts"]["added"], good["counts"]["refused"]) == (True, 1, 1)
    assert Appointment.objects.count() == 2


def test_rows_go_to_sites_of_the_importer_only(world: World) -> None:
    other = Site.objects.create(name="Hilltop", time_zone="America/New_York", phone="+1 212 555 0199")
    stranger = staff("stranger@example.org", "Front desk", other)
    refused = bring(stranger, PATH, appointments_csv(appointment_row()), now=world.now, mode="good")
    assert refused.status_code == 422
    assert [first["code"] for first in refused.json()["report"]["refusals"]] == ["unknown_site"]
    manager = staff("manager@example.org", "Manager", world.site)
    assert (
        bring(manager, PATH, appointments_csv(appointment_row()), now=world.now, mode="all").status_code
        == 403
    )
    assert not Appointment.objects.exists()
