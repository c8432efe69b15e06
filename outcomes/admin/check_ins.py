"""Check-ins: who was asked what and when, and writing down what a patient says on the telephone."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from clinic.admin.base import ReadOnlyAdmin, SeenFilter, staff
from clinic.admin.wall import shown
from outcomes import services
from outcomes.admin.courses import pain_now
from outcomes.models import Answer, CheckIn
from outcomes.questions import PAIN_NOW
from patients.admin import NO_EMAIL
from procedures.admin.steps import take

STATUS_LABELS = {
    "planned": "default",
    "invited": "info",
    "answered": "success",
    "missed": "warning",
    "superseded": "default",
    "voided": "default",
}


class AnswerForm(forms.Form):
    """What a patient says when somebody asks."""

    names: ClassVar[dict[str, str]] = {}
    score = forms.TypedChoiceField(
        label=_("Pain now, 0–10"),
        coerce=int,
        choices=[(str(score), str(score)) for score in range(11)],
        widget=forms.RadioSelect({"class": "desk-scale"}),
        help_text=_("0 is no pain, 10 the worst imaginable. In the patient's own words, not rounded."),
    )
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=[(value, label) for value, label in Answer.Channel.choices if value != Answer.Channel.EMAIL],
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(CheckIn)
class CheckInAdmin(ReadOnlyAdmin):
    list_display = ("who", "day", "due", "state", "pain", "no_email")
    list_filter = ("status", "not_sent_because", ("follow_up__procedure__site", SeenFilter))
    search_fields = (
        *("follow_up__patient__family_name", "follow_up__patient__given_name"),
        "follow_up__patient__record_number",
    )
    search_help_text = _("Patient")
    ordering = ("-due_at", "-pk")
    date_hierarchy = "due_at"
    change_form_template = "admin/outcomes/checkin/change_form.html"
    fields = (("who", "follow_up"), ("day", "due"), ("closes", "asked"), ("status", "no_email"), "pain")
    readonly_fields = ("who", "day", "due", "closes", "asked", "no_email", "pain")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CheckIn]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "follow_up__patient",
                "follow_up__procedure__site",
                "follow_up__procedure__procedure_type",
                "answer",
            )
        )
        return cast(QuerySet[CheckIn], rows.prefetch_related("answer__measurements"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        check_in = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        extra_context = {
            **(extra_context or {}),
            "can_answer": check_in is not None
            and request.user.has_perm("outcomes.record_answer")
            and check_in.open_at(timezone.now()),
        }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("patient"), ordering="follow_up__patient__family_name")
    def who(self, check_in: CheckIn) -> SafeString:
        patient = check_in.follow_up.patient
        return format_html(
            "{}<span class='desk-sub'>{}</span>", patient, f"{patient.record_number} · {patient.phone or '–'}"
        )

    @display(description=_("check-in"), ordering="offset_minutes")
    def day(self, check_in: CheckIn) -> str:
        return check_in.when

    @display(description=_("due"), ordering="due_at")
    def due(self, check_in: CheckIn) -> str:
        return shown(check_in.due_at, check_in.follow_up.procedure.site)

    @display(description=_("closes"))
    def closes(self, check_in: CheckIn) -> str:
        return shown(check_in.closes_at, check_in.follow_up.procedure.site)

    @display(description=_("asked"))
    def asked(self, check_in: CheckIn) -> str:
        return shown(check_in.invited_at, check_in.follow_up.procedure.site)

    @display(description=_("status"), ordering="status", label=STATUS_LABELS)
    def state(self, check_in: CheckIn) -> tuple[str, str]:
        return check_in.status, str(check_in.get_status_display())

    @display(description=_("pain"))
    def pain(self, check_in: CheckIn) -> str:
        score = pain_now(getattr(check_in, "answer", None))
        return "" if score is None else f"{score} / 10"

    @display(description=_("no e-mail because"))
    def no_email(self, check_in: CheckIn) -> str:
        return str(NO_EMAIL.get(check_in.not_sent_because, check_in.not_sent_because))

    def get_urls(self) -> Any:
        answer = path(
            "<int:pk>/answer/", self.admin_site.admin_view(self.answer_view), name="outcomes_checkin_answer"
        )
        return [answer, *super().get_urls()]

    def answer_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write down what the patient said, on the telephone or in the clinic."""
        check_in = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("outcomes.record_answer"):
            raise PermissionDenied
        here = reverse("admin:outcomes_checkin_change", args=[pk])
        now = timezone.now()
        if request.method == "GET" and not check_in.open_at(now):
            messages.error(request, _("This check-in is closed."))
            return HttpResponseRedirect(here)
        form = AnswerForm(request.POST if request.method == "POST" else None)
        patient = check_in.follow_up.patient

        def act() -> str:
            services.answer(
                pk,
                values={PAIN_NOW: form.cleaned_data["score"]},
                channel=form.cleaned_data["channel"],
                language=patient.language,
                by=staff(request),
                now=now,
            )
            return reverse("admin:outcomes_followup_change", args=[check_in.follow_up_id])

        return take(
            request,
            form,
            act,
            done=_("The answer is written down, and the follow-up judged again."),
            back=here,
            context={
                "title": _("Record the answer"),
                "opts": self.opts,
                "submit": _("Record"),
                "danger": False,
                "lead": f"{patient} · {patient.phone or '–'} · "
                f"{check_in.follow_up.procedure.procedure_type} · {check_in.when}",
            },
        )
