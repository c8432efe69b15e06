"""What a mailbox shows of an e-mail before anybody opens it, and what frames what it says."""

import re
from datetime import time, timedelta
from email.utils import parseaddr
from typing import Any

import pytest
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from clinic import mail
from clinic.mail import Message
from clinic.mail.messages import compose
from clinic.models import OutgoingEmail, Site
from clinic.refusals import Refusal
from clinic.tests.calling import call
from clinic.tests.desk import signed_in
from conftest import World
from outcomes import services
from outcomes.admin.previews import PREVIEWS
from outcomes.schedule import ladder
from outcomes.tests.test_asking import day_of
from procedures import services as procedures

#: What a locked phone must not tell.
TELLS = re.compile(r"pain|dolor|clinic|clínica|procedure|procedimiento|treatment|tratamiento|injection", re.I)
TO_PATIENTS = [one for one in PREVIEWS if len(one.languages) > 1]


@pytest.fixture
def site(world: World) -> Site:
    """One whose name would tell everything."""
    world.site.name, world.site.sender_name = "Riverside Pain Clinic", "Riverside"
    world.site.save()
    return world.site


def written(world: World, message: Message) -> EmailMultiAlternatives:
    """The e-mail as it goes to a mail server."""
    email = OutgoingEmail(to="ann@example.org", site=world.site, message_id="0" * 32)
    return compose(email, message, mail.sending.get_connection())


def sent() -> list[EmailMultiAlternatives]:
    found = [one for one in outbox.outbox if isinstance(one, EmailMultiAlternatives)]
    assert len(found) == len(outbox.outbox)
    return found


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("preview", TO_PATIENTS, ids=lambda one: one.key)
def test_a_locked_phone_tells_neither_who_writes_nor_what_for(
    world: World, site: Site, preview: mail.Preview, language: str
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
    for check_in in (day_of(follow_up, 42), day_of(follow_up, 92)):
        for moment in (check_in.due_at, *ladder(check_in.due_at, check_in.closes_at)[:2]):
            services.tick(now=moment)
            mail.send_due(now=moment)
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
    mail.send_due(now=world.now)
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


def test_each_site_writes_under_its_own_name_in_one_run_at_no_further_question(
    world: World, django_assert_num_queries: Any
) -> None:
    other = Site.objects.create(
        name="North", time_zone="America/New_York", phone="+1 212 555 0100", sender_name="Northside"
    )
    Site.objects.filter(pk=world.site.pk).update(sender_name="Riverside")
    for number, site in enumerate([world.site, other, world.site, other]):
        mail.queue(
            f"letter {number}",
            template="clinic.tests.test_mail.letter",
            context={},
            to="ann@example.org",
            site=site,
            now=world.now,
        )
    # A claim, its sites, a mark for each, and the look that finds no more.
    with django_assert_num_queries(1 + 1 + 4 + 1):
        mail.send_due(now=world.now)
    assert [parseaddr(message.from_email)[0] for message in sent()] == ["Riverside", "Northside"] * 2


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
