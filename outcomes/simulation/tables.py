"""The tables of docs/simulation.md. Pure: what runs have counted in, Markdown out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from outcomes.rates import share
from outcomes.simulation.counts import FIGURES, Proportion
from outcomes.simulation.curves import DayResult, Measured

ABLATIONS = ("rfa_facet", "rfa_peripheral", "rfa_sacroiliac")
STIMULATORS = ("neurostimulator_revision", "pns_implant", "scs_implant")
DEVICES = (*STIMULATORS, "itp_implant")
#: The runs, by name.
RUNS = {
    "exact": "Exact answers, the catalog's check-ins",
    "before": "Exact answers, the check-ins of before",
    "habits": "Demo habits, with calls and “my pain is back”",
    "no_reports": "Demo habits, with calls",
    "no_calls": "Demo habits, with “my pain is back”",
    "neither": "Demo habits, neither calls nor “my pain is back”",
}
#: The habits of those who answer, in the table of curves.
CURVES = {
    "exact": "scores that are true, and silence that tells nothing",
    "habits": "scores off by chance, and the well forget to answer",
}
EXACT = ("early", "seen", "by_first_bad", "none_lost_early", "later_lost_early", "later_possibly", "in_time")
HABITS = (
    "answered",
    "early",
    "true_early",
    "true_possibly",
    "true_alerts",
    "firm",
    "alerted",
    "told",
    "in_time",
)
WORDS = {name: figure.words for name, figure in FIGURES.items()} | {"answered": "answered, of check-ins"}


class Cell(NamedTuple):
    """What one run counted of one procedure type. `patients`, `seed`: how it can be run again."""

    run: str
    code: str
    patients: int
    seed: str
    counts: Mapping[str, Sequence[int]]


def figures(cells: Iterable[Cell]) -> str:
    """The generated part of the page: what was promised, what was compared, and a table of each run."""
    of: dict[str, dict[str, Cell]] = {run: {} for run in RUNS}
    for cell in cells:
        known = of[cell.run].get(cell.code)
        of[cell.run][cell.code] = together(known, cell) if known else cell
    parts = [promises(of["exact"], of["habits"])]
    both = [
        [code, cell_text(cell, "in_time"), cell_text(of["exact"][code], "in_time")]
        for code, cell in sorted(of["before"].items())
        if code in of["exact"]
    ]
    parts.append(
        table(
            "Exact answers: an alert within 14 days of the true loss, of early losses",
            ["type", "check-ins of before", "check-ins of today"],
            both,
        )
    )
    shown = ("early", "alerted", "told", "in_time", "true_early", "true_alerts")
    runs = [
        [RUNS[run], *(proportion_text(pooled(of[run].values(), name)) for name in shown)]
        for run in RUNS
        if run not in ("exact", "before") and of[run]
    ]
    parts.append(
        table(
            "What calls and the patient's own word add, all types together",
            ["run", *(WORDS[name] for name in shown)],
            runs,
        )
    )
    for run, found in of.items():
        names = EXACT if run in ("exact", "before") else HABITS
        rows = [
            [f"{code} ({cell.patients}, seed {cell.seed})", *(cell_text(cell, name) for name in names)]
            for code, cell in sorted(found.items())
        ]
        rows.append(["all", *(proportion_text(pooled(found.values(), name)) for name in names)])
        if found:
            sizes = sorted({cell.patients for cell in found.values()})
            size = "–".join(str(fromkey) for fromkey in dict.fromkeys((sizes[0], sizes[-1])))
            heading = f"{RUNS[run]}: {size} patients a type"
            parts.append(table(heading, ["type", *(WORDS[name] for name in names)], rows))
    return "\n".join(parts)


def together(first: Cell, other: Cell) -> Cell:
    """Two cells of the same run and type with different seeds, as one."""
    counts = {name: pooled([first, other], name) for name in first.counts}
    patients = first.patients + other.patients
    return Cell(first.run, first.code, patients, f"{first.seed}, {other.seed}", counts)


def promises(exact: Mapping[str, Cell], habits: Mapping[str, Cell]) -> str:
    """What was promised, and what came of it. A share of nobody keeps nothing."""

    def some(codes: Iterable[str]) -> list[Cell]:
        return [cell for code, cell in habits.items() if code in codes]

    without = some(set(habits) - set(DEVICES))
    promised: list[tuple[str, Proportion, Callable[[float], bool]]] = [
        ("exact: 100 %", pooled(exact.values(), "by_first_bad"), lambda value: value == 1),
        ("exact: nobody", pooled(exact.values(), "none_lost_early"), lambda value: value == 0),
        ("exact: nobody", pooled(exact.values(), "later_lost_early"), lambda value: value == 0),
        ("exact: at most 5 %", pooled(exact.values(), "later_possibly"), lambda value: value <= 0.05),
        ("habits, without devices: at least 80 %", pooled(without, "true_early"), lambda value: value >= 0.8),
        (
            "habits, without devices: at least 55 %",
            pooled(without, "true_possibly"),
            lambda value: value >= 0.55,
        ),
        ("habits, ablations: at least 60 %", pooled(some(ABLATIONS), "firm"), lambda value: value >= 0.6),
        ("habits, stimulators: at least 60 %", pooled(some(STIMULATORS), "firm"), lambda value: value >= 0.6),
    ]
    names = (
        "by_first_bad",
        "none_lost_early",
        "later_lost_early",
        "later_possibly",
        "true_early",
        "true_possibly",
    )
    rows = [
        [
            WORDS[name],
            words,
            proportion_text(found),
            "–" if not found.of else "yes" if kept(found.number / found.of) else "**no**",
        ]
        for name, (words, found, kept) in zip((*names, "firm", "firm"), promised, strict=True)
    ]
    return table("What was promised", ["figure", "promised", "found", "kept"], rows)


def pooled(cells: Iterable[Cell], name: str) -> Proportion:
    """One figure of several procedure types together."""
    found = [cell.counts[name] for cell in cells]
    return Proportion(sum(count for count, _ in found), sum(of for _, of in found))


def cell_text(cell: Cell, name: str) -> str:
    return proportion_text(pooled([cell], name))


def proportion_text(figure: Proportion) -> str:
    """Numerator and denominator, with the share in percent and its interval: 12/34: 35 % (21–52)."""
    found = share(*figure)
    if found is None:
        return "0/0"
    low, value, high = (100 * bound for bound in (found.low, found.value, found.high))
    return f"{found.count}/{found.of}: {value:.0f} % ({low:.0f}–{high:.0f})"


def table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A heading with a table beneath."""
    lines = [columns, ["---"] * len(columns), *rows]
    return f"### {heading}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def curves_table(measured: Iterable[Measured], habits: str) -> str:
    """Of made-up clinics, how many bands of the curve hold the true share, and how far the curve is off."""
    columns = [
        "type",
        "patients",
        "treated again",
        "START",
        "END",
        "one year",
        "day 548",
        "half have lost relief",
    ]
    return table(f"Curves: {CURVES[habits]}", columns, map(curves_row, measured))


def curves_row(curve: Measured) -> list[str]:
    """One line of that table; of a day on which nothing is told, "–"."""
    at = {found.day: found for found in curve.at}

    def cell(day: int) -> str:
        return at_said(at[day], curve.clinics) if day in at else "–"

    return [
        *(curve.code, str(curve.patients), f"{100 * curve.again:.0f} %"),
        *map(cell, (*curve.window, 366, 548)),
        proportion_text(Proportion(curve.held, curve.told)),
    ]


def at_said(found: DayResult, clinics: int) -> str:
    """Numerator and denominator with the share, and the mean error in points with its interval."""
    kept = proportion_text(Proportion(found.held, clinics))
    low, mean, high = (
        f"{found.error + side * found.give:+.1f}".replace("-", "−").replace("+0.0", "0").replace("−0.0", "0")
        for side in (-1, 0, 1)
    )
    said = f"{kept}; {mean} ({low} to {high})"
    return said if found.held >= 0.9 * clinics else f"**{said}**"
