"""The instruments that ship: what they say, and what their scores are."""

import re
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.refusals import Refusal
from outcomes.instruments import (
    FOLDER,
    BilingualText,
    Instrument,
    Item,
    Scale,
    Scoring,
    Wording,
    latest,
    registry,
)
from outcomes.services.courses import PAIN_NOW

SHIPPED = list(registry().values())
PEG = latest("peg")
by_name = pytest.mark.parametrize("instrument", SHIPPED, ids=str)


def peg(pain: int, enjoyment: int, activity: int) -> dict[str, int]:
    return {"pain": pain, "enjoyment": enjoyment, "activity": activity}


def texts(instrument: Instrument) -> list[BilingualText]:
    """Everything of it that a patient reads."""
    found = [instrument.title]
    for item in instrument.items:
        found += [item.wording, *(anchor.text for anchor in item.anchors)]
    return found


def test_what_ships() -> None:
    assert {name: [item.key for item in instrument.items] for name, instrument in registry().items()} == {
        ("nrs", "1"): ["now", "average_7_days", "worst_24_hours"],
        ("pain_medicine", "1"): ["any", "opioids"],
        ("peg", "1"): ["pain", "enjoyment", "activity"],
        ("pgic", "1"): ["change"],
        ("satisfaction", "1"): ["satisfied", "again"],
    }


def test_relief_is_computed_from_an_item_that_is_there() -> None:
    item = registry()[PAIN_NOW["instrument"], PAIN_NOW["version"]].item(PAIN_NOW["item"])
    assert (item.codes, item.higher_is, item.required) == (tuple(range(11)), "worse", True)


@by_name
def test_every_instrument_has_both_languages_a_licence_and_a_source(instrument: Instrument) -> None:
    assert instrument.licence.strip()
    assert instrument.source.strip()
    assert instrument.spanish is not None
    # No licence of an official translation is at hand: each is the project's own, and says so.
    assert instrument.spanish.origin == "own"
    assert instrument.spanish.confirmed is None
    for text in texts(instrument):
        assert text.es is not None
        for words in (text.en, text.es):
            assert words == " ".join(words.split()) != ""
        assert text.in_language("es") == text.in_language("es-mx") == text.es
        assert text.in_language("en") == text.in_language("de") == text.en


@by_name
def test_every_item_says_what_its_ends_mean(instrument: Instrument) -> None:
    for item in instrument.items:
        named = [anchor.code for anchor in item.anchors]
        assert named == (list(item.codes) if item.is_list else [item.least, item.most])
        assert len({anchor.text.en for anchor in item.anchors}) == len(named)
        assert len({anchor.text.es for anchor in item.anchors}) == len(named)


@pytest.mark.parametrize(
    "words",
    [
        *("oswestry", r"\bodi\b", r"\beq-?5d\b", "euroqol", "promis", r"\bvas\b", "sf-?36", "roland"),
        *("brief pain inventory", "healthmeasures", "fairbank"),
        # Openings of the items of these instruments.
        *("lifting", "personal care", "self-care", "usual activities", "day to day activities"),
    ],
)
def test_no_instrument_that_may_not_be_shipped(words: str) -> None:
    read_by_patients = " ".join(
        f"{text.en} {text.es}" for instrument in SHIPPED for text in texts(instrument)
    )
    assert not re.search(words, read_by_patients, re.IGNORECASE)
    names = " ".join(f"{instrument.key} {instrument.title.en}" for instrument in SHIPPED)
    assert not re.search(words, names, re.IGNORECASE)


def test_no_file_names_an_instrument_whose_text_needs_a_licence() -> None:
    words = " ".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.toml"))
    assert not re.search(r"oswestry|\bodi\b|eq-?5d|euroqol|promis", words, re.IGNORECASE)


@pytest.mark.parametrize(
    ("values", "score"),
    [
        # "Add the 3 responses, then divide by 3", the rule as CDC's and others' sheets print it.
        (peg(5, 5, 5), Fraction(5)),
        (peg(7, 6, 8), Fraction(7)),
        (peg(8, 7, 7), Fraction(22, 3)),
        (peg(10, 10, 9), Fraction(29, 3)),
        (peg(0, 0, 1), Fraction(1, 3)),
        (peg(0, 0, 0), Fraction(0)),
        (peg(10, 10, 10), Fraction(10)),
    ],
)
def test_peg_is_the_exact_mean_of_three(values: dict[str, int], score: Fraction) -> None:
    assert PEG.score(values) == score


def test_peg_rounds_to_whole_numbers_as_loinc_asks_for_clinical_use() -> None:
    """LOINC 91147-9: the average of the three scores, rounded to the nearest whole number for clinical use."""
    rounded = {score: round(score) for score in map(PEG.score, (peg(8, 7, 7), peg(8, 8, 7))) if score}
    assert rounded == {Fraction(22, 3): 7, Fraction(23, 3): 8}


@pytest.mark.parametrize("missing", ["pain", "enjoyment", "activity"])
def test_two_of_three_are_no_peg(missing: str) -> None:
    values = peg(8, 7, 7)
    del values[missing]
    assert PEG.score(values) is None
    assert PEG.score({}) is None


def test_the_published_thresholds() -> None:
    nrs, pgic = latest("nrs"), latest("pgic")
    minimal = [change for change in nrs.important_changes if change.source.startswith("Ostelo 2008")]
    assert [(change.points, change.percent) for change in minimal] == [((2, 2), None), (None, (30, 30))]
    impact = {change.level: change.percent for change in nrs.important_changes if "IMMPACT" in change.source}
    assert impact == {"minimal": (10, 20), "moderate": (30, 30), "substantial": (50, 50)}
    assert [change.points or change.percent for change in PEG.important_changes] == [
        (Fraction(1), Fraction("1.75")),
        (30, 30),
    ]
    said = {change.codes: change.level for change in pgic.important_changes}
    assert said == {(3,): "minimal", (2,): "moderate", (1,): "substantial"}


def test_pgic_runs_from_very_much_improved_to_very_much_worse() -> None:
    """Another form in use has 7 for the best."""
    change = latest("pgic").item("change")
    assert (change.codes, change.higher_is) == (tuple(range(1, 8)), "worse")
    assert [anchor.text.en for anchor in change.anchors] == [
        *("Very much improved", "Much improved", "Minimally improved", "No change"),
        *("Minimally worse", "Much worse", "Very much worse"),
    ]


@by_name
def test_only_peg_has_a_score(instrument: Instrument) -> None:
    values = {item.key: item.most for item in instrument.items}
    if instrument == PEG:
        assert instrument.score_range == (0, 10)
        assert instrument.score(values) == 10
    else:
        assert instrument.score_range is None
        assert instrument.score(values) is None


# Refusals.


@pytest.mark.parametrize("value", [-1, 11, 100, True, "5", 5.0, None])
def test_a_value_that_is_none_of_the_scale_is_refused(value: object) -> None:
    values = peg(5, 5, 5) | {"enjoyment": value}
    for ask in (PEG.check, PEG.score):
        with pytest.raises(Refusal) as refused:
            ask(values)  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.field) == ("score_out_of_range", "enjoyment")
        assert refused.value.messages == ["An answer here is a whole number from 0 to 10."]


def test_an_unknown_item_is_refused_and_comes_first() -> None:
    for ask in (PEG.check, PEG.score):
        with pytest.raises(Refusal) as refused:
            ask({"pain": 11, "sleep": 3})
        assert (refused.value.code, refused.value.field) == ("unknown_item", "sleep")


def test_a_required_item_that_is_missing_is_refused_but_only_when_the_answers_are_to_be_whole() -> None:
    with pytest.raises(Refusal) as refused:
        PEG.check({"pain": 3, "activity": 3})
    assert (refused.value.code, refused.value.field) == ("item_missing", "enjoyment")
    PEG.check_given({"pain": 3, "activity": 3})


def test_pain_now_alone_is_enough() -> None:
    nrs = latest("nrs")
    nrs.check({"now": 0})
    nrs.check({"worst_24_hours": 9, "now": 10})
    with pytest.raises(Refusal) as refused:
        nrs.check({"average_7_days": 4})
    assert (refused.value.code, refused.value.field) == ("item_missing", "now")


def test_an_instrument_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        latest("horoscope")
    assert (refused.value.code, refused.value.field) == ("unknown_instrument", "instrument")


# Properties, on instruments of any make.

WORDS = BilingualText("Words", None)


@st.composite
def scored(draw: st.DrawFn) -> Instrument:
    """An instrument with a sum or mean over items of one scale."""
    least = draw(st.integers(-5, 5))
    scale = Scale(least, least + draw(st.integers(1, 10)), WORDS, WORDS)
    items = tuple(
        Item(
            key=f"item_{number}", wording=WORDS, higher_is="worse", required=draw(st.booleans()), scale=scale
        )
        for number in range(draw(st.integers(1, 6)))
    )
    scoring = Scoring(
        draw(st.sampled_from(["sum", "mean"])), draw(st.integers(1, len(items))), "points", "made up"
    )
    origin = Wording("own", "made up", None)
    return Instrument(
        key="made_up",
        version="1",
        title=WORDS,
        licence="none",
        source="made up",
        confirmed=None,
        english=origin,
        items=items,
        scoring=scoring,
    )


def answers(instrument: Instrument, *, least: int = 0) -> st.SearchStrategy[dict[str, int]]:
    """At least so many of the items answered, each within its scale."""
    return st.lists(
        st.sampled_from(instrument.items), unique_by=lambda item: item.key, min_size=least
    ).flatmap(lambda items: st.fixed_dictionaries({item.key: st.sampled_from(item.codes) for item in items}))


@given(st.data(), scored())
def test_a_score_is_within_its_range_or_there_is_none(data: st.DataObject, instrument: Instrument) -> None:
    values = data.draw(answers(instrument))
    score = instrument.score(values)
    assert (score is None) == (len(values) < instrument.scoring.answers_needed)
    if score is not None:
        assert isinstance(score, Fraction)
        lowest, highest = instrument.score_range or (0, -1)
        assert lowest <= score <= highest


@given(st.data(), scored())
def test_the_order_of_answers_is_nothing(data: st.DataObject, instrument: Instrument) -> None:
    values = data.draw(answers(instrument))
    shuffled = dict(data.draw(st.permutations(list(values.items()))))
    assert instrument.score(shuffled) == instrument.score(values)


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))
def test_peg_does_not_care_which_item_has_which_value(first: int, second: int, third: int) -> None:
    assert len({PEG.score(peg(*order)) for order in permutations((first, second, third))}) == 1


@given(st.data(), scored())
def test_what_was_not_answered_counts_as_the_average_of_the_rest(
    data: st.DataObject, instrument: Instrument
) -> None:
    values = data.draw(answers(instrument, least=instrument.scoring.answers_needed))
    mean = Fraction(sum(values.values()), len(values))
    filled = sum((Fraction(values.get(item.key, mean)) for item in instrument.items), Fraction(0))
    if instrument.scoring.method == "mean":
        filled /= len(instrument.items)
    assert instrument.score(values) == filled


@given(st.data(), scored())
def test_one_point_worse_is_never_a_better_score(data: st.DataObject, instrument: Instrument) -> None:
    values = data.draw(answers(instrument, least=instrument.scoring.answers_needed))
    raised = {key: min(value + 1, instrument.item(key).most) for key, value in values.items()}
    before, after = instrument.score(values), instrument.score(raised)
    assert before is not None
    assert after is not None
    assert (after > before) == (raised != values)
