"""The catalogue of procedure types as files: one readable page per type, and what many types share.

Reads the folder strictly and knows nothing of Django: what a file leaves out, misspells or contradicts is
refused by file and key, all of it at once. `procedures.services.catalogue_loader` writes it to the database.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from procedures.catalogue.entries import (
    Catalogue,
    CheckIns,
    Confirmation,
    Duration,
    EvaluateAfter,
    Onset,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefWindow,
    Requirement,
    Risk,
    Success,
)
from procedures.catalogue.toml_reader import NAME_LENGTH, REASON_LENGTH, SHARED_SOURCE_LENGTH, TomlTable
from procedures.check_in_plan import Figures, missing, untested

#: The share of a trial's days in relief that passes it, where a page does not say (a choice, unconfirmed).
TRIAL_DAYS_PERCENT = 50
#: Where the project's own catalogue lies.
FOLDER = Path(__file__).parent
#: Inside the folder: what many types share, keyed by code.
RED_FLAGS = "shared/red_flags.toml"
READINESS = "shared/readiness.toml"

PURPOSES = (
    *("diagnostic", "therapeutic", "diagnostic_and_therapeutic"),
    *("device_trial", "device_implant", "device_maintenance"),
)
FAMILIES = (
    *("epidural_steroid_injection", "facet_intervention", "nerve_block", "sympathetic_block"),
    *("joint_injection", "radiofrequency_ablation", "spinal_cord_stimulation"),
    *("peripheral_nerve_stimulation", "intrathecal_drug_delivery", "device_maintenance"),
    *("trigger_point_injection", "adhesiolysis"),
)
IMAGING = (
    *("fluoroscopy", "ct", "ultrasound", "ultrasound_if_contrast_contraindicated"),
    *("nerve_stimulator", "landmark"),
)
SEDATION = (
    *("none", "local_only", "minimal_oral", "moderate_iv", "moderate_iv_with_reason"),
    *("mac", "general", "mac_or_general"),
)
SIDED = ("required", "optional", "not_applicable")
SIDES = ("left", "right", "bilateral", "midline")
REGIONS = (
    *("head", "cervical", "thoracic", "lumbar", "sacral", "sacroiliac", "chest_wall", "abdomen", "pelvis"),
    *("shoulder", "upper_limb", "hip", "knee", "lower_limb", "bursa", "peripheral", "device"),
    *("head_neck", "shoulder_girdle", "thoracic_muscle", "lumbar_muscle", "gluteal"),
)
SEVERITIES = ("mild", "moderate", "serious", "life_threatening")
URGENCIES = ("emergency", "same_day", "next_working_day")
#: The kinds of resource that a procedure can ask for: code → name.
CATEGORIES = {
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
#: The form of an ICD-10-CM code: M54.16, G90.511, S83.206A.
ICD_10_CM = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?")
CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
#: Where the file says what a rule of check-in plans is about.
KEYS = {"check_in_days": "check_ins.days", "evaluate_after_days": "evaluate_after.days"}


class CatalogueError(ValueError):
    """The folder is no catalogue. `problems`: all that is wrong with it, each with its file and key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def read_catalogue(folder: Path = FOLDER) -> Catalogue:
    """Read the catalogue in `folder`.

    Raises CatalogueError with every problem of every file, each as "file: key: what is wrong".
    """
    problems: list[str] = []
    flags = tuple(red_flag(code, entry) for code, entry in shared(folder, RED_FLAGS, problems))
    items = tuple(readiness_item(code, entry) for code, entry in shared(folder, READINESS, problems))
    item_codes = [item.code for item in items]
    types = []
    for file in sorted(folder.glob("*.toml")):
        page = open_page(file, file.name, problems)
        if page is not None:
            types.append(procedure_type(page, file.stem, flags, item_codes))
    if not types and not problems:
        problems.append(f"{folder.name}: holds no procedure type.")
    if problems:
        raise CatalogueError(problems)
    return Catalogue(tuple(types), flags, items)


def open_page(
    file: Path, name: str, problems: list[str], *, parse_float: Callable[[str], Any] = float
) -> TomlTable | None:
    """The file as a page; None, and a problem more, when it cannot be read or is no TOML.

    `parse_float` reads numbers with a point; `Decimal` keeps them exact.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=parse_float)
        return TomlTable(name, "", content, problems)
    except FileNotFoundError:
        problems.append(f"{name}: is missing.")
    except OSError as exc:
        problems.append(f"{name}: cannot be read ({exc.strerror}).")
    except UnicodeDecodeError:
        problems.append(f"{name}: is not UTF-8 text.")
    except tomllib.TOMLDecodeError as exc:
        problems.append(f"{name}: is no TOML: {exc}.")
    return None


def shared(folder: Path, name: str, problems: list[str]) -> list[tuple[str, TomlTable]]:
    """The tables of one shared page, by code."""
    page = open_page(folder / name, name, problems)
    if page is None:
        return []
    for code in page.content:
        if not CODE.fullmatch(code):
            page.refuse(code, "a code is of small letters, digits and underscores, at most 50.")
    return [(code, page.table(code)) for code in sorted(page.content)]


def red_flag(code: str, page: TomlTable) -> RedFlag:
    flag = RedFlag(
        code=code,
        question=page.text("question", longest=300),
        question_es=page.text("question_es", longest=300),
        urgency=page.choice("urgency", URGENCIES),
        source=page.source(longest=SHARED_SOURCE_LENGTH),
        confirmed=page.confirmed(),
    )
    page.close()
    return flag


def readiness_item(code: str, page: TomlTable) -> ReadinessItem:
    item = ReadinessItem(
        code=code,
        label=page.text("label", longest=200),
        note=page.text("note", longest=300) if "note" in page.content else "",
        blocking=page.yes_or_no("blocking"),
        advice=page.text("advice", longest=300) if "advice" in page.content else "",
        advice_es=page.text("advice_es", longest=300) if "advice_es" in page.content else "",
        source=page.source(longest=SHARED_SOURCE_LENGTH),
    )
    page.close()
    if ("advice" in page.content) != ("advice_es" in page.content):
        page.refuse("advice", "advice and advice_es go together.")
    return item


def procedure_type(
    page: TomlTable, stem: str, flags: Collection[RedFlag], items: Collection[str]
) -> ProcedureType:
    found = ProcedureType(
        code=page.text("code", longest=50),
        name=page.text("name", longest=NAME_LENGTH),
        family=page.choice("family", FAMILIES),
        purpose=page.choice("purpose", PURPOSES),
        description=page.text("description"),
        imaging=page.choices("imaging", IMAGING),
        imaging_required=page.yes_or_no("imaging_required"),
        sedation=page.choice("sedation", SEDATION),
        sedation_options=page.choices("sedation_options", SEDATION),
        laterality=page.choice("laterality", SIDED),
        laterality_options=page.choices("laterality_options", SIDES),
        regions=page.choices("regions", REGIONS),
        indications=page.texts("indications"),
        restarts=page.choices("restarts", FAMILIES) if "restarts" in page.content else (),
        red_flags=page.choices("red_flags", [flag.code for flag in flags], of=RED_FLAGS),
        readiness=page.choices("readiness", items, of=READINESS),
        after_care=page.texts("after_care"),
        duration=duration(page.table("duration")),
        onset=onset(page.table("onset")),
        relief_window=relief_window(page.table("relief_window")),
        check_ins=check_ins(page.table("check_ins")),
        evaluate_after=evaluate_after(page.table("evaluate_after")),
        success=success(page.table("success")),
        risks=tuple(risk(entry) for entry in page.tables("risks")),
        requires=tuple(requirement(entry) for entry in page.tables("requires")),
    )
    page.close()
    if found.code and not CODE.fullmatch(found.code):
        page.refuse("code", "a code is of small letters, digits and underscores, at most 50.")
    if found.code and found.code != stem:
        page.refuse("code", f"“{found.code}” is not the file's name, “{stem}”.")
    for code in found.indications:
        if not ICD_10_CM.fullmatch(code):
            page.refuse("indications", f"“{code}” is no ICD-10-CM code.")
    if found.restarts and found.purpose != "device_maintenance":
        page.refuse("restarts", "only device maintenance starts the course of an implant anew.")
    if found.laterality == "required" and not found.laterality_options:
        page.refuse("laterality_options", "a side is required, but none can be chosen.")
    if page.holds("onset", "relief_window") and found.onset.from_days > found.relief_window.from_days:
        page.refuse("relief_window.from_days", "relief cannot end before its onset (onset.from_days).")
    if page.holds("purpose", "restarts", "relief_window", "check_ins", "evaluate_after"):
        for rule in missing(plan_figures(found)):
            page.refuse(KEYS[rule.field], rule.why)
        window = (found.relief_window.from_hours, found.relief_window.until_hours)
        if why := untested(found.purpose, window=window, asked=found.check_ins.hours):
            page.refuse("relief_window.from_hours" if None in window else "check_ins.hours", why)
    page.once("risks", [entry.name for entry in found.risks])
    if flags and page.holds("red_flags", "risks"):  # without flags the shared page is refused as a whole
        check_questions(page, found, flags)
    page.once(
        "requires",
        [f"{entry.category} from minute {entry.starts_after_minutes}" for entry in found.requires],
    )
    if page.holds("duration", "requires"):
        ends = found.duration.procedure_minutes + found.duration.recovery_minutes
        if ends > 1440:
            page.refuse("duration.recovery_minutes", "procedure and recovery last a day at most.")
        for number, entry in enumerate(found.requires, start=1):
            if entry.starts_after_minutes + entry.lasts_minutes > ends:
                page.refuse(f"requires[{number}].lasts_minutes", f"is needed after the end, minute {ends}.")
    return found


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


def duration(page: TomlTable) -> Duration:
    found = Duration(
        procedure_minutes=page.number("procedure_minutes", least=1, most=1440),
        recovery_minutes=page.number("recovery_minutes", most=1440),
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    return found


def onset(page: TomlTable) -> Onset:
    found = Onset(
        from_days=page.number("from_days"),
        until_days=page.number("until_days"),
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    page.in_order("from_days", "until_days")
    return found


def relief_window(page: TomlTable) -> ReliefWindow:
    found = ReliefWindow(
        from_days=page.number("from_days"),
        until_days=page.number("until_days"),
        from_hours=page.number("from_hours") if "from_hours" in page.content else None,
        until_hours=page.number("until_hours") if "until_hours" in page.content else None,
        ongoing=page.yes_or_no("ongoing"),
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    page.in_order("from_days", "until_days")
    page.in_order("from_hours", "until_hours")
    if (found.from_hours is None) != (found.until_hours is None):
        page.refuse("from_hours", "from_hours and until_hours go together.")
    return found


def check_ins(page: TomlTable) -> CheckIns:
    found = CheckIns(
        days=tuple(int(day) for day in page.numbers("days")),
        hours=page.numbers("hours", halves=True),
        every_days_after=page.number("every_days_after", least=1)
        if "every_days_after" in page.content
        else None,
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    if page.holds("days") and not found.days:
        page.refuse("days", "at least one day, or the patient is never asked.")
    return found


def evaluate_after(page: TomlTable) -> EvaluateAfter:
    found = EvaluateAfter(days=page.number("days"), source=page.source(), confirmed=page.confirmed())
    page.close()
    return found


def success(page: TomlTable) -> Success:
    found = Success(
        percent=page.number("percent", least=1, most=100),
        diagnostic_percent=page.number("diagnostic_percent", least=1, most=100)
        if "diagnostic_percent" in page.content
        else None,
        trial_days_percent=page.number("trial_days_percent", least=1, most=100)
        if "trial_days_percent" in page.content
        else TRIAL_DAYS_PERCENT,
        source=page.source(),
        confirmed=page.confirmed(),
    )
    page.close()
    return found


def risk(page: TomlTable) -> Risk:
    found = Risk(
        name=page.text("name", longest=NAME_LENGTH),
        severity=page.choice("severity", SEVERITIES),
        transient=page.yes_or_no("transient"),
        asked_by=page.texts("asked_by") if "asked_by" in page.content else (),
        not_asked=page.text("not_asked", longest=REASON_LENGTH) if "not_asked" in page.content else "",
    )
    page.close()
    if ("asked_by" in page.content) == ("not_asked" in page.content):
        page.refuse(
            "asked_by", "a risk names the red flags that ask about it, or says in not_asked why none does."
        )
    elif page.content.get("asked_by") == []:
        page.refuse("asked_by", "names no red flag; say in not_asked why.")
    return found


def check_questions(page: TomlTable, found: ProcedureType, flags: Collection[RedFlag]) -> None:
    """Refuse a risk that the type asks nothing about, and an expected, mild one that would raise an emergency."""
    emergencies = {flag.code for flag in flags if flag.urgency == "emergency"}
    for number, entry in enumerate(found.risks, start=1):
        for code in entry.asked_by:
            if code not in found.red_flags:
                page.refuse(f"risks[{number}].asked_by", f"“{code}” is not among the type's red_flags.")
            elif entry.severity == "mild" and code in emergencies:
                page.refuse(f"risks[{number}].asked_by", f"“{code}” makes an emergency of a mild risk.")


def requirement(page: TomlTable) -> Requirement:
    found = Requirement(
        category=page.choice("category", CATEGORIES),
        starts_after_minutes=page.number("starts_after_minutes", most=1440),
        lasts_minutes=page.number("lasts_minutes", least=1, most=1440),
    )
    page.close()
    return found
