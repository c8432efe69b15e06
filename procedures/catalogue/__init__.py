"""The catalogue of procedure types as files: one readable page per type, and what many types share.

Reads the folder strictly and knows nothing of Django: what a file leaves out, misspells or contradicts is
refused by file and key, all of it at once. `procedures.services.catalogue_loader` writes it to the database.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from clinic.toml_pages import Code, Page, PagesError, Problem, read_page
from procedures.catalogue.entries import Catalogue, Category, ProcedureType, ReadinessItem, RedFlag
from procedures.check_in_plan import Figures, missing, untested

#: Where the project's own catalogue lies.
FOLDER = Path(__file__).parent
#: Inside the folder: what many types share, keyed by code.
RED_FLAGS = "shared/red_flags.toml"
READINESS = "shared/readiness.toml"
#: The kinds of resource that a procedure can ask for: code → name.
CATEGORIES: dict[Category, str] = {
    "physician": "Physician",
    "nurse": "Nurse",
    "procedure_room": "Procedure room",
    "recovery_bay": "Recovery bay",
    "c_arm": "C-arm",
    "ultrasound": "Ultrasound",
    "rf_generator": "Radiofrequency generator",
    "programmer": "Device programmer",
    "device_representative": "Device representative",
}
#: Where the file says what a rule of check-in plans is about.
KEYS = {"check_in_days": "check_ins.days", "evaluate_after_days": "evaluate_after.days"}
QUESTIONS = "a risk names the red flags that ask about it, or says in not_asked why none does."


def read_catalogue(folder: Path = FOLDER) -> Catalogue:
    """Read the catalogue in `folder`. Raises PagesError with every problem of every file.

    Codes beyond those of `clinic.toml_pages`: "no_type", "not_the_file_name", "not_in_order", "go_together",
    "not_shared", "not_of_a_device", "no_side", "plan" and "untested" for a check-in plan that misses what it must ask
    (`procedures.check_in_plan`), "no_question", "not_asked_here", "mild_emergency", "too_long", "after_the_end".
    """
    problems: list[Problem] = []
    flags = shared(folder, RED_FLAGS, RedFlag, problems)
    items = shared(folder, READINESS, ReadinessItem, problems)
    for item in items.values():
        if bool(item.advice) != bool(item.advice_es):
            key, why = f"{item.code}.advice", "advice and advice_es go together."
            problems.append(Problem(READINESS, key, "go_together", why))
    types = []
    for file in sorted(folder.glob("*.toml")):
        page = read_page(file, file.name, ProcedureType, problems)
        if page is not None:
            check_type(page, file.stem, flags, items)
            types.append(page.content)
    if not types and not problems:
        problems.append(Problem(folder.name, "", "no_type", "holds no procedure type."))
    if problems:
        raise PagesError(problems)
    return Catalogue(
        procedure_types=tuple(types), red_flags=tuple(flags.values()), readiness=tuple(items.values())
    )


def shared(folder: Path, name: str, shape: Any, problems: list[Problem]) -> dict[str, Any]:
    """The tables of one shared page, in order of their codes."""

    def with_codes(tables: Mapping[str, Any]) -> dict[str, Any]:
        named = ((code, tables[code]) for code in sorted(tables))
        return {code: {"code": code} | table if isinstance(table, dict) else table for code, table in named}

    tables: Any = Annotated[dict[Code, shape], BeforeValidator(with_codes)]
    page = read_page(folder / name, name, tables, problems)
    return page.content if page else {}


def check_type(
    page: Page[ProcedureType], stem: str, flags: Mapping[str, RedFlag], items: Collection[str]
) -> None:
    """Refuse what only several keys, or several pages, can get wrong. `flags`, `items` empty: their page is refused."""
    found, refuse = page.content, page.refuse
    if found.code != stem:
        refuse("code", "not_the_file_name", f"“{found.code}” is not the file's name, “{stem}”.")
    window, onset = found.relief_window, found.onset
    spans = [
        ("onset.from_days", onset.from_days, onset.until_days),
        ("relief_window.from_days", window.from_days, window.until_days),
        ("relief_window.from_hours", window.from_hours, window.until_hours),
    ]
    for key, first, last in spans:
        if first is not None and last is not None and first > last:
            refuse(key, "not_in_order", f"{first} is after the last, {last}.")
    if (window.from_hours is None) != (window.until_hours is None):
        refuse("relief_window.from_hours", "go_together", "from_hours and until_hours go together.")
    if onset.from_days > window.from_days:
        why = "relief cannot end before its onset (onset.from_days)."
        refuse("relief_window.from_days", "not_in_order", why)
    for key, codes, known, where in (
        ("red_flags", found.red_flags, flags, RED_FLAGS),
        ("readiness", found.readiness, items, READINESS),
    ):
        for code in codes:
            if known and code not in known:
                refuse(key, "not_shared", f"“{code}” is not in {where}.")
    if found.restarts and found.purpose != "device_maintenance":
        why = "only device maintenance starts the course of an implant anew."
        refuse("restarts", "not_of_a_device", why)
    if found.laterality == "required" and not found.laterality_options:
        refuse("laterality_options", "no_side", "a side is required, but none can be chosen.")
    check_plan(page)
    check_questions(page, flags)
    check_minutes(page)


def check_plan(page: Page[ProcedureType]) -> None:
    """Refuse a check-in plan whose answers could not tell whether relief ended early."""
    found = page.content
    for rule in missing(plan_figures(found)):
        page.refuse(KEYS[rule.field], "plan", rule.why)
    window = (found.relief_window.from_hours, found.relief_window.until_hours)
    if why := untested(found.purpose, window=window, asked=found.check_ins.hours):
        page.refuse("relief_window.from_hours" if None in window else "check_ins.hours", "untested", why)


def plan_figures(found: ProcedureType) -> Figures:
    """What says where the type's check-in plan must ask."""
    return Figures(
        purpose=found.purpose,
        restarts=bool(found.restarts),
        window_from=found.relief_window.from_days,
        window_until=found.relief_window.until_days,
        ongoing=found.relief_window.ongoing,
        evaluate_after=found.evaluate_after.days,
        days=found.check_ins.days,
        repeats=found.check_ins.every_days_after is not None,
    )


def check_questions(page: Page[ProcedureType], flags: Mapping[str, RedFlag]) -> None:
    """Refuse a risk that the type asks nothing about, and an expected, mild one that would raise an emergency."""
    refuse_twice(page, "risks", [risk.name for risk in page.content.risks])
    for number, risk in enumerate(page.content.risks, start=1):
        key = f"risks[{number}].asked_by"
        if bool(risk.asked_by) == bool(risk.not_asked):
            page.refuse(key, "no_question", QUESTIONS)
        for code in risk.asked_by:
            if code not in page.content.red_flags:
                page.refuse(key, "not_asked_here", f"“{code}” is not among the type's red_flags.")
            elif risk.severity == "mild" and code in flags and flags[code].urgency == "emergency":
                page.refuse(key, "mild_emergency", f"“{code}” makes an emergency of a mild risk.")


def check_minutes(page: Page[ProcedureType]) -> None:
    """Refuse a procedure that lasts longer than a day, and a resource that is needed after its end."""
    needs = page.content.requires
    refuse_twice(
        page, "requires", [f"{need.category} from minute {need.starts_after_minutes}" for need in needs]
    )
    ends = page.content.duration.procedure_minutes + page.content.duration.recovery_minutes
    if ends > 1440:
        page.refuse("duration.recovery_minutes", "too_long", "procedure and recovery last a day at most.")
    for number, need in enumerate(needs, start=1):
        if need.starts_after_minutes + need.lasts_minutes > ends:
            why = f"is needed after the end, minute {ends}."
            page.refuse(f"requires[{number}].lasts_minutes", "after_the_end", why)


def refuse_twice(page: Page[ProcedureType], key: str, names: list[str]) -> None:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            page.refuse(key, "given_twice", f"“{name}” stands there twice.")
