"""Instruments as files: a site adds its own, and what cannot be used is refused by file and key."""

import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from clinic.toml_pages import PagesError
from outcomes.instruments import FOLDER, latest, load, registry
from outcomes.instruments.loader import join, read_instruments, version_order

ROOT = Path(__file__).resolve().parents[2]
#: The example that docs/instruments.md gives.
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "instruments.md").read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """A site's own folder, still empty."""
    settings.INSTRUMENTS_DIR = str(tmp_path)
    load.cache_clear()
    return tmp_path


@pytest.fixture
def add(folder: Path) -> Callable[..., None]:
    """Write a file of the site: the manual's example, with parts replaced."""

    def write(name: str = "sleep-1.toml", *changes: tuple[str, str], text: str = EXAMPLE) -> None:
        for pattern, replacement in changes:
            text, times = re.subn(pattern, replacement, text, count=1, flags=re.DOTALL)
            assert times == 1, pattern
        (folder / name).write_text(text, encoding="utf-8")

    return write


def problems(folder: Path) -> list[tuple[str, str, str]]:
    """File, key and code of what is refused."""
    with pytest.raises(PagesError) as refused:
        load(str(folder))
    return [(problem.file, problem.key, problem.code) for problem in refused.value.problems]


def test_the_example_of_the_manual_is_loaded_beside_what_ships(add: Callable[..., None]) -> None:
    before = list(load(""))
    add()
    assert list(registry()) == sorted([*before, ("sleep", "1")])
    sleep = latest("sleep")
    assert sleep.confirmed is not None
    assert sleep.confirmed.by == "Dr A. Example"
    assert sleep.item("quality").wording.in_language("es") == "¿Qué tan bien durmió anoche?"
    assert sleep.score({"quality": 7}) == 7
    assert [message for message in run_checks() if message.id == "outcomes.E001"] == []


def test_an_empty_folder_adds_nothing(folder: Path) -> None:
    assert registry() == load("")


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        registry()["nrs", "2"] = latest("nrs")  # type: ignore[index]


def test_the_newest_version_is_the_one_with_the_largest_number(add: Callable[..., None]) -> None:
    for version in ("2", "10", "9.9"):
        add(f"sleep-{version}.toml", ('version = "1"', f'version = "{version}"'))
    assert latest("sleep").version == "10"


def test_versions_sort_by_their_numbers() -> None:
    mixed = ["10", "1.10b", "2", "1.2", "1.10", "0.9", "1", "1.10a"]
    assert sorted(mixed, key=version_order) == ["0.9", "1", "1.2", "1.10", "1.10a", "1.10b", "2", "10"]


def test_a_text_without_spanish_is_shown_in_english(add: Callable[..., None]) -> None:
    """A licence may allow the English alone; the clinic must not have to translate it."""
    english = re.sub(
        r"(?m)^\w+\.es = .*\n", "", re.sub(r"\[spanish\].*?(?=\[scoring\])", "", EXAMPLE, flags=re.S)
    )
    add(text=english)
    sleep = latest("sleep")
    assert sleep.spanish is None
    assert sleep.title.in_language("es") == "Sleep"


def test_figures_with_a_point_stay_exact(add: Callable[..., None]) -> None:
    add(text=EXAMPLE + CHANGE.replace("points = 1", "points = [0.6, 1.22]"))
    (change,) = latest("sleep").important_changes
    assert change.points == (Fraction(6, 10), Fraction(122, 100))


SCALE = r"\[items\.scale\].*"
CHOICE = '[[items.choices]]\ncode = {}\nwording.en = "Words"\nwording.es = "Palabras"\n'
CHANGE = """
[[important_changes]]
level = "minimal"
of = ["score"]
points = 1
source = "made up"
confirmed = false
"""


def with_change(pattern: str, replacement: str) -> tuple[str, str]:
    """The example, with an important change at its end of which something is replaced."""
    text, times = re.subn(pattern, replacement, CHANGE, count=1)
    assert times == 1
    return r"\Z", text


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        (r'licence = ".*?"', 'licence = ""', ("licence", "blank")),
        (r'licence = ".*?"', 'licence = "  "', ("licence", "blank")),
        (r'licence = ".*?"\n', "", ("licence", "missing")),
        (r'source = ".*?"\n', "", ("source", "missing")),
        (r"confirmed = \{.*?\}", "confirmed = true", ("confirmed", "dataclass_type")),
        (r"confirmed = \{.*?\}\n", "", ("confirmed", "missing")),
        (r'key = "sleep"', 'key = "Sleep"', ("key", "not_matching")),
        (r'key = "sleep"', 'key = "sleeping"', ("key", "not_the_file_name")),
        (r'version = "1"', "version = 1", ("version", "string_type")),
        (r'version = "1"', 'version = "01"', ("version", "not_matching")),
        (r'version = "1"', 'version = "1-beta"', ("version", "not_matching")),
        (r'title.es = ".*?"\n', "", ("title.es", "missing")),
        (r'wording.es = ".*?"\n', "", ("items[1].wording.es", "missing")),
        (r'least_means.es = ".*?"\n', "", ("items[1].scale.least_means.es", "missing")),
        (r'most_means.en = ".*?"', 'most_means.en = ""', ("items[1].scale.most_means.en", "blank")),
        (r'title.es = ".*?"', 'title.fr = "Sommeil"', ("title.fr", "unexpected_keyword_argument")),
        (r"\[spanish\].*?(\[scoring\])", r"\1", ("title.es", "no_spanish")),
        (r'origin = "own"', 'origin = "ours"', ("english.origin", "literal_error")),
        (r"\[scoring\].*?(\[\[items)", r"\1", ("scoring", "missing")),
        (r'method = "mean"', 'method = "median"', ("scoring.method", "literal_error")),
        (r'method = "mean"', 'method = "none"', ("scoring.answers_needed", "no_score")),
        (r"answers_needed = 1", "answers_needed = 0", ("scoring.answers_needed", "greater_than_equal")),
        (r"answers_needed = 1", "answers_needed = 2", ("scoring.answers_needed", "no_score")),
        (r'source = "Our own rule"\n', "", ("scoring.source", "missing")),
        (r"\[\[items\]\].*", "", ("items", "missing")),
        (r"\[\[items\]\].*", "[items]", ("items", "tuple_type")),
        (r'key = "quality"', 'key = "score"', ("items[1].key", "reserved")),
        (r"required = true", "required = 1", ("items[1].required", "bool_type")),
        (r'higher_is = "better"', 'higher_is = "nice"', ("items[1].higher_is", "literal_error")),
        (r"least = 0", "least = 10", ("items[1].scale.most", "scale")),
        (r"most = 10", "most = 101", ("items[1].scale.most", "scale")),
        (r"most = 10", "most = 9.5", ("items[1].scale.most", "int_type")),
        (r"most = 10", "most = 40000", ("items[1].scale.most", "less_than_equal")),
        (SCALE, "", ("items[1].scale", "scale_or_choices")),
        (r"\Z", CHOICE.format(1), ("items[1].scale", "scale_or_choices")),
        (SCALE, CHOICE.format(1), ("items[1].choices", "choices")),
        (SCALE, CHOICE.format(2) + CHOICE.format(1), ("items[1].choices", "choices")),
        (SCALE, CHOICE.format(1) + CHOICE.format(1), ("items[1].choices", "choices")),
        (SCALE, CHOICE.format(1) + CHOICE.format('"b"'), ("items[1].choices[2].code", "int_type")),
        (*with_change("points = 1", "points = 10.5"), ("important_changes[1].points", "too_large")),
        (
            *with_change("points = 1", "points = [2, 1]"),
            ("important_changes[1].points", "no_figures"),
        ),
        (*with_change("points = 1", "points = nan"), ("important_changes[1].points", "no_figures")),
        (*with_change("points = 1", "points = 1e999999999"), ("important_changes[1].points", "no_figures")),
        (*with_change("points = 1", "percent = 12.5"), ("important_changes[1].percent", "no_figures")),
        (
            *with_change("points = 1", "codes = [1]"),
            ("important_changes[1].of", "not_an_item"),
        ),
        (*with_change("points = 1\n", ""), ("important_changes[1].points", "not_one_figure")),
        (*with_change('"score"', '"mood"'), ("important_changes[1].of", "not_an_item")),
        (*with_change('"score"', ""), ("important_changes[1].of", "too_short")),
        (*with_change("source = .*", ""), ("important_changes[1].source", "missing")),
        (r'key = "sleep"', 'key = "sleep"\nsecret = 1', ("secret", "unexpected_keyword_argument")),
        (r"\[scoring\]", "[scoring", ("", "not_toml")),
    ],
)
def test_a_bad_file_is_refused_by_file_and_key(
    folder: Path, add: Callable[..., None], pattern: str, replacement: str, problem: tuple[str, str]
) -> None:
    add("sleep-1.toml", (pattern, replacement))
    assert ("sleep-1.toml", *problem) in problems(folder)


def test_codes_of_a_change_must_be_codes_of_the_item(folder: Path, add: Callable[..., None]) -> None:
    pgic = (FOLDER / "pgic-1.toml").read_text(encoding="utf-8")
    changes = (('key = "pgic"', 'key = "change"'), (r"codes = \[3\]", "codes = [8]"))
    add("change-1.toml", *changes, text=pgic)
    assert problems(folder) == [("change-1.toml", "important_changes[1].codes", "not_its_codes")]


ITEM = EXAMPLE[EXAMPLE.index("[[items]]") :]


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        ("quality", "quality", ("items", "given_twice")),
        ('"better"', '"worse"', ("scoring.method", "no_score")),
        ("most = 10", "most = 5", ("scoring.method", "no_score")),
    ],
)
def test_items_that_make_no_score_together_are_refused(
    folder: Path, add: Callable[..., None], pattern: str, replacement: str, problem: tuple[str, str]
) -> None:
    second = ITEM.replace(pattern, replacement).replace(
        '"quality"', '"length"' if pattern != "quality" else '"quality"'
    )
    add(text=EXAMPLE + second)
    assert ("sleep-1.toml", *problem) in problems(folder)


def test_items_on_different_scales_can_be_added_when_none_is_missing(add: Callable[..., None]) -> None:
    second = ITEM.replace('"quality"', '"length"').replace("most = 10", "most = 5")
    whole = (EXAMPLE + second).replace('"mean"', '"sum"').replace("answers_needed = 1", "answers_needed = 2")
    add(text=whole)
    assert latest("sleep").score_range == (0, 15)
    assert latest("sleep").score({"quality": 10, "length": 5}) == 15


def test_all_problems_of_all_files_are_told_at_once(folder: Path, add: Callable[..., None]) -> None:
    add("sleep-1.toml", (r'licence = ".*?"', 'licence = ""'), ("least = 0", "least = false"))
    (folder / "latin-1.toml").write_bytes("título".encode("latin-1"))
    add("other-1.toml", text="[")
    found = problems(folder)
    assert found == [
        ("latin-1.toml", "", "not_utf_8"),
        ("other-1.toml", "", "not_toml"),
        ("sleep-1.toml", "licence", "blank"),
        ("sleep-1.toml", "items[1].scale.least", "int_type"),
    ]


def test_what_ships_cannot_be_replaced_but_the_same_file_does_no_harm(
    folder: Path, add: Callable[..., None]
) -> None:
    shutil.copy(FOLDER / "pgic-1.toml", folder)
    assert registry() == load("")

    load.cache_clear()
    pgic = (FOLDER / "pgic-1.toml").read_text(encoding="utf-8")
    add("pgic-1.toml", ("Much improved", "A lot improved"), text=pgic)
    assert problems(folder) == [("pgic-1.toml", "version", "there_already")]


def test_a_new_version_of_what_ships_is_taken(add: Callable[..., None]) -> None:
    pgic = (FOLDER / "pgic-1.toml").read_text(encoding="utf-8")
    add("pgic-2.toml", ('version = "1"', 'version = "2"'), ("Much improved", "A lot improved"), text=pgic)
    assert latest("pgic").version == "2"
    assert registry()["pgic", "1"] == load("")["pgic", "1"]


def test_an_item_keeps_its_scale_in_all_versions(folder: Path, add: Callable[..., None]) -> None:
    """The form of the PGIC that has 7 for the best would turn every comparison around."""
    pgic = (FOLDER / "pgic-1.toml").read_text(encoding="utf-8")
    reverse = (('version = "1"', 'version = "2"'), ('higher_is = "worse"', 'higher_is = "better"'))
    add("pgic-2.toml", *reverse, text=pgic)
    assert problems(folder) == [("pgic-2.toml", "items[1].key", "another_scale")]


def test_pain_that_the_database_would_refuse_is_refused_at_once(
    folder: Path, add: Callable[..., None]
) -> None:
    add(
        "nrs-2.toml",
        ('key = "sleep"', 'key = "nrs"'),
        ('version = "1"', 'version = "2"'),
        ("most = 10", "most = 100"),
    )
    assert problems(folder) == [("nrs-2.toml", "items[1].scale", "not_nrs")]


def test_joining_nothing_changes_nothing() -> None:
    assert join(read_instruments(FOLDER), {}) == read_instruments(FOLDER)


# At start.


def test_a_start_with_a_bad_file_is_refused(folder: Path, add: Callable[..., None]) -> None:
    add("sleep-1.toml", (r'licence = ".*?"', 'licence = ""'))
    found = [message for message in run_checks() if message.id == "outcomes.E001"]
    assert [message.msg for message in found] == [
        "sleep-1.toml: licence: must not be blank or hold a null character."
    ]
    with pytest.raises(SystemCheckError, match=r"outcomes\.E001.*sleep-1\.toml: licence: must not be blank"):
        call_command("check")


@pytest.mark.django_db
def test_the_deployments_first_step_is_refused_too(folder: Path, add: Callable[..., None]) -> None:
    """`migrate` comes before web, worker and beat, which look at no checks."""
    add("sleep-1.toml", text="")
    with pytest.raises(SystemCheckError, match=r"outcomes\.E001.*sleep-1\.toml: key: is missing\."):
        call_command("migrate", "--check", skip_checks=False)


def test_a_folder_that_is_not_there_is_refused(settings: Any, tmp_path: Path) -> None:
    settings.INSTRUMENTS_DIR = str(tmp_path / "nowhere")
    (message,) = (message for message in run_checks() if message.id == "outcomes.E001")
    assert message.msg.endswith("nowhere: is no folder.")
