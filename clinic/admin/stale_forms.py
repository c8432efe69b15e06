"""A page that somebody else has overtaken: it saves nothing, says who changed what, and keeps what was typed.

A form carries, signed, what it showed (`SHOWN`). When that is not what stands by now, the form is shown again: what
was typed stays, what was not touched says what stands, and the next press of Save saves both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core import signing
from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from pghistory.models import Events

from clinic.admin.form_data import Said, display_values, kept_fields, put, same, shown_by, shown_in, typed_in
from clinic.admin.history import site_of
from clinic.models import AuditEvent, User
from clinic.refusals import Refusal
from clinic.row_versions import SEEN, column_digests, digest

#: The hidden input that carries what a page showed.
SHOWN = "shown-version"
#: A transaction that began before a page was read may end after it: so far back is looked for who it was.
SLACK = timedelta(minutes=2)
#: Fields that a page fills in with the time at which it is opened.
TIMELY = (forms.DateField, forms.TimeField, forms.SplitDateTimeField)
#: Looking at something is no change of it.
LOOKS = ("read", "opened", "downloaded")


@dataclass
class ConcurrentChange:
    """One thing that was changed meanwhile: of what, what it was and is, what the reader typed, who did it, when.

    `typed` None: the reader had not touched it. `by` "" and `at` "": it is not known.
    """

    label: str
    before: str
    now: str
    typed: str | None = None
    by: str = ""
    at: str = ""


@dataclass
class StalePage:
    """What a page missed."""

    changes: list[ConcurrentChange] = dataclass_field(default_factory=list)
    #: Who did anything to the row since the page was read, and when, a line each.
    who: list[str] = dataclass_field(default_factory=list)

    @property
    def clashes(self) -> bool:
        """Whether the reader typed something else into what was changed."""
        return any(change.typed is not None for change in self.changes)


def refusal() -> Refusal:
    """What a stale form says above its fields."""
    return Refusal(_("Nothing was saved: this was changed while you had it open. See below."), code="stale")


# What a page carries.


def seal(shown: Any, of: str, *, at: datetime) -> str:
    """What was shown at the instant `at`, signed, for a hidden input. `of`: of what, so that no other page takes it."""
    return signing.dumps([at.timestamp(), shown], salt=f"shown:{of}", compress=True)


def unseal(carried: str, of: str) -> tuple[Any, datetime | None]:
    """What a page says it showed, and when; (None, None) for a page that says nothing that is ours."""
    try:
        at, shown = signing.loads(carried, salt=f"shown:{of}")
    except signing.BadSignature:
        return None, None
    return shown, datetime.fromtimestamp(at, UTC)


def snapshot(form: forms.BaseForm, formsets: Iterable[Any] = ()) -> list[Any]:
    """What a form and the tables below it show: their fields, and each table's rows by number."""
    return [
        shown_by(form),
        {
            formset.prefix: {str(form.instance.pk): shown_by(form) for form in formset.initial_forms}
            for formset in formsets
        },
    ]


# What was missed.


@dataclass(frozen=True)
class Trail:
    """What the history and the audit trail say about a row since a page was read; `at` None: since when is unknown."""

    row: models.Model | None
    at: datetime | None

    def by_column(self) -> dict[str, dict[str, Any]]:
        """The last event of the row's history that touched each column."""
        if self.row is None:
            return {}
        every: Any = Events.objects
        events = every.tracks(self.row).exclude(pgh_diff=None)
        found: dict[str, dict[str, Any]] = {}
        for event in events.values("pgh_created_at", "pgh_diff", "pgh_context").order_by(
            "-pgh_created_at", "-pgh_slug"
        )[:50]:
            for column in event["pgh_diff"]:
                found.setdefault(column, event)
        return found

    def audited(self) -> list[AuditEvent]:
        """The events of the audit trail since then, latest first."""
        if self.row is None or self.at is None:
            return []
        events = AuditEvent.objects.filter(
            object_type=self.row._meta.label_lower, object_id=self.row.pk, recorded_at__gte=self.at - SLACK
        ).select_related("by")
        return [event for event in events[:20] if event.action.rpartition(".")[2] not in LOOKS]


def zone_of(row: models.Model | None) -> Any:
    """The zone of the wall clock on which a row's times are shown."""
    site = site_of(row)
    return site.zone if site else timezone.get_current_timezone()


def credit(
    change: ConcurrentChange, event: Mapping[str, Any] | None, zone: Any, names: Mapping[int, str]
) -> None:
    """Write down who made a change, by an event of the row's history."""
    if event:
        change.at = event["pgh_created_at"].astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
        change.by = names.get((event["pgh_context"] or {}).get("user") or 0, "")


def name_authors(stale: StalePage, trail: Trail, columns: Mapping[int, Iterable[str]]) -> None:
    """Say of each change who made it; `columns`: the columns of the row that the change with that index is of."""
    zone, events, audited = zone_of(trail.row), trail.by_column(), trail.audited()
    numbers: set[Any] = {(event["pgh_context"] or {}).get("user") for event in events.values()} - {None}
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=numbers)}
    for index, change in enumerate(stale.changes):
        known = [events[column] for column in columns.get(index, ()) if column in events]
        newest = max(known, key=lambda event: event["pgh_created_at"], default=None)
        credit(change, newest, zone, names)
        if not change.by and audited:
            change.by = str(audited[0].by or audited[0].actor)
            change.at = audited[0].at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    stale.who = [
        f"{event.at.astimezone(zone):%Y-%m-%d %H:%M %Z} · {event.by or event.actor} · {event.action.replace('_', ' ')}"
        for event in audited
    ]


# What is shown instead.


class Merge:
    """Puts together what a reader typed and what stands by now, into the data of their form.

    `shown` None: the page does not say what it showed; then all that differs from what stands counts as typed.
    """

    def __init__(self, data: QueryDict, shown: list[Any] | None) -> None:
        self.data = data.copy()
        self.shown: list[Any] = shown if shown is not None else [{}, {}]
        self.blind = shown is None
        self.stale = StalePage()
        #: The fields of the form of which the change with each index is.
        self.fields: dict[int, str] = {}

    def fields_of(
        self, form: forms.BaseForm, was: Said, typed: Said, *, prefix: str = "", line: str = ""
    ) -> None:
        """Merge one form; `line`: of which row of a table it is."""
        for name, field in kept_fields(form):
            present, sent = shown_in(form, name), typed[name]
            before = sent if self.blind else was.get(name, present)
            untouched = not self.blind and same(field, name, sent, before)
            put(self.data, present if untouched else sent, prefix)
            if same(field, name, before, present):
                continue
            clash = not untouched and not same(field, name, sent, present)
            label = str(field.label if field.label is not None else form[name].label)
            if not line:
                self.fields[len(self.stale.changes)] = name
            self.stale.changes.append(
                ConcurrentChange(
                    f"{line}: {label}" if line else label,
                    "–" if self.blind else display_values(field, before),
                    display_values(field, present),
                    display_values(field, sent) if clash else None,
                )
            )

    def table(self, formset: Any) -> None:
        """Merge the rows of a table: those that stand, then what was typed into rows that are gone, then new ones."""
        prefix, key = formset.prefix, formset.model._meta.pk.name
        was: dict[str, Said] = self.shown[1].get(prefix, {})
        initial, total = (count(self.data, f"{prefix}-{name}") for name in ("INITIAL_FORMS", "TOTAL_FORMS"))
        sent: dict[str, tuple[Said, bool]] = {}
        sample = formset.empty_form
        for index in range(initial):
            at = f"{prefix}-{index}-"
            sent[self.data.get(at + key, "")] = (typed_in(self.data, sample, at), at + "DELETE" in self.data)
        added = [typed_in(self.data, sample, f"{prefix}-{index}-") for index in range(initial, total)]
        for name in [name for name in self.data if name.startswith(f"{prefix}-")]:
            del self.data[name]
        stands = [(str(form.instance.pk), form) for form in formset.initial_forms]
        parent = shown_in(sample, formset.fk.name)
        for index, (pk, form) in enumerate(stands):
            at, (typed, deleted) = f"{prefix}-{index}-", sent.get(pk, (shown_by(form), False))
            put(self.data, {key: [pk], **parent}, at)
            if deleted:
                self.data[at + "DELETE"] = "on"
            new = not self.blind and pk not in was
            if new:
                self.stale.changes.append(ConcurrentChange(str(form.instance), "–", _("added")))
            self.fields_of(
                form, shown_by(form) if new else was.get(pk, {}), typed, prefix=at, line=str(form.instance)
            )
        gone = [pk for pk in was if pk not in dict(stands)]
        for pk in gone:
            typed, _deleted = sent.get(pk, (was[pk], False))
            touched = any(
                not same(field, name, typed[name], was[pk].get(name, typed[name]))
                for name, field in kept_fields(sample)
            )
            words = ", ".join(
                display_values(field, was[pk].get(name, {})) for name, field in kept_fields(sample)
            )
            self.stale.changes.append(
                ConcurrentChange(words, words, _("removed"), _("kept as a new row") if touched else None)
            )
            if touched:
                added.append(typed)
        for index, typed in enumerate(added, len(stands)):
            put(self.data, parent, f"{prefix}-{index}-")
            for values in typed.values():
                put(self.data, values, f"{prefix}-{index}-")
        numbers = {"INITIAL_FORMS": len(stands), "TOTAL_FORMS": len(stands) + len(added)}
        for name, number in (numbers | {"MIN_NUM_FORMS": 0, "MAX_NUM_FORMS": 1000}).items():
            self.data[f"{prefix}-{name}"] = str(number)


def count(data: QueryDict, name: str) -> int:
    """A number of a table's rows, as it was sent; 0 for none that can be meant."""
    text = data.get(name, "")
    return min(int(text), 1000) if text.isdecimal() else 0


def overtaken(
    request: HttpRequest,
    row: models.Model,
    form: forms.BaseForm,
    formsets: Iterable[Any] = (),
    *,
    of: str,
    now: datetime,
) -> StalePage | None:
    """What the page that `request` posts has missed; its data then becomes what to show instead. None: nothing.

    `form`, `formsets`: unbound, of the row as it stands.
    """  # fmt: skip
    formsets = list(formsets)
    shown, at = unseal(request.POST.get(SHOWN, ""), of)
    present = snapshot(form, formsets)
    if shown == present:
        return None
    merge = Merge(request.POST, shown)
    merge.fields_of(form, merge.shown[0], typed_in(request.POST, form))
    for formset in formsets:
        merge.table(formset)
    merge.data[SHOWN] = seal(present, of, at=now)
    names = {inner: outer for outer, inner in getattr(form, "names", {}).items()}
    model: Any = row._meta
    columns = {
        index: [
            name,
            names.get(name, name),
            *([model.get_field(name).attname] if name in attnames(row) else []),
        ]
        for index, name in merge.fields.items()
    }
    name_authors(merge.stale, Trail(row if row.pk else None, at), columns)
    request.POST = merge.data  # type: ignore[assignment]  # the stubs know none that was copied
    return merge.stale


def overtaken_step(request: HttpRequest, row: models.Model, form: forms.Form, *, of: str) -> StalePage | None:
    """What the page of one step with `row` has missed; the form then holds what to show instead. None: nothing.

    The page carries the row's columns and its own fields, a button beside the row only what `seen` makes of it.
    """
    now = column_digests(row)
    carried, at = unseal(request.POST.get(SHOWN, ""), of)
    if carried is None and request.GET.get(SEEN) == digest(now):
        return None
    was: dict[str, str] | None = carried and carried[1]
    if was == now:
        return None
    stale, changed = missed_of(row, was, now, at)
    if carried is not None:
        form.data = merged(request.POST, form, carried[0], changed, stale)
        form._errors = None  # type: ignore[attr-defined]  # no part of the stubs; they were of what was sent
    return stale


def missed_of(
    row: models.Model, was: dict[str, str] | None, now: dict[str, str], at: datetime | None
) -> tuple[StalePage, list[str]]:
    """What has changed in a row since its columns were `was` at the instant `at`, and in which columns."""
    trail = Trail(row, at)
    stale, events = StalePage(), trail.by_column()
    changed = [name for name in now if was is None or was.get(name) != now[name]]
    if was is None:  # of a button only that it is old is known: the last change is told
        last = max((event["pgh_created_at"] for event in events.values()), default=None)
        changed = [name for name in changed if name in events and events[name]["pgh_created_at"] == last]
    fresh = type(row)._base_manager.filter(pk=row.pk).first() or row
    for name in changed:
        before = events[name]["pgh_diff"][name][0] if name in events else None
        stale.changes.append(
            ConcurrentChange(column_label(row, name), column_in_words(row, name, before),
                   column_in_words(row, name, getattr(fresh, name)))
        )  # fmt: skip
    name_authors(stale, trail, {index: [name] for index, name in enumerate(changed)})
    return stale, changed


def merged(data: QueryDict, form: forms.Form, was: Said, changed: list[str], stale: StalePage) -> QueryDict:
    """What was typed, and where nothing was, what stands. The day or time at which a page was opened is no change."""
    data, typed = data.copy(), typed_in(data, form)
    for name, field in kept_fields(form):
        present, sent = shown_in(form, name), typed[name]
        before = was.get(name, present)
        if same(field, name, sent, before):
            put(data, present)
        elif not same(field, name, before, present) and not same(field, name, sent, present):
            label = str(field.label or name)
            if name in changed:
                stale.changes[changed.index(name)].typed = display_values(field, sent)
            elif not isinstance(field, TIMELY):
                stale.changes.append(
                    ConcurrentChange(
                        label,
                        display_values(field, before),
                        display_values(field, present),
                        display_values(field, sent),
                    )
                )
    return data


def column_label(row: models.Model, column: str) -> str:
    """A column as staff know it."""
    fields = row._meta.concrete_fields
    return next(
        (str(field.verbose_name) for field in fields if column in (field.name, field.attname)), column
    )


def column_in_words(row: models.Model, column: str, value: Any) -> str:
    """A column's value, as it is or as its history has it, as a clerk reads it; "–" for nothing."""
    field: Any = next(known for known in row._meta.concrete_fields if column in (known.name, known.attname))
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return str(value)
    if field.remote_field:
        return str(field.related_model._base_manager.filter(pk=value).first() or value)
    if isinstance(field, models.BooleanField):
        return _("yes") if value else _("no")
    if isinstance(field, models.DateTimeField):
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return f"{moment.astimezone(zone_of(row)):%Y-%m-%d %H:%M %Z}"
    return str(dict(field.flatchoices).get(value, value))


def attnames(row: models.Model) -> set[str]:
    """The names of a row's columns that have another one in the database: relations."""
    return {field.name for field in row._meta.concrete_fields}
