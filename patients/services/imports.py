"""Patients from a CSV file: registered and changed row by row, refused by row and column."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from django.db import transaction

from clinic.csv_import.imports import (
    Mode,
    Outcome,
    Progress,
    Report,
    RowOutcome,
    Steps,
    chunks,
    finish,
    one_at_a_time,
    refusing,
    sites_by_name,
    write_down,
)
from clinic.models import Site, User
from clinic.refusals import Refusal
from clinic.timezones import on_wall
from patients.import_rows import COLUMNS, PatientRow, read_patients
from patients.models import Patient
from patients.services.duplicates import (
    IDENTITY,
    new_matches,
    person_of,
    refuse_another_person,
    there_already,
)
from patients.services.patients import check, save
from patients.services.record_numbers import taken
from patients.services.withdrawals import withdrawals

#: The file's column for a field that has another name.
COLUMN_OF = {"consented_at": "agreed_to_email"}


def import_patients(
    data: bytes, *, mode: Mode, by: User | None, now: datetime, progress: Progress | None = None
) -> Report:
    """As `patients_from`, to its end."""
    return finish(patients_from(data, mode=mode, by=by, now=now), progress)


def patients_from(data: bytes, *, mode: Mode, by: User | None, now: datetime) -> Steps:
    """Register and change the patients of a CSV file, whose columns are those of `patients.import_rows`.

    Who is known by record number is changed where the file says something else; who has not changed is not touched,
    so that the same file again changes nothing. Raises nothing: every refusal is in the report, by row and column.
    Beyond those of `read_patients`, `check` and `save` there are "unknown_site", for the patient of a site that `by`
    does not work at "unique", "other_person" for a number that belongs to somebody with another name or birth date, and
    "likely_duplicate" for a new number of somebody whose name and birth date are there already, or stand in an earlier
    row under another number, and for a change that makes somebody look like another (`duplicates.new_matches`), unless
    the row insists.

    An agreement to e-mail that was taken back since stays so: of that row the report says which cell is `kept`.
    """
    sheet, entries = read_patients(data)
    report = Report(mode, sheet.total, refusals=sheet.refusals, unreadable=sheet.unreadable)
    sites = sites_by_name(by)
    if mode == Mode.ALL:
        with transaction.atomic():
            yield from import_entries(entries, sites, report, by=by, now=now)
            if report.refusals:
                transaction.set_rollback(True)
            else:
                report.saved = True
                write_down("patients", report, by=by, now=now)
    else:
        yield from import_entries(entries, sites, report, by=by, now=now)
        report.saved = mode == Mode.GOOD and bool(report.lines)
    if not (mode == Mode.ALL and report.saved):
        write_down("patients", report, by=by, now=now)
    report.sort()
    return report


def import_entries(
    entries: list[PatientRow],
    sites: Mapping[str, Site],
    report: Report,
    *,
    by: User | None,
    now: datetime,
) -> Iterator[tuple[str, int, int]]:
    """Save the entries, or only check them, and tell the report; one transaction for each chunk of them."""
    done = 0
    first: dict[object, int] = {}  # whom the file registers, with the first row that does
    for chunk in chunks(entries):
        with transaction.atomic():
            if report.mode != Mode.CHECK:
                one_at_a_time()
            known = known_patients(chunk, locked=report.mode != Mode.CHECK)
            new = [
                patient_row
                for patient_row in chunk
                if patient_row.record_number not in known and not patient_row.insists
            ]
            twins = there_already(new, by=by)
            persons = {patient_row.row.number: person_of(patient_row) for patient_row in new}
            silent = [patient.pk for patient in known.values() if patient.consented_at is None]
            withdrawn = withdrawals(silent)
            for entry in chunk:
                # Once one row of all-or-nothing is refused nothing is saved: the others need only be checked.
                saving = report.mode == Mode.GOOD or (report.mode == Mode.ALL and not report.refusals)
                with refusing(entry.row, report, COLUMN_OF):
                    who = persons.get(entry.row.number)
                    if who in first:
                        raise second(first[who])
                    report.lines.append(
                        import_entry(entry, known, twins, withdrawn, sites, saving=saving, by=by, now=now)
                    )
                    if who:
                        first[who] = entry.row.number
                done += 1
                yield "saved" if saving else "checked", done, len(entries)


def second(first: int) -> Refusal:
    """The refusal of a row that registers whom the row `first` does already, under another number."""
    return Refusal(
        f"Row {first} is of somebody of this name and birth date, too. If this is another person, write yes into the "
        "column “another_person”.",
        code="likely_duplicate",
        field="record_number",
    )


def known_patients(entries: Iterable[PatientRow], *, locked: bool) -> dict[str, Patient]:
    """The patients that are registered already, by record number, of those that were merged the one that counts; locked
    in order of their ids."""
    rows = Patient.objects.select_related("site").order_by("pk")
    if locked:
        rows = rows.select_for_update(of=("self",))
    return rows.numbered(entry.record_number for entry in entries)


def import_entry(
    entry: PatientRow,
    known: Mapping[str, Patient],
    twins: Mapping[int, Patient],
    withdrawn: Mapping[int, datetime],
    sites: Mapping[str, Site],
    *,
    saving: bool,
    by: User | None,
    now: datetime,
) -> RowOutcome:
    """Register or change one patient; with `saving` False, only say what would be done. Raises as `save` does.

    `withdrawn`: when whoever has no agreement took it back. Only the day of a later one counts, and never a mere yes.
    """
    site = sites.get(entry.site) or sites.get(entry.site.casefold())
    if site is None:
        raise Refusal("You work at no site of this name.", code="unknown_site", field="site")
    patient = known.get(entry.record_number)
    if patient is not None and patient.site_id not in {site.pk for site in sites.values()}:
        raise taken(site)
    if patient is not None:
        refuse_another_person(entry, patient)
    elif twin := twins.get(entry.row.number):
        raise looks_like(twin)
    if patient is None:
        patient = Patient(record_number=entry.record_number)
    wanted: dict[str, Any] = {"born_on": entry.born_on, "site": site, **entry.values}
    kept: tuple[str, ...] = ()
    if entry.agreed is not None:
        agreed = agreed_at(entry.agreed, patient.consented_at, site, now=now)
        since = withdrawn.get(patient.pk or 0)
        if since and agreed and (entry.agreed is True or agreed <= since):
            kept = ("agreed_to_email",)
        else:
            wanted["consented_at"] = agreed
    new = patient.pk is None
    changed = [name for name, value in wanted.items() if new or getattr(patient, name) != value]
    if not changed:
        return RowOutcome(entry.row.number, Outcome.UNCHANGED, kept=kept)
    for name in changed:
        setattr(patient, name, wanted[name])
    if "consented_at" in changed:
        patient.consent_version = ""  # to which text, the file does not say
    if not new and not entry.insists and IDENTITY & set(changed):
        before = Patient.objects.get(pk=patient.pk)
        if found := new_matches(before, patient, by=by):
            raise looks_like(found[0].patient)
    if saving:
        # Whom the file would register twice was found for the whole chunk.
        save(patient, changed=None if new else changed, insist=True, by=by, now=now, actor="import")
    else:
        check(patient, changed=None if new else changed, now=now)
    if new:
        return RowOutcome(entry.row.number, Outcome.ADDED)
    told_of = {COLUMN_OF.get(name, name) for name in changed}
    columns = tuple(column.name for column in COLUMNS if column.name in told_of)
    return RowOutcome(entry.row.number, Outcome.CHANGED, columns, kept)


def looks_like(other: Patient) -> Refusal:
    """The refusal of a row that may be about somebody else's record, `other`."""
    return Refusal(
        f"{other.record_number} is {other}, born {other.born_on}. If this is another person, write yes into the column "
        "“another_person”.",
        code="likely_duplicate",
        field="record_number",
    )


def agreed_at(said: bool | date, known: datetime | None, site: Site, *, now: datetime) -> datetime | None:
    """When the patient agreed to e-mail, by what the file says and what is known; None when they did not.

    A day is kept as its first instant on the site's wall clock; what is known of the same day more precisely stays.
    """
    if said is True:
        return known or now
    if said is False:
        return None
    if known and known.astimezone(site.zone).date() == said:
        return known
    return on_wall(said, time(0), site.zone)
