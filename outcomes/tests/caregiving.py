"""What tests find in the e-mails to whoever is asked."""

import re
from datetime import datetime

from django.core import mail

from clinic import outbox
from outcomes import services
from outcomes.models import CheckIn
from procedures.tests.factories import World


def paths(address: str) -> list[str]:
    """The paths of the links in all e-mails to an address, the oldest first."""
    texts = [str(message.body) for message in mail.outbox if message.to == [address]]
    return [
        path for text in texts for path in re.findall(r"http://testserver(/[cp]/[A-Za-z0-9_-]{43}/)", text)
    ]


def question(address: str) -> str:
    """The path of the newest check-in link that was e-mailed to an address."""
    return [path for path in paths(address) if path[1] == "c"][-1]


def ask(world: World, clock: list[datetime], day: int = 1) -> CheckIn:
    """The check-in of that day, e-mailed just now to whoever is asked."""
    check_in = CheckIn.objects.filter(offset_minutes=day * 1440).first()
    check_in = check_in or world.performed().follow_up.check_ins.get(offset_minutes=day * 1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    check_in.refresh_from_db()
    return check_in
