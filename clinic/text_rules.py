"""What no line of text may hold, whoever writes it. Pure: no database, no clock."""

import re
import unicodedata

#: A text that begins so is run as a formula by the spreadsheet in which somebody opens an export of it; the last four
#: are the wide forms, which some spreadsheets take for the narrow ones.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
#: Marks that turn the direction of the text around them, so that a name shows other letters than it has.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Control characters, and what ends a line or a paragraph.
BREAKING = ("Cc", "Zl", "Zp")
#: Letters by name that show nothing: Hangul fillers.
FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
#: A phone number: digits with what people write between them, a plus in front, an extension behind.
PHONE = re.compile(r"\+?[0-9(][0-9 ().\-/]*(?:(?:x|ext\.?|#) ?[0-9]{1,6})?\Z", re.I)
#: Dates beyond these years are slips of the keyboard.
YEARS = range(1880, 2200)


def breaks(text: str) -> bool:
    """Whether a line of text holds a line break, a tab, another control character or a mark that turns it around."""
    return not text.isprintable() and any(
        unicodedata.category(letter) in BREAKING or letter in TURNING for letter in text
    )


def has_letter(text: str) -> bool:
    """Whether there is a letter to read: nothing but spaces, marks, digits and zero-width characters is no name."""
    return any(unicodedata.category(letter)[0] == "L" and letter not in FILLERS for letter in text)


def is_phone(text: str, *, fewest: int = 5) -> bool:
    """Whether it is written as a phone number, with `fewest` to 15 digits, not counting an extension."""
    number = re.split(r"[a-zA-Z#]", text, maxsplit=1)[0]
    return bool(PHONE.match(text)) and fewest <= sum(letter.isdigit() for letter in number) <= 15
