"""Record numbers: when two are the same, and how the next one of a site is made. Pure: no database, no clock."""

import re

#: Numbers with more digits than this were not made by a scheme.
MOST_DIGITS = 12


def number_key(number: str) -> str:
    """A record number as it is compared: without spaces and leading noughts, in capitals; "p 00012" is "P12".

    Noughts lead where the first digits stand, with or without letters before them. The database says the same:
    `patients.normalize.NumberKey`.
    """
    return re.sub(r"^([^0-9]*)0+(?=[0-9])", r"\1", re.sub(r"\s", "", number).upper())


def made_by(scheme: str) -> str:
    """The regular expression of the numbers that a scheme makes, with the digits as its group."""
    return rf"^{re.escape(scheme.rstrip('0'))}([0-9]{{1,{MOST_DIGITS}}})$"


def numbered(scheme: str, count: int) -> str:
    """The number of the scheme for a count: scheme "P00000" and 12 make P00012; more digits where 12 need them."""
    prefix = scheme.rstrip("0")
    return prefix + str(count).zfill(len(scheme) - len(prefix))
