"""What is typed to find a patient, read as a clerk means it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.search import PartialBirthDate, Term, terms

DAY = PartialBirthDate(1944, 5, 6)


@pytest.mark.parametrize(
    "typed",
    [
        *("1944-05-06", "1944-5-6", "1944/5/6", "19440506"),
        *("05/06/1944", "5/6/1944", "5-6-1944", "5.6.1944", "05061944"),
        *("6 May 1944", "6may1944", "May 6, 1944", "may 6 1944", "MAY 6 1944"),
    ],
)
def test_one_day_may_be_typed_in_many_ways(typed: str) -> None:
    (term,) = terms(typed)
    assert DAY in term.births


@pytest.mark.parametrize(
    ("typed", "births"),
    [
        ("5/6/44", [PartialBirthDate(1944, 5, 6), PartialBirthDate(2044, 5, 6)]),
        ("6 May 04", [PartialBirthDate(1904, 5, 6), PartialBirthDate(2004, 5, 6)]),
        ("2/29/00", [PartialBirthDate(2000, 2, 29)]),  # 1900 was no leap year
        ("13/5/1944", [PartialBirthDate(1944, 5, 13)]),
        ("1944", [PartialBirthDate(1944)]),
        ("5/1944", [PartialBirthDate(1944, 5)]),
        ("1944-05", [PartialBirthDate(1944, 5)]),
        ("5/6", [PartialBirthDate(None, 5, 6)]),
        ("25/6", [PartialBirthDate(None, 6, 25)]),
        ("04051944", [PartialBirthDate(1944, 4, 5)]),
        ("0001", []),
        ("1944-13-45", []),
        ("2/30/1944", []),
        ("99/99", []),
        ("5/6-1944", [PartialBirthDate(1944, 5, 6)]),
        ("555-123-4567", []),
        ("١٩٤٤", []),
    ],
)
def test_a_part_of_a_date_is_no_more_than_was_typed(typed: str, births: list[PartialBirthDate]) -> None:
    (term,) = terms(typed)
    assert list(term.births) == births


def test_names_and_dates_stand_beside_each_other() -> None:
    assert terms("O'Brien, Ann 6 May 1944") == [Term("", (DAY,)), Term("O'Brien"), Term("Ann")]
    assert terms("May 1944") == [Term("May"), Term("1944", (PartialBirthDate(1944),), "1944")]
    assert terms("12 Marys 50") == [Term("12"), Term("Marys"), Term("50")]
    assert terms(" \0 , ") == []


@given(st.text())
def test_nothing_that_is_typed_is_a_fault(typed: str) -> None:
    for term in terms(typed):
        assert term.word or term.births or term.digits


@given(st.dates())
def test_every_day_is_found_as_it_is_shown(day: object) -> None:
    (term,) = terms(str(day))
    assert PartialBirthDate(*(int(part) for part in str(day).split("-"))) in term.births
