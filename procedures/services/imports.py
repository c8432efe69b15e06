"""Importing appointments: every row through the booking service, checked first without holding anybody up."""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from django.db import connection, transaction
from django.db.models import Q

from clinic import audit
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
from clinic.models import Resource, Site, User, WorkingHours
from clinic.refusals import Refusal
from clinic.timezones import NoSuchTime, instant
from patients.models import Patient
from procedures.bookable_times import Span
from procedures.import_rows import COLUMNS, AppointmentRow, read_appointments
from procedures.models import Appointment, ProcedureType, Reservation
from procedures.services.booking import book, preview_booking
from procedures.services.booking_checks import (
    Candidate,
    Need,
    SlotUnavailable,
    choose_resources,
    resource_needs,
    span_words,
)
from procedures.services.transitions import release_expired_holds

#: The file's column for a field of the appointment that has another name.
COLUMN_OF = {
    "patient": "record_number",
    "laterality": "side",
    "starts_at": "time",
    "ends_at": "time",
    "resources": "clinician",
    "Idempotency-Key": "external_id",
}
#: What makes two requests the same; the rest is detail.
SAME = ("patient_id", "procedure_type_id", "site_id", "starts_at")


@dataclass
class Plan:
    """What the earlier rows of the file would take, as spans in UTC by patient and by resource."""

    patients: defaultdict[int, list[Span]] = field(default_factory=lambda: defaultdict(list))
    resources: defaultdict[int, list[Span]] = field(default_factory=lambda: defaultdict(list))

    def check(self, appointment: Appointment, resources: Sequence[Resource], *, now: datetime) -> None:
        """As `booking.preview_booking`, but after the earlier rows: nothing is saved and nothing is locked."""
        reservations = preview_booking(appointment, resources=resources, imported=True, now=now)
        other = overlap(self.patients[appointment.patient_id], appointment.starts_at, appointment.ends_at)
        if other:
            raise SlotUnavailable(
                f"The patient has another appointment {span_words(*other, appointment.site)}."
            )
        if any(
            overlap(self.resources[reservation.resource_id], reservation.starts_at, reservation.ends_at)
            for reservation in reservations
        ):
            needs = resource_needs(appointment, resources, now=now)
            reservations = choose_resources(appointment, [self.after(need) for need in needs])
        self.take(appointment, reservations)

    def after(self, need: Need) -> Need:
        """The need, with what the earlier rows took marked as taken."""

        def marked(candidate: Candidate) -> Candidate:
            other = overlap(self.resources[candidate.resource_id], need.starts_at, need.ends_at)
            return replace(candidate, held=other, taken=candidate.taken | {0}) if other else candidate

        return replace(need, candidates=[marked(candidate) for candidate in need.candidates])

    def take(self, appointment: Appointment, reservations: Iterable[Reservation]) -> None:
        """Remember what this row would take."""
        self.patients[appointment.patient_id].append((appointment.starts_at, appointment.ends_at))
        for reservation in reservations:
            self.resources[reservation.resource_id].append((reservation.starts_at, reservation.ends_at))


def overlap(spans: Iterable[Span], starts_at: datetime, ends_at: datetime) -> Span | None:
    """The first of the spans that overlaps [starts_at, ends_at), or None."""
    return next((span for span in spans if span[0] < ends_at and span[1] > starts_at), None)


@dataclass(frozen=True)
class ImportLookups:
    """What the rows name, read once for the whole file: sites, procedure types and resources by name."""

    sites: Mapping[str, Site]
    kinds: Mapping[str, ProcedureType]
    resources: Mapping[tuple[int, str], Resource]


@dataclass(frozen=True)
class AppointmentDraft:
    """A row that names things that exist: the appointment to book, or the one that it was booked as before."""

    entry: AppointmentRow
    appointment: Appointment
    resources: list[Resource]
    before: Appointment | None

    @property
    def columns(self) -> dict[str, str]:
        """The file's column for a field; what is said of resources is about the one that the row names."""
        room = self.entry.row.cells["room"] and not self.entry.row.cells["clinician"]
        return COLUMN_OF | ({"resources": "room"} if room else {})


def import_appointments(
    data: bytes, *, mode: Mode, by: User | None, now: datetime, progress: Progress | None = None
) -> Report:
    """As `appointments_from`, to its end."""
    return finish(appointments_from(data, mode=mode, by=by, now=now), progress)


def appointments_from(data: bytes, *, mode: Mode, by: User | None, now: datetime) -> Steps:
    """Book the appointments of a CSV file, whose columns are those of `procedures.import_rows`.

    A row that was imported before is left as the clinic has it now, moved or cancelled. Raises nothing: every refusal
    is in the report, by row and column. Beyond those of `read_appointments` and `book` there are "unknown_site",
    "unknown_patient", "unknown_procedure_type", "unknown_resource", "no_such_time", and "key_reused" for an
    external_id that names another appointment already.

    All or nothing keeps the sites' resources locked from the first row to the last: bookings of others wait.
    """
    sheet, entries = read_appointments(data)
    report = Report(mode, sheet.total, refusals=sheet.refusals, unreadable=sheet.unreadable)
    known = known_names(entries, by=by)
    if mode == Mode.GOOD:
        for done, draft in drafts_of(entries, known, report, by=by):
            if draft:
                with refusing(draft.entry.row, report, draft.columns), transaction.atomic():
                    report.lines.append(book_draft(draft, by=by, now=now))
            yield "saved", done, len(entries)
        report.saved = bool(report.lines)
    else:
        drafts = yield from check_all(entries, known, report, by=by, now=now)
        if mode == Mode.ALL and not report.refusals:
            yield from book_all(drafts, report, by=by, now=now)
    if not (mode == Mode.ALL and report.saved):
        write_down("appointments", report, by=by, now=now)
    report.sort()
    return report


def check_all(
    entries: Sequence[AppointmentRow], known: ImportLookups, report: Report, *, by: User | None, now: datetime
) -> Generator[tuple[str, int, int], None, list[AppointmentDraft]]:
    """The rows that could be booked one after the other, as things stand; the report says what would be done."""
    plan, good = Plan(), list[AppointmentDraft]()
    for done, draft in drafts_of(entries, known, report, by=by):
        if draft:
            with refusing(draft.entry.row, report, draft.columns):
                good.append(check_draft(draft, plan, now=now))
                report.lines.append(line_of(good[-1]))
        yield "checked", done, len(entries)
    return good


def check_draft(draft: AppointmentDraft, plan: Plan, *, now: datetime) -> AppointmentDraft:
    """The draft, unless booking it after those of the plan would be refused."""
    if not draft.before:
        try:
            plan.check(draft.appointment, draft.resources, now=now)
        except SlotUnavailable:
            # Perhaps by another import of the same row, since this one looked.
            meanwhile = booked_before([draft.entry]).get(draft.entry.request_key)
            if meanwhile is None:
                raise
            return replace(draft, before=same(meanwhile, draft.appointment))
    return draft


def book_all(
    drafts: Sequence[AppointmentDraft], report: Report, *, by: User | None, now: datetime
) -> Iterator[tuple[str, int, int]]:
    """Book all of the drafts, or none when a rival came between checking and booking; the report is written anew."""
    release_expired_holds(now=now)  # before the locks: it locks the appointments that it frees
    report.lines = []
    with transaction.atomic():
        one_at_a_time()
        lock_everything(drafts)
        before = booked_before([draft.entry for draft in drafts])  # another import may just have ended
        for done, draft in enumerate(drafts, start=1):
            with refusing(draft.entry.row, report, draft.columns):
                draft = replace(draft, before=same(before.get(draft.entry.request_key), draft.appointment))
                report.lines.append(book_draft(draft, by=by, now=now))
            yield "saved", done, len(drafts)
        if report.refusals:
            transaction.set_rollback(True)
        else:
            report.saved = True
            write_down("appointments", report, by=by, now=now)


def lock_everything(drafts: Sequence[AppointmentDraft]) -> None:
    """Lock what any of the rows may take, in booking's own order: resources by number, then patients.

    Row by row, each booking would lock in that order and the whole transaction in none: it and a clerk's booking
    could wait for each other in a ring.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT FROM clinic_resource
             WHERE site_id = ANY (%(sites)s::bigint[])
                OR id IN (SELECT resource_id FROM clinic_workinghours WHERE site_id = ANY (%(sites)s::bigint[]))
             ORDER BY id FOR NO KEY UPDATE;
            SELECT FROM patients_patient WHERE id = ANY (%(patients)s::bigint[]) ORDER BY id FOR NO KEY UPDATE
            """,
            {
                "sites": list({draft.appointment.site_id for draft in drafts}),
                "patients": list({draft.appointment.patient_id for draft in drafts}),
            },
        )


def book_draft(draft: AppointmentDraft, *, by: User | None, now: datetime) -> RowOutcome:
    """Book one row, unless it was booked before. Raises as `book` does."""
    if not draft.before:
        # A draft that was checked has an end and an intent by now; the booking fills in the same ones again.
        appointment = book(
            draft.appointment,
            resources=draft.resources,
            by=by,
            now=now,
            request_key=draft.entry.request_key,
            imported=True,  # the old system's grid was another
            quietly=True,  # whoever is in the old system's book knows already; reminders still go out
        )
        # The booking's own event says who booked; this one, that it came from a file.
        audit.record(
            "appointment.imported", appointment, by=by, at=now, site=appointment.site, actor="import"
        )
    return line_of(draft)


def line_of(draft: AppointmentDraft) -> RowOutcome:
    """What becomes of a row that is not refused."""
    if draft.before is None:
        return RowOutcome(draft.entry.row.number, Outcome.ADDED)
    differing = {
        COLUMN_OF.get(name, name)
        for name, value in draft.entry.values.items()
        if getattr(draft.before, name) != value
    }
    columns = tuple(column.name for column in COLUMNS if column.name in differing)
    return RowOutcome(draft.entry.row.number, Outcome.UNCHANGED, columns)


def drafts_of(
    entries: Sequence[AppointmentRow],
    known: ImportLookups,
    report: Report,
    *,
    by: User | None,
) -> Iterator[tuple[int, AppointmentDraft | None]]:
    """Each row with its number among them; None for one that names what does not exist: the report refuses it.

    Two queries for each chunk of rows.
    """
    numbers = count(1)
    for chunk in chunks(entries):
        patients = known_patients(chunk, by=by)
        before = booked_before(chunk)
        for entry in chunk:
            draft = None
            with refusing(entry.row, report, COLUMN_OF):
                draft = draft_of(entry, known, patients, before)
            yield next(numbers), draft


def draft_of(
    entry: AppointmentRow,
    known: ImportLookups,
    patients: Mapping[str, Patient],
    before: Mapping[str, Appointment],
) -> AppointmentDraft:
    """The appointment that a row asks for. Raises Refusal for what it names and does not exist."""
    site = known.sites.get(entry.site) or known.sites.get(entry.site.casefold())
    if site is None:
        raise Refusal("You work at no site of this name.", code="unknown_site", field="site")
    patient = patients.get(entry.record_number)
    if patient is None:
        raise Refusal("There is no patient with this record number.", code="unknown_patient", field="patient")
    kind = known.kinds.get(entry.procedure_type)
    if kind is None:
        raise Refusal(
            "There is no procedure type with this code.",
            code="unknown_procedure_type",
            field="procedure_type",
        )
    try:
        starts_at = instant(entry.wall, site.zone)
    except NoSuchTime:
        raise Refusal(
            "This time does not exist on that day: the clocks jump over it.",
            code="no_such_time",
            field="starts_at",
        ) from None
    resources = []
    for column in ("clinician", "room"):
        name = entry.row.cells[column]
        resource = known.resources.get((site.pk, name.casefold()))
        if name and resource is None:
            raise Refusal(
                "Nobody and nothing at this site has this name.", code="unknown_resource", field=column
            )
        if resource:
            resources.append(resource)
    appointment = Appointment(
        patient=patient, procedure_type=kind, site=site, starts_at=starts_at, **entry.values
    )
    return AppointmentDraft(entry, appointment, resources, same(before.get(entry.request_key), appointment))


def same(before: Appointment | None, appointment: Appointment) -> Appointment | None:
    """What the row was booked as before. Refusal "key_reused" when that was another appointment."""
    if before and any(getattr(before, name) != getattr(appointment, name) for name in SAME):
        raise Refusal(
            "This external_id names an appointment that was booked for another patient, procedure, site or time.",
            code="key_reused",
            field="external_id",
        )
    return before


def known_names(entries: Sequence[AppointmentRow], *, by: User | None) -> ImportLookups:
    """The sites, procedure types and resources that rows may name."""
    sites = sites_by_name(by)
    codes = {entry.procedure_type for entry in entries}
    kinds = {kind.code.casefold(): kind for kind in ProcedureType.objects.filter(code__in=codes)}
    ids = {site.pk for site in sites.values()}
    hours = WorkingHours.objects.filter(site__in=ids)
    at_home: dict[tuple[int, str], Resource] = {}
    visiting: dict[tuple[int, str], Resource] = {}
    rows = Resource.objects.filter(Q(site__in=ids) | Q(pk__in=hours.values("resource")))
    resources = {resource.pk: resource for resource in rows}
    for resource in resources.values():
        at_home[resource.site_id, resource.name.casefold()] = resource
    for pk, site_id in hours.order_by().values_list("resource", "site").distinct():
        visiting[site_id, resources[pk].name.casefold()] = resources[pk]
    return ImportLookups(
        sites, kinds, visiting | at_home
    )  # of two that share a name, the one whose home it is


def known_patients(entries: Iterable[AppointmentRow], *, by: User | None) -> dict[str, Patient]:
    """The patients whom the rows name and `by` may see, by record number."""
    rows = Patient.objects.all() if by is None else Patient.objects.visible_to(by)
    return rows.numbered(entry.record_number for entry in entries)


def booked_before(entries: Iterable[AppointmentRow]) -> dict[str, Appointment]:
    """What the rows were booked as before, by request key, whoever imported them then."""
    rows = Appointment.objects.filter(request_key__in=[entry.request_key for entry in entries])
    return {appointment.request_key: appointment for appointment in rows.order_by("-pk")}
