"""Check-ins: who was asked what and when and why, and writing down and correcting what a patient says."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import SeenFilter, staff, tell
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.stale_forms import StalePage
from clinic.models import Site
from outcomes import services
from outcomes.admin.call_script import after_yes
from outcomes.admin.check_in_forms import (
    AnswerForm,
    CorrectionForm,
    QuestionsForm,
    answer_text,
    kept_questions,
    questions_of,
)
from outcomes.admin.courses import pain_now
from outcomes.admin.drill_down import CellFilter, ShowsBehind
from outcomes.check_in_history import HELD_BACK, reason, why
from outcomes.models import Answer, CheckIn
from outcomes.models.check_ins import CheckInQuerySet
from outcomes.paper_form_codes import paper_code
from outcomes.questions import Question
from outcomes.services.corrections import versions_of
from outcomes.services.staff_answers import values_of
from patients.admin import searched

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
    list_display = ("who", "day", "due", "state", "pain", "no_email")
    list_filter = (
        *("status", "kind", RemarkFilter, NotSentFilter),
        ("follow_up__procedure__site", SeenFilter),
        CellFilter,
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
            "facts": [(site_time_text(fact.at, site), fact.said) for fact in why(check_in.pk)],
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
        return site_time_text(check_in.due_at, check_in.follow_up.procedure.site)

    @display(description=_("closes"))
    def closes(self, check_in: CheckIn) -> str:
        return site_time_text(check_in.closes_at, check_in.follow_up.procedure.site)

    @display(description=_("asked"))
    def asked(self, check_in: CheckIn) -> str:
        return site_time_text(check_in.invited_at, check_in.follow_up.procedure.site)

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


class RecordAnswer(ActionPage):
    """Write down what the patient said or wrote. `channel` in the address is chosen already."""

    model = CheckIn
    name, form_class, service = "answer", AnswerForm, staticmethod(services.record_answer)
    permission_required = "outcomes.record_answer"
    title, submit = _("Record the answer"), _("Record")
    done = _("The answer is written down, and the follow-up judged again.")

    def unavailable_reason(self) -> Any:
        return "" if self.row.open_at(self.now) else _("This check-in is closed.")

    def lead(self) -> str:
        patient, procedure = self.row.follow_up.patient, self.row.follow_up.procedure
        return f"{patient} · {patient.phone or '–'} · {procedure.procedure_type} · {self.row.when}"

    def get_form_kwargs(self) -> dict[str, Any]:
        language = self.row.follow_up.patient.language
        return {
            **super().get_form_kwargs(),
            "questions": questions_of(self.row),
            "language": language,
            "stands": {},
            "initial": {"channel": self.request.GET.get("channel", "phone"), "language": language},
        }

    def values(self, form: AnswerForm) -> dict[str, Any]:
        own = {name: form.cleaned_data[name] for name in ("remark", "channel", "language", "answered_by")}
        return {"values": form.values(), **own}

    def url_after(self, result: Any) -> str:
        return reverse("admin:outcomes_followup_change", args=[self.row.follow_up_id])

    def invalid(self, form: QuestionsForm) -> HttpResponse:
        if self.row.open_at(self.now):
            raise_at_once(self.request, form, self.row, self.now)
        return super().invalid(form)

    def overtaken(self, form: QuestionsForm, stale: StalePage) -> HttpResponse:
        raise_after_all(self.request, form, self.row, self.now)
        return super().overtaken(form, stale)

    def tell_done(self, form: QuestionsForm) -> None:
        super().tell_done(form)
        say_what_to_do(self.request, form, self.row)


class CorrectAnswer(ActionPage):
    """Put other figures in the place of an answer's; those before stay, with their version."""

    model = CheckIn
    name, form_class = "correct", CorrectionForm
    permission_required = "outcomes.correct_answer"
    title, submit = _("Correct the answer"), _("Correct")
    done = _("The answer is corrected, and the follow-up judged again.")

    @property
    def given(self) -> Any:
        """The answer that stands; None without one."""
        return getattr(self.row, "answer", None)

    def versioned_row(self) -> Answer | None:
        given: Answer | None = self.given
        return given

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        why_not = self.unavailable_reason()
        return self.leave(why_not) if why_not else super().post(request, *args, **kwargs)

    def unavailable_reason(self) -> Any:
        return "" if self.given else _("There is no answer yet that could be corrected.")

    def lead(self) -> str:
        kept = _("chosen is what stands now; it is kept as version %d.") % self.given.version
        return f"{self.row.follow_up.patient} · {self.row.when} · {self.given.how} · {kept}"

    def get_form_kwargs(self) -> dict[str, Any]:
        given = self.given
        return {
            **super().get_form_kwargs(),
            "questions": kept_questions(given, questions_of(self.row)),
            "language": given.language,
            "stands": values_of(given),
        }

    def act(self, form: CorrectionForm) -> Answer:
        return services.correct_answer(
            self.given.pk,
            values=form.values(),
            reason=form.cleaned_data["reason"],
            by=self.by,
            now=self.now,
        )


CheckInAdmin.pages += paths(RecordAnswer, CorrectAnswer)


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
    caregiver = given.caregiver
    return (
        f"{caregiver.name}, {caregiver.get_relation_display()}"
        if caregiver
        else say("A caregiver who is not on record")
    )


def said_rows(given: Answer, asked: list[Question]) -> list[tuple[str, str]]:
    """What an answer says now, in the reader's language: each question that was answered, and the answer in words."""
    values, language = values_of(given), get_language() or "en"
    return [
        (question.text.in_language(language), answer_text(question, value, language))
        for question in kept_questions(given, asked)
        if (value := values.get(question.key)) is not None
    ]


def version_rows(given: Answer, site: Site) -> list[dict[str, Any]]:
    """The versions of an answer, the newest first, each with its figures in words."""
    rows = [
        {
            "number": version.number,
            "at": site_time_text(version.at, site),
            "by": version.by or given.how,
            "reason": version.reason,
            "figures": ", ".join(f"{name} {value}" for name, value in sorted(version.values.items())),
        }
        for version in versions_of(given)
    ]
    return rows[::-1]
