"""A patient with appointments has died: asked at once, cancelled in one click, nobody is written to."""

from datetime import date, timedelta

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client

from clinic import outbox, roles
from clinic.models import OutgoingEmail, Site, User
from clinic.refusals import Refusal
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from patients import services as patients
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World


@pytest.fixture
def coming(world: World) -> list[Appointment]:
    """Two appointments, a week apart, of one patient, who has been written of them and has died since."""
    days = [MONDAY, MONDAY + timedelta(days=7)]
    rows = [
        services.book(world.appointment(starts_at=world.at(day, 9)), by=world.clerk, now=world.now)
        for day in days
    ]
    outbox.send_due(now=world.now)
    mail.outbox.clear()
    world.patient.refresh_from_db()
    world.patient.died_on = world.now.date() - timedelta(days=1)
    patients.save(world.patient, changed=["died_on"], by=world.clerk, now=world.now)
    return rows


def statuses() -> list[str]:
    return list(Appointment.objects.order_by("pk").values_list("status", flat=True))


def test_everything_that_is_left_is_cancelled_and_nobody_is_written_to(
    world: World, coming: list[Appointment]
) -> None:
    done = services.cancel_of_deceased(world.patient.pk, by=world.clerk, now=world.now)
    assert [row.pk for row in done] == [row.pk for row in coming]
    assert statuses() == ["cancelled", "cancelled"]
    assert services.cancel_of_deceased(world.patient.pk, by=world.clerk, now=world.now) == []
    outbox.send_due(now=world.now)
    assert mail.outbox == []
    assert not OutgoingEmail.objects.filter(template="procedures.emails.cancelled").exists()


def test_of_the_living_nothing_is_cancelled(world: World) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    with pytest.raises(Refusal) as refused:
        services.cancel_of_deceased(world.patient.pk, by=world.clerk, now=world.now)
    assert refused.value.code == "not_deceased"
    assert statuses() == ["booked"]


def test_only_who_may_cancel_does(world: World, coming: list[Appointment]) -> None:
    with pytest.raises(PermissionDenied):
        services.cancel_of_deceased(
            world.patient.pk, by=User.objects.create_user("nobody@example.org"), now=world.now
        )
    assert statuses() == ["booked", "booked"]


def test_what_is_left_at_another_site_stays_for_those_who_work_there(
    world: World, coming: list[Appointment]
) -> None:
    Appointment.objects.filter(pk=coming[1].pk).update(
        site=Site.objects.create(name="Elsewhere", phone="+1 212 555 0199", time_zone="America/Chicago")
    )
    assert len(services.cancel_of_deceased(world.patient.pk, by=world.clerk, now=world.now)) == 1
    assert statuses() == ["cancelled", "booked"]
    assert Appointment.objects.of_the_deceased().get().pk == coming[1].pk


def test_recording_the_death_asks_at_once(world: World, client: Client) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    client.force_login(world.admin)
    address = f"/admin/patients/patient/{world.patient.pk}/change/"
    form = client.get(address).context["adminform"].form
    data = {name: value for name in form.fields if (value := form[name].value()) not in (None, False)}
    hidden = {f"initial-{name}": "on" if form.initial.get(name) else "" for name in form.columns}
    died = {"died_on": date(2026, 1, 5).isoformat()}
    saved = client.post(address, data | hidden | died)
    page = f"/admin/patients/patient/{world.patient.pk}/deceased/"
    assert saved.headers["Location"] == page
    assert statuses() == ["booked"]
    assert client.get(page).status_code == 200
    assert statuses() == ["booked"]
    first = client.get("/admin/")
    assert any(
        "deceased=yes" in card["link"] for group in first.context["overview"] for card in group["cards"]
    )
    listed = client.get("/admin/procedures/appointment/?deceased=yes")
    assert [row.pk for row in listed.context["cl"].result_list] == [Appointment.objects.get().pk]
    assert client.post(page).status_code == 302
    assert client.post(page).status_code in (200, 302), "a second click"
    assert statuses() == ["cancelled"]
    after = client.get("/admin/")
    assert not any(
        "deceased=yes" in card["link"] for group in after.context["overview"] for card in group["cards"]
    )


# By API.


def test_one_step_cancels_everything_that_is_left_and_can_be_sent_again(
    world: World, coming: list[Appointment]
) -> None:
    patient, path = f"patients/{world.patient.pk}/", f"patients/{world.patient.pk}/cancel-appointments/"
    tag = call(world.clerk, "GET", patient, now=world.now)["ETag"]
    for named, status in (("", 428), ('"bogus"', 412)):
        refused = call(world.clerk, "POST", path, now=world.now, **{"If-Match": named})
        assert refused.status_code == status
    assert statuses() == ["booked", "booked"]
    key = {"Idempotency-Key": "once", "If-Match": tag}
    done = call(world.clerk, "POST", path, now=world.now, **key)
    assert (done.status_code, done.json()) == (200, {"cancelled": [row.pk for row in coming]})
    assert done["ETag"] == tag  # nothing about the patient has changed
    assert statuses() == ["cancelled", "cancelled"]
    again = call(world.clerk, "POST", path, now=world.now, **key)
    assert (again.json(), again["Idempotency-Replayed"]) == (done.json(), "true")
    assert call(world.clerk, "POST", path, now=world.now).json() == {"cancelled": []}
    assert not OutgoingEmail.objects.filter(template="procedures.emails.cancelled").exists()


def test_by_api_it_is_of_those_who_have_died_and_whom_one_may_see(
    world: World, coming: list[Appointment]
) -> None:
    path = f"patients/{world.patient.pk}/cancel-appointments/"
    stranger = staff(
        "stranger@example.org",
        roles.FRONT_DESK,
        Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1"),
    )
    assert call(stranger, "POST", path, now=world.now).status_code == 404
    manager = staff("manager@example.org", roles.MANAGER, world.site)
    assert call(manager, "POST", path, now=world.now).status_code == 403
    assert faults(call(world.clerk, "POST", path, {"why": "x"}, now=world.now)) == [("why", "unknown_field")]
    living = world.another_patient()
    services.book(
        world.appointment(patient=living, starts_at=world.at(MONDAY, 13)), by=world.clerk, now=world.now
    )
    refused = call(world.clerk, "POST", f"patients/{living.pk}/cancel-appointments/", now=world.now)
    assert (refused.status_code, faults(refused)) == (400, [("died_on", "not_deceased")])
    assert statuses() == ["booked"] * 3


@pytest.mark.parametrize(("step", "status"), [("book", "held"), ("undo_no_show", "no_show")])
def test_nothing_is_booked_for_who_has_died_meanwhile(world: World, step: str, status: str) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=step == "book")
    now = world.now
    if step != "book":
        now = world.at(MONDAY, 10)
        services.mark_no_show(held.pk, by=world.clerk, now=now)
    world.patient.refresh_from_db()
    world.patient.died_on = world.now.date()
    patients.save(world.patient, changed=["died_on"], by=world.clerk, now=now)
    with pytest.raises(Refusal) as refused:
        services.take_step(held.pk, step, by=world.clerk, now=now)
    assert refused.value.code == "patient_not_bookable"
    assert statuses() == [status]
