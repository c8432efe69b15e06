"""What an answer is made of: checked by the registry, stored with its versions, and never half."""

from typing import Any

import pytest

from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, Draft, Measurement
from procedures.tests.factories import World


@pytest.fixture
def day_42(flags: World) -> CheckIn:
    return flags.performed().follow_up.check_ins.get(offset_minutes=42 * 1440)


def given(check_in: CheckIn, values: Any, **more: Any) -> Answer:
    """The answer that staff write down when the check-in falls due."""
    taken = {"channel": "phone", "language": "en", "by": None, "now": check_in.due_at} | more
    return services.store_answer(check_in.pk, values=values, **taken)


def stored(answer: Answer) -> set[tuple[str, str, str, int]]:
    return set(answer.measurements.values_list("instrument", "version", "item", "value"))


def test_every_figure_is_stored_with_its_instrument_and_version(day_42: CheckIn) -> None:
    answer = given(
        day_42,
        {
            "nrs.now": 3,
            "nrs.worst_24_hours": 6,
            "peg.pain": 4,
            "pgic.change": 2,
            "pain_medicine.any": 0,
            "red_flag.fever_chills": 0,
        },
        remark="  better\r\n than before \x00\x07\u202e ",
    )
    assert stored(answer) == {
        ("nrs", "1", "now", 3),
        ("nrs", "1", "worst_24_hours", 6),
        ("peg", "1", "pain", 4),
        ("pgic", "1", "change", 2),
        ("pain_medicine", "1", "any", 0),
        ("red_flag", "1", "fever_chills", 0),
    }
    assert answer.remark == "better\n than before"
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({}, "item_missing", "nrs.now"),
        ({"peg.pain": 3}, "item_missing", "nrs.now"),
        ({"nrs.now": 11}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": -1}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": "3"}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": True}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": 3, "pgic.change": 0}, "score_out_of_range", "pgic.change"),
        ({"nrs.now": 3, "pgic.change": 8}, "score_out_of_range", "pgic.change"),
        ({"nrs.now": 3, "nrs.yesterday": 1}, "unknown_item", "nrs.yesterday"),
        ({"nrs.now": 3, "odi.pain": 1}, "unknown_item", "odi.pain"),
        ({"nrs.now": 3, "score": 1}, "unknown_item", "score"),
        ({"nrs.now": 3, "red_flag.nonsense": 1}, "unknown_item", "red_flag.nonsense"),
        ({"nrs.now": 3, "red_flag.fever_chills": 2}, "score_out_of_range", "red_flag.fever_chills"),
        ({"nrs.now": 3, "diary.took_medicine": 2}, "score_out_of_range", "diary.took_medicine"),
        ({"nrs.now": 3, "diary.slept": 1}, "unknown_item", "diary.slept"),
    ],
)
def test_what_is_no_answer_is_refused_whole(day_42: CheckIn, values: Any, code: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        given(day_42, values)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not Answer.objects.exists()
    assert not Measurement.objects.exists()


def test_a_remark_has_its_length_after_control_characters_are_gone(day_42: CheckIn) -> None:
    with pytest.raises(Refusal) as refused:
        given(day_42, {"nrs.now": 3}, remark="x" * 2001)
    assert (refused.value.code, refused.value.field) == ("remark_too_long", "remark")
    assert given(day_42, {"nrs.now": 3}, remark="\x00" * 5000 + "é" * 2000).remark == "é" * 2000


def test_a_red_flag_raises_its_alert_whoever_writes_it_down(day_42: CheckIn, flags: World) -> None:
    given(day_42, {"nrs.now": 3, "red_flag.new_weakness": 1}, by=flags.nurse)
    alert = Alert.objects.get()
    assert (alert.codes, alert.urgency, alert.check_in) == (["new_weakness"], "emergency", day_42)


def test_what_the_draft_raised_is_not_raised_again(day_42: CheckIn, flags: World) -> None:
    day_42.status = CheckIn.Status.INVITED
    values = {"red_flag.fever_chills": 1}
    services.save_step(day_42.pk, values=values, remark=None, step=2, now=day_42.due_at)
    alert = Alert.objects.get()
    assert alert.codes == ["fever_chills"]
    # Somebody was fast: the patient is still answering when it is resolved.
    Alert.objects.update(
        resolved_at=day_42.due_at, resolved_by=flags.nurse, resolution=Alert.Resolution.SPOKEN
    )
    given(day_42, {"nrs.now": 3, **values})
    assert Alert.objects.count() == 1
    assert not Draft.objects.exists()
