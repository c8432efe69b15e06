"""The table of check-ins: each with when it was asked, what became of it, and every figure of its answer."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, Shield
from outcomes.exports.common_columns import common, moments
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
WAY, SILENT = "follow_up__", "No answer"


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
    return [
        Column(
            "check_in",
            "integer",
            "Number of the check-in",
            "pk",
            shield=Shield.CODE,
            whose="check_in",
        ),
        *common(WAY),
        Column(
            "kind",
            "text",
            "planned; confirmation, which asks once more after a first bad score; report, which nobody asked for",
            "kind",
        ),
        Column(
            "offset",
            "integer",
            "For which time after the procedure it was planned; of a report its calendar day",
            "offset_minutes",
            unit="minutes",
        ),
        *moments("due", "When it was to be asked", "due_at", WAY),
        *moments("closes", "Until when answers were taken", "closes_at", WAY),
        Column("status", "text", "planned, invited, answered, missed, superseded or voided", "status"),
        Column("status_label", "text", "The same in words", "status", status_words),
        *moments("asked", "When it was asked by e-mail", "invited_at", WAY, "Not by e-mail"),
        Column(
            "not_sent_reason",
            "text",
            "Code of the reason why no e-mail went out",
            "not_sent_reason",
            empty="None is known",
        ),
        Column("reminders", "integer", "Reminders that were queued", "reminders"),
        *moments("answered", "When the answer came", "answer__answered_at", WAY, SILENT),
        Column(
            "channel", "text", "How it came: email, phone, clinic or paper", "answer__channel", empty=SILENT
        ),
        Column("channel_label", "text", "The same in words", "answer__channel", channel_words, empty=SILENT),
        Column(
            "answered_by",
            "text",
            "Who answered: patient, or caregiver in the patient's place; both count for the verdict",
            "answer__answered_by",
            empty=SILENT,
        ),
        Column(
            "caregiver_relation",
            "text",
            "What the caregiver who answered is to the patient: spouse, parent, child, family, guardian, paid, friend",
            "answer__caregiver__relation",
            empty="The patient answered, or nobody, or a caregiver who is not on record",
            shield=Shield.DROP,
        ),
        Column(
            "answer_language",
            "text",
            "In which language",
            "answer__language",
            empty=SILENT,
            shield=Shield.COMMON,
            whose="language",
        ),
        Column(
            "late",
            "boolean",
            "An entry of a diary, written well after its hour",
            "answer__late",
            empty=SILENT,
        ),
        Column(
            "version",
            "integer",
            "1, and one more for each correction",
            "answer__version",
            empty=SILENT,
        ),
        *(figure(key, meaning, scale) for key, (meaning, scale) in figures().items()),
        Column(
            "red_flags_yes",
            "text",
            "Codes of the red flags that were answered with yes, with blanks between them",
            FIGURES,
            flags_yes,
            empty="None, or not asked",
        ),
    ]


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
