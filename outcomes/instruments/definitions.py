"""What an instrument is made of, and how its score is computed.

Plain values in, plain values out; all figures are whole numbers or exact fractions, never binary floats. `confirmed`
None means that nobody stands by it yet. Answers are a mapping of item key → whole number on the item's own scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from clinic.refusals import Refusal
from clinic.toml_pages import STRICT, Code, Confirmed, NotEmpty, Text, Unique, Whole, YesOrNo, matching

#: What an important change can be of, besides an item.
SCORE = "score"
#: 1, 2.1, 2.1a: numbers joined by dots, and at most one small letter.
VERSION = r"((?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*)([a-z]?)"


#: What a measurement's column of small whole numbers holds.
Value = Annotated[Whole, Field(ge=-32_768, le=32_767)]
Name = Annotated[Text, Field(max_length=120)]
Version = Annotated[
    Text,
    Field(max_length=20),
    matching(VERSION, "a version is numbers joined by dots, like 1 or 2.1, with at most one letter."),
]


@dataclass(frozen=True)
class BilingualText:
    """What the patient reads: English, and Spanish or None where the instrument has no Spanish."""

    __pydantic_config__ = STRICT

    en: Text
    es: Text | None = None

    def in_language(self, language: str) -> str:
        """The words for a language code such as "es" or "es-mx"; English when there are none."""
        return self.es if self.es is not None and language.split("-")[0] == "es" else self.en


@dataclass(frozen=True)
class Wording:
    """Where the words of one language come from.

    `origin`: "published" are the words of the source, unchanged; for a translation, an official one. "adapted" are
    the source's words with a change that `source` names. "own" are the words of the project, or of the site.
    """

    __pydantic_config__ = STRICT

    origin: Literal["published", "adapted", "own"]
    source: Text
    confirmed: Confirmed


@dataclass(frozen=True)
class ItemChoice:
    """One value that an item can have, in words; a file calls the words `wording`."""

    __pydantic_config__ = STRICT

    code: Value
    text: Annotated[BilingualText, Field(validation_alias="wording")]


@dataclass(frozen=True)
class Scale:
    """Every whole number from `least` to `most`, with words for both ends."""

    __pydantic_config__ = STRICT

    least: Value
    most: Value
    least_means: BilingualText
    most_means: BilingualText


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question: either on a `scale` or with a list of `choices`.

    `higher_is`: whether a larger value is "worse" or "better" for the patient. `required`: whether answers without
    this item are refused.
    """

    __pydantic_config__ = STRICT

    key: Code
    wording: BilingualText
    higher_is: Literal["worse", "better"]
    required: YesOrNo
    scale: Scale | None = None
    choices: tuple[ItemChoice, ...] = ()

    @property
    def codes(self) -> tuple[int, ...]:
        """Every value that an answer can have, rising; their order is an order of severity."""
        if self.scale:
            return tuple(range(self.scale.least, self.scale.most + 1))
        return tuple(choice.code for choice in self.choices)

    @property
    def anchors(self) -> tuple[ItemChoice, ...]:
        """The values that have words, rising: both ends of a scale, or every choice of a list."""
        if self.scale is None:
            return self.choices
        least, most = self.scale.least, self.scale.most
        return ItemChoice(least, self.scale.least_means), ItemChoice(most, self.scale.most_means)

    @property
    def least(self) -> int:
        return self.codes[0]

    @property
    def most(self) -> int:
        return self.codes[-1]

    @property
    def is_list(self) -> bool:
        """Whether every value has words of its own; otherwise it is a scale with words at its ends."""
        return self.scale is None


@dataclass(frozen=True)
class Scoring:
    """How the items become one score.

    `method`: "none" has no score, each item stands for itself; "sum" adds the items; "mean" is their average.
    `answers_needed`: with fewer items answered there is no score. With enough, an item that was not answered counts
    as the average of those that were: the mean is theirs, the sum is their mean times the number of all items.
    `unit`: what the score counts, "points" for instance. `source`: of the formula and of the rule for what is missing.
    All three are given with a score only; without one they are 0 and "".
    """

    __pydantic_config__ = STRICT

    method: Literal["none", "sum", "mean"]
    answers_needed: Annotated[Whole, Field(ge=1, le=32_767)] = 0
    unit: Text = ""
    source: Text = ""


def between(value: Any) -> tuple[Fraction, Fraction]:
    """One figure above 0, or a list of two that rise."""
    figures = value if isinstance(value, list) else [value, value]
    if len(figures) == 2 and all(
        type(figure) in (int, Decimal) and Decimal(figure).is_finite() and 0 < figure <= 32_767
        for figure in figures
    ):
        first, last = (Fraction(figure) for figure in figures)
        if first <= last:
            return first, last
    raise PydanticCustomError("no_figures", "must be a number above 0, or a list of two that rise.")


def between_whole(value: Any) -> tuple[int, int]:
    first, last = between(value)
    if first.denominator != 1 or last.denominator != 1:
        raise PydanticCustomError("no_figures", "must be a whole number, or a list of two.")
    return int(first), int(last)


@dataclass(frozen=True, kw_only=True)
class ImportantChange:
    """A change towards better that matters to patients, by one publication.

    `level`: "minimal", "moderate" or "substantial". `of`: keys of items, or "score" alone. Exactly one is given:
    `points`, the smallest and the largest figure that the source gives, on the scale of what it is `of`; `percent`,
    likewise, of the value before the procedure; `codes`, the answers that state such a change themselves.
    """

    __pydantic_config__ = STRICT

    level: Literal["minimal", "moderate", "substantial"]
    of: Annotated[tuple[Text, ...], NotEmpty, Unique]
    points: Annotated[tuple[Fraction, Fraction] | None, PlainValidator(between)] = None
    percent: Annotated[tuple[int, int] | None, PlainValidator(between_whole)] = None
    codes: tuple[Whole, ...] = ()
    source: Text
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One version of what patients are asked. A change of any word, scale or rule is another version.

    `licence`: under which it may be used and shown. `source`: who published it. `spanish`: None without Spanish words.
    """

    __pydantic_config__ = STRICT

    key: Code
    version: Version
    title: BilingualText
    licence: Text
    source: Text
    confirmed: Confirmed
    english: Wording
    spanish: Wording | None = None
    items: Annotated[tuple[Item, ...], NotEmpty]
    scoring: Scoring
    important_changes: tuple[ImportantChange, ...] = ()

    def __str__(self) -> str:
        return f"{self.key} {self.version}"

    @property
    def score_range(self) -> tuple[int, int] | None:
        """The least and the largest score, in `scoring.unit`; None without a score."""
        if self.scoring.method == "none":
            return None
        if self.scoring.method == "mean":  # all items then share one scale
            return self.items[0].least, self.items[0].most
        return sum(item.least for item in self.items), sum(item.most for item in self.items)

    def item(self, key: str) -> Item:
        """The item with that key. Raises Refusal, code "unknown_item", field `key`, when there is none."""
        for item in self.items:
            if item.key == key:
                return item
        raise Refusal(f"{self} has no item “{key}”.", code="unknown_item", field=key)

    def check(self, values: Mapping[str, int]) -> None:
        """Refuse answers that are not this instrument's, or not whole.

        Raises Refusal with the item's key as field, for the first fault in this order: "unknown_item", an item that
        is not of this version; "score_out_of_range", a value that is no whole number of the item's codes;
        "item_missing", a required item without an answer.
        """
        self.check_given(values)
        for item in self.items:
            if item.required and item.key not in values:
                raise Refusal("Please answer this question.", code="item_missing", field=item.key)

    def check_given(self, values: Mapping[str, int]) -> None:
        """The same for answers that are not complete yet: raises all but "item_missing"."""
        for key in values:
            self.item(key)
        for item in self.items:
            if item.key not in values:
                continue
            value = values[item.key]
            if type(value) is not int or value not in item.codes:  # True is no answer
                if item.codes == tuple(range(item.least, item.most + 1)):
                    allowed = f"a whole number from {item.least} to {item.most}"
                else:
                    allowed = f"one of {', '.join(map(str, item.codes))}"
                raise Refusal(f"An answer here is {allowed}.", code="score_out_of_range", field=item.key)

    def score(self, values: Mapping[str, int]) -> Fraction | None:
        """The score, exact, in `scoring.unit` and within `score_range`; round it for display only.

        None when the instrument has no score, or when fewer than `scoring.answers_needed` items were answered. An
        item that was not answered is absent from `values`; it never counts as 0.

        Raises Refusal, codes "unknown_item" and "score_out_of_range", as `check` does.
        """
        self.check_given(values)
        if self.scoring.method == "none" or len(values) < self.scoring.answers_needed:
            return None
        mean = Fraction(sum(values.values()), len(values))
        return mean if self.scoring.method == "mean" else mean * len(self.items)
