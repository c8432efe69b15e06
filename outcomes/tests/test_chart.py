"""The chart says what the course says: to the eye, on paper, and to a screen reader. Pure: no database."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.charts.course import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Labels, Scale, draw, extent
from outcomes.relief import Course, Reading

LABELS = Labels("Pain after <ablation>", "Pain 8 before & 3 on day 92.")
SVG = "{http://www.w3.org/2000/svg}"


def course(**changes: object) -> Course:
    """A facet ablation with a good year behind it."""
    values: dict[str, object] = {
        "baseline": 8,
        "readings": [Reading(1, 7), Reading(42, 2), Reading(184, 3), Reading(275, 7)],
        "silent": [7, 92],
        "evaluate_after": 42,
        "window_from": 180,
        "window_until": 365,
    }
    return Course(**values | changes)  # type: ignore[arg-type]


def block(**changes: object) -> Course:
    """A diagnostic block, counted in minutes, with two diary entries of later days."""
    return course(
        readings=[Reading(60, 1), Reading(240, 3), Reading(1440, 7), Reading(10080, 8)],
        silent=[30],
        evaluate_after=0,
        window_from=120,
        window_until=720,
        success_percent=80,
        unit="minute",
        **changes,
    )


def drawn(what: Course, today: int | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(draw(what, LABELS, name="one", today=today))


def texts(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def marks(svg: ElementTree.Element, kind: str) -> int:
    return sum(kind in element.get("class", "") for element in svg.iter())


def test_a_screen_reader_is_told_what_it_shows() -> None:
    svg = drawn(course())
    assert svg.get("role") == "img"
    title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert (title.text, desc.text) == ("Pain after <ablation>", "Pain 8 before & 3 on day 92.")


def test_every_answer_the_window_the_threshold_and_silence_are_drawn() -> None:
    svg = drawn(course(), today=300)
    assert marks(svg, "chart-before") == 1
    assert marks(svg, "chart-relief") == 2
    assert marks(svg, "chart-no-relief") == 2
    assert marks(svg, "chart-hollow") == 2
    assert marks(svg, "chart-window") == 1
    said = texts(svg)
    for words in ("relief expected to end: day 180–365", "50 % less pain", "today", "not answered"):
        assert words in said


def test_meaning_does_not_hang_on_colour() -> None:
    """Everything is drawn in the colour of the text; kinds differ by shape and name."""
    code = draw(course(), LABELS, name="one", today=9)
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', code))
    assert colours <= {"currentColor", "none", "url(#one-hatch)", "var(--chart-paper, #fff)"}


def test_without_a_score_before_no_threshold_is_drawn_and_it_is_said_why() -> None:
    svg = drawn(course(baseline=None))
    assert "no pain score before the procedure: relief cannot be computed" in texts(svg)
    assert not any("less pain" in words for words in texts(svg))
    assert marks(svg, "chart-before") == 0


def test_a_device_is_not_squeezed_by_its_five_years() -> None:
    young = course(readings=[Reading(30, 3)], silent=[], window_from=180, window_until=1825)
    svg = drawn(young, today=60)
    assert extent(young, 60) < 400
    assert "relief expected to end: day 180–1825 →" in texts(svg)
    old = course(readings=[Reading(1700, 3)], silent=[], window_from=180, window_until=1825)
    assert extent(old, 1750) >= 1825


def test_a_block_is_told_in_hours() -> None:
    svg = drawn(block())
    assert "hours since the procedure" in texts(svg)
    assert "relief expected to end: hour 2–12" in texts(svg)
    assert marks(svg, "chart-relief") + marks(svg, "chart-no-relief") == 3  # day 7 is in the table only


def test_names_within_do_not_meet_those_of_another_chart() -> None:
    first, two = (draw(course(), LABELS, name=name) for name in ("one", "two"))
    ids = [set(re.findall(r'id="([^"]+)"', code)) for code in (first, two)]
    assert ids[0]
    assert not ids[0] & ids[1]


POSITIONS = st.lists(st.integers(0, 3000), max_size=30, unique=True).map(sorted)


@given(
    positions=POSITIONS,
    silent=POSITIONS,
    scores=st.lists(st.integers(0, 10), min_size=30, max_size=30),
    baseline=st.none() | st.integers(0, 10),
    window=st.tuples(st.integers(0, 800), st.integers(0, 2000)),
    today=st.none() | st.integers(0, 4000),
    unit=st.sampled_from(["day", "minute"]),
)
def test_whatever_the_course_nothing_is_drawn_outside_and_no_scores_overlap(
    positions: list[int],
    silent: list[int],
    scores: list[int],
    baseline: int | None,
    window: tuple[int, int],
    today: int | None,
    unit: str,
) -> None:
    readings = [Reading(at, score) for at, score in zip(positions, scores, strict=False)]
    what = course(
        baseline=baseline, readings=readings, silent=silent, unit=unit,
        window_from=window[0], window_until=window[0] + window[1],
    )  # fmt: skip
    svg = drawn(what, today)
    for element in svg.iter():
        for name in ("x", "x1", "x2", "cx"):
            if element.get(name) is not None and element.tag != f"{SVG}line":
                assert -10 <= float(element.get(name, "0")) <= WIDTH
    bold = [element for element in svg.iter(f"{SVG}text") if element.get("font-weight")]
    places = sorted(float(element.get("x", "0")) for element in bold)
    assert all(later - earlier >= 12 for earlier, later in pairwise(places))


@pytest.mark.parametrize(("at", "score"), [(0, 0), (365, 10), (400, 5), (-5, 5)])
def test_the_scale_stays_within_the_axes(at: int, score: int) -> None:
    scale = Scale(365)
    assert LEFT <= scale.x(at) <= RIGHT
    assert TOP <= scale.y(score) <= BOTTOM
