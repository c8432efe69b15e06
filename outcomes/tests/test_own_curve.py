"""The patient's own curve: plain words, and a drawing that says the same. Pure: no database."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from outcomes.own_curve import FOOT, HEIGHT, MOST, TOP, WIDTH, Point, sentence, sketch

POINTS = [Point("Before", "Before", 8), Point("1", "Day 1", 5), Point("Today", "Today", 3)]


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("text")]


def test_the_sentence_says_it_all() -> None:
    assert sentence(POINTS) == "Before: 8. Day 1: 5. Today: 3."


def test_the_drawing_says_the_same() -> None:
    assert texts(sketch(POINTS)) == ["8", "Before", "5", "1", "3", "Today"]


def test_one_score_makes_no_curve() -> None:
    assert sketch(POINTS[:1]) == ""
    assert sketch([]) == ""


def test_the_first_and_the_latest_are_kept() -> None:
    points = [POINTS[0], *(Point(str(day), f"Day {day}", day % 11) for day in range(1, 20))]
    assert texts(sketch(points))[1::2] == ["Before", "15", "16", "17", "18", "19"]


@given(st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10)), min_size=2, max_size=30))
def test_every_drawing_is_well_formed_and_stays_on_its_paper(given_points: list[tuple[str, int]]) -> None:
    points = [Point("".join(c for c in label if c.isprintable()), "", score) for label, score in given_points]
    root = ElementTree.fromstring(sketch(points))
    circles = list(root.iter("circle"))
    assert 2 <= len(circles) <= MOST
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH
        assert TOP <= float(circle.attrib["cy"]) <= FOOT < HEIGHT
