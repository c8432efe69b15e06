"""Writing the catalogue's files to the database, without ever overwriting what the clinic decided for itself.

One rule for every field: what still is as it was last loaded takes the file's value; anything else was edited
here, stays as it is, and is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

from django.db import connection, transaction

from clinic import audit
from clinic.models import ResourceCategory, User
from procedures import catalogue as files
from procedures.models import (
    FigureConfirmation,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.signals import profile_added

#: Advisory lock that lets one load work at a time. Any number, used nowhere else.
LOADING = 7_461_004

Figure = FigureConfirmation.Figure
#: The columns that make up one figure: its values and their source. They are kept or taken together.
DURATION = ("procedure_minutes", "recovery_minutes", "duration_source")
PROFILE: dict[Figure, tuple[str, ...]] = {
    Figure.ONSET: ("onset_from_days", "onset_until_days", "onset_source"),
    Figure.WINDOW: (
        *("window_from_days", "window_until_days", "window_from_minutes", "window_until_minutes"),
        *("ongoing", "window_source"),
    ),
    Figure.CHECK_INS: ("check_in_days", "check_in_minutes", "check_in_every_days", "check_in_source"),
    Figure.EVALUATE_AFTER: ("evaluate_after_days", "evaluate_after_source"),
    Figure.SUCCESS: (
        *("success_percent", "diagnostic_percent", "trial_days_percent"),
        "success_source",
    ),
}

Shared = TypeVar("Shared", RedFlag, ReadinessItem)


@dataclass
class LoadReport:
    """What a load did: codes of what is new, code and field of what changed and of what was edited here."""

    added: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    kept_local: list[tuple[str, str]] = field(default_factory=list)


@transaction.atomic
def load(catalogue: files.Catalogue, *, by: User | None, now: datetime) -> LoadReport:
    """Bring the database up to the catalogue, all or nothing; a second run writes nothing.

    A changed figure of relief makes a new version of the relief profile, in force from `now` (aware) on; a
    profile that the clinic made itself stays in force. What the files no longer name is left alone. `by` None
    means that no member of staff asked for it, but the command line. Two loads at once wait for each other.
    """
    wait_for_turn()
    report = LoadReport()
    load_categories(report)
    load_shared(RedFlag, {flag.code: red_flag_values(flag) for flag in catalogue.red_flags}, report)
    load_shared(ReadinessItem, {item.code: readiness_values(item) for item in catalogue.readiness}, report)
    rows = {
        row.code: row
        for row in ProcedureType.objects.select_for_update(no_key=True)
        .order_by("pk")
        .prefetch_related("red_flags", "readiness_items", "requirements__category", "risks")
        .prefetch_related("relief_profiles__confirmations", "confirmations")
    }
    for page in catalogue.procedure_types:
        load_procedure_type(rows.get(page.code), page, now=now, report=report)
    if report.added or report.changed:
        news = f"{len(report.added)} added, {len(report.changed)} changed, {len(report.kept_local)} kept"
        audit.record("catalogue.loaded", None, by=by, at=now, reason=news, actor="staff" if by else "import")
    return report


def wait_for_turn() -> None:
    """Wait until no other load is under way; the turn ends with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOADING])


def load_categories(report: LoadReport) -> None:
    """Add the kinds of resource that are missing; a name that was edited here stays."""
    there = set(ResourceCategory.objects.values_list("code", flat=True))
    for code, name in files.CATEGORIES.items():
        if code not in there:
            values = {"name": name, "needs_privilege": code == "physician"}
            _, made = ResourceCategory.objects.get_or_create(code=code, defaults=values)
            report.added += [code] if made else []


def load_shared(model: type[Shared], wanted: Mapping[str, dict[str, Any]], report: LoadReport) -> None:
    """Bring the rows of a shared page, code → values, up to the file."""
    rows = {row.code: row for row in model._default_manager.select_for_update(no_key=True).order_by("pk")}
    for code, values in wanted.items():
        row = rows.get(code)
        if row is None:
            model._default_manager.create(code=code, catalogue_values=values, **values)
            report.added.append(code)
        else:
            current = {name: getattr(row, name) for name in values}
            save(row, take_over(code, current, row.catalogue_values, values, report), values)


def load_procedure_type(
    row: ProcedureType | None, page: files.ProcedureType, *, now: datetime, report: LoadReport
) -> None:
    """Bring one procedure type, its lists, its relief profile and its confirmations up to its file."""
    columns, lists, confirmed = column_values(page), list_values(page), confirmed_figures(page)
    remembered = columns | lists | {"confirmed": confirmed, "asked": asked_of_risks(page)}
    if row is None:
        report.added.append(page.code)
        report = LoadReport()  # what belongs to a new type is no news of its own
        row = ProcedureType.objects.create(code=page.code, catalogue_values=remembered, **columns)
        loaded: dict[str, Any] = {}
        taken = lists
    else:
        loaded = row.catalogue_values
        current = {name: getattr(row, name) for name in columns} | current_lists(row)
        taken = take_over(page.code, current, loaded, columns | lists, report)
    write_lists(row, taken)
    save(row, {name: value for name, value in taken.items() if name in columns}, remembered)
    profile, fresh = load_profile(row, page, now=now, report=report)
    if taken.keys() & set(DURATION):
        fresh.add(Figure.DURATION)
        row.confirmations.filter(figure=Figure.DURATION).delete()  # it was said of the old durations
    load_confirmations(row, profile, page, fresh=fresh, loaded=loaded.get("confirmed", {}), report=report)


def take_over(
    code: str,
    current: Mapping[str, Any],
    loaded: Mapping[str, Any],
    wanted: Mapping[str, Any],
    report: LoadReport,
) -> dict[str, Any]:
    """The fields to write: those that differ from the file and are still as they were last loaded."""
    news = [name for name, value in wanted.items() if current[name] != value]
    local = {name for name in news if name not in loaded or current[name] != loaded[name]}
    if local & set(DURATION):
        local.update(DURATION)
    report.kept_local += [(code, name) for name in news if name in local]
    report.changed += [(code, name) for name in news if name not in local]
    return {name: wanted[name] for name in news if name not in local}


def save(
    row: ProcedureType | RedFlag | ReadinessItem, taken: Mapping[str, Any], remembered: dict[str, Any]
) -> None:
    """Write the columns `taken` and what the file says now; nothing when that is what is there."""
    if not taken and row.catalogue_values == remembered:
        return
    for name, value in taken.items():
        setattr(row, name, value)
    row.catalogue_values = remembered
    row.save(update_fields=[*taken, "catalogue_values"])


def current_lists(row: ProcedureType) -> dict[str, Any]:
    """The related lists of a procedure type, in the form of `list_values`."""
    return {
        "red_flags": sorted(flag.code for flag in row.red_flags.all()),
        "readiness_items": sorted(item.code for item in row.readiness_items.all()),
        "requirements": sorted(
            [entry.category.code, entry.starts_after_minutes, entry.lasts_minutes]
            for entry in row.requirements.all()
        ),
        "risks": [[risk.name, risk.severity, risk.transient] for risk in row.risks.all()],
    }


def write_lists(row: ProcedureType, taken: Mapping[str, Any]) -> None:
    """Replace those related lists of a procedure type that are in `taken`."""
    if "red_flags" in taken:
        row.red_flags.set(RedFlag.objects.filter(code__in=taken["red_flags"]))
    if "readiness_items" in taken:
        row.readiness_items.set(ReadinessItem.objects.filter(code__in=taken["readiness_items"]))
    if "requirements" in taken:
        categories = ResourceCategory.objects.in_bulk(field_name="code")
        row.requirements.all().delete()
        ResourceRequirement.objects.bulk_create(
            ResourceRequirement(
                procedure_type=row,
                category=categories[category],
                starts_after_minutes=starts,
                lasts_minutes=lasts,
            )
            for category, starts, lasts in taken["requirements"]
        )
    if "risks" in taken:
        row.risks.all().delete()
        Risk.objects.bulk_create(
            Risk(procedure_type=row, name=name, severity=severity, transient=transient)
            for name, severity, transient in taken["risks"]
        )


def load_profile(
    row: ProcedureType, page: files.ProcedureType, *, now: datetime, report: LoadReport
) -> tuple[ReliefProfile, set[Figure]]:
    """The newest relief profile, made anew when the file's figures changed, and which figures are new in it.

    A new version takes over the confirmations of the figures that did not change.
    """
    wanted = profile_values(page)
    last = max(row.relief_profiles.all(), key=lambda profile: profile.version, default=None)
    news = [name for name, value in wanted.items() if last is None or getattr(last, name) != value]
    if last is not None and not news:
        return last, set()
    if last is not None and last.origin == ReliefProfile.Origin.CLINIC:
        report.kept_local += [(page.code, name) for name in news]
        return last, set()
    profile = ReliefProfile.objects.create(
        procedure_type=row,
        version=last.version + 1 if last else 1,
        origin=ReliefProfile.Origin.CATALOGUE,
        in_force_from=now,
        **wanted,
    )
    report.changed += [(page.code, name) for name in news]
    fresh = {figure for figure, names in PROFILE.items() if any(name in news for name in names)}
    FigureConfirmation.objects.bulk_create(
        FigureConfirmation(
            procedure_type=row,
            relief_profile=profile,
            figure=said.figure,
            confirmed_by=said.confirmed_by,
            confirmed_on=said.confirmed_on,
            user=said.user,
        )
        for said in (last.confirmations.all() if last else ())
        if said.figure not in fresh
    )
    profile_added.send(ReliefProfile, profile=profile, now=now)
    return profile, fresh


def load_confirmations(
    row: ProcedureType,
    profile: ReliefProfile,
    page: files.ProcedureType,
    *,
    fresh: set[Figure],
    loaded: Mapping[str, Any],
    report: LoadReport,
) -> None:
    """Bring the confirmations up to the file, but only of figures that are the file's own.

    `loaded` is what the file confirmed when it was last loaded; for a `fresh` figure that counts no longer.
    """
    wanted = confirmed_figures(page)
    values = column_values(page) | profile_values(page)
    there = {
        said.figure: said
        for said in FigureConfirmation.objects.filter(procedure_type=row)
        if said.relief_profile_id in (None, profile.pk)
    }
    for figure, names in ({Figure.DURATION: DURATION} | PROFILE).items():
        holder = row if figure == Figure.DURATION else profile
        if any(getattr(holder, name) != values[name] for name in names):
            continue
        said = there.get(figure)
        current = [said.confirmed_by, said.confirmed_on.isoformat()] if said else None
        if current == wanted.get(figure):
            continue
        if figure not in fresh and current != loaded.get(figure):
            report.kept_local.append((page.code, f"{figure} confirmed"))
            continue
        if said:
            said.delete()
        if figure in wanted:
            by, on = wanted[figure]
            FigureConfirmation.objects.create(
                procedure_type=row,
                relief_profile=None if figure == Figure.DURATION else profile,
                figure=figure,
                confirmed_by=by,
                confirmed_on=date.fromisoformat(on),
            )
        report.changed.append((page.code, f"{figure} confirmed"))


def red_flag_values(flag: files.RedFlag) -> dict[str, Any]:
    return {
        "question": flag.question,
        "question_es": flag.question_es,
        "urgency": flag.urgency,
        "source": flag.source,
        "confirmed": f"{flag.confirmed.by}, {flag.confirmed.on.isoformat()}" if flag.confirmed else "",
    }


def readiness_values(item: files.ReadinessItem) -> dict[str, Any]:
    return {
        "label": item.label,
        "note": item.note,
        "blocking": item.blocking,
        "advice": item.advice,
        "advice_es": item.advice_es,
        "source": item.source,
    }


def column_values(page: files.ProcedureType) -> dict[str, Any]:
    """The columns of a procedure type, as JSON can hold them."""
    return {
        "name": page.name,
        "family": page.family,
        "purpose": page.purpose,
        "description": page.description,
        "imaging": list(page.imaging),
        "imaging_required": page.imaging_required,
        "sedation": page.sedation,
        "sedation_options": list(page.sedation_options),
        "laterality": page.laterality,
        "laterality_options": list(page.laterality_options),
        "regions": list(page.regions),
        "indications": list(page.indications),
        "restarts": list(page.restarts),
        "after_care": list(page.after_care),
        "procedure_minutes": page.duration.procedure_minutes,
        "recovery_minutes": page.duration.recovery_minutes,
        "duration_source": page.duration.source,
    }


def list_values(page: files.ProcedureType) -> dict[str, Any]:
    """The related lists of a procedure type, as JSON can hold them. Only risks have an order of their own."""
    return {
        "red_flags": sorted(page.red_flags),
        "readiness_items": sorted(page.readiness),
        "requirements": sorted(
            [entry.category, entry.starts_after_minutes, entry.lasts_minutes] for entry in page.requires
        ),
        "risks": [[risk.name, risk.severity, risk.transient] for risk in page.risks],
    }


def asked_of_risks(page: files.ProcedureType) -> dict[str, Any]:
    """Risk → the codes of the red flags that ask about it, or the sentence why none does. Only shown, never edited."""
    return {risk.name: list(risk.asked_by) or risk.not_asked for risk in page.risks}


def profile_values(page: files.ProcedureType) -> dict[str, Any]:
    """The columns of a relief profile: days, and minutes where the file says hours."""
    window, plan = page.relief_window, page.check_ins
    return {
        "onset_from_days": page.onset.from_days,
        "onset_until_days": page.onset.until_days,
        "onset_source": page.onset.source,
        "window_from_days": window.from_days,
        "window_until_days": window.until_days,
        "window_from_minutes": None if window.from_hours is None else window.from_hours * 60,
        "window_until_minutes": None if window.until_hours is None else window.until_hours * 60,
        "ongoing": window.ongoing,
        "window_source": window.source,
        "check_in_days": list(plan.days),
        "check_in_minutes": [int(hours * 60) for hours in plan.hours],
        "check_in_every_days": plan.every_days_after,
        "check_in_source": plan.source,
        "evaluate_after_days": page.evaluate_after.days,
        "evaluate_after_source": page.evaluate_after.source,
        "success_percent": page.success.percent,
        "diagnostic_percent": page.success.diagnostic_percent,
        "trial_days_percent": page.success.trial_days_percent,
        "success_source": page.success.source,
    }


def confirmed_figures(page: files.ProcedureType) -> dict[str, Any]:
    """Figure → who confirmed it and on which day; figures that nobody confirmed are left out."""
    marks = {
        Figure.DURATION: page.duration.confirmed,
        Figure.ONSET: page.onset.confirmed,
        Figure.WINDOW: page.relief_window.confirmed,
        Figure.CHECK_INS: page.check_ins.confirmed,
        Figure.EVALUATE_AFTER: page.evaluate_after.confirmed,
        Figure.SUCCESS: page.success.confirmed,
    }
    return {figure.value: [mark.by, mark.on.isoformat()] for figure, mark in marks.items() if mark}
