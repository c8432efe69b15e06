"""Readable pages: figures and words as data in TOML files, read strictly into dataclasses; all that is wrong is said.

A page is a frozen dataclass whose fields are annotated with the types below; pydantic checks them. It lets no key
through that the dataclass does not have, and takes no text for a number. What only several fields together can get
wrong, whoever reads the page asks afterwards (`Page.refuse`).
"""

import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

T = TypeVar("T")

#: Of every dataclass that is a page or a part of one.
STRICT = ConfigDict(extra="forbid")
#: What pydantic says of a key, where a clinic's own page needs plainer words.
SENTENCES = {
    "missing": "is missing.",
    "unexpected_keyword_argument": "is not a known key.",
    "dataclass_type": "must be a table.",
    "tuple_type": "must be a list.",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file: at which key, as in `requires[3].category` (lists count from 1; "" for the whole
    file), a stable code, and a sentence for people."""

    file: str
    key: str
    code: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.sentence) if part)


class PagesError(ValueError):
    """Files that cannot be used. `problems`: all that is wrong with all of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def matching(pattern: str, sentence: str) -> AfterValidator:
    """Only texts that match as a whole; code "not_matching"."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise PydanticCustomError(
                "not_matching", "“{value}”: {sentence}", {"value": value, "sentence": sentence}
            )
        return value

    return AfterValidator(check)


def check_text(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise PydanticCustomError("blank", "must not be blank or hold a null character.")
    return value


def check_some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise PydanticCustomError("too_short", "must not be empty.")
    return values


def check_unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError("given_twice", "“{value}” stands there twice.", {"value": value})
    return values


def check_rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(values):
        raise PydanticCustomError("not_rising", "must rise.")
    return check_unique(values)


Text = Annotated[str, Strict(), AfterValidator(check_text)]
YesOrNo = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
#: What a column of whole numbers holds.
Number = Annotated[Whole, Field(ge=0, le=32_767)]
Code = Annotated[
    Text, matching("[a-z][a-z0-9_]{0,49}", "a code is of small letters, digits and underscores, at most 50.")
]
NotEmpty = AfterValidator(check_some)
Unique = AfterValidator(check_unique)
Rising = AfterValidator(check_rising)


@dataclass(frozen=True)
class Confirmation:
    """The physician who looked at a figure and stands by it, and the day on which it was said."""

    __pydantic_config__ = STRICT

    by: Annotated[Text, Field(max_length=120)]
    on: Annotated[date, Strict()]


#: `confirmed = false`, or `{ by = "name", on = 2027-01-15 }`. None: nobody stands by the figure yet.
Confirmed = Annotated[
    Confirmation | None,
    BeforeValidator(lambda value: None if value is False else value),
]


@dataclass(frozen=True)
class Page(Generic[T]):
    """A file that could be read; `refuse` adds to the `problems` of all files."""

    file: str
    content: T
    problems: list[Problem]

    def refuse(self, key: str, code: str, sentence: str) -> None:
        self.problems.append(Problem(self.file, key, code, sentence))


def read_page(
    file: Path, name: str, shape: Any, problems: list[Problem], *, parse_float: Callable[[str], Any] = float
) -> Page[Any] | None:
    """The file as a page of `shape`; None, and more `problems`, when it is none.

    `parse_float` reads numbers with a point; `Decimal` keeps them exact. Codes beyond pydantic's own: "no_file",
    "unreadable", "not_utf_8", "not_toml", "blank", "given_twice", "not_rising", "not_matching".
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=parse_float)
        return Page(name, adapter(shape).validate_python(content), problems)
    except FileNotFoundError:
        problems.append(Problem(name, "", "no_file", "is missing."))
    except OSError as exc:
        problems.append(Problem(name, "", "unreadable", f"cannot be read ({exc.strerror})."))
    except UnicodeDecodeError:
        problems.append(Problem(name, "", "not_utf_8", "is not UTF-8 text."))
    except tomllib.TOMLDecodeError as exc:
        problems.append(Problem(name, "", "not_toml", f"is no TOML: {exc}."))
    except ValidationError as refused:
        for fault in refused.errors(include_url=False, include_context=False, include_input=False):
            sentence = SENTENCES.get(fault["type"], fault["msg"].rstrip(".") + ".")
            problems.append(Problem(name, key_of(fault["loc"]), fault["type"], sentence))
    return None


@cache
def adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def key_of(place: Collection[int | str]) -> str:
    """Where in a page something stands: ("requires", 2, "category") is requires[3].category."""
    return "".join(
        f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in place if step != "[key]"
    ).strip(".")
