"""Reads instruments from a folder, one TOML file for each version, strictly: all that is wrong is said at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

from outcomes.instruments.definitions import (
    SCORE,
    BilingualText,
    ImportantChange,
    Instrument,
    Item,
    ItemChoice,
    Scoring,
    Wording,
)
from procedures.catalogue import open_page
from procedures.catalogue.toml_reader import NAME_LENGTH, TomlTable

#: Instruments by key and version.
Registry = Mapping[tuple[str, str], Instrument]

#: What the columns of a measurement hold.
KEY = re.compile(r"[a-z][a-z0-9_]{0,49}")
VERSION_LENGTH = 20
LEAST, MOST = -32_768, 32_767
#: 1, 2.1, 2.1a: numbers joined by dots, and at most one small letter.
VERSION = re.compile(r"((?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*)([a-z]?)")
#: The longest scale that is asked with one button a value; a longer one is no question for a phone.
VALUES = 101
#: The database takes no other figures of the instrument that relief is computed from.
PAIN = "nrs"
PAIN_CODES = tuple(range(11))

ORIGINS = ("published", "adapted", "own")
WORSE_OR_BETTER = ("worse", "better")
METHODS = ("none", "sum", "mean")
LEVELS = ("minimal", "moderate", "substantial")


class InstrumentsError(ValueError):
    """A folder holds files that cannot be used. `problems`: all of them, each as "file: key: what is wrong"."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def read_instruments(folder: Path) -> dict[tuple[str, str], Instrument]:
    """Every instrument of the folder's `*.toml` files; a folder without one is empty.

    Raises InstrumentsError with every problem of every file.
    """
    if not folder.is_dir():
        raise InstrumentsError([f"{folder}: is no folder."])
    problems: list[str] = []
    found = {}
    for file in sorted(folder.glob("*.toml")):
        page = open_page(file, file.name, problems, parse_float=Decimal)
        if page is not None:
            instrument = read_instrument(page, file.stem)
            found[instrument.key, instrument.version] = instrument  # two never share a name, nor a file name
    if problems:
        raise InstrumentsError(problems)
    return found


def join(shipped: Registry, added: Registry) -> dict[tuple[str, str], Instrument]:
    """Both together, in order of key and version.

    Raises InstrumentsError when a key and version has other content in `added` than in `shipped`, or when two
    versions of one instrument mean different scales by one item: scores are compared by instrument and item.
    """
    problems = [
        f"{file_name(name)}: version: {added[name]} is there already, with other content; a change needs a new version."
        for name in sorted(added.keys() & shipped.keys())
        if added[name] != shipped[name]
    ]
    together = {**added, **shipped}
    ordered = sorted(together, key=lambda name: (name[0], version_order(name[1])))
    meant: dict[tuple[str, str], tuple[Instrument, Item]] = {}
    for name in ordered:
        for number, item in enumerate(together[name].items, start=1):
            before, as_before = meant.setdefault((name[0], item.key), (together[name], item))
            if (item.codes, item.higher_is) != (as_before.codes, as_before.higher_is):
                problems.append(
                    f"{file_name(name)}: items[{number}].key: “{item.key}” has another scale in {before}; "
                    "another scale is another item."
                )
    if problems:
        raise InstrumentsError(problems)
    return {name: together[name] for name in ordered}


def version_order(version: str) -> tuple[tuple[int, ...], str]:
    """Sorts versions: 1 before 2, 2 before 2.1, 2.1 before 2.1a, 2.1a before 10."""
    parts = VERSION.fullmatch(version)
    if parts is None:
        raise ValueError(f"{version!r} is no version.")
    return tuple(int(number) for number in parts[1].split(".")), parts[2]


def file_name(name: tuple[str, str]) -> str:
    return f"{name[0]}-{name[1]}.toml"


def read_instrument(page: TomlTable, stem: str) -> Instrument:
    speaks_spanish = "spanish" in page.content
    scoring = read_scoring(page.table("scoring"))
    found = Instrument(
        key=key(page),
        version=page.text("version", longest=VERSION_LENGTH),
        title=text(page, "title", speaks_spanish, longest=NAME_LENGTH),
        licence=page.text("licence"),
        source=page.text("source"),
        confirmed=page.confirmed(),
        english=read_wording(page.table("english")),
        spanish=read_wording(page.table("spanish")) if speaks_spanish else None,
        items=tuple(read_item(entry, speaks_spanish) for entry in page.tables("items")),
        scoring=scoring,
        important_changes=tuple(
            read_important_change(entry)
            for entry in (page.tables("important_changes") if "important_changes" in page.content else ())
        ),
    )
    page.close()
    if page.holds("version") and not VERSION.fullmatch(found.version):
        page.refuse("version", "a version is numbers joined by dots, like 1 or 2.1, with at most one letter.")
    if page.holds("key", "version") and stem != f"{found.key}-{found.version}":
        page.refuse("key", f"the file of {found} must be called {file_name((found.key, found.version))}.")
    if page.holds("items") and not found.items:
        page.refuse("items", "at least one item, or nothing is asked.")
    page.once("items", [item.key for item in found.items])
    for number, item in enumerate(found.items, start=1):
        if found.key == PAIN and page.holds(f"items[{number}]") and item.codes != PAIN_CODES:
            page.refuse(f"items[{number}].scale", f"every item of {PAIN} is a scale from 0 to 10.")
    if page.holds("items", "scoring"):
        fit_scoring(page, found)
    if page.holds("items", "scoring", "important_changes"):
        fit_important_changes(page, found)
    return found


def key(page: TomlTable) -> str:
    value = page.text("key")
    if value.strip() and not KEY.fullmatch(value):
        page.refuse("key", "a key is of small letters, digits and underscores, at most 50.")
    return value


def text(page: TomlTable, name: str, speaks_spanish: bool, *, longest: int | None = None) -> BilingualText:
    """Words in both languages; without a table [spanish] there must be none in Spanish."""
    words = page.table(name)
    found = BilingualText(
        en=words.text("en", longest=longest),
        es=words.text("es", longest=longest) if speaks_spanish else None,
    )
    if not speaks_spanish and "es" in words.content:
        words.asked.add("es")
        words.refuse("es", "where do these words come from? The file has no table [spanish].")
    words.close()
    return found


def read_wording(page: TomlTable) -> Wording:
    found = Wording(
        origin=cast(Literal["published", "adapted", "own"], page.choice("origin", ORIGINS)),
        source=page.text("source"),
        confirmed=page.confirmed(),
    )
    page.close()
    return found


def read_item(page: TomlTable, speaks_spanish: bool) -> Item:
    if ("scale" in page.content) == ("choices" in page.content):
        page.asked.update({"scale", "choices"})
        page.refuse("scale", "an item has either a scale or a list of choices.")
        codes: tuple[int, ...] = (0, 1)
        anchors: tuple[ItemChoice, ...] = ()
    elif "scale" in page.content:
        codes, anchors = read_scale(page.table("scale"), speaks_spanish)
    else:
        anchors = tuple(read_choice(entry, speaks_spanish) for entry in page.tables("choices"))
        codes = tuple(choice.code for choice in anchors)
        if page.holds("choices") and (len(codes) < 2 or list(codes) != sorted(set(codes))):
            page.refuse("choices", "at least two, and their codes must rise.")
    found = Item(
        key=key(page),
        wording=text(page, "wording", speaks_spanish),
        higher_is=cast(Literal["worse", "better"], page.choice("higher_is", WORSE_OR_BETTER)),
        required=page.yes_or_no("required"),
        codes=codes,
        anchors=anchors,
    )
    page.close()
    if found.key == SCORE:
        page.refuse("key", f"“{SCORE}” means the score of the whole instrument.")
    return found


def read_scale(page: TomlTable, speaks_spanish: bool) -> tuple[tuple[int, ...], tuple[ItemChoice, ...]]:
    """Every whole number from `least` to `most`, with words for both ends."""
    least = page.number("least", least=LEAST, most=MOST)
    most = page.number("most", least=LEAST, most=MOST)
    ends = (
        ItemChoice(least, text(page, "least_means", speaks_spanish)),
        ItemChoice(most, text(page, "most_means", speaks_spanish)),
    )
    page.close()
    if page.holds("least", "most") and not least < most < least + VALUES:
        page.refuse("most", f"must be above least, by at most {VALUES - 1}.")
        return (0, 1), ends
    return tuple(range(least, most + 1)) if least < most else (0, 1), ends


def read_choice(page: TomlTable, speaks_spanish: bool) -> ItemChoice:
    found = ItemChoice(
        code=page.number("code", least=LEAST, most=MOST), text=text(page, "wording", speaks_spanish)
    )
    page.close()
    return found


def read_scoring(page: TomlTable) -> Scoring:
    method = cast(Literal["none", "sum", "mean"], page.choice("method", METHODS))
    scored = method != "none"
    found = Scoring(
        method=method,
        answers_needed=page.number("answers_needed", least=1) if scored else 0,
        unit=page.text("unit") if scored else "",
        source=page.source() if scored else "",
    )
    page.close()
    return found


def fit_scoring(page: TomlTable, found: Instrument) -> None:
    """Refuse a score that these items cannot have."""
    scoring = found.scoring
    if scoring.method == "none":
        return
    if scoring.answers_needed > len(found.items):
        page.refuse("scoring.answers_needed", f"there are only {len(found.items)} items.")
    if len({item.higher_is for item in found.items}) > 1:
        page.refuse(
            "scoring.method", "items of which some are worse and some better when higher have no score."
        )
    elif (scoring.method == "mean" or scoring.answers_needed < len(found.items)) and len(
        {(item.least, item.most) for item in found.items}
    ) > 1:
        page.refuse("scoring.method", "items on different scales have no average.")


def read_important_change(page: TomlTable) -> ImportantChange:
    given = [form for form in ("points", "percent", "codes") if form in page.content]
    if len(given) != 1:
        page.asked.update(given)
        page.refuse("points", "exactly one of points, percent and codes must be given.")
    given = given if len(given) == 1 else []
    percent = between(page, "percent") if "percent" in given else None
    if percent is not None and any(figure.denominator != 1 for figure in percent):
        page.refuse("percent", "must be a whole number, or a list of two.")
    found = ImportantChange(
        level=cast(Literal["minimal", "moderate", "substantial"], page.choice("level", LEVELS)),
        of=page.texts("of"),
        points=between(page, "points") if "points" in given else None,
        percent=(int(percent[0]), int(percent[1])) if percent else None,
        codes=tuple(codes(page)) if "codes" in given else (),
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    return found


def between(page: TomlTable, name: str) -> tuple[Fraction, Fraction] | None:
    """One figure above 0, or a list of two that rise."""
    value = page.take(name, (int, Decimal, list), "a number, or a list of two")
    if value is None:
        return None
    figures = value if isinstance(value, list) else [value, value]
    if len(figures) == 2 and all(
        isinstance(figure, int | Decimal)
        and not isinstance(figure, bool)
        and Decimal(figure).is_finite()
        and 0 < figure <= MOST
        for figure in figures
    ):
        first, last = (Fraction(figure) for figure in figures)
        if first <= last:
            return first, last
    page.refuse(name, "must be a number above 0, or a list of two that rise.")
    return None


def codes(page: TomlTable) -> Iterator[int]:
    for code in page.take("codes", list, "a list of codes") or ():
        if isinstance(code, bool) or not isinstance(code, int):
            page.refuse("codes", f"{code!r} is no code.")
        else:
            yield code


def fit_important_changes(page: TomlTable, found: Instrument) -> None:
    """Refuse changes of what is not there, or larger than the scale."""
    items = {item.key: item for item in found.items}
    for number, change in enumerate(found.important_changes, start=1):
        where = f"important_changes[{number}]."
        if not change.of:
            page.refuse(f"{where}of", "at least one item, or the score.")
        for name in change.of:
            if name == SCORE and found.score_range is not None and not change.codes:
                spans = found.score_range[1] - found.score_range[0]
            elif name in items:
                spans = items[name].most - items[name].least
                if not set(change.codes) <= set(items[name].codes):
                    page.refuse(f"{where}codes", f"not all of them are codes of “{name}”.")
            else:
                page.refuse(f"{where}of", f"“{name}” is no item, and no score that is computed.")
                continue
            if change.points is not None and change.points[1] > spans:
                page.refuse(f"{where}points", f"“{name}” spans only {spans}.")
