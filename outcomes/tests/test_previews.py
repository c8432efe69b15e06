"""Every e-mail to patients can be looked at in the admin, in each language, with nobody's data."""

import inspect
import re

import pytest
from django.test import Client

from clinic.models import OutgoingEmail, Site
from clinic.tests.admin_client import signed_in
from clinic.tests.factories import staff
from outcomes import emails as of_outcomes
from outcomes.admin.previews import PREVIEWS
from outcomes.tests.factories import PREVIEWED_EMAILS
from procedures import emails as of_procedures
from procedures.tests.factories import World

PREVIEW = "/admin/clinic/outgoingemail/previews/"


def test_every_e_mail_has_a_preview() -> None:
    """A template takes what a row of the outbox keeps, numbers, and the time: whoever adds one adds its preview."""
    templates = {
        f"{module.__name__}.{name}"
        for module in (of_outcomes, of_procedures)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if "now" in (takes := list(inspect.signature(function).parameters)) and re.search("_ids?$", takes[0])
    }
    assert templates == set(PREVIEWED_EMAILS)
    assert sorted(preview.key for preview in PREVIEWS) == sorted(set().union(*PREVIEWED_EMAILS.values()))


@pytest.mark.parametrize("key", [preview.key for preview in PREVIEWS if len(preview.languages) > 1])
def test_each_to_patients_is_shown_in_both_languages_as_text_and_html(
    world: World, client: Client, key: str
) -> None:
    signed_in(world.clerk, client)
    before = OutgoingEmail.objects.count()
    response = client.get(PREVIEW, {"email": key})
    shown = {row["code"]: row["message"] for row in response.context["shown"]}
    assert set(shown) == {"en", "es"}
    assert shown["en"].subject != shown["es"].subject
    for message in shown.values():
        assert world.site.phone in message.text
        assert world.site.phone in message.html
        assert ".invalid" not in message.text + message.html
        assert not re.search(r"O'Brien|ablation", message.text + message.html)
        assert "@media (prefers-color-scheme: dark)" in message.html  # and the rest stands at each element
        assert 'dir="ltr"' in message.html
        assert ".." not in message.text + message.html  # as "3 p.m.."
    html = response.content.decode()
    assert html.count("<iframe sandbox srcdoc=") == 2
    assert html.lower().count("&lt;!doctype html&gt;") == 2
    assert OutgoingEmail.objects.count() == before


def test_those_to_staff_are_shown_in_english(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    for key in ("alert", "alert-overdue"):
        (shown,) = client.get(PREVIEW, {"email": key}).context["shown"]
        assert shown["code"] == "en"
        assert "/admin/outcomes/alert/0/" in shown["message"].text


def test_who_may_look_and_at_which_sites(world: World, client: Client) -> None:
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1 312 555 0100")
    for user, status in (
        (world.clerk, 200),
        (staff("manager@example.org", "Manager", world.site), 200),
        (world.nurse, 403),
        (world.physician, 403),
    ):
        signed_in(user, client)
        assert client.get(PREVIEW).status_code == status, user
    signed_in(world.clerk, client)
    assert client.get(PREVIEW, {"site": elsewhere.pk}).status_code == 404
    assert client.get(PREVIEW, {"email": "nonsense"}).status_code == 404
    signed_in(world.admin, client)
    assert "312 555 0100" in client.get(PREVIEW, {"site": elsewhere.pk}).content.decode()
