"""Who can have performed a procedure, when, and where on the body: by what booking asks for, through every door."""

from datetime import timedelta

import pytest
from django.test import Client

from clinic.models import AuditEvent, Resource, ResourceCategory, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from procedures import services
from procedures.models import Appointment, Privilege, Procedure
from procedures.tests.factories import World

DAY = timedelta(days=1)


@pytest.fixture
def booked(world: World) -> Appointment:
    """An ablation on Monday at nine, for which a privilege is needed, that the physician has."""
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
    Privilege.objects.create(resource=world.doctor, family=world.ablation.family)
    return services.book(world.appointment(), by=world.clerk, now=world.now)


def perform(
    world: World, booked: Appointment, *, hour: int = 9, minute: int = 0, day: int = 0, **said: object
) -> Procedure:
    at = world.at(MONDAY + day * DAY, hour, minute)
    record = services.Performed(performed_at=at, baseline_pain=8, **said)  # type: ignore[arg-type]
    return services.perform(booked.pk, record, by=world.physician, now=at + timedelta(minutes=30))


def code_of(world: World, booked: Appointment, **said: object) -> tuple[str | None, str | None]:
    with pytest.raises(Refusal) as refused:
        perform(world, booked, **said)  # type: ignore[arg-type]
    assert not Procedure.objects.exists()
    return refused.value.code, refused.value.field


@pytest.mark.parametrize("who", ["nurse", "clerk", "admin"])
def test_nobody_performs_without_the_privilege_that_booking_asks_for(
    world: World, booked: Appointment, who: str
) -> None:
    assert code_of(world, booked, performer=getattr(world, who)) == ("no_privilege", "performer")


def test_a_privilege_of_another_family_or_of_the_past_is_none(world: World, booked: Appointment) -> None:
    privilege = Privilege.objects.get()
    privilege.valid_until_on = MONDAY - DAY
    privilege.save()
    assert code_of(world, booked, performer=world.physician) == ("no_privilege", "performer")
    privilege.valid_until_on, privilege.family = None, "pumps"
    privilege.save()
    assert code_of(world, booked, performer=world.physician) == ("no_privilege", "performer")
    privilege.family = world.ablation.family
    privilege.save()
    assert perform(world, booked, performer=world.physician).performer == world.physician


def test_a_nurse_with_a_bay_of_her_own_is_no_performer(world: World, booked: Appointment) -> None:
    Resource.objects.filter(pk=world.bay.pk).update(user=world.nurse)
    assert code_of(world, booked, performer=world.nurse) == ("no_privilege", "performer")


def test_the_api_and_the_desk_ask_the_same(world: World, booked: Appointment, client: Client) -> None:
    at = world.at(MONDAY, 9)
    sent = {"performed_at": at.isoformat(), "baseline_pain": 8, "performer": world.nurse.pk}
    path = f"appointments/{booked.pk}/complete/"
    refused = call(world.physician, "POST", path, sent, now=at + timedelta(minutes=30))
    assert refused.status_code == 400
    assert [error["code"] for error in refused.json()["errors"]] == ["no_privilege"]
    signed_in(world.physician, client)
    with clock(at + timedelta(minutes=30)):
        form = client.get(f"/admin/procedures/appointment/{booked.pk}/perform/").context["form"]
    assert list(form.fields["performer"].queryset) == [world.physician]
    assert [value for value, _ in form.fields["laterality"].choices] == ["left", "right", "bilateral"]
    assert form.initial["region"] == "lumbar"


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({"hour": 0, "minute": 5}, False),
        ({"hour": 7, "minute": 59}, False),
        ({"hour": 8}, True),
        ({"hour": 16}, True),
        ({"day": 1}, False),
    ],
)
def test_a_time_that_does_not_fit_asks_for_a_reason(
    world: World, booked: Appointment, said: dict[str, int], fits: bool
) -> None:
    if fits:
        perform(world, booked, **said)
        return
    assert code_of(world, booked, **said) == ("reason_required", "reason")
    assert code_of(world, booked, **said, reason=" ") == ("reason_required", "reason")
    done = perform(world, booked, **said, reason="An emergency")
    event = AuditEvent.objects.get(action="procedure.performed")
    assert (event.object_id, event.reason) == (done.pk, "completed: An emergency")


def test_who_came_early_was_early(world: World, booked: Appointment) -> None:
    services.arrive(booked.pk, by=world.clerk, now=world.at(MONDAY, 7))
    perform(world, booked, hour=7, minute=15)


def test_an_arrival_that_was_undone_is_none(world: World, booked: Appointment) -> None:
    services.arrive(booked.pk, by=world.clerk, now=world.at(MONDAY, 7))
    services.take_step(booked.pk, "undo_arrival", by=world.clerk, now=world.at(MONDAY, 7, 1))
    assert code_of(world, booked, hour=7, minute=15) == ("reason_required", "reason")
    services.arrive(booked.pk, by=world.clerk, now=world.at(MONDAY, 8, 30))
    assert code_of(world, booked, hour=7, minute=15) == ("reason_required", "reason")


def test_region_and_side_are_those_that_the_type_has(world: World, booked: Appointment) -> None:
    assert code_of(world, booked, region="knee") == ("region_not_possible", "region")
    assert code_of(world, booked, laterality="midline") == ("side_not_possible", "laterality")
    assert code_of(world, booked, laterality="") == ("side_required", "laterality")
    done = perform(world, booked, region="cervical", laterality="right")
    assert (done.region, done.laterality) == ("cervical", "right")


def test_whoever_left_the_house_since_performed_all_the_same(world: World, booked: Appointment) -> None:
    Resource.objects.filter(pk=world.doctor.pk).update(active=False)
    User.objects.filter(pk=world.physician.pk).update(is_active=False)
    assert services.performers(world.ablation, MONDAY).get() == world.physician
