"""Calls: whom to telephone about a check-in, what to say, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clinic.admin.action_pages import ActionPage, in_a_line, paths
from clinic.admin.base import staff
from clinic.admin.datetime_widgets import site_time_text, to_instant
from clinic.admin.stale_forms import StalePage
from clinic.models import Site
from outcomes import services
from outcomes.admin.call_script import script
from outcomes.admin.check_in_forms import AgainForm, CallAnswerForm, questions_of
from outcomes.admin.check_ins import CheckInAdmin, raise_after_all, raise_at_once, say_what_to_do
from outcomes.check_in_history import reason
from outcomes.models import Answer, CheckIn, ContactAttempt
from outcomes.models.check_ins import CheckInQuerySet
from outcomes.services.calls import TRIES, tries, wrong_number_since
from patients.admin import PatientAdmin
from patients.models import Caregiver, Patient, answering, with_caregivers
from patients.services import who_is_asked

Outcome = ContactAttempt.Outcome
#: Rows on a page of the list.
MOST = 50

#: What is said when a call has been written down.
NOTED = {
    Outcome.REACHED: gettext_lazy("The answer is written down, and the follow-up judged again."),
    Outcome.NO_ANSWER: gettext_lazy("Written down: nobody answered."),
    Outcome.CALL_AGAIN: gettext_lazy("Written down: to be called again."),
    Outcome.WRONG_NUMBER: gettext_lazy("Written down: wrong number. The patient's page says so."),
    Outcome.DECLINED: gettext_lazy("Written down: the patient does not want to answer."),
}


@dataclass
class CallRow:
    """One patient to call."""

    check_in: CheckIn
    age: int
    why: str
    tries: str
    closes: str
    left: str
    page: str
    caregiver: Caregiver | None


def wanted(request: HttpRequest) -> CheckInQuerySet:
    """The check-ins that the user may see, with all that a call needs."""
    calls = ContactAttempt.objects.filter(kind=ContactAttempt.Kind.CALL).order_by("id")
    return (
        CheckIn.objects.visible_to(staff(request))
        .select_related(
            "follow_up__patient",
            "follow_up__relief_profile",
            "follow_up__check_in_profile",
            "follow_up__procedure__site",
            "follow_up__procedure__procedure_type",
        )
        .prefetch_related(
            Prefetch("contact_attempts", calls, to_attr="calls"), with_caregivers("follow_up__patient")
        )
    )


def calls(request: HttpRequest) -> HttpResponse:
    """Whom to call now, whose time runs out first at the top. `site` in the address narrows it to one."""
    if not request.user.has_perm("outcomes.record_answer"):
        raise PermissionDenied
    now = timezone.now()
    sites = list(Site.objects.visible_to(staff(request)))
    chosen = next((site for site in sites if str(site.pk) == request.GET.get("site")), None)
    rows = wanted(request).to_call(now).order_by("closes_at", "pk")
    if chosen is not None:
        rows = rows.filter(follow_up__procedure__site=chosen)
    page = Paginator(rows, MOST).get_page(request.GET.get("page"))
    context = {
        **admin.site.each_context(request),
        "title": _("Calls"),
        "sites": sites,
        "site": chosen,
        "page": page,
        "rows": [row(check_in, now) for check_in in page.object_list],
    }
    return TemplateResponse(request, "admin/outcomes/calls.html", context)


def row(check_in: CheckIn, now: datetime) -> CallRow:
    site, patient = check_in.follow_up.procedure.site, check_in.follow_up.patient
    return CallRow(
        check_in=check_in,
        age=patient.age_on(now.astimezone(site.zone).date()),
        why=why_call(check_in),
        tries=_("%(tried)d of %(most)d") % {"tried": tries(calls_of(check_in)), "most": TRIES},
        closes=site_time_text(check_in.closes_at, site),
        left=left(check_in.closes_at, now),
        page=reverse("admin:outcomes_checkin_call", args=[check_in.pk]),
        caregiver=answering(patient),
    )


def calls_of(check_in: CheckIn) -> list[ContactAttempt]:
    """The calls about a check-in that `wanted` fetched, the oldest first."""
    found: list[ContactAttempt] = vars(check_in)["calls"]
    return found


def why_call(check_in: CheckIn) -> str:
    """Why somebody should call, in a sentence."""
    calls = calls_of(check_in)
    if calls and calls[-1].outcome == Outcome.CALL_AGAIN and calls[-1].again_at:
        when = site_time_text(calls[-1].again_at, check_in.follow_up.procedure.site)
        return _("Asked to be called again: %s.") % when
    if check_in.kind == CheckIn.Kind.CONFIRMATION:
        return _("A first bad score after relief is to be confirmed: ask for the pain now.")
    patient = check_in.follow_up.patient
    asked = who_is_asked(patient, answering(patient))
    if why_not := check_in.not_sent_reason or ("" if asked != "nobody" else patient.why_no_email):
        return reason(why_not)
    if check_in.reminders:
        return _("Asked by e-mail and reminded; not answered.")
    return _("Asked by e-mail; not answered.")


def left(closes_at: datetime, now: datetime) -> str:
    """How long answers are still taken: "3 days", in the last two days "5 hours"."""
    hours = int((closes_at - now).total_seconds() // 3600)
    if hours >= 48:
        return ngettext("%d day", "%d days", hours // 24) % (hours // 24)
    return ngettext("%d hour", "%d hours", hours) % hours


class CallPage(ActionPage):
    """What to say to one patient, and the form for what they say. Which button was pressed says `outcome`."""

    model = CheckIn
    name = "call"
    permission_required = "outcomes.record_answer"
    template_name = "admin/outcomes/call.html"

    def get_queryset(self) -> CheckInQuerySet:
        return wanted(self.request)

    def unavailable_reason(self) -> Any:
        return "" if self.row.open_at(self.now) else _("This check-in is closed.")

    @property
    def pressed(self) -> str:
        """What came of the call; "" on a page that is only opened."""
        said: str = self.request.POST.get("outcome", "")
        return said

    @cached_property
    def said(self) -> CallAnswerForm:
        """What the patient says."""
        data = self.request.POST if self.pressed == Outcome.REACHED else None
        language = self.row.follow_up.patient.language
        return CallAnswerForm(data, questions=questions_of(self.row), language=language, stands={})

    @cached_property
    def again(self) -> AgainForm:
        """When to call again."""
        return AgainForm(self.request.POST if self.pressed == Outcome.CALL_AGAIN else None)

    def get_form(self, form_class: Any = None) -> Any:
        own = {Outcome.REACHED.value: self.said, Outcome.CALL_AGAIN.value: self.again}
        return own.get(self.pressed) or forms.Form(self.request.POST)

    def act(self, form: Any) -> Any:
        known: dict[str, Any] = {"by": self.by, "now": self.now}
        if self.pressed == Outcome.REACHED:
            return services.record_answer(
                self.row.pk,
                values=form.values(),
                remark=form.cleaned_data["remark"],
                channel=Answer.Channel.PHONE,
                language=self.row.follow_up.patient.language,
                answered_by=form.cleaned_data["answered_by"],
                **known,
            )
        if self.pressed == Outcome.CALL_AGAIN:
            known["again_at"] = to_instant(form.cleaned_data["again"], self.row.follow_up.procedure.site.zone)
        return services.note_call(self.row.pk, outcome=self.pressed, **known)

    def home(self) -> str:
        return reverse("admin:outcomes_checkin_calls")

    def leave(self, why: Any) -> HttpResponse:
        messages.error(self.request, str(why))
        return HttpResponseRedirect(reverse("admin:outcomes_checkin_change", args=[self.row.pk]))

    def tell_done(self, form: Any) -> None:
        if form is self.said:
            say_what_to_do(self.request, form, self.row)
        messages.success(self.request, str(NOTED[Outcome(self.pressed)]))

    def invalid(self, form: Any) -> HttpResponse:
        if form is self.said:
            raise_at_once(self.request, form, self.row, self.now)
        return super().invalid(form)

    def refused(self, form: Any, refusal: ValidationError) -> HttpResponse:
        if not form.fields or refusal.code in ("closed", "answered_already", "not_to_call"):
            return self.leave(" ".join(refusal.messages))
        return super().refused(form, refusal)

    def overtaken(self, form: Any, stale: StalePage) -> HttpResponse:
        raise_after_all(self.request, self.said, self.row, self.now)
        self.row = self.get_queryset().get(pk=self.row.pk)
        if self.unavailable_reason():
            return self.leave(in_a_line(stale))
        if form.fields:
            return self.page(form, status=409, stale=stale)
        messages.error(self.request, in_a_line(stale))
        return HttpResponseRedirect(self.request.path)

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        patient, site = self.row.follow_up.patient, self.row.follow_up.procedure.site
        return {
            **super().get_context_data(**given),
            "title": _("Call %s") % patient,
            "row": row(self.row, self.now),
            "check_in": self.row,
            "patient": patient,
            "site": site,
            "script": script(site, caller=str(self.by), language=patient.language),
            "said": self.said,
            "again": self.again,
            "calls": [(site_time_text(call.at, site), call) for call in calls_of(self.row)],
            "media": self.said.media + self.again.media,
            "check_in_page": reverse("admin:outcomes_checkin_change", args=[self.row.pk]),
        }


def wrong_number(request: HttpRequest, patient: Patient) -> SafeString:
    """Says on the patient's page that the number is wrong, as long as it may be."""
    if not request.user.has_perm("outcomes.view_checkin"):
        return SafeString("")
    since = wrong_number_since(patient.pk)
    if since is None:
        return SafeString("")
    return SafeString(
        render_to_string("admin/outcomes/wrong_number.html", {"at": site_time_text(since, patient.site)})
    )


PatientAdmin.panels.insert(0, wrong_number)

CheckInAdmin.pages += [
    path("calls/", admin.site.admin_view(calls), name="outcomes_checkin_calls"),
    *paths(CallPage),
]
