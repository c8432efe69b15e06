"""Who hears of a red flag and when: the page says what is true, the e-mail leaves at once, the lists load anew."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from celery import Celery
from django.core.checks import run_checks
from django.db import transaction
from django.test import Client

from clinic import jobs
from clinic.celery import app
from clinic.models import Job, OutgoingEmail, SendingPause, Site
from clinic.outbox import sender_health
from clinic.tests.admin_client import signed_in, words
from outcomes import services
from outcomes.models import Answer, CheckIn
from outcomes.services import alert_emails
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
YES = {"step": "2", "red_flag.new_weakness": "1", "none": ["same_day", "next_working_day"]}


@pytest.fixture
def asked_to_send(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a broker was given."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(Celery, "send_task", lambda self, name, **how: given.append({"name": name, **how}))
    return given


@pytest.mark.parametrize("why", ["no address", "paused", "refused", "no worker", "never a worker"])
def test_no_e_mail_is_promised_that_does_not_go(world: World, why: str) -> None:
    world.site.alert_email = "alerts@example.com"
    jobs.record_run("tick", now=world.now - timedelta(minutes=1))
    assert alert_emails.reaches_staff(world.site, now=world.now)
    match why:
        case "no address":
            world.site.alert_email = ""
        case "paused":
            SendingPause.objects.create(reason="counter_behind", began_at=world.now, counter=1)
        case "no worker":
            jobs.record_run("tick", now=world.now - timedelta(minutes=3))
        case "never a worker":
            Job.objects.all().delete()
        case "refused":
            jobs.record_run(
                "mail",
                problem=sender_health.LOGIN_REFUSED,
                counts={"doubt": sender_health.ENOUGH},
                now=world.now,
            )
    assert not alert_emails.reaches_staff(world.site, now=world.now)


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_says_whether_an_e_mail_goes_to_the_clinic(
    flags: World, link: Issue, client: Client, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = set()
    monkeypatch.setattr(alert_emails, "WORKER_SEEN", timedelta(days=10**4))
    jobs.record_run("tick", now=flags.now)
    for address in ("alerts@example.com", ""):
        Site.objects.update(alert_email=address)
        _, path = link(1)
        client.post(path, {"step": "1", "nrs.now": "5"})
        helped = client.post(f"{path}?lang={language}", {**YES, "none": "same_day"}, follow=True)
        assert "outcomes/clinic_told.html" in [template.name for template in helped.templates]
        said.add(words(helped).partition("911")[2])
        CheckIn.objects.filter(status="invited").update(status="planned")
    assert len(said) == 2
    thanks = client.post(path, YES, follow=True)
    assert "outcomes/clinic_told.html" in [template.name for template in thanks.templates]


def test_the_e_mail_is_sent_as_soon_as_the_yes_is_stored(
    flags: World,
    link: Issue,
    client: Client,
    asked_to_send: list[dict[str, Any]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    Site.objects.update(alert_email="alerts@example.com")
    _, path = link(1)
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            client.post(path, {"step": "2", "red_flag.new_weakness": "1"})
            assert len(asked_to_send) in (0, 1)
    assert OutgoingEmail.objects.filter(template="outcomes.emails.alert").count() == 1
    (given,) = asked_to_send
    assert (given["name"], given["retry"], given["expires"]) == ("outcomes.tasks.send_due", False, 55)


def test_what_no_transaction_stored_is_not_sent(asked_to_send: list[dict[str, Any]], flags: World) -> None:
    check_in = flags.performed().follow_up.check_ins.get(offset_minutes=1440)
    Site.objects.update(alert_email="alerts@example.com")
    with mock.patch.object(transaction, "on_commit") as later:
        services.raise_red_flags(CheckIn.objects.get(pk=check_in.pk), ["new_weakness"], now=check_in.due_at)
    later.assert_called_once_with(alert_emails.send_soon, robust=True)
    assert not asked_to_send


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1/0", "redis://192.0.2.1:6379/0"])
def test_without_a_broker_the_answer_succeeds_quickly(
    flags: World,
    link: Issue,
    client: Client,
    broker: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(app.conf, "broker_write_url", broker)
    Site.objects.update(alert_email="alerts@example.com")
    _, path = link(1)
    client.post(path, {"step": "1", "nrs.now": "5"})
    began = time.monotonic()
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        assert client.post(path, YES).status_code == 302
    assert time.monotonic() - began < 5 * alert_emails.PATIENCE
    assert Answer.objects.count() == 1
    assert OutgoingEmail.objects.get(template="outcomes.emails.alert").status == "queued"  # the tick sends it
    assert "no worker could be asked" in caplog.text


def test_what_is_overdue_waits_for_the_tick_that_found_it(
    flags: World, asked_to_send: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    check_in = flags.performed().follow_up.check_ins.get(offset_minutes=1440)
    alert = services.raise_red_flags(check_in, ["new_weakness"], now=check_in.due_at)
    assert alert
    Site.objects.update(alert_email="alerts@example.com")
    with django_capture_on_commit_callbacks(execute=True):
        services.escalate_due(now=alert.due_at)
    assert OutgoingEmail.objects.filter(template="outcomes.emails.alert").count() == 1
    assert not asked_to_send


def test_a_site_without_an_address_is_named_by_the_check_and_on_the_first_page(world: World) -> None:
    def warned() -> list[str | None]:
        return [check.id for check in run_checks(databases=["default"]) if check.id == "clinic.W002"]

    Site.objects.update(alert_email="")
    silent = Site.objects.count()
    assert len(warned()) == silent > 0
    page = signed_in(world.admin).get("/admin/")
    assert f"/admin/clinic/site/{world.site.pk}/change/" in [
        card["link"] for group in page.context["overview"] for card in group["cards"]
    ]
    nurse = signed_in(world.nurse).get("/admin/")
    assert "/clinic/site/" not in str(nurse.context["overview"])
    Site.objects.update(alert_email="alerts@example.com")
    assert warned() == []
    assert "/clinic/site/" not in str(signed_in(world.admin).get("/admin/").context["overview"])


def test_the_first_page_and_the_list_of_alerts_load_anew(world: World, clock: list[datetime]) -> None:
    for page in ("/admin/", "/admin/outcomes/alert/"):
        assert signed_in(world.nurse).get(page).content.decode().count('data-refresh="60"') == 1
