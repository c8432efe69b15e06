"""The code on a paper form: the check-in's number and two check digits. Pure.

The check digits are ISO 7064 MOD 97-10: a wrong digit and two digits in the wrong order are always found. The code is
no secret and opens nothing: it spares whoever types a form in from taking it for another patient's.
"""

import re

#: Numbers of rows have at most so many digits.
DIGITS = 18


def paper_code(number: int) -> str:
    """The code of the check-in with that number: 1234 becomes "1234-82"."""
    return f"{number}-{98 - number * 100 % 97:02}"


def read_code(text: str) -> int | None:
    """The number in a code as somebody typed it, with or without blanks and hyphens; None when it is not one."""
    digits = re.sub(r"[\s\u2010-\u2015-]", "", text)
    if not re.fullmatch(rf"[0-9]{{3,{DIGITS + 2}}}", digits) or int(digits) % 97 != 1:
        return None
    number = int(digits[:-2])
    return number if number and paper_code(number).replace("-", "") == digits.lstrip("0") else None
