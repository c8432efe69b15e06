"""Alerts: the list of what somebody must look at, and a page for each with the steps that close it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import display

from clinic.admin.base import SeenFilter, staff, tell
from clinic.admin.wall import shown
from clinic.models import User
from outcomes import services
from outcomes.admin.adverse_events import RECORD
from outcomes.admin.alert_forms import HandOverForm, ResolveForm, SnoozeForm
from outcomes.admin.behind import AlertCells, ShowsBehind
from outcomes.admin.courses import course_fragment, with_answers
from outcomes.models import Alert, Answer, FollowUp
from outcomes.models.alerts import AlertQuerySet, weight_of_urgency
from outcomes.reports.overview import ACTED, LOOKS_BACK, RESOLVED, raised_lately
from patients import services as patients
from patients.admin import searched
from procedures.admin.device_words import page_of as device_page
from procedures.admin.device_words import since_words
from procedures.admin.steps import take
from procedures.admin.words import label
from procedures.models import RedFlag

HANDLE = "outcomes.handle_alert"
#: Colour of each urgency; its word always stands beside it.
URGENCY_LABELS = {"emergency": "danger", "same_day": "warning", "routine": "info"}


class StateFilter(admin.SimpleListFilter):
    """Which alerts wait: the open ones that nobody has snoozed, unless others are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("overdue", _("overdue")),
            ("snoozed", _("snoozed")),
            ("resolved", _("resolved")),
            ("all", _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        every = list(super().choices(changelist))
        return [{**every[0], "display": _("open")}, *every[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        alerts, now = cast(AlertQuerySet, queryset), timezone.now()
        match self.value():
            case "all":
                return alerts
            case "resolved":
                return alerts.filter(resolved_at__isnull=False)
            case "snoozed":
                return alerts.snoozed(now)
            case "overdue":
                return alerts.overdue(now)
        return alerts.waiting(now)


class OwnerFilter(admin.SimpleListFilter):
    """Whose they are."""

    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("mine")), ("nobody", _("nobody's"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        owners: dict[str | None, User | None] = {"me": staff(request), "nobody": None}
        return queryset.filter(owner=owners[self.value()]) if self.value() in owners else queryset


@admin.register(Alert)
class AlertAdmin(ShowsBehind):
    list_display = ("what", "who", "after", "due", "whose")
    list_display_links = ("what",)
    list_filter = (StateFilter, OwnerFilter, "kind", "urgency", ("site", SeenFilter), AlertCells)
    list_fullwidth = True
    search_fields = searched("patient__")
    search_help_text = _("Patient")
    change_list_template = "admin/outcomes/alert/change_list.html"
    change_form_template = "admin/outcomes/alert/change_form.html"
    fieldsets = (
        (None, {"fields": (("raised", "due_by"), ("acknowledged", "whose"), ("told_again", "site"))}),
    )
    fieldsets_at_the_end = (
        (_("How it ended"), {"fields": (("ended", "resolved_by"), ("resolution", "resolution_note"))}),
    )
    readonly_fields = ("raised", "due_by", "acknowledged", "whose", "told_again", "ended")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        rows = (
            super()
            .get_queryset(request)
            .select_related("patient", "site", "owner", "resolved_by", "follow_up__procedure__procedure_type")
        )
        return cast(AlertQuerySet, rows).weighed()

    def get_ordering(self, request: HttpRequest) -> Any:
        """Open ones first, the most urgent at the top, then by when they are due; then what was closed last."""
        return (F("resolved_at").desc(nulls_first=True), weight_of_urgency(), "due_at", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fieldsets_at_the_end, *self.fieldsets) if obj and obj.resolved_at else self.fieldsets

    # The list.

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        seen = Alert.objects.visible_to(staff(request))
        now = timezone.now()
        extra_context = {
            **(extra_context or {}),
            "tabs": tabs(seen.waiting(now), request.GET.get("kind__exact", "")),
            "load": load(seen, staff(request), now=now),
            "title": _("Alerts"),
        }
        return super().changelist_view(request, extra_context)

    @display(description=_("alert"), ordering="weight")
    def what(self, alert: Alert) -> SafeString:
        return label(
            alert.get_kind_display(),
            URGENCY_LABELS[alert.urgency],
            [(alert.get_urgency_display(), "danger")] if alert.urgency == Alert.Urgency.EMERGENCY else [],
        )

    @display(description=_("patient"), ordering="patient__family_name")
    def who(self, alert: Alert) -> SafeString:
        patient = alert.patient
        return format_html(
            '{}<span class="desk-sub">{}</span>', patient, f"{patient.record_number} · {patient.phone or '–'}"
        )

    @display(description=_("after"))
    def after(self, alert: Alert) -> SafeString:
        procedure = alert.follow_up.procedure
        return format_html('{}<span class="desk-sub">{}</span>', procedure.procedure_type, alert.site)

    @display(description=_("due"), ordering="due_at")
    def due(self, alert: Alert) -> SafeString:
        return due_label(alert, now=timezone.now())

    @display(description=_("owner"), ordering="owner__last_name")
    def whose(self, alert: Alert) -> str:
        return str(alert.owner) if alert.owner else "–"

    @display(description=_("raised"))
    def raised(self, alert: Alert) -> str:
        return shown(alert.raised_at, alert.site)

    @display(description=_("due by"))
    def due_by(self, alert: Alert) -> str:
        return shown(alert.due_at, alert.site)

    @display(description=_("acknowledged"))
    def acknowledged(self, alert: Alert) -> str:
        return shown(alert.acknowledged_at, alert.site)

    @display(description=_("the site was told again"))
    def told_again(self, alert: Alert) -> str:
        return shown(alert.escalated_at, alert.site)

    @display(description=_("resolved"))
    def ended(self, alert: Alert) -> str:
        return shown(alert.resolved_at, alert.site)

    # An alert's page and its steps.

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None and self.has_view_permission(request, found):
            now = timezone.now()
            patients.read(found.patient, by=staff(request), now=now)
            follow_up = (
                with_answers(FollowUp.objects.visible_to(staff(request))).get(pk=found.follow_up_id)
                if request.user.has_perm("outcomes.view_followup")
                else None
            )
            extra_context = {
                **(extra_context or {}),
                "what": self.what(found),
                "due": due_label(found, now=now),
                "questions": questions(found),
                "devices": devices_due(found, staff(request), now=now),
                "adverse_event": (
                    reverse("admin:outcomes_adverseevent_record", args=[found.follow_up_id])
                    if found.kind == Alert.Kind.RED_FLAG and request.user.has_perm(RECORD)
                    else ""
                ),
                "steps": steps(found, staff(request)),
                "course": follow_up and course_fragment(request, follow_up, now=now, linked=True),
                "title": _("Alert"),
                "subtitle": str(found.patient),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        views: dict[str, Any] = {
            "acknowledge": require_POST(self.acknowledge_view),
            "take": require_POST(self.take_view),
            "hand-over": self.hand_over_view,
            "snooze": self.snooze_view,
            "resolve": self.resolve_view,
        }
        return [
            *(
                path(f"<int:pk>/{name}/", wrap(view), name=f"outcomes_alert_{name}")
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def may_handle(self, request: HttpRequest, pk: int) -> Alert:
        """The alert, if the user may see it and do something about it."""
        alert = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm(HANDLE):
            raise PermissionDenied
        return alert

    def acknowledge_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """ "I have seen it and take care of it." """
        return self.one(request, pk, services.acknowledge)

    def take_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Become the owner of what somebody else has taken."""
        return self.one(request, pk, services.take)

    def one(self, request: HttpRequest, pk: int, act: Callable[..., Alert]) -> HttpResponse:
        """Do it and show the alert's page."""
        self.may_handle(request, pk)
        try:
            act(pk, by=staff(request), now=timezone.now())
        except ValidationError as refusal:
            tell(request, refusal)
        else:
            messages.success(request, _("The alert is yours."))
        return HttpResponseRedirect(page_of(pk))

    def hand_over_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make somebody else the owner."""
        alert = self.may_handle(request, pk)
        form = HandOverForm(request.POST if request.method == "POST" else None, alert=alert)
        return self.ask(request, alert, form, _("Hand over"), _("The alert has its new owner."))

    def snooze_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put it out of sight for some time."""
        alert = self.may_handle(request, pk)
        form = SnoozeForm(request.POST if request.method == "POST" else None, alert=alert, now=timezone.now())
        return self.ask(request, alert, form, _("Snooze"), _("The alert is snoozed."))

    def resolve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Close it with a reason."""
        alert = self.may_handle(request, pk)
        form = ResolveForm(request.POST if request.method == "POST" else None, alert=alert)
        return self.ask(request, alert, form, _("Resolve"), _("The alert is resolved."))

    def ask(self, request: HttpRequest, alert: Alert, form: Any, title: Any, done: Any) -> HttpResponse:
        """A step that needs something to be filled in. What is resolved already is shown instead."""
        here = page_of(alert.pk)
        if request.method == "GET" and alert.resolved_at:
            messages.error(request, _("This alert is resolved already."))
            return HttpResponseRedirect(here)

        def act() -> str:
            form.act(by=staff(request), now=timezone.now())
            return here

        return take(
            request,
            form,
            act,
            done=done,
            back=here,
            context={
                "title": title,
                "opts": self.opts,
                "submit": title,
                "lead": f"{alert.get_kind_display()} · {alert.patient} · {alert.patient.phone or '–'}",
            },
        )


def page_of(alert_id: int) -> str:
    return reverse("admin:outcomes_alert_change", args=[alert_id])


def steps(alert: Alert, user: User) -> list[dict[str, Any]]:
    """What `user` can do with the alert now; `post`: with one click, nothing to fill in."""
    if alert.resolved_at or not user.has_perm(HANDLE):
        return []
    mine, seen = alert.owner_id == user.pk, alert.acknowledged_at is not None
    possible = [
        ("acknowledge", _("Acknowledge and take"), not seen),
        ("take", _("Take over"), seen and not mine),
        ("resolve", _("Resolve"), True),
        ("hand-over", _("Hand over"), True),
        ("snooze", _("Snooze"), alert.urgency != Alert.Urgency.EMERGENCY),
    ]
    return [
        {
            "label": text,
            "url": reverse(f"admin:outcomes_alert_{name}", args=[alert.pk]),
            "post": name in ("acknowledge", "take"),
        }
        for name, text, can in possible
        if can
    ]


def questions(alert: Alert) -> SafeString:
    """The red-flag questions that the patient said yes to, in the reader's language, the most urgent first."""
    column = "question_es" if (get_language() or "").startswith("es") else "question"
    flags = RedFlag.objects.filter(code__in=alert.codes).order_by("urgency", "code")
    return format_html_join(
        "", "<li>{} <strong>{}</strong></li>", ((getattr(flag, column), _("Yes")) for flag in flags)
    )


def devices_due(alert: Alert, user: User, *, now: datetime) -> list[tuple[str, str]]:
    """What of a device is due since when, a line each with the device's page; nothing for alerts of another kind."""
    if alert.kind != Alert.Kind.DEVICE_DUE:
        return []
    may_open = user.has_perm("procedures.view_implanteddevice")
    return [
        (since_words(one.what, one.since), device_page(one.device) if may_open else "")
        for one in services.due_of(alert.follow_up, now=now)
    ]


def due_label(alert: Alert, *, now: datetime) -> SafeString:
    """How it stands, in words: overdue since when, due in what time, snoozed until, or how it ended."""
    state = alert.state(now)
    if state == "resolved":
        return label(alert.get_resolution_display(), "default", [])
    if state == "snoozed":
        return label(_("snoozed until %s") % shown(alert.snoozed_until, alert.site), "default", [])
    if state == "overdue":
        return label(_("overdue by %s") % in_words(now - alert.due_at), "danger", [])
    words = _("resolve within %s") if alert.acknowledged_at else _("look within %s")
    return label(words % in_words(alert.due_at - now), "info", [])


def in_words(span: timedelta) -> str:
    """A span as people say it: "12 min", "5 h", "3 days"; cut, so that what is left is never overstated."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 60:
        return str(_("%d min") % minutes)
    if minutes < 48 * 60:
        return str(_("%d h") % (minutes // 60))
    days = minutes // (24 * 60)
    return ngettext("%d day", "%d days", days) % days


def tabs(waiting: QuerySet[Alert], kind: str) -> list[dict[str, Any]]:
    """The worklists: all that wait, and those of each kind, with how many they hold. One query."""
    counts = dict(waiting.order_by().values_list("kind").annotate(Count("pk")))
    lists = [("", _("all"), sum(counts.values()))]
    lists += [(value, text, counts.get(value, 0)) for value, text in Alert.Kind.choices]
    return [
        {
            "label": text,
            "count": count,
            "link": f"?kind__exact={value}" if value else "?",
            "active": value == kind,
        }
        for value, text, count in lists
    ]


def load(seen: QuerySet[Alert], user: User, *, now: datetime) -> dict[str, Any]:
    """How much the alerts ask of people: those of the last 30 days for 100 answers, and how many were acted on.

    Two queries. `rate` None without an answer, `share` (percent) None while none of them is resolved. What was settled
    because its reason was gone counts as an alert nobody acted on.
    """
    counts = seen.filter(raised_lately(now)).aggregate(
        raised=Count("pk"), resolved=Count("pk", filter=RESOLVED), acted=Count("pk", filter=ACTED)
    )
    answers = Answer.objects.filter(answered_at__gt=now - LOOKS_BACK, answered_at__lte=now)
    if not user.sees_all_sites:
        answers = answers.filter(check_in__follow_up__procedure__site__in=user.sites.values("pk"))
    answered = answers.count()
    return {
        **counts,
        "answered": answered,
        "days": LOOKS_BACK.days,
        "rate": round(100 * counts["raised"] / answered, 1) if answered else None,
        "share": round(100 * counts["acted"] / counts["resolved"]) if counts["resolved"] else None,
    }
