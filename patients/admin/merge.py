"""Merging two records of one person: find the other one, see both side by side, choose each field, merge for good."""

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from clinic.admin.base import show_refusal, staff
from clinic.admin.datetime_widgets import shown
from clinic.admin.stale_forms import SHOWN, StalePage, missed_of, seal, unseal
from clinic.versions import columns, digest, one_at_a_time
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


def known(request: HttpRequest, pk: int) -> Patient:
    """The record with that number, if the user may merge it; else 403 or 404."""
    user = staff(request)
    if not user.has_perm(MERGE):
        raise PermissionDenied
    rows = Patient.objects.visible_to(user).select_related("site", "merged_into")
    return get_object_or_404(rows, pk=pk)


def find(request: HttpRequest, pk: int) -> HttpResponse:
    """The page on which the other record is found. That somebody looked at the record is written down."""
    patient = known(request, pk)
    services.read(patient, by=staff(request), now=timezone.now())
    typed = request.GET.get("q", "").strip()
    rows = Patient.objects.visible_to(staff(request)).filter(merged_into=None).exclude(pk=pk)
    found = list(rows.found_by(typed).select_related("site")[: MOST + 1]) if typed else []
    context = {
        **admin.site.each_context(request),
        "title": _("Merge: find the other record"),
        "patient": patient,
        "typed": typed,
        "found": [{"patient": one, "born": born(one)} for one in found[:MOST]],
        "more": len(found) > MOST,
    }
    return TemplateResponse(request, "admin/patients/merge_find.html", context)


def compare(request: HttpRequest, pk: int, other: int) -> HttpResponse:
    """The two records side by side: `pk` is kept, `other` becomes a part of it. Only POST merges.

    It merges only what the page showed as it stands; else the page comes again, 409, with what has changed.
    """
    with transaction.atomic():
        for number in sorted({pk, other}) if request.method == "POST" else ():
            one_at_a_time(Patient, number)
        return compared(request, known(request, pk), known(request, other))


def compared(request: HttpRequest, kept: Patient, duplicate: Patient) -> HttpResponse:
    user, now = staff(request), timezone.now()
    form = ChoicesForm(request.POST or None, duplicate=duplicate, kept=kept)
    amiss = ""
    try:
        services.refuse_pair(duplicate, kept)
    except ValidationError as refusal:
        amiss = " ".join(refusal.messages)
    present = [[columns(one), digest(services.belonging(one))] for one in (kept, duplicate)]
    stale = missed(request, kept, duplicate, present) if request.method == "POST" and not amiss else None
    if request.method == "POST" and stale is None and form.is_valid() and not amiss:
        try:
            merged = services.merge(duplicate.pk, kept.pk, take=form.taken(), by=user, now=now)
        except ValidationError as refusal:
            show_refusal(form, refusal, {})
        else:
            messages.success(request, _("Merged. Moved: %s.") % (counted(merged.moved) or _("nothing")))
            return HttpResponseRedirect(reverse("admin:patients_patient_change", args=[kept.pk]))
    for one in (kept, duplicate):
        services.read(one, by=user, now=now)
    context = {
        **admin.site.each_context(request),
        "title": _("Merge two records"),
        "kept": kept,
        "duplicate": duplicate,
        "form": form,
        "amiss": amiss,
        "falls_silent": bool(kept.consented_at) != bool(duplicate.consented_at),
        "rows": rows_of(form, kept, duplicate),
        "obstacles": [] if amiss else services.obstacles(duplicate, kept, now=now),
        "belongs": [counted(services.belonging(one)) or "–" for one in (kept, duplicate)],
        "shown": seal(present, request.path, at=now),
        "shown_name": SHOWN,
        "stale": stale,
    }
    status = 409 if stale else 422 if form.errors else 200
    return TemplateResponse(request, "admin/patients/merge.html", context, status=status)


def missed(request: HttpRequest, kept: Patient, duplicate: Patient, present: list[Any]) -> StalePage | None:
    """What the page that is posted has missed of the two records and of what belongs to them; None: nothing."""
    carried, at = unseal(request.POST.get(SHOWN, ""), request.path)
    if carried == present:
        return None
    missed = StalePage()
    for index, one in enumerate((kept, duplicate)):
        was = carried[index][0] if carried else None
        found, _changed = missed_of(one, was, present[index][0], at)
        missed.changes += found.changes
        missed.who += found.who
    return missed


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
    for label, name, says in (
        (_("Agreed to e-mail"), "consented_at", both),
        (_("Agreed to text messages"), "sms_consented_at", both),
        (_("Stopped e-mail"), "opted_out_at", either),
        (_("Address bounced"), "bounced_at", _("Goes with the address.")),
    ):
        values = [shown(getattr(one, name), one.site) or "–" for one in (kept, duplicate)]
        rows.append({"label": label, "values": values, "says": says})
    names = [
        f"{one.name}, {one.get_relation_display()}" if (one := answering(whose)) else "–"
        for whose in (kept, duplicate)
    ]
    rows.append(
        {"label": _("Caregiver"), "values": names, "says": _("Answers for the kept record from then on.")}
    )
    return rows


def counted(moved: dict[str, list[int]]) -> str:
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
    path("<int:pk>/merge/<int:other>/", admin.site.admin_view(compare), name="patients_patient_merge_with"),
]
