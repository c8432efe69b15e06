"""The tables: which columns they have, and their rows, in batches by number so that a million need little memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import Prefetch, QuerySet

from clinic.models import Site, User
from outcomes.exports.columns import Column, Shield, local
from outcomes.instruments import registry
from outcomes.models import AdverseEvent, Answer, CheckIn, CourseSummary, FollowUp, Measurement
from outcomes.reports import Selection

#: Rows that are read at once.
BATCH = 2_000
#: What is measured besides instruments, with what its figures mean.
OWN: Mapping[str, tuple[str, str]] = {
    "relief.worn_off": ("Whether relief has worn off, as the patient says", "0 no, 1 yes, 2 not sure"),
    "diary.took_medicine": ("Pain medicine taken since the last entry of the diary", "0 no, 1 yes"),
}
NONE_YET = "None"
NOT_KNOWN = "Cannot be told"

Read = Callable[[Any], Any]


@dataclass(frozen=True)
class Table:
    """One kind of export. `rows(selection, user)` are those that `user` may see, in no order; `columns` are fixed.

    `follow_up_of` finds a row's follow-up, whose summary, procedure, site and patient are selected.
    """

    code: str
    meaning: str
    columns: Callable[[], Sequence[Column]]
    rows: Callable[[Selection, User], QuerySet[Any]]
    follow_up_of: Callable[[Any], FollowUp]

    def batches(self, selection: Selection, user: User) -> Iterator[list[Any]]:
        """The rows by their numbers, so many at once."""
        last = 0
        rows: QuerySet[Any] = self.rows(selection, user).order_by("pk")
        while batch := list(rows.filter(pk__gt=last)[:BATCH]):
            last = batch[-1].pk
            yield batch


def chosen(selection: Selection, user: User) -> QuerySet[CourseSummary]:
    return selection.summaries(user).order_by()


def follow_ups(selection: Selection, user: User) -> QuerySet[FollowUp]:
    return FollowUp.objects.filter(summary__in=chosen(selection, user)).select_related(
        "summary", "patient", "relief_profile", "procedure__site", "procedure__procedure_type"
    )


def check_ins(selection: Selection, user: User) -> QuerySet[CheckIn]:
    figures = Prefetch("answer__measurements", Measurement.objects.all(), to_attr="figures")
    return (
        CheckIn.objects.filter(follow_up__summary__in=chosen(selection, user))
        .select_related("answer", *(f"follow_up__{name}" for name in NEEDED))
        .prefetch_related(figures)
    )


def adverse_events(selection: Selection, user: User) -> QuerySet[AdverseEvent]:
    return (
        AdverseEvent.objects.standing()
        .filter(follow_up__summary__in=chosen(selection, user))
        .select_related(*(f"follow_up__{name}" for name in NEEDED))
    )


#: What each row needs of its follow-up.
NEEDED = ("summary", "patient", "procedure__site", "procedure__procedure_type")


def site_of(follow_up: FollowUp) -> Site:
    return follow_up.procedure.site


def common(follow_up_of: Read) -> list[Column]:
    """What stands at the beginning of every table: whose row it is."""

    def of(read: Read) -> Read:
        return lambda row: read(follow_up_of(row))

    return [
        Column(
            "follow_up",
            "integer",
            "Number of the follow-up, the same in all tables",
            of(lambda f: f.pk),
            shield=Shield.CODE,
            whose="follow_up",
        ),
        Column(
            "patient",
            "integer",
            "Number of the patient in this database",
            of(lambda f: f.patient_id),
            shield=Shield.CODE,
            whose="patient",
        ),
        Column(
            "record_number",
            "text",
            "The patient's record number",
            of(lambda f: f.patient.record_number),
            shield=Shield.DROP,
        ),
        Column(
            "site",
            "integer",
            "Number of the site at which the procedure was performed",
            of(lambda f: site_of(f).pk),
            shield=Shield.CODE,
            whose="site",
        ),
        Column("site_name", "text", "Its name", of(lambda f: site_of(f).name), shield=Shield.DROP),
        Column(
            "zone",
            "text",
            "The clock on its wall, to which local times belong (IANA)",
            of(lambda f: site_of(f).time_zone),
        ),
        Column(
            "procedure_type",
            "text",
            "Code of the procedure type in the catalogue",
            of(lambda f: f.procedure.procedure_type.code),
        ),
    ]


def moments(name: str, meaning: str, read: Read, follow_up_of: Read, empty: str = "") -> list[Column]:
    """An instant in UTC, and beside it what the clock on the site's wall showed."""
    return [
        Column(f"{name}_utc", "instant", meaning, read, unit="UTC", empty=empty, shield=Shield.SHIFT),
        Column(
            f"{name}_local",
            "text",
            f"{meaning}, on the clock of the site",
            read,
            unit="see zone",
            empty=empty,
            shield=Shield.SHIFT,
        ),
    ]


def follow_up_columns() -> list[Column]:
    def self(row: Any) -> Any:
        return row

    def procedure(name: str) -> Read:
        return lambda f: getattr(f.procedure, name)

    def summary(name: str) -> Read:
        return lambda f: getattr(f.summary, name)

    after = "see unit"
    return [
        *common(self),
        Column("procedure_type_name", "text", "Its name", lambda f: f.procedure.procedure_type.name),
        Column("family", "text", "Its family", lambda f: f.procedure.procedure_type.family),
        Column(
            "intent",
            "text",
            "What it was done for: diagnostic, therapeutic, trial, implant or maintenance",
            procedure("intent"),
        ),
        Column("status", "text", "completed or partial", procedure("status")),
        Column("region", "text", "Region of the body, as a code", procedure("region"), empty="Not said"),
        Column(
            "laterality",
            "text",
            "left, right, bilateral or midline",
            procedure("laterality"),
            empty="No side",
        ),
        Column(
            "levels", "text", "Levels, as written", procedure("levels"), empty="Not said", shield=Shield.DROP
        ),
        Column(
            "indication",
            "text",
            "ICD-10-CM code of the indication",
            procedure("indication"),
            empty="Not said",
        ),
        Column(
            "performer",
            "integer",
            "Number of the member of staff who performed it",
            lambda f: f.procedure.performer_id,
            empty="Not said",
            shield=Shield.CODE,
            whose="staff",
        ),
        *moments("performed", "When it was performed", procedure("performed_at"), self),
        Column(
            "age",
            "integer",
            "The patient's age at the procedure",
            lambda f: f.patient.age_on(f.summary.performed_on),
            unit="years",
            shield=Shield.BAND,
        ),
        Column("language", "text", "The patient's language", lambda f: f.patient.language),
        Column(
            "baseline_pain",
            "integer",
            "Pain before the procedure",
            procedure("baseline_pain"),
            scale="0–10",
            empty="Not asked: relief cannot be computed",
        ),
        Column(
            "baseline_source",
            "text",
            "day_of: asked on the day; earlier: the latest within 30 days before",
            procedure("baseline_source"),
            empty="Not said",
        ),
        Column(
            "unit",
            "text",
            "In what the positions of this row are counted from the procedure: day (calendar days) or minute",
            summary("unit"),
        ),
        Column(
            "evaluate_after",
            "integer",
            "First position that is judged",
            summary("evaluate_after"),
            unit=after,
        ),
        Column(
            "window_from",
            "integer",
            "Relief is expected to end from here",
            summary("window_from"),
            unit=after,
        ),
        Column("window_until", "integer", "to here", summary("window_until"), unit=after),
        Column(
            "success_percent", "integer", "The relief that counts", summary("success_percent"), unit="percent"
        ),
        Column("verdict", "text", "What the follow-up shows, as a code", lambda f: f.verdict),
        Column("verdict_label", "text", "The same in words", lambda f: str(f.get_verdict_display())),
        Column("verdict_reason", "text", "Why, in a sentence", lambda f: f.verdict_reason),
        Column(
            "lost_after",
            "integer",
            "Relief ended later than this",
            summary("lost_after"),
            unit=after,
            empty=f"{NOT_KNOWN}: no baseline, confounded, or nothing to judge yet",
        ),
        Column(
            "lost_until",
            "integer",
            "and not later than this",
            summary("lost_until"),
            unit=after,
            empty="Not seen to end",
        ),
        Column("responded", "boolean", "Seen in relief at some check-in that counts", summary("responded")),
        Column(
            "suspected_until",
            "integer",
            "First bad score after the last good one, which nothing has confirmed",
            summary("suspected_until"),
            unit=after,
            empty=NONE_YET,
        ),
        Column(
            "repeated_at",
            "integer",
            "The treatment was repeated, which ended the course",
            summary("repeated_at"),
            unit=after,
            empty="Not repeated",
        ),
        Column(
            "last_answer",
            "integer",
            "Position of the last answer",
            summary("last_answer"),
            unit=after,
            empty=NONE_YET,
        ),
        Column("check_ins_due", "integer", "Check-ins that fell due", lambda f: len(f.summary.scores)),
        Column(
            "check_ins_answered",
            "integer",
            "How many of them were answered",
            lambda f: sum(score is not None for score in f.summary.scores),
        ),
        Column("closed_because", "text", "Why the course ended", lambda f: f.closed_because, empty="It runs"),
        *moments("closed", "When it ended", lambda f: f.closed_at, self, "It runs"),
        Column(
            "confounded_by",
            "integer",
            "The other follow-up of the same region that makes this one unreadable",
            lambda f: f.confounded_by_id,
            empty=NONE_YET,
            shield=Shield.CODE,
            whose="follow_up",
        ),
    ]


def figures_of(check_in: CheckIn) -> dict[str, int]:
    """The figures of a check-in's answer by "instrument.item"; read once a row."""
    known: dict[str, int] | None = check_in.__dict__.get("figures_by_key")
    if known is None:
        answer = answer_of(check_in)
        rows: list[Measurement] = vars(answer)["figures"] if answer else []
        known = check_in.__dict__["figures_by_key"] = {
            f"{one.instrument}.{one.item}": one.value for one in rows
        }
    return known


def answer_of(check_in: CheckIn) -> Answer | None:
    return getattr(check_in, "answer", None)


def check_in_columns() -> list[Column]:
    def follow_up(row: CheckIn) -> FollowUp:
        return row.follow_up

    def answered(name: str) -> Read:
        return lambda row: getattr(answer_of(row), name, None)

    silent = "No answer"
    return [
        Column(
            "check_in",
            "integer",
            "Number of the check-in",
            lambda row: row.pk,
            shield=Shield.CODE,
            whose="check_in",
        ),
        *common(follow_up),
        Column(
            "offset",
            "integer",
            "For which time after the procedure it was planned",
            lambda row: row.offset_minutes,
            unit="minutes",
        ),
        *moments("due", "When it was to be asked", lambda row: row.due_at, follow_up),
        *moments("closes", "Until when answers were taken", lambda row: row.closes_at, follow_up),
        Column(
            "status",
            "text",
            "planned, invited, answered, missed, superseded or voided",
            lambda row: row.status,
        ),
        Column("status_label", "text", "The same in words", lambda row: str(row.get_status_display())),
        *moments(
            "asked", "When it was asked by e-mail", lambda row: row.invited_at, follow_up, "Not by e-mail"
        ),
        Column(
            "not_sent_because",
            "text",
            "Code of the reason why no e-mail went out",
            lambda row: row.not_sent_because,
            empty="None is known",
        ),
        Column("reminders", "integer", "Reminders that were queued", lambda row: row.reminders),
        *moments("answered", "When the answer came", answered("answered_at"), follow_up, silent),
        Column(
            "channel", "text", "How it came: email, phone, clinic or paper", answered("channel"), empty=silent
        ),
        Column("answer_language", "text", "In which language", answered("language"), empty=silent),
        Column(
            "late",
            "boolean",
            "An entry of a diary, written well after its hour",
            answered("late"),
            empty=silent,
        ),
        Column(
            "version", "integer", "1, and one more for each correction", answered("version"), empty=silent
        ),
        *(figure(key, meaning, scale) for key, (meaning, scale) in figures().items()),
        Column(
            "red_flags_yes",
            "text",
            "Codes of the red flags that were answered with yes, with blanks between them",
            lambda row: " ".join(
                sorted(
                    key.partition(".")[2]
                    for key, value in figures_of(row).items()
                    if key.startswith("red_flag.") and value == 1
                )
            ),
            empty="None, or not asked",
        ),
    ]


@cache
def figures() -> dict[str, tuple[str, str]]:
    """Every figure that an answer can hold, by "instrument.item": what it means, and its scale.

    In order of instrument and item; of an instrument's versions the newest one's words.
    """
    found: dict[str, tuple[str, str]] = {}
    for instrument in registry().values():
        for item in instrument.items:
            words = "; ".join(f"{one.code} {one.text.en}" for one in item.anchors)
            scale = f"{item.least}–{item.most}" + (f": {words}" if words else "")
            found[f"{instrument.key}.{item.key}"] = (item.wording.en, scale)
    return {**found, **OWN}


def figure(key: str, meaning: str, scale: str) -> Column:
    return Column(
        key.replace(".", "_"),
        "integer",
        meaning,
        lambda row: figures_of(row).get(key),
        scale=scale,
        empty="Not asked or not answered",
    )


def adverse_event_columns() -> list[Column]:
    def follow_up(row: AdverseEvent) -> FollowUp:
        return row.follow_up

    def field(name: str) -> Read:
        return lambda row: getattr(row, name)

    return [
        Column(
            "adverse_event",
            "integer",
            "Number of the event",
            lambda row: row.pk,
            shield=Shield.CODE,
            whose="adverse_event",
        ),
        *common(follow_up),
        Column("term", "text", "What happened, as a code", field("term")),
        Column("term_label", "text", "The same in words", lambda row: str(row.get_term_display())),
        Column("onset_on", "date", "The day on which it began", field("onset_on"), shield=Shield.SHIFT),
        Column(
            "onset_after",
            "integer",
            "How long after the procedure",
            lambda row: (row.onset_on - row.follow_up.summary.performed_on).days,
            unit="days",
        ),
        Column("severity", "text", "mild, moderate or severe", field("severity")),
        Column("serious", "boolean", "By its consequences", field("serious")),
        Column("outcome", "text", "What became of it, as a code", field("outcome")),
        Column("relation", "text", "How likely the suspect caused it", field("relation")),
        Column("suspect", "text", "procedure or device", field("suspect")),
        Column("grade", "integer", "Its grade", field("grade"), scale="1–5", empty="Not graded"),
        Column("description", "text", "In words", field("description"), empty="None", shield=Shield.DROP),
    ]


TABLES: dict[str, Table] = {
    table.code: table
    for table in (
        Table(
            "follow_ups",
            "One row a follow-up: what was done, what it shows, and when relief ended",
            cache(follow_up_columns),
            follow_ups,
            lambda row: row,
        ),
        Table(
            "check_ins",
            "One row a check-in, asked or not, with every figure of its answer; remarks are not in it",
            cache(check_in_columns),
            check_ins,
            lambda row: row.follow_up,
        ),
        Table(
            "adverse_events",
            "One row an adverse event that was not entered in error",
            cache(adverse_event_columns),
            adverse_events,
            lambda row: row.follow_up,
        ),
    )
}


def shown(column: Column, value: Any, follow_up: FollowUp) -> Any:
    """A value as it is written, after its days were moved: local times by the clock of the follow-up's site."""
    if column.name.endswith("_local"):
        return local(value, site_of(follow_up).zone)
    return value
