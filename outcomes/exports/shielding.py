"""Making patients hard to recognise: codes in place of numbers, days moved, ages in bands. Pure but for its secret.

It takes away what names a person. It is no proof that nobody can be recognised: a rare procedure in a small place may
still be somebody's (docs/privacy.md).
"""

import hashlib
import hmac
import secrets
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from outcomes.exports.columns import Column, Shield

#: Days are moved by up to so many, forwards or backwards (a choice; unconfirmed).
MOST_DAYS = 182
#: The first year of age of each band; the last has no end, as rare ages are told together (a choice; unconfirmed).
BANDS = (0, 18, 40, 50, 60, 70, 80, 90)

Moment = TypeVar("Moment", date, datetime)


class Shielding:
    """One file's codes and shifts. They follow from a secret that is kept nowhere: nobody can undo them."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)

    def code(self, whose: str, number: Any) -> str:
        """A code for one row of a kind, the same within the file; "" for None."""
        return "" if number is None else self.digest(f"{whose}:{number}").hex()[:12]

    def days(self, patient: int) -> int:
        """By how many days everything of a patient is moved: from -MOST_DAYS to MOST_DAYS and never 0."""
        number = int.from_bytes(self.digest(f"days:{patient}")[:8], "big") % (2 * MOST_DAYS)
        return number - MOST_DAYS if number < MOST_DAYS else number - MOST_DAYS + 1

    def shift(self, moment: Moment, patient: int) -> Moment:
        """A date or an instant, moved; what lies between two of a patient's stays exactly as long."""
        return moment + timedelta(days=self.days(patient))

    def digest(self, text: str) -> bytes:
        return hmac.new(self.secret, text.encode(), hashlib.sha256).digest()

    def shown(self, column: Column, value: Any, patient: int) -> Any:
        """What stands in the column instead of the value."""
        if value is None or column.shield is Shield.KEEP:
            return value
        if column.shield is Shield.DROP:
            return None
        if column.shield is Shield.CODE:
            return self.code(column.whose, value)
        if column.shield is Shield.SHIFT:
            return self.shift(value, patient)
        return band(value)


def band(age: int) -> str:
    """The band of an age in years: "60-69"; the last is "90+"."""
    first = max(start for start in BANDS if start <= max(age, 0))
    place = BANDS.index(first) + 1
    return f"{first}-{BANDS[place] - 1}" if place < len(BANDS) else f"{first}+"
