"""Has the relief worn off? The patient's own word, through each door, and what the verdict makes of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from clinic.models import Site
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, CheckIn, FollowUp
from outcomes.relief import Verdict
from outcomes.services.check_in_questions import steps_of
from outcomes.services.courses import PainScore, course_from
from outcomes.tests.factories import insist
from procedures.models import Procedure, ReliefProfile
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
KEY = "relief.worn_off"
ASKED = "Has the relief from your procedure worn off?"


def said(follow_up: FollowUp, day: int, pain: int, **values: int) -> Answer:
    """An answer at the check-in of that day, an hour after it was due."""
    check_in = follow_up.check_ins.get(offset_minutes=day * 1440)
    return services.store_answer(
        check_in.pk,
        values={"nrs.now": pain, **{key.replace("__", "."): value for key, value in values.items()}},
        channel=Answer.Channel.EMAIL,
        language="en",
        by=None,
        now=check_in.due_at + timedelta(hours=1),
    )


def verdict(follow_up: FollowUp) -> str:
    follow_up.refresh_from_db()
    return follow_up.verdict


@pytest.fixture
def relieved(world: World) -> FollowUp:
    """A course from a baseline of 8 with relief on day 42."""
    follow_up: FollowUp = world.performed(baseline=8).follow_up
    said(follow_up, 42, 2)
    return follow_up


def test_one_bad_score_and_a_yes_are_a_loss(relieved: FollowUp) -> None:
    said(relieved, 92, 7, relief__worn_off=1)
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert "confirmed by the patient on day 92" in relieved.verdict_reason
    assert relieved.alerts.filter(kind="lost_early", resolved_at=None).exists()


@pytest.mark.parametrize("word", [{}, {"relief__worn_off": 0}, {"relief__worn_off": 2}])
def test_without_a_yes_two_bad_scores_are_needed(relieved: FollowUp, word: dict[str, int]) -> None:
    said(relieved, 92, 7, **word)
    assert verdict(relieved) == Verdict.LOST_UNCONFIRMED
    said(relieved, 184, 7)
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert "confirmed by the next score on day 184" in relieved.verdict_reason


def test_a_yes_beside_a_good_score_is_no_loss(relieved: FollowUp) -> None:
    said(relieved, 92, 3, relief__worn_off=1)
    assert verdict(relieved) == Verdict.IN_RELIEF


def test_a_correction_of_the_word_flips_the_verdict_and_back(world: World, relieved: FollowUp) -> None:
    answer = said(relieved, 92, 7, relief__worn_off=1)
    for value, expected in ((0, Verdict.LOST_UNCONFIRMED), (1, Verdict.LOST_EARLY)):
        services.correct_answer(
            answer.pk,
            values={"nrs.now": 7, KEY: value},
            reason="Asked again.",
            by=world.physician,
            now=answer.answered_at + timedelta(hours=1 + value),
        )
        assert verdict(relieved) == expected
    changes = list(relieved.verdict_changes.values_list("verdict", flat=True))
    assert changes[-3:] == [Verdict.LOST_EARLY, Verdict.LOST_UNCONFIRMED, Verdict.LOST_EARLY]


@pytest.mark.parametrize("value", [3, -1, True, "1"])
def test_anything_but_the_three_answers_is_refused(relieved: FollowUp, value: object) -> None:
    with pytest.raises(Refusal) as refusal:
        said(relieved, 92, 7, relief__worn_off=value)  # type: ignore[arg-type]
    assert refusal.value.code == "score_out_of_range"


def asks(check_in: CheckIn, *, by_staff: bool = True) -> bool:
    found = CheckIn.objects.select_related("follow_up__procedure__site", "follow_up__relief_profile")
    return any(KEY in step for step in steps_of(found.get(pk=check_in.pk), by_staff=by_staff))


def test_when_it_is_asked(world: World, relieved: FollowUp) -> None:
    at = {offset // 1440: pk for pk, offset in relieved.check_ins.values_list("pk", "offset_minutes")}
    on = {day: CheckIn.objects.get(pk=pk) for day, pk in at.items()}
    assert asks(on[92])
    assert not asks(on[14])  # before the first day of judgement
    assert not asks(on[42])  # no relief was known before it
    said(relieved, 92, 7)
    said(relieved, 184, 7)
    assert not asks(on[275])  # lost already: there is nothing left to confirm


def test_it_is_not_asked_where_there_was_no_relief(world: World) -> None:
    follow_up = world.performed(baseline=8).follow_up
    said(follow_up, 42, 8)
    assert not asks(follow_up.check_ins.get(offset_minutes=92 * 1440))


def test_it_is_not_asked_without_a_baseline(world: World) -> None:
    follow_up = world.performed(baseline=None).follow_up
    said(follow_up, 42, 0)
    assert not asks(follow_up.check_ins.get(offset_minutes=92 * 1440))


@pytest.mark.parametrize(
    ("pain", "language", "words"),
    [(5, "en", ASKED), (5, "es", "¿Se le ha pasado el alivio que le dio el procedimiento?"), (4, "en", "")],
)
def test_the_next_step_asks_after_a_bad_score(
    relieved: FollowUp, link: Issue, client: Client, pain: int, language: str, words: str
) -> None:
    relieved.patient.language = language
    relieved.patient.save()
    _, path = link(92)
    assert "worn_off" not in client.get(path).content.decode()
    page = insist(client, path, {"step": "1", "nrs.now": str(pain)}, follow=True).content.decode()
    assert ("worn_off" in page) == bool(words)
    assert words in page
    insist(client, path, {"step": "2", KEY: "1", "pgic.change": "6"})
    assert verdict(relieved) == (Verdict.LOST_EARLY if words else Verdict.IN_RELIEF)


def test_who_goes_back_and_names_less_pain_is_not_taken_at_their_word(
    relieved: FollowUp, link: Issue, client: Client
) -> None:
    _, path = link(92)
    insist(client, path, {"step": "1", "nrs.now": "7"})
    insist(client, path, {"step": "2", KEY: "1", "back": "1"})
    insist(client, path, {"step": "1", "nrs.now": "3"})
    insist(client, path, {"step": "2"})
    kept = Answer.objects.get(check_in__offset_minutes=92 * 1440).measurements
    assert not kept.filter(instrument="relief").exists()
    assert verdict(relieved) == Verdict.IN_RELIEF


def test_staff_ask_it_on_the_telephone_and_on_paper(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    clock[0] = check_in.due_at + timedelta(hours=1)
    client.force_login(world.physician)
    condition = "If your pain now is 5 or more: has the relief from your procedure worn off?"
    for name in ("call", "paper", "answer"):
        page = client.get(reverse(f"admin:outcomes_checkin_{name}", args=[check_in.pk]))
        assert condition in page.content.decode(), name
    path = reverse("admin:outcomes_checkin_answer", args=[check_in.pk])
    insist(client, path, {"nrs.now": "7", KEY: "1", "channel": "paper", "language": "en"})
    assert verdict(relieved) == Verdict.LOST_EARLY
    correct = client.get(reverse("admin:outcomes_checkin_correct", args=[check_in.pk])).content.decode()
    assert "worn off?" in correct
    assert "Not sure" in correct


def follow_up_of(performed_at: datetime) -> FollowUp:
    """An ablation's follow-up that is in no database."""
    site = Site(time_zone="America/New_York")
    profile = ReliefProfile(
        evaluate_after_days=42, window_from_days=180, window_until_days=365, success_percent=50
    )
    procedure = Procedure(
        site=site, performed_at=performed_at, baseline_pain=8, intent="therapeutic", relief_profile=profile
    )
    return FollowUp(procedure=procedure, relief_profile=profile)


START = datetime(2027, 1, 4, 15, 0, tzinfo=UTC)
answers = st.lists(
    st.tuples(st.integers(-1_000, 700_000), st.integers(0, 10)), max_size=8, unique_by=lambda pair: pair[0]
)


@given(answers, st.randoms(use_true_random=False))
def test_a_course_does_not_depend_on_the_order_of_its_answers(
    said: list[tuple[int, int]], random: Random
) -> None:
    scores = [PainScore(START + timedelta(minutes=minute), score) for minute, score in said]
    follow_up = follow_up_of(START)
    course = course_from(follow_up, scores=scores, silent=[])
    random.shuffle(scores)
    assert course_from(follow_up, scores=scores, silent=[]) == course
    assert all(reading.at >= 0 for reading in course.readings)
    assert len(course.readings) == sum(minute >= 0 for minute, _ in said)


def test_answers_that_come_out_of_order_are_judged_in_order(world: World) -> None:
    follow_up = world.performed(baseline=8).follow_up
    said(follow_up, 184, 8)
    said(follow_up, 92, 7)
    assert verdict(follow_up) == Verdict.NO_RELIEF
    said(follow_up, 42, 2)  # recorded last, felt first
    assert verdict(follow_up) == Verdict.LOST_EARLY


def test_two_answers_of_one_day_are_no_two_bad_scores(world: World, relieved: FollowUp) -> None:
    first = relieved.check_ins.get(offset_minutes=92 * 1440)
    said(relieved, 92, 7)
    other = relieved.check_ins.get(offset_minutes=184 * 1440)
    other.opens_at, other.due_at = first.opens_at, first.due_at + timedelta(hours=2)
    other.save()
    said(relieved, 184, 8)
    assert verdict(relieved) == Verdict.LOST_UNCONFIRMED
