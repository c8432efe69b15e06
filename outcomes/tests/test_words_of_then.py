"""Old answers are read by the words that were asked, not by those of today."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest
from django.utils import timezone

from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call
from outcomes import instruments, services
from outcomes.models import Alert, Answer, Measurement
from procedures.models import RedFlag
from procedures.services.red_flag_wordings import wordings_at
from procedures.tests.factories import World

Event = RedFlag.pgh_event_model  # type: ignore[attr-defined]  # made by the decorator
OLD, NEW = "Weakness in a leg?", "Is an arm getting weaker?"


@pytest.fixture
def reworded(flags: World) -> Iterator[Answer]:
    """An answer with a yes to a red flag whose words were changed afterwards; the clock shows a later day."""
    check_in = flags.performed().follow_up.check_ins.get(offset_minutes=1440)
    said = {"nrs.now": 3, "red_flag.new_weakness": 1, "red_flag.fever_chills": 0}
    given = services.store_answer(
        check_in.pk, values=said, channel="email", language="en", by=None, now=check_in.due_at
    )
    changed(check_in.due_at)
    with clock(check_in.due_at + timedelta(hours=2)):
        yield given


def changed(asked: datetime) -> None:
    """Give one flag other words two hours after `asked`, as its history shows it."""
    Event.objects.update(pgh_created_at=asked - timedelta(days=1))
    RedFlag.objects.filter(code="new_weakness").update(question=NEW, question_es="¿Un brazo?")
    Event.objects.filter(question=NEW).update(pgh_created_at=asked + timedelta(hours=1))


@pytest.mark.parametrize("page", ["change", "correct"])
def test_staff_read_an_answer_in_the_words_of_then(reworded: Answer, flags: World, page: str) -> None:
    said = words(signed_in(flags.physician).get(f"/admin/outcomes/checkin/{reworded.check_in_id}/{page}/"))
    assert OLD in said
    assert NEW not in said


def test_so_does_who_reads_the_alert_also_by_api(reworded: Answer, flags: World) -> None:
    alert = Alert.objects.get()
    said = words(signed_in(flags.nurse).get(f"/admin/outcomes/alert/{alert.pk}/change/"))
    assert (OLD in said, NEW in said) == (True, False)
    shown = call(flags.physician, "GET", f"alerts/{alert.pk}/", now=alert.raised_at).json()
    assert [(row["code"], row["question"]) for row in shown["questions"]] == [("new_weakness", OLD)]


def test_a_flag_that_is_asked_no_more_keeps_its_words(reworded: Answer, flags: World) -> None:
    flags.ablation.red_flags.clear()
    said = words(signed_in(flags.physician).get(f"/admin/outcomes/checkin/{reworded.check_in_id}/change/"))
    assert (OLD in said, NEW in said) == (True, False)


def test_what_is_asked_today_is_asked_in_the_words_of_today(reworded: Answer, flags: World) -> None:
    later = reworded.check_in.follow_up.check_ins.get(offset_minutes=7 * 1440)
    with clock(later.due_at):
        said = words(signed_in(flags.nurse).get(f"/admin/outcomes/checkin/{later.pk}/call/"))
    assert (OLD in said, NEW in said) == (False, True)


def test_of_words_before_any_history_the_first_are_taken(flags: World) -> None:
    changed(timezone.now())
    (then,) = wordings_at(["new_weakness"], timezone.now() - timedelta(days=900))
    (now,) = wordings_at(["new_weakness"], timezone.now() + timedelta(days=900))
    assert (then.question, now.question) == (OLD, NEW)
    assert [
        wording.code for wording in wordings_at(["fever_chills", "new_weakness", "never"], timezone.now())
    ] == [
        "fever_chills",
        "new_weakness",
    ]
    assert wordings_at([], timezone.now()) == []


def test_the_words_of_an_instruments_older_version_stay(
    reworded: Answer, flags: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Measurement.objects.filter(instrument="nrs").update(version="0")
    newest = instruments.latest("nrs")
    item = newest.item("now")
    older = type(newest)(
        **{
            **vars(newest),
            "version": "0",
            "items": tuple(
                type(first)(**{**vars(first), "wording": instruments.BilingualText("Pain of then?", None)})
                if first == item
                else first
                for first in newest.items
            ),
        }
    )
    every = MappingProxyType({("nrs", "0"): older, **instruments.registry()})
    monkeypatch.setattr(instruments, "registry", lambda: every)
    said = words(signed_in(flags.physician).get(f"/admin/outcomes/checkin/{reworded.check_in_id}/change/"))
    assert "Pain of then?" in said
