"""Red flags on a patient's page: check boxes by urgency, each group with "None of these"."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from django.http import QueryDict
from django.utils.translation import gettext as _

from outcomes.questions import URGENCIES, Question
from outcomes.views.page_context import ShownQuestion, question_field

#: The name of the boxes "None of these"; their value is the group's urgency.
NONE = "none"


class Group(NamedTuple):
    """The red flags of one urgency. `none`: whether "None of these" is ticked; None where the page has no such box."""

    key: str
    id: str
    urgency: str
    legend: str
    boxes: list[ShownQuestion]
    none: bool | None
    fault: str


def legend(urgency: str) -> str:
    """What stands above a group: what a yes to it means."""
    return {
        "emergency": _("Do you have any of these now? They need help at once."),
        "same_day": _("Or any of these? We want to hear of them today."),
        "next_working_day": _("Or any of these? They can wait for the next working day."),
    }[urgency]


def by_urgency(flags: Sequence[Question]) -> list[tuple[str, list[Question]]]:
    """The red flags of each urgency that there is, the most urgent first."""
    order = sorted(flags, key=lambda flag: (URGENCIES.index(flag.urgency), flag.key))
    return [(urgency, list(some)) for urgency, some in groupby(order, key=lambda flag: flag.urgency)]


def key_of(urgency: str) -> str:
    """By what a group's fault is found, and that it was asked for."""
    return f"red_flags.{urgency}"


def groups(
    flags: Sequence[Question],
    values: Mapping[str, int],
    faults: Mapping[str, str] | None = None,
    *,
    with_none: bool = True,
) -> list[Group]:
    """The groups as they are shown. `with_none`: whether a page wants to hear that none of them is there."""
    found = []
    for urgency, some in by_urgency(flags):
        none = all(values.get(flag.key) == 0 for flag in some) if with_none else None
        key = key_of(urgency)
        boxes = [question_field(flag, values.get(flag.key)) for flag in some]
        fault = (faults or {}).get(key, "")
        found.append(Group(key, key.replace(".", "-"), urgency, legend(urgency), boxes, none, fault))
    return found


def read_red_flags(
    flags: Sequence[Question], sent: QueryDict, asked: Collection[str] = ()
) -> tuple[dict[str, int], dict[str, str]]:
    """What a form says of these red flags, and which groups say nothing, in sentences by their keys.

    Beside a ticked box an empty one is a no; with "None of these" all are, unless one of them is ticked: a yes is never
    lost. A group of which nothing is ticked says nothing. `asked`: groups that were asked for once already.
    """
    values: dict[str, int] = {}
    faults: dict[str, str] = {}
    for urgency, some in by_urgency(flags):
        said = {flag.key: int(sent.get(flag.key) == "1") for flag in some if sent.get(flag.key) in ("0", "1")}
        wrong = any(flag.key in sent and flag.key not in said for flag in some)
        if 1 in said.values() or urgency in sent.getlist(NONE):
            said = {flag.key: said.get(flag.key, 0) for flag in some}
        values |= said
        if wrong or (len(said) < len(some) and key_of(urgency) not in asked):
            faults[key_of(urgency)] = missing()
    return values, faults


def ticked(flags: Sequence[Question], sent: QueryDict) -> list[str]:
    """The codes of the red flags that are ticked on a page that asks for no "None of these"."""
    named = sent.getlist("red_flag")
    return [code_of(flag) for flag in flags if sent.get(flag.key) == "1" or flag.key in named]


def code_of(flag: Question) -> str:
    """The code of a red flag by its question."""
    return flag.key.partition(".")[2]


def missing() -> str:
    """What to say of a group of which nothing is ticked."""
    return _("Please choose all that you have, or “None of these”.")
