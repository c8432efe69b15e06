"""Follow-ups: the list by verdict, and each with its chart, its check-ins and how the verdict came about."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyInline, SeenFilter
from clinic.admin.datetime_widgets import DateInput, site_time_text
from outcomes import services
from outcomes.admin.adverse_events import events_fragment
from outcomes.admin.courses import VERDICT_LABELS, course_fragment, with_answers
from outcomes.admin.drill_down import CellFilter, ShowsBehind
from outcomes.admin.providers import ProviderFilter
from outcomes.diary_result import Result
from outcomes.instruments import latest
from outcomes.models import FollowUp, VerdictChange
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import MEDICINE
from outcomes.reports import WORKLISTS
from outcomes.services import diary_result, trial_of
from outcomes.services.courses import in_minutes
from outcomes.services.plans import ENDINGS, RESUMED
from patients.admin import searched
from procedures.admin.appointment_forms import WhyForm


def medicine_words(code: int | None) -> str:
    """How much pain medicine is taken against before, in words; a dash where nobody said."""
    name, _dot, item = MEDICINE.partition(".")
    choices = latest(name).item(item).anchors
    return next((choice.text.en for choice in choices if choice.code == code), "–")


def diary_words(result: Result) -> str:
    """A diary as staff read it: how much of the window is known, and what makes it doubtful."""
    said: list[object] = [
        _("Entries cover %(covered)s %% of the first %(hours)s h, %(relief)s %% with enough less pain")
        % {
            "covered": result.covered_percent,
            "hours": f"{result.window_minutes / 60:g}",
            "relief": result.relief_percent,
        }
    ]
    for at, words in (
        (result.relief_seen_at, _("enough less pain last seen at hour %(hour)s")),
        (result.gone_at, _("pain back by hour %(hour)s")),
        (result.medicine_by, _("pain medicine taken by hour %(hour)s")),
    ):
        if at is not None:
            said.append(words % {"hour": f"{at / 60:g}"})
    if result.long_relief:
        said.append(_("longer than the anesthetic is expected to work"))
    said.append(
        _("%(entries)s entries, %(late)s of them late") % {"entries": result.entries, "late": result.late}
    )
    return f"{'; '.join(map(str, said))}."


class VerdictChangeInline(ReadOnlyInline):
    model = VerdictChange
    fields = readonly_fields = ("when", "previous", "verdict", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[VerdictChange]:
        rows = super().get_queryset(request).select_related("follow_up__procedure__site")
        return cast(QuerySet[VerdictChange], rows)

    @display(description=_("when"))
    def when(self, change: VerdictChange) -> str:
        return site_time_text(change.at, change.follow_up.procedure.site)


class EndForm(WhyForm):
    """How the course ended, and what is to be remembered about it."""

    closed_reason = forms.ChoiceField(
        label=_("It ended because"),
        choices=[(ending.value, ending.label) for ending in ENDINGS],
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    field_order = ("closed_reason", "reason")


class ResumeForm(WhyForm):
    """Why a course goes on that had been ended."""


class NotConfoundedForm(WhyForm):
    """Why another procedure does not blur this course."""


class DurationForm(forms.Form):
    """Whether the relief of a test lasted as long as its agent works, as the clinician sees it."""

    consistent = forms.TypedChoiceField(
        label=_("The relief lasted as long as the agent that was injected works"),
        coerce=lambda chosen: chosen == "yes",
        choices=[("yes", _("Yes")), ("no", _("No"))],
        widget=forms.RadioSelect({"class": "desk-scale"}),
        help_text=_("Coverage rules ask for a clinician's answer, beside what the diary shows."),
    )


class TrialForm(forms.Form):
    """On which day the lead or catheter of a trial came out, on the site's calendar."""

    on = forms.DateField(label=_("Date removed"), widget=DateInput(format="%Y-%m-%d"))


@admin.register(FollowUp)
class FollowUpAdmin(ShowsBehind):
    list_display = ("who", "what", "performed", "state", "verdict_reason")
    list_filter = (
        "verdict",
        ProviderFilter,
        "closed_reason",
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
    change_form_template = "admin/outcomes/followup/change_form.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("patient", "procedure"),
                    ("opened", "judged"),
                    ("closed", "closed_reason"),
                    "ended_by",
                    ("diary", "consistent"),
                    "trial",
                )
            },
        ),
        (
            _("How it is judged"),
            {"fields": (("relief_profile", "check_in_profile"), "confounded_by", "not_confounded_reason")},
        ),
    )
    readonly_fields = ("opened", "closed", "judged", "diary", "consistent", "trial", "check_in_profile")

    def get_fieldsets(self, request: HttpRequest, obj: FollowUp | None = None) -> Any:
        """Without what says nothing of this course: a diary is a test's, and what blurs one mostly a treatment's."""
        if obj is None:
            return self.fieldsets
        kind = obj.judged_as
        left_out = {
            "diary": kind != JudgedAs.TEST,
            "consistent": kind != JudgedAs.TEST,
            "trial": kind != JudgedAs.TRIAL,
            "confounded_by": kind != JudgedAs.TREATMENT and not obj.confounded_by_id,
            "not_confounded_reason": kind != JudgedAs.TREATMENT and not obj.confounded_by_id,
        }

        def kept(entry: str | tuple[str, ...]) -> Any:
            if isinstance(entry, tuple):
                return tuple(field for field in entry if not left_out.get(field))
            return () if left_out.get(entry) else entry

        return [
            (name, {**options, "fields": [shown for entry in options["fields"] if (shown := kept(entry))]})
            for name, options in self.fieldsets
        ]

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
                "is_trial": found.judged_as == JudgedAs.TRIAL,
                "can_resume": found.closed_reason in RESUMED,
                "can_report": request.user.has_perm("outcomes.record_answer")
                and services.takes_reports(found),
            }
        return super().change_view(request, object_id, form_url, extra_context)

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
        return site_time_text(follow_up.opened_at, follow_up.procedure.site)

    @display(description=_("closed"))
    def closed(self, follow_up: FollowUp) -> str:
        return site_time_text(follow_up.closed_at, follow_up.procedure.site)

    @display(description=_("diary"))
    def diary(self, follow_up: FollowUp) -> str:
        """What the diary of a test shows, in a sentence; a dash for any other course."""
        result = diary_result(follow_up)
        return diary_words(result) if result else "–"

    @display(description=_("trial"))
    def trial(self, follow_up: FollowUp) -> str:
        """What the days of a trial show, with function and pain medicine beside it; a dash for any other course."""
        found = trial_of(follow_up)
        if found is None:
            return "–"
        said: list[object] = []
        if found.result:
            said.append(
                _("Enough less pain on %(relief)s of %(known)s known days, of %(days)s in all")
                % {"relief": found.result.relief, "known": found.result.known, "days": found.result.days}
            )
        out = found.ended_on
        said.append(_("out on %s") % f"{out:%-d %b %Y}" if out else _("nobody has said when it came out"))
        before, last = ("–" if score is None else score for score in (found.peg_before, found.peg_last))
        said.append(_("PEG %(before)s before, %(now)s last, of 30") % {"before": before, "now": last})
        said.append(_("pain medicine against before: %s") % medicine_words(found.medicine_last))
        return f"{'; '.join(map(str, said))}."

    @display(description=_("duration consistent with the agent"))
    def consistent(self, follow_up: FollowUp) -> str:
        """The clinician's answer; a dash for any other course."""
        if not in_minutes(follow_up):
            return "–"
        said = {True: _("yes"), False: _("no"), None: _("nobody has said it yet")}
        return str(said[follow_up.consistent_with_agent])

    @display(description=_("judged"))
    def judged(self, follow_up: FollowUp) -> str:
        return site_time_text(follow_up.judged_at, follow_up.procedure.site)


class FollowUpPage(ActionPage):
    """What a clinician decides about a follow-up."""

    model = FollowUp
    permission_required = "procedures.perform_procedure"

    def lead(self) -> str:
        return f"{self.row.patient} · {self.row.procedure.procedure_type}"


class EndFollowUp(FollowUpPage):
    """End a course for one of ENDINGS; from a worklist, said by `list` in the address, mostly for the first."""

    name, form_class, service = "end", EndForm, staticmethod(services.end_follow_up)
    title, done = _("End the follow-up"), _("The follow-up has ended; nothing more is asked.")

    @property
    def listed(self) -> str:
        """The worklist from which one comes; "" for none."""
        said: str = self.request.GET.get("list", "")
        return said if said in WORKLISTS else ""

    def get_initial(self) -> dict[str, Any]:
        return {"closed_reason": ENDINGS[0]} if self.listed else {}

    def home(self) -> str:
        lists = reverse("admin:outcomes_followup_worklists")
        return f"{lists}?list={self.listed}" if self.listed else super().home()


class ResumeFollowUp(FollowUpPage):
    """Let a course go on that was ended by mistake, or whose patient has come back."""

    name, form_class, service = "resume", ResumeForm, staticmethod(services.resume_follow_up)
    title, done = _("Let it go on"), _("The follow-up goes on; what is still to come is asked.")


class TellApart(FollowUpPage):
    """Judge a confounded course all the same."""

    name, form_class, service = "apart", NotConfoundedForm, staticmethod(services.clear_confounding)
    title, done = _("Judge it all the same"), _("The follow-up is judged again.")


class SayDuration(FollowUpPage):
    """Say whether the relief of a test lasted as long as its agent works."""

    name, form_class, service = "duration", DurationForm, staticmethod(services.record_consistent_duration)
    title, submit = _("Did the relief last as long as the agent works?"), _("Keep it")
    done = _("Your answer is kept.")


class EndTrial(FollowUpPage):
    """Say on which day the lead or catheter of a trial came out."""

    name, form_class, service = "trial", TrialForm, staticmethod(services.end_trial)
    title, submit = _("The lead or catheter is out"), _("Save")
    done = _("The trial is judged by the days up to there.")


FollowUpAdmin.pages += paths(EndFollowUp, ResumeFollowUp, TellApart, SayDuration, EndTrial)
