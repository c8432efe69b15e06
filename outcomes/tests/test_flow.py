"""Book, perform, ask, answer, judge: the services in a row, time passed in."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client

from clinic import audit, outbox
from clinic.models import OutgoingEmail
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Answer, CheckIn, FollowUp
from outcomes.relief import Verdict
from procedures.tests.factories import World


def test_a_performed_procedure_is_followed(world: World) -> None:
    procedure = world.performed()
    follow_up = procedure.follow_up
    assert follow_up.verdict == Verdict.TOO_EARLY
    days = [check_in.offset_minutes // 1440 for check_in in follow_up.check_ins.all()]
    assert days == [1, 7, 14, 42, 92, 184, 275, 366, 548, 731]
    for check_in in follow_up.check_ins.all():
        assert check_in.due_at.astimezone(world.site.zone).strftime("%H:%M") == "10:00"
        assert check_in.due_at.astimezone(world.site.zone).date() == MONDAY + timedelta(
            days=check_in.offset_minutes // 1440
        )


def test_one_check_in_is_asked_once_and_answered_once(world: World, client: Client) -> None:
    follow_up = world.performed().follow_up
    day_1 = follow_up.check_ins.get(offset_minutes=1440)
    assert services.tick(now=day_1.due_at - timedelta(seconds=1))["check_ins_invited"] == 0
    assert services.tick(now=day_1.due_at)["check_ins_invited"] == 1
    assert services.tick(now=day_1.due_at)["check_ins_invited"] == 0
    assert outbox.send_due(now=day_1.due_at)["sent"] == 1
    assert outbox.send_due(now=day_1.due_at + timedelta(hours=1))["sent"] == 0
    (message,) = mail.outbox
    token = re.search(r"/c/([^/]+)/", str(message.body))[1]  # type: ignore[index]
    opened = services.open_link(token, now=day_1.due_at)
    assert opened == day_1
    given = services.store_answer(
        day_1.pk, values={"nrs.now": 7}, channel="email", language="en", by=None, now=day_1.due_at
    )
    again = services.store_answer(
        day_1.pk, values={"nrs.now": 2}, channel="email", language="en", by=None, now=day_1.due_at
    )
    assert again == given
    assert Answer.objects.count() == 1
    assert given.measurements.get().value == 7
    day_1.refresh_from_db()
    assert day_1.status == CheckIn.Status.ANSWERED


def test_the_year_of_an_ablation(world: World) -> None:
    follow_up = world.performed().follow_up
    story = {42: 2, 92: 3, 184: 7, 275: 8}
    for check_in in follow_up.check_ins.all():
        services.tick(now=check_in.due_at)
        outbox.send_due(now=check_in.due_at)
        day = check_in.offset_minutes // 1440
        if day in story:
            services.store_answer(
                check_in.pk,
                values={"nrs.now": story[day]},
                channel="email",
                language="en",
                by=None,
                now=check_in.due_at,
            )
    follow_up = FollowUp.objects.get(pk=follow_up.pk)
    assert follow_up.verdict == Verdict.POSSIBLY_EARLY
    assert [change.verdict for change in follow_up.verdict_changes.all()] == [
        Verdict.TOO_EARLY,
        Verdict.IN_RELIEF,
        Verdict.LOST_UNCONFIRMED,
        Verdict.POSSIBLY_EARLY,
    ]
    assert OutgoingEmail.objects.filter(status="sent").count() == 10
    assert audit.verify(now=world.now) == []


@pytest.mark.parametrize("score", [11, -1, 7.5, "seven", None, True])
def test_only_whole_numbers_from_0_to_10_are_scores(world: World, score: object) -> None:
    from clinic.refusals import Refusal

    day_1 = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    with pytest.raises(Refusal) as refused:
        services.store_answer(
            day_1.pk,
            values={"nrs.now": score},  # type: ignore[dict-item]
            channel="email",
            language="en",
            by=None,
            now=day_1.due_at,
        )
    assert refused.value.code == "score_out_of_range"
    assert not Answer.objects.exists()
