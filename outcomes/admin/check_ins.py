"""Check-ins: who was asked what and when and why, and writing down and correcting what a patient says."""

from datetime import datetime
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import SeenFilter, staff, tell
from clinic.admin.datetime_widgets import shown
from clinic.models import Site
from outcomes import services
from outcomes.admin.call_script import after_yes
from outcomes.admin.check_in_forms import (
    AnswerForm,
    CorrectionForm,
    QuestionsForm,
    in_words,
    kept_questions,
    questions_of,
)
from outcomes.admin.courses import pain_now
from outcomes.admin.drill_down import CheckInCells, ShowsBehind
from outcomes.check_in_history import HELD_BACK, reason, why
from outcomes.models import Answer, CheckIn
from outcomes.models.check_ins import CheckInQuerySet
from outcomes.paper_form_codes import paper_code
from outcomes.questions import Question
from outcomes.services.corrections import versions_of
from outcomes.services.staff_answers import values_of
from patients.admin import searched
from procedures.admin.workflow_actions import take

STATUS_LABELS = {
    "planned": "default",
    "invited": "info",
    "answered": "success",
    "missed": "warning",
    "superseded": "default",
    "voided": "default",
}


class RemarkFilter(admin.SimpleListFilter):
    """Those to whose answer the patient added something in their own words."""

    title = _("remark")
    parameter_name = "remark"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("with a remark"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(answer__remark__gt="") if self.value() == "yes" else queryset


class NotSentFilter(admin.SimpleListFilter):
    """Check-ins of which something was not sent, by the reason."""

    title = _("not sent because")
    parameter_name = "not_sent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(HELD_BACK.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        code = self.value()
        return cast(CheckInQuerySet, queryset).not_sent(code) if code else queryset


@admin.register(CheckIn)
class CheckInAdmin(ShowsBehind):
    #: Further pages about check-ins: calls and paper forms register theirs here.
    pages: ClassVar[list[URLPattern]] = []

    list_display = ("who", "day", "due", "state", "pain", "no_email")
    list_filter = (
        *("status", "kind", RemarkFilter, NotSentFilter),
        ("follow_up__procedure__site", SeenFilter),
        CheckInCells,
    )
    change_list_template = "admin/outcomes/behind.html"
    search_fields = searched("follow_up__patient__")
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
        if check_in is not None:
            extra_context = {**(extra_context or {}), **self.about(request, check_in)}
        return super().change_view(request, object_id, form_url, extra_context)

    def about(self, request: HttpRequest, check_in: CheckIn) -> dict[str, Any]:
        """What its page tells beside the row's own fields: why things are as they are, and what can be done."""
        site = check_in.follow_up.procedure.site
        may = request.user.has_perm("outcomes.record_answer")
        given: Answer | None = getattr(check_in, "answer", None)
        can_answer = may and check_in.open_at(timezone.now())
        return {
            "facts": [(shown(fact.at, site), fact.said) for fact in why(check_in.pk)],
            "said": said_rows(given, questions_of(check_in)) if given else [],
            "remark": given.remark if given else "",
            "by_caregiver": said_by_caregiver(given) if given else "",
            "versions": version_rows(given, site) if given else [],
            "code": paper_code(check_in.pk),
            "can_answer": can_answer,
            "can_call": can_answer
            and (check_in.call_at or check_in.contact_attempts.filter(kind="call").exists()),
            "can_correct": given is not None and request.user.has_perm("outcomes.correct_answer"),
        }

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
        return reason(check_in.not_sent_reason)

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        return [
            *self.pages,
            path("<int:pk>/answer/", wrap(self.answer_view), name="outcomes_checkin_answer"),
            path("<int:pk>/correct/", wrap(self.correct_view), name="outcomes_checkin_correct"),
            *super().get_urls(),
        ]

    def answer_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write down what the patient said or wrote. `channel` in the address is chosen already."""
        check_in = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("outcomes.record_answer"):
            raise PermissionDenied
        here = reverse("admin:outcomes_checkin_change", args=[pk])
        now = timezone.now()
        if request.method == "GET" and not check_in.open_at(now):
            messages.error(request, _("This check-in is closed."))
            return HttpResponseRedirect(here)
        patient = check_in.follow_up.patient
        form = AnswerForm(
            request.POST if request.method == "POST" else None,
            questions=questions_of(check_in),
            language=patient.language,
            stands={},
            initial={"channel": request.GET.get("channel", "phone"), "language": patient.language},
        )

        if check_in.open_at(now):
            raise_at_once(request, form, check_in, now)

        def act() -> str:
            services.record_answer(
                pk,
                values=form.values(),
                remark=form.cleaned_data["remark"],
                channel=form.cleaned_data["channel"],
                language=form.cleaned_data["language"],
                answered_by=form.cleaned_data["answered_by"],
                by=staff(request),
                now=now,
            )
            return reverse("admin:outcomes_followup_change", args=[check_in.follow_up_id])

        response = take(
            request,
            form,
            act,
            done=_("The answer is written down, and the follow-up judged again."),
            back=here,
            row=check_in,
            context={
                "title": _("Record the answer"),
                "opts": self.opts,
                "submit": _("Record"),
                "danger": False,
                "lead": f"{patient} · {patient.phone or '–'} · "
                f"{check_in.follow_up.procedure.procedure_type} · {check_in.when}",
            },
        )
        if response.status_code == 409:
            raise_after_all(request, form, check_in, now)
        elif response.status_code == 302:
            say_what_to_do(request, form, check_in)
        return response

    def correct_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put other figures in the place of an answer's; those before stay, with their version."""
        check_in = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("outcomes.correct_answer"):
            raise PermissionDenied
        here = reverse("admin:outcomes_checkin_change", args=[pk])
        given: Answer | None = getattr(check_in, "answer", None)
        if given is None:
            messages.error(request, _("There is no answer yet that could be corrected."))
            return HttpResponseRedirect(here)
        patient = check_in.follow_up.patient
        form = CorrectionForm(
            request.POST if request.method == "POST" else None,
            questions=kept_questions(given, questions_of(check_in)),
            language=given.language,
            stands=values_of(given),
        )

        def act() -> str:
            services.correct_answer(
                given.pk,
                values=form.values(),
                reason=form.cleaned_data["reason"],
                by=staff(request),
                now=timezone.now(),
            )
            return here

        return take(
            request,
            form,
            act,
            done=_("The answer is corrected, and the follow-up judged again."),
            back=here,
            row=given,
            context={
                "title": _("Correct the answer"),
                "opts": self.opts,
                "submit": _("Correct"),
                "danger": False,
                "lead": f"{patient} · {check_in.when} · {given.how} · "
                + _("chosen is what stands now; it is kept as version %d.") % given.version,
            },
        )


def raise_at_once(request: HttpRequest, form: QuestionsForm, check_in: CheckIn, now: datetime) -> None:
    """Where something is missing on the form, its yes to a red flag does not wait for it."""
    if form.is_bound and not form.is_valid() and form.said_yes():
        report_yes(request, form, check_in, now)


def raise_after_all(request: HttpRequest, form: QuestionsForm, check_in: CheckIn, now: datetime) -> None:
    """A yes to a red flag does not wait until somebody has read what a colleague or the patient has changed."""
    if not form.is_bound:
        return
    form.full_clean()
    if form.said_yes():
        try:
            report_yes(request, form, check_in, now)
        except ValidationError as refusal:
            tell(request, refusal)


def report_yes(request: HttpRequest, form: QuestionsForm, check_in: CheckIn, now: datetime) -> None:
    """Raise the alert about a yes to a red flag whose answer is not written down yet."""
    services.report_red_flags(check_in.pk, codes=form.said_yes(), by=staff(request), now=now)
    say_what_to_do(request, form, check_in)
    messages.warning(
        request, _("The alert about the yes is raised. The answer is not written down yet: see below.")
    )


def say_what_to_do(request: HttpRequest, form: QuestionsForm, check_in: CheckIn) -> None:
    """After a yes to a red flag, on top of the next page: what to say to the patient, in their language."""
    if form.said_yes():
        messages.error(request, after_yes(check_in, form.said_yes()))


def said_by_caregiver(given: Answer) -> str:
    """Which caregiver answered, in words; "" for the patient."""
    if not given.by_caregiver:
        return ""
    one = given.caregiver
    return f"{one.name}, {one.get_relation_display()}" if one else say("A caregiver who is not on record")


def said_rows(given: Answer, asked: list[Question]) -> list[tuple[str, str]]:
    """What an answer says now, in the reader's language: each question that was answered, and the answer in words."""
    values, language = values_of(given), get_language() or "en"
    return [
        (one.text.in_language(language), in_words(one, value, language))
        for one in kept_questions(given, asked)
        if (value := values.get(one.key)) is not None
    ]


def version_rows(given: Answer, site: Site) -> list[dict[str, Any]]:
    """The versions of an answer, the newest first, each with its figures in words."""
    rows = [
        {
            "number": one.number,
            "at": shown(one.at, site),
            "by": one.by or given.how,
            "reason": one.reason,
            "figures": ", ".join(f"{name} {value}" for name, value in sorted(one.values.items())),
        }
        for one in versions_of(given)
    ]
    return rows[::-1]
