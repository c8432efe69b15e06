"""Follow-ups: the list by verdict, and each with its chart, its check-ins and how the verdict came about."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import ReadOnlyInline, SeenFilter, staff
from clinic.admin.wall import shown
from outcomes import services
from outcomes.admin.adverse_events import events_fragment
from outcomes.admin.behind import CellFilter, ShowsBehind
from outcomes.admin.courses import VERDICT_LABELS, course_fragment, with_answers
from outcomes.admin.providers import Providers
from outcomes.diary import Ended, Result
from outcomes.models import FollowUp, VerdictChange
from outcomes.reports import WORKLISTS
from outcomes.services import diary_result
from outcomes.services.judging import in_minutes
from outcomes.services.planning import ENDINGS, RESUMED
from patients.admin import searched
from procedures.admin.forms import WhyForm
from procedures.admin.steps import take

#: What a diary shows, in words; None: it is not known.
POSITIVE = {True: _("Positive"), False: _("Negative"), None: _("Not known yet whether positive")}
CONSISTENT = {
    True: _("relief at %d hours in a row"),
    False: _("never relief at %d hours in a row"),
    None: _("hours without an entry leave open whether relief held for %d hours in a row"),
}
ENDED = {
    Ended.BEFORE: _("it ended before the anaesthetic is expected to"),
    Ended.WITH: _("it ended when the anaesthetic is expected to"),
    Ended.AFTER: _("it lasted longer than the anaesthetic is expected to"),
}


def diary_words(result: Result) -> str:
    """A diary as staff read it: positive or not, how much of which time brought relief, what makes it doubtful."""
    said: list[object] = []
    for share in result.shares:
        words = {"percent": share.percent, "hours": f"{share.of_minutes / 60:g}"}
        said.append(_("Relief in %(percent)s %% of the first %(hours)s h") % words)
        if share.unknown_minutes:
            unknown = f"{share.unknown_minutes / 60:g}"
            said.append(_("%(hours)s h of it without an entry") % {"hours": unknown})
    said.append(CONSISTENT[result.consistent] % result.hours_in_a_row)
    if result.ended:
        said.append(ENDED[result.ended])
    said.append(
        _("%(entries)s entries, %(late)s of them late") % {"entries": result.entries, "late": result.late}
    )
    if result.medicine_by is not None:
        hours = f"{result.medicine_by / 60:g}"
        said.append(_("pain medicine taken by hour %(hours)s") % {"hours": hours})
    return f"{POSITIVE[result.positive]}: {'; '.join(map(str, said))}."


class VerdictChangeInline(ReadOnlyInline):
    model = VerdictChange
    fields = readonly_fields = ("when", "previous", "verdict", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[VerdictChange]:
        rows = super().get_queryset(request).select_related("follow_up__procedure__site")
        return cast(QuerySet[VerdictChange], rows)

    @display(description=_("when"))
    def when(self, change: VerdictChange) -> str:
        return shown(change.at, change.follow_up.procedure.site)


class EndForm(WhyForm):
    """How the course ended, and what is to be remembered about it."""

    because = forms.ChoiceField(
        label=_("It ended because"),
        choices=[(one.value, one.label) for one in ENDINGS],
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    field_order = ("because", "reason")


class ResumeForm(WhyForm):
    """Why a course goes on that had been ended."""


class ApartForm(WhyForm):
    """Why another procedure does not blur this course."""


class DurationForm(forms.Form):
    """Whether the relief of a diagnostic block lasted as long as its agent works, as the clinician sees it."""

    consistent = forms.TypedChoiceField(
        label=_("The relief lasted as long as the agent that was injected works"),
        coerce=lambda chosen: chosen == "yes",
        choices=[("yes", _("Yes")), ("no", _("No"))],
        widget=forms.RadioSelect({"class": "desk-scale"}),
        help_text=_("Coverage rules ask for a clinician's answer, beside what the diary shows."),
    )


@admin.register(FollowUp)
class FollowUpAdmin(ShowsBehind):
    list_display = ("who", "what", "performed", "state", "verdict_reason")
    list_filter = (
        "verdict",
        Providers,
        "closed_because",
        ("procedure__site", SeenFilter),
        "procedure__procedure_type__family",
        CellFilter,
    )
    change_list_template = "admin/outcomes/behind.html"
    list_fullwidth = True
    search_fields = searched("patient__")
    search_help_text = _("Patient")
    ordering = ("-procedure__performed_at", "-pk")
    date_hierarchy = "procedure__performed_at"
    inlines = (VerdictChangeInline,)
    #: Further pages: reports and worklists register theirs here.
    pages: ClassVar[list[URLPattern]] = []
    change_form_template = "admin/outcomes/followup/change_form.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("patient", "procedure"),
                    ("opened", "judged"),
                    ("closed", "closed_because"),
                    "ended_by",
                    ("diary", "consistent"),
                )
            },
        ),
        (
            _("How it is judged"),
            {"fields": (("relief_profile", "check_in_profile"), "confounded_by", "not_confounded_because")},
        ),
    )
    readonly_fields = ("opened", "closed", "judged", "diary", "consistent", "check_in_profile")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FollowUp]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "patient", "procedure__site", "procedure__procedure_type", "relief_profile__procedure_type"
            )
        )
        others = (
            "check_in_profile__procedure_type",
            "confounded_by__procedure__procedure_type",
            "ended_by__procedure__procedure_type",
        )
        return cast(QuerySet[FollowUp], rows.select_related(*others))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        plain = unquote(object_id)
        rows = with_answers(self.get_queryset(request))
        found = rows.filter(pk=plain).first() if plain.isdecimal() else None
        if found is not None:
            extra_context = {
                **(extra_context or {}),
                "adverse_events": events_fragment(request, found),
                "course": course_fragment(request, found, now=timezone.now(), linked=False),
                "title": _("Follow-up"),
                "subtitle": str(found.patient),
                "can_decide": request.user.has_perm("procedures.perform_procedure"),
                "in_minutes": in_minutes(found),
                "can_resume": found.closed_because in RESUMED,
                "can_report": request.user.has_perm("outcomes.record_answer")
                and services.takes_reports(found),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def get_urls(self) -> Any:
        pages = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"outcomes_followup_{name}")
            for name, view in (
                ("end", self.end_view),
                ("resume", self.resume_view),
                ("apart", self.apart_view),
                ("duration", self.duration_view),
            )
        ]
        return [*pages, *self.pages, *super().get_urls()]

    def end_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End a course for one of ENDINGS; from a worklist, said by `list` in the address, mostly for the first."""
        listed = request.GET.get("list", "")
        return self.decide(
            request,
            pk,
            EndForm,
            services.end_follow_up,
            title=_("End the follow-up"),
            done=_("The follow-up has ended; nothing more is asked."),
            initial={"because": ENDINGS[0]} if listed in WORKLISTS else None,
            back=f"{reverse('admin:outcomes_followup_worklists')}?list={listed}"
            if listed in WORKLISTS
            else None,
        )

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let a course go on that was ended by mistake, or whose patient has come back."""
        return self.decide(
            request,
            pk,
            ResumeForm,
            services.resume_follow_up,
            title=_("Let it go on"),
            done=_("The follow-up goes on; what is still to come is asked."),
        )

    def apart_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Judge a confounded course all the same."""
        return self.decide(
            request,
            pk,
            ApartForm,
            services.tell_apart,
            title=_("Judge it all the same"),
            done=_("The follow-up is judged again."),
        )

    def duration_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say whether the relief of a diagnostic block lasted as long as its agent works."""
        return self.decide(
            request,
            pk,
            DurationForm,
            services.say_consistent,
            title=_("Did the relief last as long as the agent works?"),
            done=_("Your answer is kept."),
            submit=_("Keep it"),
        )

    def decide(
        self,
        request: HttpRequest,
        pk: int,
        shape: type[forms.Form],
        act: Any,
        *,
        title: Any,
        done: Any,
        submit: Any = None,
        initial: Any = None,
        back: str | None = None,
    ) -> HttpResponse:
        """A page with the form `shape`; what it says goes to the service `act`. `back` None: to the follow-up."""
        follow_up = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("procedures.perform_procedure"):
            raise PermissionDenied
        form = shape(request.POST if request.method == "POST" else None, initial=initial)
        here = back or reverse("admin:outcomes_followup_change", args=[pk])

        def do() -> str:
            act(pk, **form.cleaned_data, by=staff(request), now=timezone.now())
            return here

        return take(
            request,
            form,
            do,
            done=done,
            back=here,
            row=follow_up,
            context={
                "title": title,
                "opts": self.opts,
                "submit": submit or title,
                "danger": False,
                "lead": f"{follow_up.patient} · {follow_up.procedure.procedure_type}",
            },
        )

    @display(description=_("patient"), ordering="patient__family_name")
    def who(self, follow_up: FollowUp) -> SafeString:
        patient = follow_up.patient
        return format_html("{}<span class='desk-sub'>{}</span>", patient, patient.record_number)

    @display(description=_("procedure type"), ordering="procedure__procedure_type__name")
    def what(self, follow_up: FollowUp) -> SafeString:
        procedure = follow_up.procedure
        return format_html("{}<span class='desk-sub'>{}</span>", procedure.procedure_type, procedure.site)

    @display(description=_("performed"), ordering="procedure__performed_at")
    def performed(self, follow_up: FollowUp) -> str:
        procedure = follow_up.procedure
        return f"{procedure.performed_at.astimezone(procedure.site.zone):%-d %b %Y}"

    @display(description=_("verdict"), ordering="verdict", label=VERDICT_LABELS)
    def state(self, follow_up: FollowUp) -> tuple[str, str]:
        return follow_up.verdict, str(follow_up.get_verdict_display())

    @display(description=_("opened"))
    def opened(self, follow_up: FollowUp) -> str:
        return shown(follow_up.opened_at, follow_up.procedure.site)

    @display(description=_("closed"))
    def closed(self, follow_up: FollowUp) -> str:
        return shown(follow_up.closed_at, follow_up.procedure.site)

    @display(description=_("diary"))
    def diary(self, follow_up: FollowUp) -> str:
        """What the diary of a diagnostic block shows, in a sentence or two; a dash for any other course."""
        result = diary_result(follow_up)
        return diary_words(result) if result else "–"

    @display(description=_("duration consistent with the agent"))
    def consistent(self, follow_up: FollowUp) -> str:
        """The clinician's answer; a dash for any other course."""
        if not in_minutes(follow_up):
            return "–"
        said = {True: _("yes"), False: _("no"), None: _("nobody has said it yet")}
        return str(said[follow_up.consistent_with_agent])

    @display(description=_("judged"))
    def judged(self, follow_up: FollowUp) -> str:
        return shown(follow_up.judged_at, follow_up.procedure.site)
