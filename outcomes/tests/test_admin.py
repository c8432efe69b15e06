"""Follow-ups and check-ins at the front desk, and the first page."""

from datetime import timedelta

import pytest
from django.test import Client

from clinic.models import AuditEvent, OutgoingEmail, Site
from clinic.tests.admin_client import clock, errors, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.models import Answer, FollowUp
from outcomes.relief import Verdict
from procedures.models import WaitlistEntry
from procedures.services import ask_for_change, book, cancel, join_waitlist
from procedures.tests.factories import World

FOLLOW_UPS, CHECK_INS = "/admin/outcomes/followup/", "/admin/outcomes/checkin/"


def answered(world: World, story: dict[int, int], **booked: object) -> FollowUp:
    """A performed ablation whose check-ins were answered on the days of `story` and on no other."""
    follow_up = world.performed(**booked).follow_up  # type: ignore[arg-type]
    for check_in in follow_up.check_ins.all():
        day = check_in.offset_minutes // 1440
        if day <= max(story):
            services.tick(now=check_in.due_at)
            if day in story:
                services.store_answer(
                    check_in.pk,
                    values={"nrs.now": story[day]},
                    channel="email",
                    language="en",
                    by=None,
                    now=check_in.due_at,
                )
    return FollowUp.objects.get(pk=follow_up.pk)


def test_a_follow_up_shows_verdict_reason_chart_and_the_same_figures_as_a_table(
    world: World, client: Client
) -> None:
    follow_up = answered(world, {42: 2, 92: 3, 184: 7, 275: 8})
    signed_in(world.nurse, client)
    response = client.get(f"{FOLLOW_UPS}{follow_up.pk}/change/")
    html, said = response.content.decode(), words(response)
    assert "possibly lost early" in said
    assert follow_up.verdict_reason in said
    assert 'class="course-chart"' in html
    assert "<desc" in html
    for line in ("before asked 8 / 10", "2 / 10 75 % less e-mail link", "8 / 10 unchanged e-mail link"):
        assert line in said
    assert "not answered" in said


def test_the_telephone_is_a_channel(world: World, client: Client) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    page = f"{CHECK_INS}{check_in.pk}/answer/"
    signed_in(world.clerk, client)
    with clock(check_in.due_at):
        assert client.get(page).status_code == 200
        for score in ("11", "-1", "7.5", "seven", ""):
            refused = client.post(page, {"nrs.now": score, "channel": "phone", "language": "en"})
            assert refused.status_code == 422
            assert list(errors(refused)) == ["nrs.now"]
        assert not Answer.objects.exists()
        client.post(page, {"nrs.now": "4", "channel": "phone", "language": "en"})
    given = Answer.objects.get()
    assert (given.channel, given.recorded_by, given.measurements.get().value) == ("phone", world.clerk, 4)
    assert AuditEvent.objects.filter(action="check_in.answered", by=world.clerk).exists()
    with clock(check_in.closes_at):
        late = world.performed(day=MONDAY + timedelta(days=7)).follow_up.check_ins.first()
        assert late is not None
        sent = {"nrs.now": "4", "channel": "phone", "language": "en"}
        closed = client.post(f"{CHECK_INS}{late.pk}/answer/", sent)
    assert closed.status_code == 409  # the page is not shown any more, so nobody has seen how it stands
    assert Answer.objects.count() == 1


def test_who_may_only_look_writes_nothing_down(world: World, client: Client) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    with clock(check_in.due_at):
        assert client.get(f"{CHECK_INS}{check_in.pk}/change/").status_code == 200
        response = client.post(f"{CHECK_INS}{check_in.pk}/answer/", {"nrs.now": "4", "channel": "phone"})
    assert response.status_code == 403
    assert not Answer.objects.exists()


def test_another_site_is_neither_listed_nor_opened(world: World, client: Client) -> None:
    follow_up = world.performed().follow_up
    check_in = follow_up.check_ins.first()
    assert check_in is not None
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Physician", elsewhere), client)
    for address in (FOLLOW_UPS, CHECK_INS):
        assert not list(client.get(address).context["cl"].result_list)
    for address in (
        f"{FOLLOW_UPS}{follow_up.pk}/change/",
        f"{CHECK_INS}{check_in.pk}/change/",
        f"{CHECK_INS}{check_in.pk}/answer/",
    ):
        assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", [FOLLOW_UPS, CHECK_INS])
def test_lists_ask_no_more_for_thirty_rows_than_for_three(world: World, client: Client, address: str) -> None:
    signed_in(world.physician, client)
    for week in range(3):
        answered(world, {1: 5}, day=MONDAY + timedelta(days=7 * week))
    few = queries(lambda: client.get(address))
    for week in range(3, 30):
        answered(world, {1: 5}, day=MONDAY + timedelta(days=7 * week))
    assert queries(lambda: client.get(address)) <= few


def test_the_first_page_counts_what_the_user_may_see(world: World, client: Client) -> None:
    follow_up = answered(world, {42: 2, 92: 7, 184: 8})
    assert follow_up.verdict == Verdict.LOST_EARLY
    OutgoingEmail.objects.create(
        key="k", template="t", to="a@example.org", site=world.site, status="failed",
        created_at=world.now, not_before=world.now,
    )  # fmt: skip
    coming = world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9))
    booked = book(coming, by=world.clerk, now=world.now)
    ask_for_change(booked.pk, now=world.now)
    book(world.appointment(starts_at=coming.starts_at), by=world.physician, now=world.now, request=True)
    given_back = world.appointment(
        patient=world.another_patient(email=""), starts_at=world.at(MONDAY + timedelta(days=1), 9)
    )
    cancel(book(given_back, by=world.clerk, now=world.now).pk, reason="ill", by=world.clerk, now=world.now)
    waits = {
        "procedure_type": world.ablation,
        "earliest_on": MONDAY,
        "notice_hours": 24,
        "laterality": "left",
    }
    for number, asked_again_on in ((3, MONDAY), (4, MONDAY + timedelta(days=1))):
        entry = WaitlistEntry(patient=world.another_patient(number), stale_on=asked_again_on, **waits)
        join_waitlist(entry, by=world.clerk, now=world.now)
    signed_in(world.clerk, client)
    with clock(world.at(MONDAY, 20)):
        response = client.get("/admin/")
    cards = {card["link"]: card for group in response.context["overview"] for card in group["cards"]}
    assert {link: card["count"] for link, card in cards.items()} == {
        f"/admin/procedures/appointment/?when=today&site__id__exact={world.site.pk}": 1,
        "/admin/procedures/appointment/?wants_change=yes": 1,
        "/admin/procedures/appointment/displaced/": 0,
        "/admin/procedures/appointment/?status__exact=requested&when=all": 1,
        "/admin/procedures/freedtime/?state=open": 1,
        "/admin/procedures/waitlistentry/?state=ask": 1,
        "/admin/outcomes/alert/": 1,
        "/admin/outcomes/alert/?state=overdue": 0,
        "/admin/outcomes/followup/worklists/?list=losing_early": 1,
        "/admin/outcomes/followup/worklists/?list=loss_of_effect": 0,
        "/admin/outcomes/followup/worklists/?list=no_relief": 0,
        "/admin/clinic/outgoingemail/?status__exact=failed": 1,
        "/admin/clinic/outgoingemail/?status__exact=queued": 2,  # the letters of the two bookings, unsent
        "/admin/patients/patient/?address=bounced": 0,
    }
    for link in cards:
        assert client.get(link).status_code == 200
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
    cards = {
        card["link"]: card["count"]
        for group in client.get("/admin/").context["overview"]
        for card in group["cards"]
    }
    assert cards == {
        f"/admin/procedures/appointment/?when=today&site__id__exact={elsewhere.pk}": 0,
        "/admin/procedures/appointment/?wants_change=yes": 0,
        "/admin/procedures/appointment/displaced/": 0,
        "/admin/procedures/appointment/?status__exact=requested&when=all": 0,
        "/admin/procedures/freedtime/?state=open": 0,
        "/admin/procedures/waitlistentry/?state=ask": 0,
        "/admin/outcomes/alert/": 0,
        "/admin/outcomes/alert/?state=overdue": 0,
        "/admin/outcomes/followup/worklists/?list=losing_early": 0,
        "/admin/outcomes/followup/worklists/?list=loss_of_effect": 0,
        "/admin/outcomes/followup/worklists/?list=no_relief": 0,
        "/admin/clinic/outgoingemail/?status__exact=failed": 0,
        "/admin/clinic/outgoingemail/?status__exact=queued": 0,
        "/admin/patients/patient/?address=bounced": 0,
    }


def test_a_physician_ends_a_follow_up_and_a_clerk_does_not(world: World) -> None:
    follow_up = world.performed().follow_up
    address = f"/admin/outcomes/followup/{follow_up.pk}/end/"
    with clock(world.at(MONDAY, 12)):
        assert signed_in(world.clerk).post(address, {"closed_reason": "transferred"}).status_code == 403
        doctor = signed_in(world.physician)
        assert "End the follow-up" in words(doctor.get(f"/admin/outcomes/followup/{follow_up.pk}/change/"))
        assert doctor.post(address, {"reason": ""}).status_code == 422
        assert (
            doctor.post(address, {"closed_reason": "transferred", "reason": "moved away"}).status_code == 302
        )
    follow_up.refresh_from_db()
    assert follow_up.closed_reason == "transferred"


def test_a_confounded_course_is_judged_all_the_same_for_a_reason(world: World) -> None:
    first, other = world.performed().follow_up, world.performed(hour=11, region="cervical").follow_up
    FollowUp.objects.filter(pk=first.pk).update(confounded_by=other)
    address = f"/admin/outcomes/followup/{first.pk}/apart/"
    with clock(world.at(MONDAY, 14)):
        doctor = signed_in(world.physician)
        assert doctor.post(address, {"reason": " "}).status_code == 422
        assert doctor.post(address, {"reason": "the other leg"}).status_code == 302
    first.refresh_from_db()
    assert (first.not_confounded_reason, first.verdict) == ("the other leg", "too_early")


def test_a_physician_corrects_the_time_of_a_procedure(world: World) -> None:
    procedure = world.performed()
    address = f"/admin/procedures/procedure/{procedure.pk}/time/"
    asked = {"performed_0": "2027-01-11", "performed_1": "08:30", "reason": "typed wrongly"}
    with clock(world.at(MONDAY, 14)):
        assert signed_in(world.clerk).post(address, asked).status_code == 403
        doctor = signed_in(world.physician)
        assert "Performed" in words(doctor.get(address))
        assert doctor.post(address, asked | {"reason": ""}).status_code == 422
        assert doctor.post(address, asked).status_code == 302
    procedure.refresh_from_db()
    assert procedure.performed_at == world.at(MONDAY, 8, 30)
