"""Merging two records of one person: find the other one, see both side by side, choose each field, merge for good."""

from functools import cached_property
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import ActionPage, paths, shown_of
from clinic.admin.base import staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.stale_forms import SHOWN, StalePage, missed_of, unseal
from clinic.row_versions import column_digests, digest, one_at_a_time
from patients import services
from patients.admin.patients import PatientAdmin, born
from patients.models import Patient, answering

MERGE = "patients.merge_patient"
#: How many records a search for the other one shows.
MOST = 20
#: Tables that only sum up others: nothing to tell of.
DERIVED = {"outcomes.coursesummary"}


class ChoicesForm(forms.Form):
    """Whose value counts, of each field in which the two records differ; of an empty one the other's is offered."""

    def __init__(self, *args: Any, duplicate: Patient, kept: Patient, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in services.CHOICES:
            mine, other = getattr(kept, name), getattr(duplicate, name)
            if mine != other:
                self.fields[name] = forms.ChoiceField(
                    label=capfirst(str(Patient._meta.get_field(name).verbose_name)),  # type: ignore[union-attr]
                    choices=[("kept", value_of(kept, name)), ("duplicate", value_of(duplicate, name))],
                    initial="duplicate" if other and not mine else "kept",
                    widget=forms.RadioSelect,
                )

    def taken(self) -> list[str]:
        """The fields that are taken from the duplicate."""
        return [name for name, whose in self.cleaned_data.items() if whose == "duplicate"]


def value_of(patient: Patient, name: str) -> str:
    """A field's value as staff read it; "–" for none."""
    value = patient.get_language_display() if name == "language" else getattr(patient, name)
    return str(value) if value else "–"


def find(request: HttpRequest, pk: int) -> HttpResponse:
    """The page on which the other record is found. That somebody looked at the record is written down."""
    if not request.user.has_perm(MERGE):
        raise PermissionDenied
    rows = Patient.objects.visible_to(staff(request))
    patient = get_object_or_404(rows.select_related("site", "merged_into"), pk=pk)
    services.record_page_view(patient, by=staff(request), now=timezone.now())
    typed = request.GET.get("q", "").strip()
    others = rows.filter(merged_into=None).exclude(pk=pk)
    found = list(others.found_by(typed).select_related("site")[: MOST + 1]) if typed else []
    context = {
        **admin.site.each_context(request),
        "title": _("Merge: find the other record"),
        "patient": patient,
        "typed": typed,
        "found": [{"patient": patient, "born": born(patient)} for patient in found[:MOST]],
        "more": len(found) > MOST,
    }
    return TemplateResponse(request, "admin/patients/merge_find.html", context)


class MergePage(ActionPage):
    """The two records side by side: the first is kept, the other becomes a part of it."""

    model = Patient
    name, address = "merge_with", "<int:pk>/merge/<int:other>/"
    permission_required = MERGE
    template_name = "admin/patients/merge.html"
    form_class = ChoicesForm
    title = _("Merge two records")
    done: Any = _("Merged.")

    @cached_property
    def duplicate(self) -> Patient:
        """The record that becomes a part of the other."""
        duplicate: Patient = get_object_or_404(self.get_queryset(), pk=self.kwargs["other"])
        return duplicate

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            for number in sorted({self.kwargs["pk"], self.kwargs["other"]}):
                one_at_a_time(Patient, number)
            return super().post(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "duplicate": self.duplicate, "kept": self.row}

    def shown(self, form: Any) -> list[Any]:
        """Both records, and what belongs to them."""
        return [
            [column_digests(record), digest(services.belonging(record))]
            for record in (self.row, self.duplicate)
        ]

    def missed(self, versioned_row: Any, form: Any) -> StalePage | None:
        carried, at = unseal(self.request.POST.get(SHOWN, ""), shown_of(self.request, versioned_row))
        present = self.shown(form)
        if carried and carried[:2] == present:
            return None
        missed = StalePage()
        for index, record in enumerate((self.row, self.duplicate)):
            was = carried[index][0] if carried else None
            found, _changed = missed_of(record, was, present[index][0], at)
            missed.changes += found.changes
            missed.who += found.who
        return missed

    def act(self, form: ChoicesForm) -> services.Merged:
        return services.merge(self.duplicate.pk, self.row.pk, take=form.taken(), by=self.by, now=self.now)

    def answer(self, form: Any, result: services.Merged) -> HttpResponse:
        self.done = _("Merged. Moved: %s.") % (row_counts(result.moved) or _("nothing"))
        return super().answer(form, result)

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        kept, duplicate, form = self.row, self.duplicate, given["form"]
        amiss = ""
        try:
            services.refuse_pair(duplicate, kept)
        except ValidationError as refusal:
            amiss = " ".join(refusal.messages)
        for record in (kept, duplicate):
            services.record_page_view(record, by=self.by, now=self.now)
        return {
            **super().get_context_data(**given),
            "kept": kept,
            "duplicate": duplicate,
            "amiss": amiss,
            "falls_silent": bool(kept.consented_at) != bool(duplicate.consented_at),
            "rows": rows_of(form, kept, duplicate),
            "obstacles": [] if amiss else services.obstacles(duplicate, kept, now=self.now),
            "belongs": [row_counts(services.belonging(record)) or "–" for record in (kept, duplicate)],
        }


def rows_of(form: ChoicesForm, kept: Patient, duplicate: Patient) -> list[dict[str, Any]]:
    """The lines of the table: each field, with what both records say, and the choice where they differ."""
    rows: list[dict[str, Any]] = [
        {"label": _("Record number"), "values": [kept.record_number, duplicate.record_number]}
    ]
    for name in services.CHOICES:
        label = capfirst(str(Patient._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
        values = [value_of(kept, name), value_of(duplicate, name)]
        rows.append({"label": label, "values": values, "field": form[name] if name in form.fields else None})
    both, either = _("Counts only where both agreed."), _("Counts where one of them did.")
    for heading, name, says in (
        (_("Agreed to e-mail"), "consented_at", both),
        (_("Agreed to text messages"), "sms_consented_at", both),
        (_("Stopped e-mail"), "opted_out_at", either),
        (_("Address bounced"), "bounced_at", _("Goes with the address.")),
    ):
        values = [
            site_time_text(getattr(patient, name), patient.site) or "–" for patient in (kept, duplicate)
        ]
        rows.append({"label": heading, "values": values, "says": says})
    names = [
        f"{caregiver.name}, {caregiver.get_relation_display()}" if (caregiver := answering(whose)) else "–"
        for whose in (kept, duplicate)
    ]
    rows.append(
        {"label": _("Caregiver"), "values": names, "says": _("Answers for the kept record from then on.")}
    )
    return rows


def row_counts(moved: dict[str, list[int]]) -> str:
    """How many rows of which kind: "2 appointments, 1 follow-up". Tables that only sum up others are left out."""
    words = []
    for label, numbers in moved.items():
        meta = apps.get_model(label)._meta
        if label in DERIVED:
            continue
        count = len(numbers)
        words.append(f"{count} {meta.verbose_name if count == 1 else meta.verbose_name_plural}")
    return ", ".join(words)


PatientAdmin.pages += [
    path("<int:pk>/merge/", admin.site.admin_view(find), name="patients_patient_merge"),
    *paths(MergePage),
]
