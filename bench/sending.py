"""Check-ins taken and e-mails sent per second, beside bare smtplib over one connection."""

import smtplib
from datetime import timedelta

from django.core.mail import get_connection

from bench.clinic import Clinic
from bench.table import Row, interleave, rate
from clinic import mail
from clinic.models import OutgoingEmail
from outcomes import services
from outcomes.emails import invitation


def measure(clinic: Clinic, port: int, *, quick: bool) -> list[Row]:
    """One sender, one connection, in this process; the sink is another."""
    rounds, number = (3, 50) if quick else (9, 300)
    message = sample(clinic)

    def invite() -> float:
        clinic.due(number)
        return rate(number, lambda: expect(services.invite_due(now=clinic.now)["invited"], number))

    def send() -> float:
        return rate(number, lambda: expect(mail.send_due(now=clinic.now)["sent"], number))

    def bare() -> float:
        def work() -> None:
            with smtplib.SMTP("127.0.0.1", port) as server:
                for _ in range(number):
                    server.sendmail("clinic@localhost", ["ana@example.org"], message)

        return rate(number, work)

    results: dict[str, list[float]] = {"invite": []}

    def invite_and_send() -> float:
        results["invite"].append(invite())
        return send()

    ours, beside = interleave("Asking and sending", rounds, invite_and_send, bare)
    invited = sorted(results["invite"][1:])[rounds // 2]
    size = len(message) / 1000
    return [
        Row("check-ins taken and put into the outbox", invited),
        Row(f"e-mails sent ({size:.1f} kB)", ours, beside, "/s", "smtplib", "≥ 60 %"),
    ]


def expect(done: int, wanted: int) -> None:
    """A measurement that did not do its work is none."""
    if done != wanted:
        raise SystemExit(f"{done} were done instead of {wanted}.")


def sample(clinic: Clinic) -> bytes:
    """One invitation as it goes over the wire."""
    (check_in,) = clinic.due(1)
    rendered = invitation(check_in.pk, now=clinic.now)
    email = OutgoingEmail(to="ana0@example.org")
    message = mail.compose(email, rendered, get_connection()).message().as_bytes(linesep="\r\n")
    check_in.due_at = check_in.closes_at = clinic.now
    type(check_in).objects.filter(pk=check_in.pk).update(status="voided")
    return message
