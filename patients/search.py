"""What is typed to find a patient: parts of a name, record number or e-mail address, a birth date or a part of one, a
phone number in any format or its last digits. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMED = (
    r"(?P<month>jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?"
    r"|nov(ember)?|dec(ember)?)\.?"
)
#: 6 May 1944 and May 6 1944: the only dates of several words.
DAY_FIRST = re.compile(rf"\b(?P<day>\d{{1,2}})\s*{NAMED}\s*(?P<year>\d{{4}}|\d\d)\b", re.I)
MONTH_FIRST = re.compile(rf"\b{NAMED}\s*(?P<day>\d{{1,2}})\s+(?P<year>\d{{4}}|\d\d)\b", re.I)
#: Groups of digits as phone numbers have them: +1 (212) 555-0147.
GROUPS = re.compile(r"(?<!\S)\+?[0-9(][0-9().\-/]*(?: [0-9(][0-9().\-/]*)+(?!\S)")
GROUP = re.compile(r"\+?[0-9(][0-9().\-/]*\Z")
#: So many digits at the end of a number tell it from others, with or without the code of its country.
TELLING = 9
NUMBERS = re.compile(r"\d+(?:[-/.]\d+){0,2}\Z")


@dataclass(frozen=True)
class PartialBirthDate:
    """A birth date, or as much of it as was typed; None is what was not."""

    year: int | None = None
    month: int | None = None
    day: int | None = None


@dataclass(frozen=True)
class Term:
    """One thing that a patient must match: `word` in a name or the record number, or one of the birth dates, or
    `digits` in the phone number, at its end where there are four; with an @ the word is part of the e-mail address.

    "" is no word: a date that was written out, or a phone number of several groups. "" are no digits.
    """

    word: str
    births: tuple[PartialBirthDate, ...] = ()
    digits: str = ""


def terms(typed: str) -> list[Term]:
    """What was typed, term by term; a patient who is meant matches them all.

    Dates may be written 1944-05-06, 5/6/1944, 5/6/44, 05061944, 6 May 1944 or May 6, 1944, and in part: 1944, 5/1944,
    5/6. Of two numbers that could both be months the first is, as in the United States. No date is a mistake: a word
    that is none is a word.
    """
    text = " ".join(typed.replace(",", " ").replace("\0", " ").split())
    result = []
    for shape in (DAY_FIRST, MONTH_FIRST):
        for found in list(shape.finditer(text)):
            month = MONTHS.index(found["month"][:3].lower()) + 1
            births = tuple(days(found["year"], month, int(found["day"])))
            if births:
                result.append(Term("", births))
                text = text.replace(found[0], " ", 1)
    for found in list(GROUPS.finditer(text)):
        # "1944 0147" are a year and last digits; the groups of a phone number have brackets, a plus or few digits.
        short = any(len(digits_of(group)) <= 3 for group in found[0].split())
        if len(digits_of(found[0])) >= 7 and (short or set(found[0]) & set("+(")):
            result.append(Term("", (), telling(digits_of(found[0]))))
            text = text.replace(found[0], " ", 1)
    for word in text.split():
        digits = digits_of(word) if GROUP.match(word) else ""
        result.append(Term(word, tuple(births_of(word)), telling(digits) if len(digits) >= 4 else ""))
    return result


def digits_of(text: str) -> str:
    """The digits in it, 0 to 9."""
    return re.sub(r"[^0-9]", "", text)


def telling(digits: str) -> str:
    """The digits by which a phone number is looked for: without what may be the code of a country."""
    return digits[-TELLING:] if len(digits) > 10 else digits


def births_of(word: str) -> Iterator[PartialBirthDate]:
    """The birth dates, or parts of one, that a word of digits can mean."""
    if not NUMBERS.match(word) or not word.isascii():
        return
    parts = re.split(r"[-/.]", word)
    sizes = [len(part) for part in parts]
    match [int(part) for part in parts]:
        case [year] if sizes == [4] and 1850 < year < 2150:
            yield PartialBirthDate(year)
        case [_] if sizes == [8]:
            yield from days(word[:4], int(word[4:6]), int(word[6:]))
            yield from either(word[4:], int(word[:2]), int(word[2:4]))
        case [year, month] if sizes[0] == 4 and 1 <= month <= 12:
            yield PartialBirthDate(year, month)
        case [month, year] if sizes[1] == 4 and 1 <= month <= 12:
            yield PartialBirthDate(year, month)
        case [first, second] if max(sizes) <= 2:
            month, day = (first, second) if first <= 12 else (second, first)
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield PartialBirthDate(None, month, day)
        case [_, month, day] if sizes[0] == 4:
            yield from days(parts[0], month, day)
        case [first, second, _] if sizes[2] in (2, 4):
            yield from either(parts[2], first, second)


def either(year: str, first: int, second: int) -> Iterator[PartialBirthDate]:
    """The days on which `first` is the month; where that is none, those on which `second` is."""
    month, day = (first, second) if first <= 12 else (second, first)
    yield from days(year, month, day)


def days(year: str, month: int, day: int) -> Iterator[PartialBirthDate]:
    """The days that exist; a year of two digits may be of this century or of the last."""
    for century in ("",) if len(year) == 4 else ("19", "20"):
        try:
            found = date(int(century + year), month, day)
        except ValueError:
            continue
        yield PartialBirthDate(found.year, found.month, found.day)
