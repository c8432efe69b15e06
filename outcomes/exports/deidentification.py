"""Making patients hard to recognise: codes in place of numbers, days moved, ages in bands. Pure.

It takes away what names a person. It is no proof that nobody can be recognised: a rare procedure in a small place may
still be somebody's (docs/privacy.md).
"""

import hashlib
import hmac
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

#: Days are moved by up to so many, forwards or backwards (a choice; unconfirmed).
MOST_DAYS = 182
#: The first year of age of each band; the last has no end, as rare ages are told together (a choice; unconfirmed).
BANDS = (0, 18, 40, 50, 60, 70, 80, 90)

Moment = TypeVar("Moment", bound=date)


@dataclass
class Shielding:
    """One file's codes and shifts, which follow from `secret`: who does not have it cannot undo them.

    `common`: by kind, the values that enough patients share to be told.
    """

    secret: bytes
    common: Mapping[str, Container[Any]] = field(default_factory=dict)
    codes: dict[tuple[str, Any], str] = field(default_factory=dict)
    shifts: dict[int, timedelta] = field(default_factory=dict)

    def code(self, whose: str, number: Any) -> str:
        """A code for one row of a kind, the same wherever the secret is; "" for None."""
        if number is None:
            return ""
        known = self.codes.get((whose, number))
        if known is None:
            known = self.codes[whose, number] = self.digest(f"{whose}:{number}").hex()[:12]
        return known

    def days(self, patient: int) -> int:
        """By how many days everything of a patient is moved: from -MOST_DAYS to MOST_DAYS and never 0."""
        number = int.from_bytes(self.digest(f"days:{patient}")[:8], "big") % (2 * MOST_DAYS)
        return number - MOST_DAYS if number < MOST_DAYS else number - MOST_DAYS + 1

    def shift(self, moment: Moment, patient: int) -> Moment:
        """A date, or a time on the clock of a wall, moved; between two of a patient's lie as many days as before."""
        known = self.shifts.get(patient)
        if known is None:
            known = self.shifts[patient] = timedelta(days=self.days(patient))
        return moment + known

    def told(self, whose: str, value: Any) -> Any:
        """The value if enough patients share it, or None."""
        return value if value in self.common.get(whose, ()) else None

    def digest(self, text: str) -> bytes:
        return hmac.new(self.secret, text.encode(), hashlib.sha256).digest()


def band(age: int) -> str:
    """The band of an age in years: "60-69"; the last is "90+"."""
    first = max(start for start in BANDS if start <= max(age, 0))
    place = BANDS.index(first) + 1
    return f"{first}-{BANDS[place] - 1}" if place < len(BANDS) else f"{first}+"
