"""How long relief lasted: Turnbull's curve with its proof, beside lifelines."""

import warnings
from functools import partial

import numpy as np

from bench.clinic import Clinic
from bench.table import Row, interleave, rate
from clinic.dev.bootstrap import step
from outcomes.survival import Floats, intervals, turnbull

SIZES = (10_000, 100_000, 1_000_000)
#: Check-ins of an ablation, in days; each answer comes up to nine days late, and so many of a hundred come at all.
PLAN = (14, 42, 92, 184, 275, 366, 548, 731)
LATE_DAYS = 9
ANSWERED = 0.55
#: Of a hundred patients twenty have no relief; that of the others lasts a Weibull time around eight months.
WITHOUT = 0.2


def made_up(number: int) -> tuple[Floats, Floats]:
    """The days L and R of so many follow-ups, the same each time."""
    dice = np.random.default_rng(1)
    ends = np.where(dice.random(number) < WITHOUT, 1.0, 250 * dice.weibull(1.2, number))[:, None]
    days = np.array(PLAN) + dice.integers(0, LATE_DAYS + 1, (number, len(PLAN)))
    answered = dice.random(days.shape) < ANSWERED
    in_relief = days < ends
    return (
        np.where(answered & in_relief, days, 0.0).max(axis=1),
        np.where(answered & ~in_relief, days, np.inf).min(axis=1),
    )


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """Milliseconds from two columns of days to the proven curve, at each size. No database takes part."""
    rows: list[Row] = []
    for number in SIZES[:1] if quick else SIZES:
        after, until = made_up(number)
        if not turnbull(intervals(after, until)).proof.converged:
            raise SystemExit("The fit did not converge; the measurement is none.")
        fit = partial(rate, number, lambda days=(after, until): turnbull(intervals(*days)))
        (ours,) = interleave(f"Fitting {number:,} follow-ups", 3 if quick else 9, fit)
        goal = "≤ 500 ms" if number == SIZES[-1] else ""
        rows.append(
            Row(f"Turnbull's curve of {number:,} follow-ups", 1000 * number / ours, None, " ms", "", goal)
        )
        if theirs := lifelines_rate(after, until):
            beside = ("/s", "lifelines, one run", "≥ 10000 %")
            rows.append(Row(f"follow-ups in a curve of {number:,}", ours, theirs, *beside))
    return rows


def lifelines_rate(after: Floats, until: Floats) -> float | None:
    """Follow-ups a second of one fit by lifelines with its defaults; None, with a line that says so, without it.

    It takes intervals as closed: so that (a, t] and (t, b] do not meet, every L is moved a little.
    """
    try:
        from lifelines import KaplanMeierFitter
    except ImportError:
        print("lifelines is not installed: nothing is measured beside it. (pip install lifelines)")
        return None
    with step(f"Fitting {len(after):,} follow-ups with lifelines, once"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rate(len(after), lambda: KaplanMeierFitter().fit_interval_censoring(after + 1e-6, until))
