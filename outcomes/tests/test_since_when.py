"""Since which day is the pain back? The day through each door, what is refused, and what the verdict makes of it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from clinic.refusals import Refusal
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Answer, CheckIn, Draft, FollowUp
from outcomes.relief import Verdict
from outcomes.services.check_in_questions import steps_of
from outcomes.services.staff_answers import values_of
from outcomes.tests.factories import answer_day, day_as_sent, insist, loss_interval
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
DAY, WORN = "relief.ended_on", "relief.worn_off"


@pytest.fixture
def relieved(world: World) -> FollowUp:
    """A course from a baseline of 8 with relief on day 42."""
    follow_up: FollowUp = world.performed(baseline=8).follow_up
    answer_day(follow_up, 42, 2)
    return follow_up


def test_a_named_day_dates_the_loss(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7, worn_off=1, ended_on=60)
    assert loss_interval(relieved) == (42, 60)


def test_a_day_on_or_before_the_last_good_answer_is_kept_and_not_used(relieved: FollowUp) -> None:
    answer = answer_day(relieved, 92, 7, worn_off=1, ended_on=40)
    assert values_of(answer)[DAY] == 40
    assert loss_interval(relieved) == (42, 92)


@pytest.mark.parametrize(
    ("day", "code"),
    [
        (93, "in_the_future"),
        (-1, "before_procedure"),
        (True, "score_out_of_range"),
        ("60", "score_out_of_range"),
    ],
)
def test_a_day_that_cannot_be_is_refused_and_nothing_is_kept(relieved: FollowUp, day: int, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        answer_day(relieved, 92, 7, worn_off=1, ended_on=day)
    assert (refusal.value.code, refusal.value.field) == (code, DAY)
    assert Answer.objects.count() == 1


def test_today_is_the_sites_today(world: World, relieved: FollowUp) -> None:
    """Half past eleven in the evening in New York is tomorrow in UTC."""
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    late = check_in.due_at.astimezone(world.site.zone).replace(hour=23, minute=30)

    def answer(day: int) -> Answer:
        values = {"nrs.now": 7, WORN: 1, DAY: day}
        return services.store_answer(
            check_in.pk, values=values, channel="email", language="en", by=None, now=late
        )

    with pytest.raises(Refusal) as refusal:
        answer(93)
    assert refusal.value.code == "in_the_future"
    assert values_of(answer(92))[DAY] == 92


def test_without_relief_that_has_worn_off_no_day_is_kept(world: World, relieved: FollowUp) -> None:
    answer = answer_day(relieved, 92, 7, worn_off=0, ended_on=60)
    assert values_of(answer) == {"nrs.now": 7, WORN: 0}
    check_in = answer.check_in
    again = services.record_answer(  # the same once more, by staff, is the same
        check_in.pk,
        values={"nrs.now": 7, WORN: 0, DAY: 60},
        channel="email",
        language="en",
        by=world.nurse,
        now=answer.answered_at + timedelta(hours=1),
    )
    assert again.pk == answer.pk


def test_a_correction_takes_a_day_and_none_after_the_answer(world: World, relieved: FollowUp) -> None:
    answer = answer_day(relieved, 92, 7, worn_off=1)
    later = answer.answered_at + timedelta(days=5)

    def correct(day: int) -> None:
        values = {"nrs.now": 7, WORN: 1, DAY: day}
        services.correct_answer(
            answer.pk, values=values, reason="Said on the phone.", by=world.nurse, now=later
        )

    correct(50)
    assert loss_interval(relieved) == (42, 50)
    with pytest.raises(Refusal) as refusal:
        correct(94)
    assert (refusal.value.code, refusal.value.field) == ("in_the_future", DAY)


def keys(check_in: CheckIn, **how: object) -> list[str]:
    found = CheckIn.objects.select_related("follow_up__procedure__site", "follow_up__relief_profile")
    asked = steps_of(found.get(pk=check_in.pk), **how)  # type: ignore[arg-type]
    return [question.key for step in asked for question in step.questions]


def test_it_is_asked_beside_whether_relief_has_worn_off(relieved: FollowUp) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    for how in ({"by_staff": True}, {"pain": 7}):
        asked = keys(check_in, **how)
        assert asked[asked.index(WORN) + 1] == DAY
    assert DAY not in keys(check_in)
    assert DAY not in keys(check_in, pain=4)
    assert DAY not in keys(relieved.check_ins.get(offset_minutes=42 * 1440), by_staff=True)


@pytest.mark.parametrize(
    ("language", "typed"),
    [
        ("en", "2027-03-12"),
        ("en", "3/12/2027"),
        ("en", "3/12/27"),
        ("en", "March 12, 2027"),
        ("es", "12/3/2027"),
        ("es", "2027-03-12"),
    ],
)
def test_the_page_takes_a_date_as_a_browser_sends_it_or_as_it_is_typed(
    relieved: FollowUp, link: Issue, client: Client, language: str, typed: str
) -> None:
    relieved.patient.language = language
    relieved.patient.save()
    _, path = link(92)
    page = insist(client, path, {"step": "1", "nrs.now": "7"}, follow=True).content.decode()
    assert 'type="date" name="relief.ended_on"' in page
    assert f'min="{MONDAY.isoformat()}"' in page
    insist(client, path, {"step": "2", WORN: "1", DAY: typed})
    assert loss_interval(relieved) == (42, (date(2027, 3, 12) - MONDAY).days)


@pytest.mark.parametrize("typed", [day_as_sent(93), day_as_sent(-1), "soon", "13/45/2027"])
def test_the_page_says_what_is_wrong_with_a_date_and_keeps_the_rest(
    relieved: FollowUp, link: Issue, client: Client, typed: str
) -> None:
    _, path = link(92)
    insist(client, path, {"step": "1", "nrs.now": "7"})
    response = insist(client, path, {"step": "2", WORN: "1", DAY: typed, "pgic.change": "6"})
    assert response.status_code == 422
    assert 'href="#relief-ended_on"' in response.content.decode()
    assert Draft.objects.get().values == {"nrs.now": 7, WORN: 1, "pgic.change": 6}


def test_a_date_can_be_left_out_and_taken_out_again(relieved: FollowUp, link: Issue, client: Client) -> None:
    check_in, path = link(92)
    insist(client, path, {"step": "1", "nrs.now": "7"})
    insist(client, path, {"step": "2", WORN: "1", DAY: day_as_sent(60), "back": "1"})
    insist(client, path, {"step": "1", "nrs.now": "7"})
    assert f'value="{day_as_sent(60)}"' in client.get(path).content.decode()
    insist(client, path, {"step": "2", WORN: "1", DAY: ""})
    assert values_of(check_in.answer)[WORN] == 1
    assert DAY not in values_of(check_in.answer)


def test_staff_ask_it_on_the_telephone_on_paper_and_in_a_correction(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    clock[0] = check_in.due_at + timedelta(hours=1)
    client.force_login(world.physician)
    for name in ("call", "paper", "answer"):
        page = client.get(reverse(f"admin:outcomes_checkin_{name}", args=[check_in.pk])).content.decode()
        assert "since which day has the pain been back?" in page, name
    path = reverse("admin:outcomes_checkin_answer", args=[check_in.pk])
    sent = {"nrs.now": "7", WORN: "1", "channel": "paper", "language": "en"}
    assert insist(client, path, {**sent, DAY: day_as_sent(120)}).status_code == 422
    insist(client, path, {**sent, DAY: day_as_sent(60)})
    assert loss_interval(relieved) == (42, 60)
    shown = client.get(reverse("admin:outcomes_checkin_change", args=[check_in.pk])).content.decode()
    assert "12 Mar 2027" in shown
    correct = reverse("admin:outcomes_checkin_correct", args=[check_in.pk])
    assert f'value="{day_as_sent(60)}"' in client.get(correct).content.decode()
    client.post(correct, {"nrs.now": "7", WORN: "1", DAY: day_as_sent(55), "reason": "Misread."})
    assert loss_interval(relieved) == (42, 55)


def test_the_api_takes_the_day_and_names_what_it_refuses(world: World, relieved: FollowUp) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    now = check_in.due_at + timedelta(hours=1)
    path, sent = f"check-ins/{check_in.pk}/answer/", {"score": 7, "channel": "phone"}
    refused = call(world.nurse, "POST", path, sent | {"values": {WORN: 1, DAY: 93}}, now=now)
    assert faults(refused) == [("values.relief.ended_on", "in_the_future")]
    taken = call(world.nurse, "POST", path, sent | {"values": {WORN: 1, DAY: 60}}, now=now)
    assert taken.status_code == 201
    assert loss_interval(relieved) == (42, 60)


def test_the_verdict_says_the_named_day(relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7, worn_off=1, ended_on=60)
    relieved.refresh_from_db()
    assert relieved.verdict == Verdict.LOST_EARLY
    assert "day 60" in relieved.verdict_reason
