"""What a mailbox shows of an e-mail before anybody opens it, and what frames what it says."""

import re
from datetime import time, timedelta
from email.utils import parseaddr
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clinic import outbox
from clinic.links import token_hash
from clinic.models import OutgoingEmail, Site, SiteLogo
from clinic.outbox import Message
from clinic.outbox.messages import compose
from clinic.refusals import Refusal
from clinic.tests.admin_client import signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.admin.previews import PREVIEWS
from outcomes.models import CheckIn
from outcomes.schedule import reminder_schedule
from outcomes.tests.factories import cervical_follow_up, check_in_of_day, performed_follow_up
from patients import services as patients
from procedures import services as procedures
from procedures.tests.factories import World

#: What a locked phone must not tell.
TELLS = re.compile(r"pain|dolor|clinic|clínica|procedure|procedimiento|treatment|tratamiento|injection", re.I)
TO_PATIENTS = [preview for preview in PREVIEWS if len(preview.languages) > 1]


@pytest.fixture
def site(world: World) -> Site:
    """One whose name would tell everything."""
    world.site.name, world.site.sender_name = "Riverside Pain Clinic", "Riverside"
    world.site.save()
    return world.site


def written(world: World, message: Message) -> EmailMultiAlternatives:
    """The e-mail as it goes to a mail server."""
    email = OutgoingEmail(to="ann@example.org", site=world.site, message_id="0" * 32)
    return compose(email, message, get_connection())


def sent() -> list[EmailMultiAlternatives]:
    found = [message for message in mail.outbox if isinstance(message, EmailMultiAlternatives)]
    assert len(found) == len(mail.outbox)
    return found


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("preview", TO_PATIENTS, ids=lambda preview: preview.key)
def test_a_locked_phone_tells_neither_who_writes_nor_what_for(
    world: World, site: Site, preview: outbox.Preview, language: str
) -> None:
    message = preview.render(language, site)
    mime = written(world, message).message()
    assert parseaddr(str(mime["From"])) == ("Riverside", "clinic@localhost")
    for shown in (message.subject, str(mime["From"]).partition("<")[0]):
        assert not TELLS.search(shown)
        assert shown.isprintable()
    assert re.search(r"\d", message.subject)


def test_a_patient_tells_three_e_mails_apart_and_a_reminder_from_its_question(world: World) -> None:
    world.site.emails_a_week, world.site.quiet_from, world.site.quiet_until = 9, time(0), time(0)
    world.site.save()
    follow_up = world.performed().follow_up
    for check_in in (check_in_of_day(follow_up, 42), check_in_of_day(follow_up, 92)):
        for moment in (check_in.due_at, *reminder_schedule(check_in.due_at, check_in.closes_at)[:2]):
            services.tick(now=moment)
            outbox.send_due(now=moment)
    subjects = [message.subject for message in sent()]
    assert len(subjects) == 6
    assert len(set(subjects)) == len(subjects)


def test_two_appointments_on_one_day_have_different_subjects(world: World) -> None:
    for hour in (9, 13):
        procedures.book(
            world.appointment(starts_at=world.at(world.appointment().starts_at.date(), hour)),
            by=world.clerk,
            now=world.now,
        )
    outbox.send_due(now=world.now)
    assert [message.subject for message in sent()] == [
        "Your appointment: January 11, 9 a.m.",
        "Your appointment: January 11, 1 p.m.",
    ]


def test_without_a_name_of_its_own_a_site_writes_as_the_installation(world: World, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "The house <house@example.org>"
    message = TO_PATIENTS[0].render("en", world.site)
    assert written(world, message).from_email == "The house <house@example.org>"
    world.site.sender_name = "Río, Sur"
    assert parseaddr(str(written(world, message).message()["From"]))[1] == "house@example.org"


def test_each_site_writes_under_its_own_name_in_one_run_at_no_further_question(world: World) -> None:
    other = Site.objects.create(
        name="North", time_zone="America/New_York", phone="+1 212 555 0100", sender_name="Northside"
    )
    Site.objects.filter(pk=world.site.pk).update(sender_name="Riverside")

    def run(*sites: Site) -> int:
        """Queue a letter of each of these sites and send them; how many statements sending takes."""
        for number, site in enumerate(sites):
            outbox.queue(
                f"letter {len(sites)}.{number}",
                template="clinic.tests.mail_server.letter",
                context={},
                to="ann@example.org",
                site=site,
                now=world.now,
            )
        with CaptureQueriesContext(connection) as asked:
            outbox.send_due(now=world.now)
        return len(asked)

    run(world.site)  # the first run of a new database counts what is sent once more
    preview, several = run(world.site, world.site), run(world.site, other, world.site, other)
    assert several - preview == 2  # the mark of each letter
    assert [parseaddr(message.from_email)[0] for message in sent()][3:] == ["Riverside", "Northside"] * 2


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Riverside\nBcc: x@example.org", "control_character"),
        ("River\u202eside", "control_character"),
        ("=cmd", "formula"),
        ("…", "invisible_name"),
        ("Riverside <x@example.org>", "address"),
        ('"Riverside"', "address"),
        ("x" * 61, "max_length"),
    ],
)
def test_a_sender_is_one_line_and_a_name(world: World, client: Client, name: str, code: str) -> None:
    world.site.sender_name = name
    with pytest.raises(ValidationError) as refused:
        world.site.full_clean()
    assert next(error.code for error in refused.value.error_dict["sender_name"]) == code
    if code == "control_character":
        with pytest.raises(Refusal):
            world.site.save()


def test_the_admin_sets_it_and_the_api_tells_it(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    page = f"/admin/clinic/site/{world.site.pk}/change/"
    form = client.get(page).context["adminform"].form
    values = {
        name: value if (value := form.get_initial_for_field(field, name)) is not None else ""
        for name, field in form.fields.items()
    }
    values = {name: value for name, value in values.items() if value is not False}
    assert client.post(page, values | {"sender_name": "Riverside <b@c>"}).status_code == 200
    assert Site.objects.get(pk=world.site.pk).sender_name == ""
    assert client.post(page, values | {"sender_name": "Riverside"}).status_code == 302
    told = call(world.clerk, "GET", f"sites/{world.site.pk}/", now=world.now + timedelta(hours=1))
    assert told.json()["sender_name"] == "Riverside"


# What frames an e-mail


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("preview", TO_PATIENTS, ids=lambda preview: preview.key)
def test_every_e_mail_has_a_language_a_title_a_preheader_a_head_and_one_button(
    world: World, site: Site, preview: outbox.Preview, language: str
) -> None:
    message = preview.render(language, site)
    mime = written(world, message)
    html = str(mime.alternatives[0][0])
    assert mime.message()["Content-Language"] == language
    assert f"<title>{message.subject}</title>" in html
    (unseen,) = re.findall(r'<div class="unseen"[^>]*display: ?none[^>]*>([^<]+)</div>', html)
    assert 20 < len(unseen.partition("\u2007")[0].partition("&#8199;")[0]) < 90
    assert not TELLS.search(unseen)
    assert re.search(r'<div class="head"[^>]*><!--logo-->Riverside Pain Clinic</div>', html)
    assert html.count('class="deed"') == (preview.key != "cancelled")
    assert mime.message()["Reply-To"] is None
    please = {"en": "Please do not reply", "es": "Por favor, no responda"}[language]
    assert please in message.text
    assert please in html
    site.reply_to = "desk@example.org"
    message = preview.render(language, site)
    assert written(world, message).message()["Reply-To"] == "desk@example.org"
    assert please not in message.text + message.html


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("preview", TO_PATIENTS, ids=lambda preview: preview.key)
def test_a_first_name_stands_only_where_the_site_allows_it(
    site: Site, preview: outbox.Preview, allowed: bool
) -> None:
    site.greets_by_first_name = allowed
    message = preview.render("es", site)
    # To a caregiver it is the patient's: the reader is not greeted by it.
    name = "cómo está Maria," if preview.key == "caregiver" else "Hola, Maria:"
    assert (name in message.text, name in message.html) == (allowed, allowed)
    assert "Name-of" not in message.text + message.html
    assert "Maria" not in message.subject


def test_a_sites_logo_goes_with_each_of_its_e_mails_and_is_no_link(world: World, site: Site) -> None:
    SiteLogo.objects.create(site=site, image=PNG)
    world.site = Site.objects.select_related("logo").get(pk=site.pk)
    mime = written(world, TO_PATIENTS[0].render("en", world.site)).message()
    (picture,) = (part for part in mime.walk() if part.get_content_maintype() == "image")
    assert (picture.get_content_type(), picture["Content-ID"]) == ("image/png", "<logo>")
    assert picture.get_payload(decode=True) == PNG
    (html,) = (part for part in mime.walk() if part.get_content_type() == "text/html")
    text = html.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert re.findall(r'<img src="([^"]+)" alt=""', text) == ["cid:logo"]
    assert not re.search(r'src="https?:', text)


def test_a_logo_is_a_small_picture_and_can_be_taken_away(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    page = f"/admin/clinic/site/{world.site.pk}/change/"
    form = client.get(page).context["adminform"].form
    values = {
        name: value
        for name, field in form.fields.items()
        if (value := form.get_initial_for_field(field, name)) not in (None, False)
    }
    for data, status in ((b"<svg/>", 200), (PNG + b"\0" * 40_000, 200), (PNG, 302)):
        answer = client.post(page, values | {"logo": SimpleUploadedFile("x.png", data)})
        assert answer.status_code == status
        assert SiteLogo.objects.exists() == (status == 302)
    assert (bytes(SiteLogo.objects.get().image), SiteLogo.objects.get().kind) == (PNG, "png")
    assert client.post(page, values).status_code == 302
    assert SiteLogo.objects.exists()
    assert client.post(page, values | {"no_logo": "on"}).status_code == 302
    assert not SiteLogo.objects.exists()


# One button for several questions


def test_one_button_leads_through_all_that_an_e_mail_asks(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = performed_follow_up(world), cervical_follow_up(world, MONDAY + timedelta(days=1))
    preview, two = check_in_of_day(first, 92), check_in_of_day(second, 92)
    now = two.due_at
    monkeypatch.setattr(timezone, "now", lambda: now)
    services.tick(now=now)
    outbox.send_due(now=now)
    (path,) = set(re.findall(r"http://testserver(/c/[^/]+/)", str(sent()[-1].body)))
    parts = [f"{path[:-1]}.{place}/" for place in (1, 2)]
    assert [client.get(f"{path}?lang=es")["Location"], client.get(path)["Location"]] == [
        f"{parts[0]}?lang=es",
        parts[0],
    ]
    assert client.get(parts[0]).status_code == 200
    assert (
        client.post(path, {"step": "1"}).status_code == 410
    )  # what is sent goes to one question, not to all
    asked = {CheckIn.objects.get(links__token_hash=token_hash(part[3:-1])): part for part in parts}
    assert set(asked) == {preview, two}
    later = asked.pop(min(asked, key=lambda check_in: asked[check_in]))
    ((other, _),) = asked.items()

    def tell(check_in: CheckIn) -> None:
        services.store_answer(
            check_in.pk, values={"nrs.now": 3}, channel="phone", language="en", by=None, now=now
        )

    tell(preview if other == two else two)
    assert client.get(path)["Location"] == parts[1]
    thanks = client.get(later)
    assert f'href="{parts[1]}?lang=en"' in thanks.content.decode()
    tell(other)
    assert "deed" not in client.get(later).content.decode()
    assert client.get(path)["Location"] in parts
    patients.opt_out(world.patient.pk, by=None, now=now)
    gone = client.get(path)
    assert gone.status_code == 410
    assert "/u/" in gone.content.decode()
    assert client.get(f"/c/{'A' * 43}/").status_code == 410


def test_each_of_several_questions_is_proved_by_the_birth_date_without_a_cookie(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    performed_follow_up(world), cervical_follow_up(world, MONDAY + timedelta(days=1))
    now = CheckIn.objects.filter(offset_minutes=92 * 1440).latest("due_at").due_at
    Site.objects.update(asks_birth_date=True)
    monkeypatch.setattr(timezone, "now", lambda: now)
    services.tick(now=now)
    outbox.send_due(now=now)
    (path,) = set(re.findall(r"http://testserver(/c/[^/]+/)", str(sent()[-1].body)))
    part = client.get(path)["Location"]
    born = world.patient.born_on
    given = client.post(part, {"year": born.year, "month": born.month, "day": born.day})
    proved = given["Location"].partition("?")[0]
    assert proved.startswith(f"{part[:-1]}~")
    client.cookies.clear()
    assert 'name="nrs.now"' in client.get(proved).content.decode()
    assert 'name="nrs.now"' not in client.get(part).content.decode()
