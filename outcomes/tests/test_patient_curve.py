"""The patient's own curve: plain words, and a drawing that says the same. Pure: no database."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.patient_curve import FOOT, HEIGHT, LABEL, MOST, SIDE, TOP, WIDTH, CurvePoint, sentence, sketch

POINTS = [CurvePoint("Before", "Before", 8), CurvePoint("1", "Day 1", 5), CurvePoint("Today", "Today", 3)]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def test_the_sentence_says_it_all() -> None:
    assert sentence(POINTS) == "Before: 8. Day 1: 5. Today: 3."


def test_the_drawing_says_the_same() -> None:
    assert texts(sketch(POINTS)) == ["8", "5", "3", "Before", "1", "Today"]


def test_one_score_makes_no_curve() -> None:
    assert sketch(POINTS[:1]) == ""
    assert sketch([]) == ""


def test_the_first_and_the_latest_are_kept() -> None:
    points = [POINTS[0], *(CurvePoint(str(day), f"Day {day}", day % 11) for day in range(1, 20))]
    drawn = texts(sketch(points))
    assert drawn[:MOST] == ["8", *(str(day % 11) for day in range(10, 20))]
    assert drawn[MOST:] == ["Before", "11", "13", "15", "17", "19"]


def test_relief_that_came_and_went_is_drawn() -> None:
    hours = [
        CurvePoint("Before", "Before", 8),
        *(CurvePoint(f"{hour} h", "", 0 if hour < 5 else 8) for hour in range(1, 10)),
    ]
    assert texts(sketch(hours))[:10] == ["8", "0", "0", "0", "0", "8", "8", "8", "8", "8"]


@pytest.mark.parametrize("count", range(2, MOST + 1))
def test_no_label_stands_upon_another(count: int) -> None:
    drawing = ElementTree.fromstring(sketch([CurvePoint("12:30", "", 5)] * count))
    places = [float(element.attrib["x"]) for element in drawing.iter("text") if "font-size" in element.attrib]
    assert all(right - left >= LABEL for left, right in pairwise(places))
    assert places[-1] == WIDTH - SIDE


@given(st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10)), min_size=2, max_size=30))
def test_every_drawing_is_well_formed_and_stays_on_its_paper(given_points: list[tuple[str, int]]) -> None:
    points = [
        CurvePoint("".join(c for c in label if c.isprintable()), "", score) for label, score in given_points
    ]
    root = ElementTree.fromstring(sketch(points))
    circles = list(root.iter("circle"))
    assert 2 <= len(circles) <= MOST
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH
        assert TOP <= float(circle.attrib["cy"]) <= FOOT < HEIGHT
