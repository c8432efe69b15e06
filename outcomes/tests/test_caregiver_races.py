"""A caregiver is revoked at the instant at which an answer comes in, or at which the batch asks."""

from datetime import datetime

import pytest
from django.core import mail
from django.db import connection
from django.test import Client

from clinic import outbox
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, CheckIn
from outcomes.services import answers
from outcomes.tests.caregiving import ask, question
from patients import services as patients
from patients.models import Caregiver
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures.tests.factories import World
from procedures.tests.races import run_together


def due(world: World) -> tuple[Caregiver, CheckIn]:
    daughter = caregiver(world)
    return daughter, world.performed().follow_up.check_ins.get(offset_minutes=1440)


def answer(check_in: CheckIn, caregiver: Caregiver, now: datetime) -> None:
    services.store_answer(
        check_in.pk,
        values={"nrs.now": 5},
        channel=Answer.Channel.EMAIL,
        language="en",
        caregiver=caregiver,
        by=None,
        now=now,
    )


def revoke(caregiver: Caregiver, world: World, now: datetime) -> None:
    patients.revoke_caregiver(caregiver.pk, reason="moved away", by=world.clerk, now=now)


def test_without_the_look_a_revoked_caregivers_answer_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    daughter, check_in = due(world)
    revoke(daughter, world, check_in.due_at)
    monkeypatch.setattr(answers, "refuse_revoked", lambda caregiver: None)
    answer(check_in, daughter, check_in.due_at)
    assert Answer.objects.get().caregiver == daughter


@pytest.mark.django_db(transaction=True)
def test_of_an_answer_and_a_revocation_at_once_one_sees_the_other(world: World) -> None:
    daughter, check_in = due(world)
    now = check_in.due_at
    services.invite_due(now=now)
    outbox.send_due(now=now)
    connection.close()
    ends = run_together(lambda: answer(check_in, daughter, now), lambda: revoke(daughter, world, now))
    assert ends in ({"won": 2}, {"won": 1, "revoked": 1})
    outbox.send_due(now=now)
    asked_again = [message.to for message in mail.outbox] == [[DAUGHTER], [world.patient.email]]
    assert Answer.objects.filter(caregiver=daughter).exists() is (ends["won"] == 2)
    assert asked_again is (ends["won"] == 1)


@pytest.mark.django_db(transaction=True)
def test_whoever_is_asked_while_a_caregiver_is_revoked_is_the_patient(world: World) -> None:
    daughter, check_in = due(world)
    now = check_in.due_at
    connection.close()
    ends = run_together(lambda: services.invite_due(now=now), lambda: revoke(daughter, world, now))
    assert ends == {"won": 2}
    services.invite_due(now=now)  # whose patient was held meanwhile
    outbox.send_due(now=now)
    assert [message.to for message in mail.outbox] == [[world.patient.email]]


@pytest.mark.parametrize("end", ["bounced_at", "consented_at"])
def test_a_caregiver_who_is_asked_no_longer_answers_nothing(
    world: World, client: Client, clock: list[datetime], end: str
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    opened = services.open_link(question(DAUGHTER).split("/")[2], now=clock[0])
    assert opened
    assert opened.opened_by == daughter
    if end == "bounced_at":
        patients.note_bounce(DAUGHTER, now=clock[0])
    else:
        daughter.consented_at = None
        patients.save_caregiver(daughter, changed=["consented_at"], by=world.clerk, now=clock[0])
    # As an answer does that was sent just before, and a sender that read the caregiver just before.
    late = CheckIn.objects.select_related("follow_up__patient").get(pk=check_in.pk)
    services.links.issue_links(
        [late], tokens=["x" * 43], caregivers={world.patient.pk: Caregiver.objects.get()}, now=clock[0]
    )
    assert client.get(f"/c/{'x' * 43}/").status_code == 410
    with pytest.raises(Refusal) as refused:
        services.save_step(
            check_in.pk, values={"nrs.now": 5}, remark=None, step=1, caregiver=opened.opened_by, now=clock[0]
        )
    assert refused.value.code == "revoked"
