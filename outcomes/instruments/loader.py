"""Reads instruments from a folder, one TOML file for each version, strictly: all that is wrong is said at once."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from clinic.toml_pages import Page, PagesError, Problem, read_page
from outcomes.instruments.definitions import SCORE, VERSION, BilingualText, Instrument, Item

#: Instruments by key and version.
Registry = Mapping[tuple[str, str], Instrument]

#: The longest scale that is asked with one button a value; a longer one is no question for a phone.
VALUES = 101
#: The database takes no other figures of the instrument that relief is computed from.
PAIN = "nrs"
PAIN_CODES = tuple(range(11))


def read_instruments(folder: Path) -> dict[tuple[str, str], Instrument]:
    """Every instrument of the folder's `*.toml` files; a folder without one is empty.

    Raises PagesError with every problem of every file. Codes beyond those of `clinic.toml_pages`: "no_folder",
    "not_the_file_name", "no_spanish", "reserved", "scale_or_choices", "scale", "choices", "not_nrs", "no_score",
    "not_one_figure", "too_large", "not_an_item", "not_its_codes"; "another_scale" and "there_already" of `join`.
    """
    if not folder.is_dir():
        raise PagesError([Problem(str(folder), "", "no_folder", "is no folder.")])
    problems: list[Problem] = []
    found = {}
    for file in sorted(folder.glob("*.toml")):
        page = read_page(file, file.name, Instrument, problems, parse_float=Decimal)
        if page is not None:
            check_instrument(page, file.stem)
            found[page.content.key, page.content.version] = page.content
    if problems:
        raise PagesError(problems)
    return found


def join(shipped: Registry, added: Registry) -> dict[tuple[str, str], Instrument]:
    """Both together, in order of key and version.

    Raises PagesError when a key and version has other content in `added` than in `shipped`, or when two
    versions of one instrument mean different scales by one item: scores are compared by instrument and item.
    """
    changed = "is there already, with other content; a change needs a new version."
    problems = [
        Problem(file_name(name), "version", "there_already", f"{added[name]} {changed}")
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
                why = f"“{item.key}” has another scale in {before}; another scale is another item."
                problems.append(Problem(file_name(name), f"items[{number}].key", "another_scale", why))
    if problems:
        raise PagesError(problems)
    return {name: together[name] for name in ordered}


def version_order(version: str) -> tuple[tuple[int, ...], str]:
    """Sorts versions: 1 before 2, 2 before 2.1, 2.1 before 2.1a, 2.1a before 10."""
    parts = re.fullmatch(VERSION, version)
    if parts is None:
        raise ValueError(f"{version!r} is no version.")
    return tuple(int(number) for number in parts[1].split(".")), parts[2]


def file_name(name: tuple[str, str]) -> str:
    return f"{name[0]}-{name[1]}.toml"


def check_instrument(page: Page[Instrument], stem: str) -> None:
    """Refuse what only several keys can get wrong."""
    found = page.content
    if stem != f"{found.key}-{found.version}":
        why = f"the file of {found} must be called {file_name((found.key, found.version))}."
        page.refuse("key", "not_the_file_name", why)
    for key, text in texts(found):
        if found.spanish and text.es is None:
            page.refuse(f"{key}.es", "missing", "is missing.")
        elif text.es is not None and not found.spanish:
            page.refuse(
                f"{key}.es", "no_spanish", "where do these words come from? There is no table [spanish]."
            )
    keys = [item.key for item in found.items]
    for key in dict.fromkeys(keys):
        if keys.count(key) > 1:
            page.refuse("items", "given_twice", f"“{key}” stands there twice.")
    before = len(page.problems)
    for number, item in enumerate(found.items, start=1):
        check_item(page, f"items[{number}]", item)
    if len(page.problems) == before:
        check_scoring(page)
        for number, _change in enumerate(found.important_changes, start=1):
            check_change(page, number)


def texts(found: Instrument) -> Iterator[tuple[str, BilingualText]]:
    """Everything that patients read, with its key."""
    yield "title", found.title
    for number, item in enumerate(found.items, start=1):
        yield f"items[{number}].wording", item.wording
        if item.scale:
            yield f"items[{number}].scale.least_means", item.scale.least_means
            yield f"items[{number}].scale.most_means", item.scale.most_means
        for place, choice in enumerate(item.choices, start=1):
            yield f"items[{number}].choices[{place}].wording", choice.text


def check_item(page: Page[Instrument], key: str, item: Item) -> None:
    if item.key == SCORE:
        page.refuse(f"{key}.key", "reserved", f"“{SCORE}” means the score of the whole instrument.")
    if bool(item.scale) == bool(item.choices):
        why = "an item has either a scale or a list of choices."
        page.refuse(f"{key}.scale", "scale_or_choices", why)
    elif item.scale and not item.scale.least < item.scale.most < item.scale.least + VALUES:
        page.refuse(f"{key}.scale.most", "scale", f"must be above least, by at most {VALUES - 1}.")
    elif item.choices and (len(item.codes) < 2 or list(item.codes) != sorted(set(item.codes))):
        page.refuse(f"{key}.choices", "choices", "at least two, and their codes must rise.")
    elif page.content.key == PAIN and item.codes != PAIN_CODES:
        page.refuse(f"{key}.scale", "not_nrs", f"every item of {PAIN} is a scale from 0 to 10.")


def check_scoring(page: Page[Instrument]) -> None:
    """Refuse a score that these items cannot have, and figures of a score where there is none."""
    scoring, items = page.content.scoring, page.content.items
    scored = scoring.method != "none"
    for key in ("answers_needed", "unit", "source"):
        if scored and not getattr(scoring, key):
            page.refuse(f"scoring.{key}", "missing", "is missing.")
        elif not scored and getattr(scoring, key):
            page.refuse(f"scoring.{key}", "no_score", "there is no score.")
    if not scored:
        return
    if scoring.answers_needed > len(items):
        page.refuse("scoring.answers_needed", "no_score", f"there are only {len(items)} items.")
    if len({item.higher_is for item in items}) > 1:
        why = "items of which some are worse and some better when higher have no score."
        page.refuse("scoring.method", "no_score", why)
    averaged = scoring.method == "mean" or scoring.answers_needed < len(items)
    if averaged and len({(item.least, item.most) for item in items}) > 1:
        page.refuse("scoring.method", "no_score", "items on different scales have no average.")


def check_change(page: Page[Instrument], number: int) -> None:
    """Refuse an important change of what is not there, or one that is larger than the scale."""
    found, key = page.content, f"important_changes[{number}]"
    change = found.important_changes[number - 1]
    if sum(map(bool, (change.points, change.percent, change.codes))) != 1:
        why = "exactly one of points, percent and codes must be given."
        page.refuse(f"{key}.points", "not_one_figure", why)
    items = {item.key: item for item in found.items}
    for name in change.of:
        if name == SCORE and found.score_range is not None and not change.codes:
            spans = found.score_range[1] - found.score_range[0]
        elif name in items:
            spans = items[name].most - items[name].least
            if not set(change.codes) <= set(items[name].codes):
                page.refuse(f"{key}.codes", "not_its_codes", f"not all of them are codes of “{name}”.")
        else:
            why = f"“{name}” is no item, and no score that is computed."
            page.refuse(f"{key}.of", "not_an_item", why)
            continue
        if change.points is not None and change.points[1] > spans:
            page.refuse(f"{key}.points", "too_large", f"“{name}” spans only {spans}.")
