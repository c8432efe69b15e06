"""“My pain is back”, when a patient calls and says so, or does at the front desk."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from outcomes import services
from outcomes.admin.check_in_forms import ReportForm
from outcomes.admin.follow_ups import FollowUpAdmin
from outcomes.models import FollowUp
from outcomes.questions import ENDED_ON, PAIN_NOW
from outcomes.services.pain_reports import questions_about
from procedures.admin.workflow_actions import take


def pain_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Write down that the pain is back: the pain now, and since which day."""
    if not request.user.has_perm("outcomes.record_answer"):
        raise PermissionDenied
    rows = FollowUp.objects.visible_to(staff(request)).select_related(
        "patient", "procedure__site", "procedure__procedure_type"
    )
    follow_up = get_object_or_404(rows, pk=pk)
    here = reverse("admin:outcomes_followup_change", args=[pk])
    if request.method == "GET" and not services.takes_reports(follow_up):
        messages.error(
            request, _("This course has ended, or takes no reports: a test, or the upkeep of a device.")
        )
        return HttpResponseRedirect(here)
    patient = follow_up.patient
    form = ReportForm(
        request.POST if request.method == "POST" else None,
        questions=list(questions_about(follow_up)),
        language=patient.language,
        stands={},
        initial={"channel": "phone", "language": patient.language},
    )

    def act() -> str:
        values = form.values()
        services.report_pain(
            pk,
            pain=values[PAIN_NOW],
            ended_on=values.get(ENDED_ON),
            remark=form.cleaned_data["remark"],
            channel=form.cleaned_data["channel"],
            language=form.cleaned_data["language"],
            answered_by=form.cleaned_data["answered_by"],
            by=staff(request),
            now=timezone.now(),
        )
        return here

    return take(
        request,
        form,
        act,
        done=_("It is written down, and the follow-up judged again."),
        back=here,
        row=follow_up,
        context={
            "title": _("The pain is back"),
            "opts": FollowUp._meta,
            "submit": _("Record"),
            "danger": False,
            "lead": f"{patient} · {patient.phone or '–'} · {follow_up.procedure.procedure_type}",
        },
    )


FollowUpAdmin.pages.append(
    path("<int:pk>/pain-back/", admin.site.admin_view(pain_back), name="outcomes_followup_pain_back")
)
