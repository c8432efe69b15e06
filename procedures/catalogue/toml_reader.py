"""Reading one table of one TOML file, strictly, and collecting what is wrong instead of stopping at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from procedures.catalogue.entries import Confirmation

#: What fits into the database's columns, in characters.
NAME_LENGTH = 120
SOURCE_LENGTH = 500
SHARED_SOURCE_LENGTH = 300
#: Why nothing is asked about a risk, in characters: one sentence.
REASON_LENGTH = 200


class TomlTable:
    """One table of one file: hands out its keys by type and writes down what is wrong with them.

    A key that is wrong is handed out empty, so that reading goes on and finds the other problems too.
    """

    def __init__(self, file: str, path: str, content: dict[str, Any], problems: list[str]) -> None:
        self.file = file
        self.path = path
        self.content = content
        self.problems = problems
        self.asked: set[str] = set()

    def refuse(self, key: str, why: str) -> None:
        self.problems.append(f"{self.file}: {self.path}{key}: {why}")

    def take(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """The value of `key`, or None when it is missing or of another type."""
        self.asked.add(key)
        if key not in self.content:
            self.refuse(key, "is missing.")
            return None
        value = self.content[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(key, f"must be {expected}.")
            return None
        return value

    def close(self) -> None:
        """Refuse the keys that nobody asked for."""
        for key in self.content:
            if key not in self.asked:
                self.refuse(key, "is not a known key.")

    def holds(self, *keys: str) -> bool:
        """Whether these keys, dotted ones too, were read without a problem."""
        return not any(
            problem.startswith(f"{self.file}: {self.path}{key}") for key in keys for problem in self.problems
        )

    def text(self, key: str, *, longest: int | None = None) -> str:
        value = self.take(key, str, "text")
        if value is None:
            return ""
        if not value.strip() or "\0" in value:
            self.refuse(key, "must not be blank or hold a null character.")
        elif longest is not None and len(value) > longest:
            self.refuse(key, f"has {len(value)} characters; {longest} are allowed.")
        return str(value)

    def source(self, *, longest: int = SOURCE_LENGTH) -> str:
        if not str(self.content.get("source", "")).strip():
            self.asked.add("source")
            self.refuse("source", "a figure needs its source.")
            return ""
        return self.text("source", longest=longest)

    def confirmed(self) -> Confirmation | None:
        self.asked.add("confirmed")
        value = self.content.get("confirmed")
        if value is False:
            return None
        if isinstance(value, dict) and value.keys() == {"by", "on"}:
            by, on = value["by"], value["on"]
            if isinstance(by, str) and 0 < len(by.strip()) <= NAME_LENGTH:
                if isinstance(on, date) and not isinstance(on, datetime):
                    return Confirmation(by, on)
                self.refuse("confirmed.on", "must be a day, like 2027-01-15.")
                return None
        self.refuse("confirmed", 'must be false, or say who and when: { by = "name", on = 2027-01-15 }.')
        return None

    def number(self, key: str, *, least: int = 0, most: int = 32_767) -> int:
        value = self.take(key, int, "a whole number")
        if value is None:
            return least
        if not least <= value <= most:
            self.refuse(key, f"must be from {least} to {most}.")
            return least
        return int(value)

    def numbers(self, key: str, *, halves: bool = False) -> tuple[float, ...]:
        """Rising positive numbers: whole ones, or halves too."""
        values = self.take(key, list, "a list of numbers") or []
        for value in values:
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (halves and isinstance(value, float) and (value * 2).is_integer())):
                self.refuse(key, f"{value!r} is no whole number{' or half' if halves else ''}.")
                return ()
        if any(not 1 <= value * 2 <= 20_000 for value in values) or (not halves and 0 in values):
            self.refuse(key, "must be above 0 and at most 10000.")
        elif len(set(values)) < len(values):
            self.refuse(key, "a number stands there twice.")
        elif values != sorted(values):
            self.refuse(key, "must rise.")
        return tuple(values)

    def yes_or_no(self, key: str) -> bool:
        return bool(self.take(key, bool, "true or false"))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, "a list of texts") or []
        if not all(isinstance(value, str) and value.strip() and "\0" not in value for value in values):
            self.refuse(key, "must be a list of texts, none of them blank or with a null character.")
            return ()
        self.once(key, values)
        return tuple(values)

    def choice(self, key: str, known: Collection[str]) -> str:
        value = self.text(key)
        if value.strip() and value not in known:
            self.refuse(key, f"“{value}” is unknown; known are {', '.join(known)}.")
        return value

    def choices(self, key: str, known: Collection[str], *, of: str = "") -> tuple[str, ...]:
        values = self.texts(key)
        for value in values if known else ():  # nothing known: the shared page is refused as a whole
            if value not in known:
                where = f"is not in {of}" if of else f"is unknown; known are {', '.join(known)}"
                self.refuse(key, f"“{value}” {where}.")
        return values

    def table(self, key: str) -> TomlTable:
        value = self.take(key, dict, "a table")
        if value is None:
            return TomlTable(self.file, f"{self.path}{key}.", {}, [])  # said once is enough
        return TomlTable(self.file, f"{self.path}{key}.", value, self.problems)

    def tables(self, key: str) -> list[TomlTable]:
        values = self.take(key, list, "a list of tables") or []
        if not all(isinstance(value, dict) for value in values):
            self.refuse(key, "must be a list of tables.")
            return []
        return [
            TomlTable(self.file, f"{self.path}{key}[{number}].", value, self.problems)
            for number, value in enumerate(values, start=1)
        ]

    def in_order(self, first: str, last: str) -> None:
        """Refuse when the number of `first` is above that of `last`."""
        start, end = self.content.get(first), self.content.get(last)
        if self.holds(first, last) and start is not None and end is not None and start > end:
            self.refuse(first, f"{start} is after {last}, {end}.")

    def once(self, key: str, values: Collection[str]) -> None:
        """Refuse what stands in `values` more than once."""
        for value, times in Counter(values).items():
            if value and times > 1:
                self.refuse(key, f"“{value}” stands there twice.")
