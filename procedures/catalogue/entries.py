"""What a catalogue is made of.

Days and hours count from the procedure. `confirmed` None means that no physician stands by the figure yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Confirmation:
    """The physician who looked at a figure and stands by it, and the day on which it was said."""

    by: str
    on: date


@dataclass(frozen=True)
class Duration:
    """How long the procedure and the recovery after it take, in minutes."""

    procedure_minutes: int
    recovery_minutes: int
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class Onset:
    """When relief usually begins, in days after the procedure."""

    from_days: int
    until_days: int
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class ReliefWindow:
    """The earliest and the latest day, counted from the procedure, on which relief is expected to end.

    `from_hours` and `until_hours` say so for an anaesthetic that wears off within hours; None for all others.
    `ongoing`: the effect has no expected end, and `until_days` is the horizon of follow-up.
    """

    from_days: int
    until_days: int
    from_hours: int | None
    until_hours: int | None
    ongoing: bool
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class CheckIns:
    """When the patient is asked, in days and in hours after the procedure.

    `every_days_after`: after the last day, again every so many days without end; None: not again.
    """

    days: tuple[int, ...]
    hours: tuple[float, ...]
    every_days_after: int | None
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class EvaluateAfter:
    """The first day after the procedure on which a bad score counts as a failure and not as a flare."""

    days: int
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class Success:
    """The relief that counts, in percent of the pain before the procedure.

    `diagnostic_percent`: the relief that counts when the procedure is done as a test; None: the same.
    """

    percent: int
    diagnostic_percent: int | None
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class Risk:
    """Something that may go wrong. `transient`: it passes by itself.

    `asked_by`: codes of those red flags of its type that ask about it; `not_asked`: why none does. One of them is
    given, the other is empty.
    """

    name: str
    severity: str
    transient: bool
    asked_by: tuple[str, ...] = ()
    not_asked: str = ""


@dataclass(frozen=True)
class Requirement:
    """A resource of `category`, needed from a minute of the appointment on and for so many minutes."""

    category: str
    starts_after_minutes: int
    lasts_minutes: int


@dataclass(frozen=True)
class RedFlag:
    """A question to the patient, in English and in Spanish, whose yes never waits."""

    code: str
    question: str
    question_es: str
    urgency: str
    source: str
    confirmed: Confirmation | None


@dataclass(frozen=True)
class ReadinessItem:
    """Something to make sure of before a procedure. `blocking`: it must not start without.

    `advice`: what the patient is told to do beforehand, in English and in Spanish; both "" where there is
    nothing to do.
    """

    code: str
    label: str
    note: str
    blocking: bool
    advice: str
    advice_es: str
    source: str


@dataclass(frozen=True)
class ProcedureType:
    """One page of the catalogue. `red_flags` and `readiness` are codes of the shared pages.

    `restarts`: of maintenance, the families of the implants whose course it starts anew; empty of most.
    """

    code: str
    name: str
    family: str
    purpose: str
    description: str
    imaging: tuple[str, ...]
    imaging_required: bool
    sedation: str
    sedation_options: tuple[str, ...]
    laterality: str
    laterality_options: tuple[str, ...]
    regions: tuple[str, ...]
    indications: tuple[str, ...]
    restarts: tuple[str, ...]
    red_flags: tuple[str, ...]
    readiness: tuple[str, ...]
    after_care: tuple[str, ...]
    duration: Duration
    onset: Onset
    relief_window: ReliefWindow
    check_ins: CheckIns
    evaluate_after: EvaluateAfter
    success: Success
    risks: tuple[Risk, ...]
    requires: tuple[Requirement, ...]


@dataclass(frozen=True)
class Catalogue:
    """Everything in the folder, sorted by code."""

    procedure_types: tuple[ProcedureType, ...]
    red_flags: tuple[RedFlag, ...]
    readiness: tuple[ReadinessItem, ...]
