"""How the patient is before a procedure, said without staff: by the reminder's link and on the clinic's tablet."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client

from clinic import outbox
from clinic.models import AuditEvent, Site, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import queries, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from outcomes import services as outcomes
from outcomes.models import FollowUp
from outcomes.relief import Verdict
from procedures import services
from procedures.baselines import Source
from procedures.models import Appointment, AppointmentLink, Baseline, Procedure, ReliefProfile
from procedures.services.notifications import issue_link
from procedures.tests.factories import World

SUNDAY = MONDAY - timedelta(days=1)
#: The pain alone: the PEG was asked for once already.
PAIN: dict[str, Any] = {"nrs.now": "7", "asked": ["peg.pain", "peg.enjoyment", "peg.activity"]}
PEG = {"peg.pain": "6", "peg.enjoyment": "8", "peg.activity": "9"}


@pytest.fixture
def booked(world: World, clock: list[datetime]) -> Appointment:
    """The ablation on Monday at nine; it is Sunday at ten."""
    clock[0] = world.at(SUNDAY, 10)
    return services.book(world.appointment(), by=world.clerk, now=world.now)


@pytest.fixture
def path(world: World, booked: Appointment) -> str:
    """The page with the questions, at a link of the appointment."""
    return f"/a/{issue_link(booked, now=world.now)}/before/"


def arrived(world: World, appointment: Appointment) -> datetime:
    """The patient is here ten minutes early; that instant."""
    at = world.at(MONDAY, 8, 50)
    services.arrive(appointment.pk, by=world.clerk, now=at)
    return at


def noted() -> list[tuple[str, int, str]]:
    """What is kept, in the order in which it was said."""
    return [(row.key, row.value, row.channel) for row in Baseline.objects.order_by("taken_at", "pk")]


def performed(world: World, appointment: Appointment) -> Procedure:
    record = services.Performed(performed_at=world.at(MONDAY, 9, 15))
    return services.perform(appointment.pk, record, by=world.physician, now=world.at(MONDAY, 10))


# The reminder and its link.


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_reminder_leads_to_the_questions(
    world: World, booked: Appointment, client: Client, clock: list[datetime], language: str
) -> None:
    world.patient.language = language
    world.patient.save()
    outbox.send_due(now=world.now)
    assert "/before/" not in str(mail.outbox[-1].body)  # the confirmation comes days ahead
    outcomes.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    message = mail.outbox[-1]
    found = re.search(r"http://testserver(/a/[\w-]{43}/before/)", str(message.body))
    assert found
    assert found[0] in str(message.alternatives[0][0])  # type: ignore[union-attr]
    page = client.get(found[1])
    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.content.decode()
    assert re.findall(r'name="(nrs\.now|peg\.\w+)" value="10"', page.content.decode()) == ["nrs.now", *PEG]


def test_the_patient_says_it_by_the_link(path: str, client: Client, clock: list[datetime]) -> None:
    sent = client.post(path, {**PAIN, **PEG}, follow=True)
    assert sent.context["saved"]
    assert noted() == [
        ("nrs.now", 7, "link"), ("peg.pain", 6, "link"), ("peg.enjoyment", 8, "link"), ("peg.activity", 9, "link"),
    ]  # fmt: skip
    row = Baseline.objects.get(item="now")
    assert (row.taken_at, row.recorded_by) == (clock[0], None)
    event = AuditEvent.objects.get(action="baseline.noted")
    assert (event.actor, event.by, event.reason) == ("patient", None, "")


def test_the_peg_is_asked_where_check_ins_ask_it_and_may_be_left_out(
    world: World, path: str, client: Client, clock: list[datetime]
) -> None:
    client.post(path, {**PAIN, "peg.activity": "9"})
    assert [key for key, _, _ in noted()] == ["nrs.now", "peg.activity"]
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.check_in_days = None, 2, [1, 7, 14, 21]
    profile.in_force_from = world.now - timedelta(days=1)
    profile.save()
    assert "peg." not in client.get(path).content.decode()
    clock[0] += timedelta(minutes=1)
    client.post(path, {"nrs.now": "6", **PEG})
    assert [key for key, _, _ in noted()] == ["nrs.now", "peg.activity", "nrs.now"]
    profile.pk, profile.version, profile.check_in_every_days = None, 3, 90
    profile.in_force_from = world.now
    profile.save()
    assert "peg.activity" in client.get(path).content.decode()
    kind = world.ablation  # without any profile
    kind.pk, kind.code = None, "another"
    kind.save()
    Appointment.objects.update(procedure_type=kind)
    assert [row.key for row in client.get(path).context["questions"]] == ["nrs.now"]


@pytest.mark.parametrize(
    "sent", [{}, PEG, {"nrs.now": "11"}, {"nrs.now": "7.5"}, {"nrs.now": ""}, {**PAIN, "peg.pain": "x"}]
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    path: str, client: Client, sent: dict[str, str]
) -> None:
    assert client.post(path, sent).status_code == 422
    assert noted() == []


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_looking_changes_nothing(path: str, client: Client, method: str) -> None:
    before = AuditEvent.objects.count()
    for address in (path, path + "?saved=1", path + "?lang=es", "/tablet/", "/tablet/?show=thanks"):
        assert getattr(client, method)(address).status_code in (200, 405)
    assert noted() == []
    assert AuditEvent.objects.count() == before


def test_switching_the_language_keeps_what_is_chosen_and_sends_nothing(path: str, client: Client) -> None:
    page = client.post(path, {**PAIN, "lang": "es"}).content.decode()
    assert '<html lang="es"' in page
    assert 'name="nrs.now" value="7" checked' in page
    assert 'action="?lang=es"' in page
    assert noted() == []


def test_a_second_click_changes_nothing_and_another_answer_is_another_score(
    path: str, client: Client, clock: list[datetime]
) -> None:
    for _ in range(2):
        assert client.post(path, {**PAIN, **PEG}).status_code == 302
    assert len(noted()) == 4
    clock[0] += timedelta(minutes=2)
    assert client.post(path, {"nrs.now": "8", **PEG}).status_code == 302
    assert noted()[4:] == [("nrs.now", 8, "link")]
    assert 'name="nrs.now" value="8" checked' in client.get(path).content.decode()
    clock[0] += timedelta(minutes=1)
    client.post(path, PAIN)  # and back again
    assert noted()[5:] == [("nrs.now", 7, "link")]
    assert AuditEvent.objects.filter(action="baseline.noted").count() == 3


def test_on_the_day_it_is_asked_anew(path: str, world: World, client: Client, clock: list[datetime]) -> None:
    client.post(path, PAIN)
    clock[0] = world.at(MONDAY, 7)
    assert "checked" not in client.get(path).content.decode()
    client.post(path, PAIN)
    assert noted() == [("nrs.now", 7, "link")] * 2


# When it is too late.


@pytest.mark.parametrize("step", ["start", "to_recovery", "perform"])
def test_after_the_procedure_began_nothing_is_kept(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime], step: str
) -> None:
    clock[0] = arrived(world, booked)
    services.take_step(booked.pk, "start", by=world.nurse, now=clock[0])
    if step == "to_recovery":
        services.take_step(booked.pk, "to_recovery", by=world.nurse, now=clock[0])
    if step == "perform":
        performed(world, booked)
        clock[0] = world.at(MONDAY, 10)
    link = AppointmentLink.objects.select_related("appointment").get()
    with pytest.raises(Refusal) as refused:
        services.record_own_baseline(link, values={"nrs.now": 7}, now=clock[0])
    assert refused.value.code == "performed_already"
    for page in (client.get(path), client.post(path, PAIN)):
        assert page.status_code in (200, 409)
        assert "outcomes/before_over.html" in [template.name for template in page.templates]
        assert world.site.phone in words(page)
    assert noted() == []


@pytest.mark.parametrize("how", ["cancel", "move", "void", "no_show", "late"])
def test_of_an_appointment_to_which_nobody_comes_nothing_is_kept(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime], how: str
) -> None:
    late = world.at(MONDAY, 9, 20)
    link = AppointmentLink.objects.get()
    if how == "cancel":
        services.cancel(booked.pk, reason="ill", by=world.clerk, now=clock[0])
    elif how == "move":
        day = MONDAY + timedelta(days=7)
        services.reschedule(booked.pk, starts_at=world.at(day, 9), by=world.clerk, now=clock[0])
    elif how == "void":
        services.take_step(booked.pk, "enter_in_error", by=world.physician, now=clock[0], reason="x")
    else:
        clock[0] = late
    if how == "no_show":
        services.mark_no_show(booked.pk, by=world.clerk, now=late)
    with pytest.raises(Refusal) as refused:
        services.record_own_baseline(link, values={"nrs.now": 7}, now=clock[0])
    assert refused.value.code == "not_allowed_now"
    template = {"no_show": "clinic/gone.html", "late": "outcomes/before_over.html"}.get(
        how, "procedures/cancelled.html"
    )
    for page in (client.get(path), client.post(path, PAIN)):
        assert template in [template.name for template in page.templates]
        assert world.site.phone in words(page)
    assert noted() == []


def test_who_has_arrived_may_say_it_after_the_booked_time(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    arrived(world, booked)
    clock[0] = world.at(MONDAY, 9, 20)
    client.post(path, PAIN)
    assert noted() == [("nrs.now", 7, "link")]


def test_unknown_revoked_and_past_links_get_the_same_page(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    pages = [client.get("/a/" + "A" * 43 + "/before/"), client.post("/a/" + "A" * 43 + "/before/", PAIN)]
    AppointmentLink.objects.update(revoked_at=clock[0])
    pages.append(client.post(path, PAIN))
    AppointmentLink.objects.update(revoked_at=None)
    clock[0] = booked.ends_at
    pages.append(client.post(path, PAIN))
    assert {page.status_code for page in pages} == {410}
    assert pages[0].content == pages[1].content
    assert pages[2].content == pages[3].content  # of what was sent there is an address to stop
    assert noted() == []


def test_whoever_sends_too_often_waits(path: str, client: Client) -> None:
    codes = [client.post(path, PAIN).status_code for _ in range(61)]
    assert set(codes[:60]) == {302}
    assert codes[60] == 429


def test_the_birth_date_comes_first_where_the_site_asks_for_it(path: str, client: Client) -> None:
    client.post(path, PAIN)
    Site.objects.update(asks_birth_date=True)
    assert "checked" not in client.get(path).content.decode()
    client.post(path, {"nrs.now": "2"})
    assert client.post(path, {"month": "6", "day": "5", "year": "1944"}).status_code == 422
    assert noted() == [("nrs.now", 7, "link")]
    assert AuditEvent.objects.filter(action="appointment.birth_date_refused").count() == 1
    page = client.post(path, {"month": "5", "day": "6", "year": "1944"}, follow=True)
    assert 'name="nrs.now" value="7" checked' in page.content.decode()
    assert "/stop/" not in page.content.decode()


def test_the_appointments_page_leads_to_the_questions_from_the_day_before_on(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    page = path.removesuffix("before/")
    assert path in client.get(page).content.decode()
    clock[0] = world.at(MONDAY - timedelta(days=2), 23)
    assert path not in client.get(page).content.decode()
    clock[0] = arrived(world, booked)
    services.take_step(booked.pk, "start", by=world.nurse, now=clock[0])
    assert path not in client.get(page).content.decode()


# What comes of it.


def test_a_score_by_link_leads_to_a_verdict(
    world: World, booked: Appointment, path: str, client: Client
) -> None:
    client.post(path, PAIN)
    procedure = performed(world, booked)
    assert (procedure.baseline_pain, procedure.baseline_source) == (7, Source.EARLIER)
    check_in = procedure.follow_up.check_ins.get(offset_minutes=42 * 1440)
    outcomes.store_answer(
        check_in.pk, values={"nrs.now": 2}, channel="email", language="en", by=None, now=check_in.due_at
    )
    assert FollowUp.objects.get().verdict == Verdict.IN_RELIEF


def test_the_score_of_the_day_goes_before_that_of_the_day_before(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    client.post(path, PAIN)
    clock[0] = world.at(MONDAY, 8)
    client.post(path, {**PAIN, "nrs.now": "5"})
    procedure = performed(world, booked)
    assert (procedure.baseline_pain, procedure.baseline_source) == (5, Source.DAY_OF)


def test_a_score_by_link_goes_along_when_the_appointment_is_moved(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    client.post(path, PAIN)
    moved = services.reschedule(booked.pk, starts_at=world.at(MONDAY, 9, 15), by=world.clerk, now=clock[0])
    assert services.baselines_of(moved, performed_at=world.at(MONDAY, 9, 20))["nrs.now"].value == 7


def test_everybody_who_notes_has_a_channel_of_their_own(world: World, booked: Appointment) -> None:
    at = world.at(SUNDAY, 9)
    services.note_baseline(booked.pk, values={"nrs.now": 4}, taken_at=at, by=world.nurse, now=at)
    services.note_baseline(booked.pk, values={"peg.pain": 4}, taken_at=at, by=None, now=at)
    assert noted() == [("nrs.now", 4, "staff"), ("peg.pain", 4, "import")]
    with pytest.raises(IntegrityError), transaction.atomic():
        Baseline.objects.filter(item="now").update(channel="link")


def test_staff_see_who_gave_the_score(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    clock[0] = arrived(world, booked)
    client.post(path, PAIN)
    shown = call(world.nurse, "get", f"appointments/{booked.pk}/", now=clock[0]).json()["baselines"]
    assert [(row["key"], row["value"], row["channel"], row["recorded_by"]) for row in shown] == [
        ("nrs.now", 7, "link", None)
    ]
    desk = signed_in(world.nurse)
    board = desk.get("/admin/procedures/appointment/board/")
    (card,) = board.context["columns"][0].cards
    assert ("pain before 7 / 10: patient, by link", "info") in card.marks
    assert "baseline/" not in board.content.decode()
    assert "/tablet/" not in board.content.decode()
    assert "patient, by link" in words(desk.get("/admin/procedures/appointment/"))
    assert "patient, by link" in words(desk.get(f"/admin/procedures/appointment/{booked.pk}/change/"))
    form = desk.get(f"/admin/procedures/appointment/{booked.pk}/perform/").context["form"]
    assert form.initial["baseline_pain"] == "not-asked"
    assert "7, as noted" in str(form["baseline_pain"])


def test_a_score_of_the_day_before_is_shown_and_does_not_clear_the_mark(
    world: World, booked: Appointment, path: str, client: Client, clock: list[datetime]
) -> None:
    client.post(path, PAIN)
    clock[0] = arrived(world, booked)
    desk = signed_in(world.nurse)
    (card,) = desk.get("/admin/procedures/appointment/board/").context["columns"][0].cards
    assert [kind for _, kind in card.marks] == ["warning"]
    assert "patient, by link, 1 day before" in words(desk.get("/admin/procedures/appointment/"))


def test_the_page_asks_as_much_of_the_database_after_many_scores(
    path: str, client: Client, clock: list[datetime]
) -> None:
    few = queries(lambda: client.get(path))
    for score in range(11):
        clock[0] += timedelta(minutes=1)
        client.post(path, {"nrs.now": str(score), **PEG})
    assert queries(lambda: client.get(path)) == few


# On the tablet.


@pytest.fixture
def waiting(world: World, booked: Appointment, clock: list[datetime]) -> Appointment:
    clock[0] = arrived(world, booked)
    return booked


def offered(user: User, appointment: Appointment) -> str:
    """The digits that one click on the board shows."""
    desk = signed_in(user)
    board = f"/admin/procedures/appointment/board/?by=rooms#appointment-{appointment.pk}"
    page = desk.post(
        f"/admin/procedures/appointment/{appointment.pk}/tablet/?next={quote(board)}", follow=True
    )
    assert page.context["back"] == board
    return str(page.context["code"])


def test_the_patient_says_it_on_the_tablet(world: World, waiting: Appointment, client: Client) -> None:
    code = offered(world.clerk, waiting)
    assert re.fullmatch(r"\d{6}", code)
    page = client.post("/tablet/", {"code": f"{code[:3]} {code[3:]}"}, follow=True)
    questions = page.redirect_chain[-1][0]
    assert world.patient.family_name not in words(page)
    assert not re.search(r'href="(?!\?lang|data:|/static/|#)', page.content.decode())
    thanks = client.post(questions, {**PAIN, **PEG}, follow=True)
    assert thanks.context["thanks"]
    assert [(key, channel) for key, _, channel in noted()] == [(key, "tablet") for key in ("nrs.now", *PEG)]
    # A second click, the back button and the digits lead nowhere: the next patient sees and changes nothing.
    for again in (client.post(questions, {"nrs.now": "1"}), client.get(questions)):
        assert again["Location"].startswith("/tablet/?")
    assert client.post("/tablet/", {"code": code}).status_code == 422
    assert len(noted()) == 4
    assert Baseline.objects.filter(channel="tablet", recorded_by=None).count() == 4
    events = AuditEvent.objects.filter(action__startswith="baseline.").order_by("pk")
    assert list(events.values_list("action", "actor")) == [
        ("baseline.tablet_offered", "staff"),
        ("baseline.noted", "patient"),
    ]


def test_from_the_tablet_nothing_else_is_reached(world: World, waiting: Appointment, client: Client) -> None:
    code = offered(world.nurse, waiting)
    signed_in(world.nurse, client)  # this very device, handed over
    response = client.post("/tablet/", {"code": code})
    questions = response["Location"]
    assert client.get(questions).status_code == 200
    assert "/admin/login/" in client.get("/admin/", follow=True).redirect_chain[-1][0]
    assert client.get(questions.removesuffix("before/")).status_code == 410  # not even the appointment
    assert client.post(questions.removesuffix("before/"), {"reply": "change"}).status_code == 410


def test_the_digits_and_the_page_end(
    world: World, waiting: Appointment, client: Client, clock: list[datetime]
) -> None:
    first = offered(world.clerk, waiting)
    second = offered(world.clerk, waiting)
    assert client.post("/tablet/", {"code": first}).status_code == 422 or first == second
    clock[0] += timedelta(minutes=10)
    assert client.post("/tablet/", {"code": second}).status_code == 422
    questions = client.post("/tablet/", {"code": offered(world.clerk, waiting)})["Location"]
    clock[0] += timedelta(minutes=29)
    assert client.get(questions).status_code == 200
    services.take_step(waiting.pk, "start", by=world.nurse, now=clock[0])
    assert client.post(questions, PAIN).status_code == 409
    clock[0] += timedelta(minutes=1)
    assert client.post(questions, PAIN).status_code == 410
    assert noted() == []


def test_only_who_has_arrived_is_asked_on_the_tablet(
    world: World, booked: Appointment, client: Client, clock: list[datetime]
) -> None:
    with pytest.raises(Refusal) as refused:
        services.offer_tablet(booked.pk, by=world.clerk, now=clock[0])
    assert refused.value.code == "not_allowed_now"
    clock[0] = arrived(world, booked)
    questions = client.post("/tablet/", {"code": offered(world.clerk, booked)})["Location"]
    services.take_step(booked.pk, "undo_arrival", by=world.clerk, now=clock[0])
    assert client.post(questions, PAIN).status_code == 409
    assert noted() == []


def test_only_who_may_note_scores_offers_the_tablet_and_only_at_their_site(
    world: World, waiting: Appointment, clock: list[datetime]
) -> None:
    address = f"/admin/procedures/appointment/{waiting.pk}/tablet/"
    manager = staff("manager@example.org", "Manager", world.site)
    with pytest.raises(PermissionDenied):
        services.offer_tablet(waiting.pk, by=manager, now=clock[0])
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    stranger = staff("stranger@example.org", "Front desk", elsewhere)
    for user, status in ((manager, 403), (stranger, 404)):
        assert signed_in(user).post(address).status_code == status
        assert signed_in(user).get(f"{address}digits/").status_code == status
    assert not AppointmentLink.objects.exclude(code="").exists()


def test_looking_at_the_digits_offers_none(world: World, waiting: Appointment) -> None:
    desk = signed_in(world.clerk)
    address = f"/admin/procedures/appointment/{waiting.pk}/tablet/"
    desk.get(address)
    assert desk.get(f"{address}digits/").context["code"] == ""
    code = offered(world.clerk, waiting)
    assert desk.get(f"{address}digits/").context["code"] == code


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "1\x0023456", "9" * 5000])
def test_nonsense_opens_nothing(waiting: Appointment, client: Client, code: str) -> None:
    assert client.post("/tablet/", {"code": code}).status_code == 422


def test_digits_cannot_be_guessed(world: World, waiting: Appointment, client: Client) -> None:
    code = offered(world.clerk, waiting)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert {client.post("/tablet/", {"code": wrong}).status_code for _ in range(10)} == {422}
    assert client.post("/tablet/", {"code": code}).status_code == 429
