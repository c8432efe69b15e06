"""The table of check-ins: each with when it was asked, what became of it, and every figure of its answer."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, read_columns
from outcomes.exports.follow_ups import chosen
from outcomes.instruments import registry
from outcomes.models import Answer, CheckIn, Measurement
from outcomes.reports import Selection

#: What is measured besides instruments, with what its figures mean.
OWN: Mapping[str, tuple[str, str]] = {
    "relief.worn_off": ("Whether relief has worn off, as the patient says", "0 no, 1 yes, 2 not sure"),
    "relief.ended_on": (
        "Since which day the pain is back, as the patient says",
        "days after the procedure, on the calendar of the site",
    ),
    "diary.took_medicine": ("Pain medicine taken since the last entry of the diary", "0 no, 1 yes"),
}
#: Stands among a row's lookups for the figures of its answer, by "instrument.item"; they are read by `measured`.
FIGURES = "figures"
WAY = "follow_up__"


def rows(selection: Selection, user: User) -> QuerySet[CheckIn]:
    return CheckIn.objects.filter(follow_up__summary__in=chosen(selection, user))


def measured(check_ins: Sequence[int]) -> dict[int, dict[str, int]]:
    """The figures of these check-ins' answers; one query."""
    found: dict[int, dict[str, int]] = {}
    read = Measurement.objects.filter(answer__check_in__in=check_ins).order_by()
    for check_in, instrument, item, value in read.values_list(
        "answer__check_in", "instrument", "item", "value"
    ):
        found.setdefault(check_in, {})[f"{instrument}.{item}"] = value
    return found


def status_words(status: str) -> str:
    return str(CheckIn.Status(status).label)


def channel_words(channel: str) -> str:
    return str(Answer.Channel(channel).label)


def columns() -> list[Column]:
    every = [figure(key, meaning, scale) for key, (meaning, scale) in figures().items()]
    functions = (status_words, channel_words, flags_yes)
    return read_columns("check_ins", functions, way=WAY, more={"figures": every})


def flags_yes(figures: Mapping[str, int]) -> str:
    return " ".join(
        sorted(
            key.partition(".")[2]
            for key, value in figures.items()
            if value == 1 and key.startswith("red_flag.")
        )
    )


@cache
def figures() -> dict[str, tuple[str, str]]:
    """Every figure that an answer can hold, by "instrument.item": what it means, and its scale.

    In order of instrument and item; of an instrument's versions the newest one's words.
    """
    found: dict[str, tuple[str, str]] = {}
    for instrument in registry().values():
        for item in instrument.items:
            words = "; ".join(f"{anchor.code} {anchor.text.en}" for anchor in item.anchors)
            scale = f"{item.least}–{item.most}" + (f": {words}" if words else "")
            found[f"{instrument.key}.{item.key}"] = (item.wording.en, scale)
    return {**found, **OWN}


def figure(key: str, meaning: str, scale: str) -> Column:
    def value(figures: Mapping[str, Any]) -> Any:
        return figures.get(key)

    return Column(
        key.replace(".", "_"),
        "integer",
        meaning,
        FIGURES,
        value,
        scale=scale,
        empty="Not asked or not answered",
    )
