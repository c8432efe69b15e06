"""E-mails sent per second, beside bare smtplib over one connection."""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from django.conf import settings

from bench.clinic import Clinic
from bench.table import Row, interleave, rate
from clinic import outbox
from outcomes import services
from outcomes.emails import invitation
from outcomes.models import CheckIn


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """One sender, one connection, in this process; the sink is another."""
    rounds, number = (3, 50) if quick else (9, 300)
    text, html = sample(clinic)

    def send() -> float:
        clinic.due(number)
        expect(services.invite_due(now=clinic.now)["invited"], number)
        return rate(number, lambda: expect(outbox.send_due(now=clinic.now)["sent"], number))

    def bare() -> float:
        def work() -> None:
            with smtplib.SMTP("127.0.0.1", settings.EMAIL_PORT) as server:
                for _ in range(number):
                    server.send_message(compose(text, html))

        return rate(number, work)

    ours, beside = interleave("Sending", rounds, send, bare)
    size = len(compose(text, html).as_bytes()) / 1000
    return [Row(f"e-mails sent ({size:.1f} kB)", ours, beside, bare_what="smtplib", goal="≥ 60 %")]


def expect(done: int, wanted: int) -> None:
    """A measurement that did not do its work is none."""
    if done != wanted:
        raise SystemExit(f"{done} were done instead of {wanted}.")


def sample(clinic: Clinic) -> tuple[str, str]:
    """What one invitation says, as text and as HTML."""
    (check_in,) = clinic.due(1)
    message = invitation([check_in.pk], 0, now=clinic.now)
    CheckIn.objects.filter(pk=check_in.pk).update(status=CheckIn.Status.VOIDED)
    return message.text, message.html


def compose(text: str, html: str) -> EmailMessage:
    """The same e-mail by the standard library alone: whoever sends one has to write it first."""
    message = EmailMessage()
    message["Subject"], message["From"] = "How are you? Two minutes for Bench", "clinic@localhost"
    message["To"], message["Date"], message["Message-ID"] = (
        "ana@example.org",
        formatdate(),
        make_msgid(domain="localhost"),
    )
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message
