"""The clinical figures and the risks of a procedure type, as its page shows them."""

from dataclasses import dataclass
from typing import Any

from procedures.check_in_plan import rule_sentences
from procedures.models import FigureConfirmation, ProcedureType, RedFlag, ReliefProfile, Risk
from procedures.services.relief_profiles import plan_figures

Figure = FigureConfirmation.Figure


@dataclass(frozen=True)
class ShownFigure:
    """One clinical figure as the page shows it: what it says, where from, and who stands by it."""

    figure: str
    label: Any
    value: str
    source: str
    confirmed: FigureConfirmation | None


def days(first: int, last: int) -> str:
    return f"day {first}" if first == last else f"days {first}–{last}"


def minutes(value: int) -> str:
    return f"{value / 60:g} h"


def figures(
    kind: ProcedureType, profile: ReliefProfile, said: dict[str, FigureConfirmation]
) -> list[ShownFigure]:
    """The figures of a type's relief profile; `said`: its confirmations by figure."""
    window = days(profile.window_from_days, profile.window_until_days)
    if profile.window_until_minutes is not None:
        first, last = profile.window_from_minutes or 0, profile.window_until_minutes
        window += f"; as a diagnostic block {minutes(first)}–{minutes(last)}"
    if profile.ongoing:
        window += ", no expected end"
    plan = ", ".join(
        [*map(minutes, profile.check_in_minutes), *(f"day {day}" for day in profile.check_in_days)]
    )
    if profile.check_in_every_days:
        plan += f", then every {profile.check_in_every_days} days"
    plan += f". {rule_sentences(plan_figures(kind, profile))}"
    success = f"{profile.success_percent} % less pain"
    if profile.diagnostic_percent is not None:
        success += f"; as a diagnostic block {profile.diagnostic_percent} %"
    if kind.purpose == ProcedureType.Purpose.TRIAL:
        success += f"; on {profile.trial_days_percent} % of the days of a trial"
    rows = (
        (Figure.ONSET, days(profile.onset_from_days, profile.onset_until_days), profile.onset_source),
        (Figure.WINDOW, window, profile.window_source),
        (Figure.CHECK_INS, plan, profile.check_in_source),
        (Figure.EVALUATE_AFTER, f"day {profile.evaluate_after_days}", profile.evaluate_after_source),
        (Figure.SUCCESS, success, profile.success_source),
    )
    return [ShownFigure(f.value, f.label, value, source, said.get(f.value)) for f, value, source in rows]


def duration(kind: ProcedureType, said: FigureConfirmation | None) -> ShownFigure:
    """The durations, which belong to the type itself."""
    value = f"{kind.procedure_minutes} min, then {kind.recovery_minutes} min of recovery"
    return ShownFigure(Figure.DURATION.value, Figure.DURATION.label, value, kind.duration_source, said)


@dataclass(frozen=True)
class RiskShown:
    """One risk as the page shows it. `asked_by`: the questions that ask about it; `reason`: why none does, or ""."""

    risk: Risk
    asked_by: list[RedFlag]
    reason: str


def risks(kind: ProcedureType) -> list[RiskShown]:
    """The risks of a type, each with what its patients are asked about it. A red flag that was taken off is gone."""
    flags = {flag.code: flag for flag in kind.red_flags.all()}
    asked = kind.catalogue_values.get("asked", {})
    shown = []
    for risk in kind.risks.all():
        said = asked.get(risk.name, [])
        codes = [] if isinstance(said, str) else said
        reason = said if isinstance(said, str) else ""
        shown.append(RiskShown(risk, [flags[code] for code in codes if code in flags], reason))
    return shown
