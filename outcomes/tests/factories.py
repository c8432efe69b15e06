"""How tests about calls and answers come to a check-in that somebody should telephone about."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from outcomes.models import CheckIn
from procedures.models import Procedure, RedFlag
from procedures.tests.factories import World


def red_flag(world: World, code: str = "fever_chills", urgency: str = "same_day") -> RedFlag:
    """A red flag that the small clinic's ablation asks for."""
    flag = RedFlag.objects.create(
        code=code,
        question=f"Do you have {code}?",
        question_es=f"¿Tiene {code}?",
        urgency=urgency,
        source="test",
    )
    world.ablation.red_flags.add(flag)
    return flag


def to_call(
    world: World, *, day: int = 14, reason: str = "no_consent", **performed: Any
) -> tuple[CheckIn, datetime]:
    """The check-in of that day after an ablation, to be called since it was due, and the instant of an hour later."""
    procedure: Procedure = world.performed(**performed)
    return wants_call(procedure, day=day, reason=reason)


def wants_call(procedure: Procedure, *, day: int, reason: str = "no_consent") -> tuple[CheckIn, datetime]:
    """The same for a procedure that was performed already."""
    check_in = procedure.follow_up.check_ins.get(offset_minutes=day * 1440)
    check_in.call_at = check_in.due_at
    check_in.not_sent_reason = reason
    check_in.save()
    return check_in, check_in.due_at + timedelta(hours=1)


def insist(client: Client, path: str, data: dict[str, Any], **how: Any) -> Any:
    """Send a form of a patient's page; where something is missing, press the button once more."""
    response = client.post(path, data, **how)
    asked = re.findall(r'name="asked" value="([^"]+)"', response.content.decode())
    return client.post(path, {**data, "asked": asked}, **how) if asked else response
