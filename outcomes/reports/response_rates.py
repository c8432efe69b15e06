"""The response report: who answers, by day, channel, language and age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic.models import User
from outcomes.models import CHANNELS
from outcomes.rates import Share, share
from outcomes.reports.selection import Selection, select_summaries, smallest_cell

#: The first year of age of each band, at the procedure; the last has no end. A choice, unconfirmed.
BANDS = (0, 18, 40, 50, 60, 70, 80)

BY_DAY = f"""
SELECT unit, day, COUNT(*), COUNT(score),
       {", ".join(f"COUNT(*) FILTER (WHERE channel = {place})" for place in range(1, len(CHANNELS)))}
  -- Beside each other in the list of columns the arrays are taken apart in half the time.
  FROM (SELECT unit, UNNEST(days) AS day, UNNEST(scores) AS score, UNNEST(channels) AS channel FROM chosen) AS one
 GROUP BY unit, day
 ORDER BY unit, day
"""  # noqa: S608 (no value of a user)

#: The number of the age band, from 1 on, of a summary with its `patient` beside it.
BAND = (
    "WIDTH_BUCKET(EXTRACT(YEAR FROM AGE(performed_on, patient.born_on)), "
    f"'{{{','.join(map(str, BANDS))}}}'::numeric[])"
)
BY_PATIENT = f"""
SELECT language, band, COUNT(*), SUM(due), SUM(answered)
  FROM (SELECT patient.language, {BAND} AS band,
               CARDINALITY(scores) AS due, CARDINALITY(ARRAY_REMOVE(scores, NULL)) AS answered
          FROM chosen JOIN patients_patient AS patient ON patient.id = chosen.patient_id) AS each
 GROUP BY language, band
 ORDER BY language, band
"""  # noqa: S608


@dataclass(frozen=True)
class Answered:
    """How many check-ins fell due in one group and were answered. `follow_ups` None: not counted so.

    `label` is a code: "day 92", "email", "es", "60-69". `response` None: nothing fell due, or `hidden`, because fewer
    fell due than the smallest cell, or because the line would tell what another one hides.
    """

    label: str
    follow_ups: int | None
    due: int | None
    answered: int | None
    response: Share | None
    hidden: bool = False


@dataclass(frozen=True)
class ResponseReport:
    """Who answers. `channels`: the answers by channel, of all answers. Every check-in that fell due is counted, also of
    follow-ups without a baseline and of confounded ones."""

    selection: Selection
    made_at: datetime
    smallest: int
    whole: Answered
    days: Sequence[Answered]
    channels: Sequence[Answered]
    languages: Sequence[Answered]
    ages: Sequence[Answered]


def response_report(selection: Selection, *, user: User, now: datetime) -> ResponseReport:
    """The report of the follow-ups in `selection` that `user` may see. Raises as `Selection.check` does."""
    selection.check(user)
    rows = selection.summaries(user)
    smallest = smallest_cell(user, selection)
    by_day = select_summaries(rows, BY_DAY, "unit", "days", "scores", "channels")
    by_patient = select_summaries(rows, BY_PATIENT, "patient_id", "performed_on", "scores")
    due, answered = sum(row[2] for row in by_day), sum(row[3] for row in by_day)
    follow_ups = sum(row[2] for row in by_patient)
    channels = [(name, sum(row[4 + place] for row in by_day)) for place, name in enumerate(CHANNELS[1:])]

    def group(label: str, *numbers: Any) -> Answered:
        return answered_of(label, *numbers, smallest=smallest)

    return ResponseReport(
        selection=selection,
        made_at=now,
        smallest=smallest,
        whole=group("all", follow_ups, due, answered),
        days=kept_secret(
            [group(label_of(unit, day), None, some, came) for unit, day, some, came, *_ in by_day],
            due=due,
            smallest=smallest,
        ),
        channels=[group(name, None, answered, count) for name, count in channels],
        languages=kept_secret(
            [group(*counts) for counts in summed(by_patient, 0)], due=due, smallest=smallest
        ),
        ages=kept_secret(
            [group(band_name(band), *numbers) for band, *numbers in summed(by_patient, 1)],
            due=due,
            smallest=smallest,
        ),
    )


def kept_secret(lines: Sequence[Answered], *, due: int, smallest: int) -> list[Answered]:
    """The lines of one table, of which none can be told by taking the others from the whole, where `due` fell due.

    Beside a single hidden line the smallest other one is hidden too, and more of them until as many as the smallest
    cell are hidden together. Lines of which nothing fell due hide nothing.
    """
    shown = sorted((line for line in lines if not line.hidden and line.due), key=lambda line: line.due or 0)
    secret = {line.label for line in lines if line.hidden}
    missing = due - sum(line.due or 0 for line in shown)
    for line in shown:
        if not secret or (len(secret) > 1 and missing >= smallest):
            break
        secret.add(line.label)
        missing += line.due or 0
    return [
        Answered(line.label, None, None, None, None, hidden=True) if line.label in secret else line
        for line in lines
    ]


def answered_of(label: str, follow_ups: int | None, due: int, answered: int, *, smallest: int) -> Answered:
    """One line of the report."""
    if 0 < due < smallest:
        return Answered(label, None, None, None, None, hidden=True)
    return Answered(label, follow_ups, due, answered, share(answered, due))


def summed(found: Sequence[tuple[Any, ...]], place: int) -> list[tuple[Any, int, int, int]]:
    """The lines of BY_PATIENT by language (0) or age band (1): follow-ups, due, answered."""
    sums: dict[Any, list[int]] = {}
    for row in found:
        line = sums.setdefault(row[place], [0, 0, 0])
        for number, value in enumerate(row[2:]):
            line[number] += int(value)
    return [(key, line[0], line[1], line[2]) for key, line in sorted(sums.items())]


def label_of(unit: str, at: int) -> str:
    """Which check-in it is, as staff say it."""
    return f"day {at}" if unit == "day" else f"hour {round(at / 60, 2):g}"


def band_name(band: int) -> str:
    """An age band by its number from 1 on, as years: "60-69"; the last is "80+"."""
    first = BANDS[max(band, 1) - 1]
    return f"{first}-{BANDS[band] - 1}" if band < len(BANDS) else f"{first}+"
