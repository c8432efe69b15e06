"""Reading what came of follow-ups' check-ins, at once for everything that judges and counts them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from outcomes.models import Answer, CheckIn, FollowUp, Measurement
from outcomes.questions import CHANGE, ENDED_ON, MEDICINE, PAIN_NOW, PEG, TOOK_MEDICINE, WORN_OFF

SATISFIED = "satisfaction.satisfied"
#: The figures of an answer that verdicts and reports need.
KEYS = (PAIN_NOW, TOOK_MEDICINE, MEDICINE, WORN_OFF, ENDED_ON, CHANGE, SATISFIED, *PEG)


class CheckInReading(NamedTuple):
    """One check-in as it stands. `answered_at` is None, `channel` "" and `values` empty when nothing came back.

    `values` by "instrument.item", those of KEYS alone; what a correction has replaced is not among them.
    """

    kind: str
    offset_minutes: int
    status: str
    answered_at: datetime | None
    late: bool
    channel: str
    values: Mapping[str, int]


def check_ins_of_courses(follow_ups: Collection[int]) -> dict[int, list[CheckInReading]]:
    """The check-ins of each of these follow-ups, in order; two queries for any number of them."""
    items = Q()
    for key in KEYS:
        instrument, _, item = key.partition(".")
        items |= Q(instrument=instrument, item=item)
    given: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for answer, instrument, item, value in Measurement.objects.filter(
        items, answer__check_in__follow_up__in=follow_ups
    ).values_list("answer", "instrument", "item", "value"):
        given[answer][f"{instrument}.{item}"] = value
    rows: dict[int, list[CheckInReading]] = {pk: [] for pk in follow_ups}
    columns = (
        "follow_up",
        "kind",
        "offset_minutes",
        "status",
        "answer",
        "answer__answered_at",
        "answer__late",
    )
    found = CheckIn.objects.filter(follow_up__in=follow_ups).order_by("follow_up", "offset_minutes", "pk")
    for follow_up, kind, offset, status, answer, answered_at, late, channel in found.values_list(
        *columns, "answer__channel"
    ):
        values = given.get(answer, {})
        rows[follow_up].append(
            CheckInReading(kind, offset, status, answered_at, bool(late), channel or "", values)
        )
    return rows


def fetched(follow_up: FollowUp) -> list[CheckInReading]:
    """The same of one follow-up whose `check_ins__answer__measurements` are fetched; asks the database for nothing."""
    rows = []
    for check_in in follow_up.check_ins.all():
        answer: Answer | None = getattr(check_in, "answer", None)
        given = (
            {
                f"{measurement.instrument}.{measurement.item}": measurement.value
                for measurement in answer.measurements.all()
            }
            if answer
            else {}
        )
        rows.append(
            CheckInReading(
                check_in.kind,
                check_in.offset_minutes,
                check_in.status,
                answer.answered_at if answer else None,
                answer.late if answer else False,
                answer.channel if answer else "",
                {key: given[key] for key in KEYS if key in given},
            )
        )
    return rows
