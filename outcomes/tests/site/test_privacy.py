"""Nothing about anybody's health leaves the house or stands in a log: the whole flow in both languages, searched."""

import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.core.management import call_command
from django.test import Client

from clinic.logs import ScrubFilter
from clinic.models import DeliveryReport, OutgoingEmail
from clinic.tests.admin_client import signed_in
from clinic.tests.factories import MONDAY
from outcomes.models import Alert, Answer, CheckIn
from outcomes.tests.factories import insist
from patients.models import Patient
from patients.tests.mail_services import WEBHOOK_SECRET, post_report, postmark_bounce
from procedures import services as procedures
from procedures.tests.factories import World

NAMES = r"o'?brien|o&#(x27|39);brien|\bann\b|ann@|p00001|1944|5551234|212 555 0123"
HEALTH = r"ablation|ablaci|radiofrec|radiofreq|facet|\brfa\b|lumbar|l3.l5|injection|inyecci|nerve|nervio"
HEALTH += r"|m47|spondyl|espondil"
SAID = r"\bpain\b|dolor|score|punt(os|aje|uaci)|\d ?/ ?10\b|fever|fiebre|chills|escalofr|weakness|debilidad"
SAID += r"|burning|ardiente|remark of mine"
#: What may stand nowhere outside.
SECRETS = re.compile(f"{NAMES}|{HEALTH}|{SAID}|red.flag|verdict|relief|alivio", re.I)
#: In the log a library may name a table or a step of the tick.
LOGGED = re.compile(f"{NAMES}|{HEALTH}|{SAID}", re.I)


class Texts:
    """Takes text messages."""

    taken: ClassVar[list[str]] = []

    def send(self, to: str, text: str) -> str:
        Texts.taken.append(text)
        return "name"


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything that is logged, down to the last detail, as the deployment's handler writes it."""
    stream = StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setFormatter(next(h.formatter for h in root.handlers if h.formatter and h.name == "console"))
    handler.addFilter(ScrubFilter())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


Flow = Callable[[str], list[str]]


@pytest.fixture
def flow(flags: World, clock: list[datetime], settings: Any) -> Flow:
    """Plays the whole flow in a language; the addresses that were asked for."""
    world = flags

    def play(language: str) -> list[str]:
        settings.SMS_BACKEND = "outcomes.tests.site.test_privacy.Texts"
        settings.EMAIL_SERVICE = "postmark"
        settings.ANYMAIL = {
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "REQUESTS_TIMEOUT": 20,
            "POSTMARK_SERVER_TOKEN": "token",
        }
        Texts.taken.clear()
        world.site.alert_email, world.site.asks_birth_date = "alerts@example.org", True
        world.site.save()
        Patient.objects.update(language=language, sms_consented_at=world.now, phone="+1 212 555 0123")
        page, asked = Client(), list[str]()

        def tick(moment: datetime) -> list[str]:
            """The paths in what goes out at that moment."""
            clock[0], before = moment, len(mail.outbox)
            call_command("tick", now=moment.isoformat(), stdout=StringIO())
            paths = [
                path
                for message in mail.outbox[before:]
                for path in re.findall(r"http://testserver(/[acp]/[^/\s\"]+/)", str(message.body))
            ]
            asked.extend(paths)
            return [path for path in paths if not path.startswith("/p/")]

        def prove(path: str) -> None:
            page.post(path, {"year": "1944", "month": "5", "day": "7"})
            page.post(path, {"year": "1944", "month": "5", "day": "6"})

        # An appointment: confirmed, reminded of, kept.
        booked = procedures.book(world.appointment(levels="L3-L5"), by=world.clerk, now=world.now)
        (letter,) = tick(world.now)
        page.post(letter, {"reply": "come"})
        near, _ = tick(world.at(MONDAY - timedelta(days=1), 9))
        prove(near + "before/")
        page.post(near + "before/", {"nrs.now": "9", "peg.pain": "much pain"})
        insist(page, near + "before/", {"nrs.now": "9"})
        assert booked.baselines.get().channel == "link"
        record = procedures.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=8)
        procedure = procedures.perform(booked.pk, record, by=world.physician, now=world.at(MONDAY, 10))
        follow_up = procedure.follow_up

        def day(number: int) -> CheckIn:
            return CheckIn.objects.get(follow_up=follow_up, offset_minutes=number * 1440)

        # A red flag: told at once, and again when nobody looks.
        (path,) = tick(day(1).due_at)
        prove(path)
        page.post(path, {"step": "1", "nrs.now": "7"})
        said = {"red_flag.new_weakness": "1", "red_flag.fever_chills": "0", "red_flag.burning": "0"}
        page.post(path, {"step": "2", "remark": "A remark of mine about pain", **said})
        page.get(path)
        assert Answer.objects.count() == 1
        for minutes in (1, 30, 600, 1200):
            tick(day(1).due_at + timedelta(minutes=minutes))
        # What cannot be: an address that is none, scores that are none, somebody else's webhook.
        page.get("/c/forged/")
        page.get("/admin/patients/patient/", {"q": "O'Brien"})
        (path,) = tick(day(7).due_at)
        prove(path)
        page.post(path, {"step": "1", "nrs.now": "11", "nrs.average_7_days": "much pain"})
        post_report(Client(), postmark_bounce(), headers={})
        # Silence: a reminder, a text, a call.
        start, span = day(42).due_at, day(42).closes_at - day(42).due_at
        for part in (0, 0.26, 0.51, 0.76):
            tick((start + span * part).replace(hour=16))
        desk = signed_in(world.clerk)
        desk.get("/admin/outcomes/checkin/calls/")
        desk.get(f"/admin/outcomes/checkin/{day(42).pk}/call/")
        # A bounce, and the wish for no more.
        tick(day(92).due_at)
        email = OutgoingEmail.objects.filter(template="outcomes.emails.invitation", status="sent").latest(
            "pk"
        )
        OutgoingEmail.objects.filter(pk=email.pk).update(provider_id=postmark_bounce()["MessageID"])
        assert post_report(Client(), postmark_bounce()) == 200
        assert DeliveryReport.objects.exists()
        assert Patient.objects.get(pk=world.patient.pk).bounced_at
        # Said without being asked.
        unasked = next(path for path in asked if path.startswith("/p/"))
        prove(unasked)
        page.get(unasked)
        page.post(unasked, {"nrs.now": "8", "remark": "A remark of mine about pain"})
        assert CheckIn.objects.filter(kind="report").count() == 1
        header = mail.outbox[-1].extra_headers["List-Unsubscribe"]
        unsubscribe = urlsplit(header.strip("<>")).path
        asked.append(unsubscribe)
        page.get(unsubscribe)
        page.post(unsubscribe, {"List-Unsubscribe": "One-Click"})
        assert Patient.objects.get(pk=world.patient.pk).opted_out_at
        logging.getLogger("django.request").error("a fault with %s", "ann@example.org")
        return asked

    return play


def everything(message: EmailMultiAlternatives) -> Iterator[str]:
    """Subject, headers but for the address, and every part of an e-mail, decoded."""
    mime = message.message()
    yield str(message.subject)
    for name, value in mime.items():
        if name != "To":
            yield f"{name}: {value}"
    for part in mime.walk():
        if not part.is_multipart():
            yield f"{part.get_filename()} {part.get_content_type()}"
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            if part.get_content_maintype() == "text":
                yield payload.decode()


@pytest.mark.parametrize("language", ["en", "es"])
def test_nothing_about_anybodys_health_leaves_the_house_or_is_logged(
    flow: Flow, log: StringIO, language: str
) -> None:
    addresses = flow(language)
    kinds = {str(message.subject).partition(" ")[0] for message in mail.outbox}
    assert len(mail.outbox) >= 8
    assert "Alert" in kinds
    assert {"A", "Reminder:"} <= kinds or {"Un", "Recordatorio:"} <= kinds, kinds
    assert len(Texts.taken) == 1
    assert Alert.objects.exists()
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        alert = message.to == ["alerts@example.org"]
        for text in everything(message):
            # An address of the admin, which asks to sign in, may say that it is an alert's.
            found = SECRETS.search(text.replace("outcomes", "") if alert else text)
            assert not found, (found, text)
    for text in Texts.taken:
        assert not SECRETS.search(text), text
    for row in OutgoingEmail.objects.all():
        assert not SECRETS.search(f"{row.key} {row.context} {row.problem}".replace("ann@", ""))
    for address in addresses:
        assert re.fullmatch(r"/[acpu]/[\w.=-]+/", address), address
        assert not SECRETS.search(address), address
    logged = log.getvalue()
    assert logged.count("request_finished") > 15
    assert not LOGGED.search(logged), LOGGED.search(logged)
    for address in addresses:
        assert address.split("/")[2] not in logged
