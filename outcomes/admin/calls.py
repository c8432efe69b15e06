"""Calls: whom to telephone about a check-in, what to say, and what came of it."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clinic.admin.base import show_refusal, staff, tell
from clinic.admin.datetime_widgets import shown, to_instant
from clinic.admin.stale_forms import StalePage
from clinic.admin.taking import carried, in_a_line, missed
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
    chosen = next((one for one in sites if str(one.pk) == request.GET.get("site")), None)
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
        closes=shown(check_in.closes_at, site),
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
        when = shown(calls[-1].again_at, check_in.follow_up.procedure.site)
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


def call(request: HttpRequest, pk: int) -> HttpResponse:
    """What to say to one patient, and the form for what they say. Which button was pressed says `outcome`."""
    if not request.user.has_perm("outcomes.record_answer"):
        raise PermissionDenied
    check_in = get_object_or_404(wanted(request), pk=pk)
    now = timezone.now()
    here, back = reverse("admin:outcomes_checkin_change", args=[pk]), reverse("admin:outcomes_checkin_calls")
    if request.method == "GET" and not check_in.open_at(now):
        messages.error(request, _("This check-in is closed."))
        return HttpResponseRedirect(here)
    pressed = request.POST.get("outcome", "")
    patient = check_in.follow_up.patient
    said = CallAnswerForm(
        request.POST if pressed == Outcome.REACHED else None,
        questions=questions_of(check_in),
        language=patient.language,
        stands={},
    )
    again = AgainForm(request.POST if pressed == Outcome.CALL_AGAIN else None)
    stale: StalePage | None = None
    if request.method == "POST":
        forms: dict[str, CallAnswerForm | AgainForm] = {
            Outcome.REACHED.value: said,
            Outcome.CALL_AGAIN.value: again,
        }
        form = forms.get(pressed)
        with transaction.atomic():
            stale = missed(request, check_in, form)
            if stale:
                raise_after_all(request, said, check_in, now)
                check_in = wanted(request).get(pk=pk)
                still_open = check_in.open_at(now)
                if form is None or not still_open:
                    messages.error(request, in_a_line(stale))
                    return HttpResponseRedirect(request.path if still_open else here)
            elif leads_to := noted(check_in, form, said, again, pressed, request, now):
                return HttpResponseRedirect(leads_to)
    site = check_in.follow_up.procedure.site
    context = {
        **admin.site.each_context(request),
        "title": _("Call %s") % patient,
        "row": row(check_in, now),
        "check_in": check_in,
        "patient": patient,
        "site": site,
        "script": script(site, caller=str(staff(request)), language=patient.language),
        "said": said,
        "again": again,
        "calls": [(shown(one.at, site), one) for one in calls_of(check_in)],
        "here": here,
        "back": back,
        "media": said.media + again.media,
        "stale": stale,
        **carried(request, check_in, again=stale is not None),
    }
    status = 409 if stale else 422 if said.errors or again.errors else 200
    return TemplateResponse(request, "admin/outcomes/call.html", context, status=status)


def noted(
    check_in: CheckIn,
    form: CallAnswerForm | AgainForm | None,
    said: CallAnswerForm,
    again: AgainForm,
    pressed: str,
    request: HttpRequest,
    now: datetime,
) -> str:
    """Write down what came of the call, and say so; where to go then, "" where the `form` is to be shown again."""
    try:
        if form is None:
            services.note_call(check_in.pk, outcome=pressed, by=staff(request), now=now)
        elif not form.is_valid():
            if form is said:
                raise_at_once(request, said, check_in, now)
            return ""
        else:
            act(check_in, said, again, pressed, request, now)
    except ValidationError as refusal:
        if form is None or refusal.code in ("closed", "answered_already", "not_to_call"):
            tell(request, refusal)
            return reverse("admin:outcomes_checkin_change", args=[check_in.pk])
        show_refusal(form, refusal, form.names)
        return ""
    if form is said:
        say_what_to_do(request, said, check_in)
    messages.success(request, str(NOTED[Outcome(pressed)]))
    return reverse("admin:outcomes_checkin_calls")


def act(
    check_in: CheckIn,
    said: CallAnswerForm,
    again: AgainForm,
    pressed: str,
    request: HttpRequest,
    now: datetime,
) -> None:
    """Write down an answer, or when to call again. Raises what the services raise."""
    if pressed == Outcome.CALL_AGAIN:
        zone = check_in.follow_up.procedure.site.zone
        at = to_instant(again.cleaned_data["again"], zone)
        services.note_call(check_in.pk, outcome=pressed, again_at=at, by=staff(request), now=now)
        return
    services.record_answer(
        check_in.pk,
        values=said.values(),
        remark=said.cleaned_data["remark"],
        channel=Answer.Channel.PHONE,
        language=check_in.follow_up.patient.language,
        answered_by=said.cleaned_data["answered_by"],
        by=staff(request),
        now=now,
    )


def wrong_number(request: HttpRequest, patient: Patient) -> SafeString:
    """Says on the patient's page that the number is wrong, as long as it may be."""
    if not request.user.has_perm("outcomes.view_checkin"):
        return SafeString("")
    since = wrong_number_since(patient.pk)
    if since is None:
        return SafeString("")
    return SafeString(
        render_to_string("admin/outcomes/wrong_number.html", {"at": shown(since, patient.site)})
    )


PatientAdmin.panels.insert(0, wrong_number)

CheckInAdmin.pages += [
    path("calls/", admin.site.admin_view(calls), name="outcomes_checkin_calls"),
    path("<int:pk>/call/", admin.site.admin_view(call), name="outcomes_checkin_call"),
]
