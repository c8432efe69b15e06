"""The list of pages at the side: what the user may open, in the order of a day's work."""

from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError


class Entry(NamedTuple):
    """One entry: a change list of the admin, or any other of its pages, and the permission that opens it."""

    title: str
    icon: str
    page: str
    permission: str | None = None
    query: str = ""

    def is_for(self, user: Any) -> bool:
        """Whether the user may open it: with `permission`, or else what it takes to view the model of the list."""
        if self.permission is None:
            app, model, _page = self.page.split("_")
            return bool(user.has_perm(f"{app}.view_{model}"))
        return not self.permission or bool(user.has_perm(self.permission))


#: Pages below a list's address that have an entry of their own.
PAGES_OF_THEIR_OWN = (
    *("/calls/", "/previews/", "/sending/", "/worklists/"),
    *(f"/reports/{name}/" for name in ("clinic", "procedures", "compare", "response")),
)


def pages() -> list[tuple[str, list[Entry]]]:
    """Every entry by group. Addresses are names: this app need not know the apps above it."""
    # fmt: off
    return [
        ("", [
            Entry(_("Overview"), "home", "index", ""),
            Entry(_("Book"), "add_circle", "procedures_appointment_find", "procedures.book_appointment"),
            Entry(_("Day board"), "view_kanban", "procedures_appointment_board", "procedures.view_appointment"),
            Entry(_("Week"), "calendar_view_week", "procedures_appointment_week", "procedures.view_appointment"),
            Entry(_("Today"), "today", "procedures_appointment_changelist", query="?when=today"),
            Entry(_("Patients"), "groups", "patients_patient_changelist"),
            Entry(_("Appointments"), "calendar_month", "procedures_appointment_changelist", query="?when=all"),
            Entry(_("Procedures"), "medical_services", "procedures_procedure_changelist"),
            Entry(_("Implanted devices"), "memory", "procedures_implanteddevice_changelist"),
            Entry(_("Waitlist"), "hourglass_top", "procedures_waitlistentry_changelist"),
            Entry(_("Freed times"), "event_available", "procedures_freedtime_changelist", query="?state=open"),
        ]),
        (_("Follow-ups"), [
            Entry(_("Alerts"), "notification_important", "outcomes_alert_changelist"),
            Entry(_("Follow-ups"), "monitoring", "outcomes_followup_changelist"),
            Entry(_("Check-ins"), "mark_chat_unread", "outcomes_checkin_changelist"),
            Entry(_("Adverse events"), "healing", "outcomes_adverseevent_changelist"),
            Entry(_("Calls"), "call", "outcomes_checkin_calls", "outcomes.record_answer"),
            Entry(_("Not sent"), "unsubscribe", "outcomes_checkin_not_sent", "outcomes.view_checkin"),
        ]),
        (_("Reports"), [
            Entry(_("Worklists"), "checklist_rtl", "outcomes_followup_worklists", "outcomes.view_followup"),
            Entry(_("Clinic today"), "dashboard", "outcomes_followup_clinic", "outcomes.view_reports"),
            Entry(_("Procedure report"), "query_stats", "outcomes_followup_report", "outcomes.view_reports"),
            Entry(_("Compare"), "compare_arrows", "outcomes_followup_compare", "outcomes.view_reports"),
            Entry(_("Who answers"), "mark_email_read", "outcomes_followup_response", "outcomes.view_reports"),
            Entry(_("Exports"), "download", "outcomes_export_changelist", "outcomes.export_outcomes"),
        ]),
        (_("Catalogue"), [
            Entry(_("Procedure types"), "menu_book", "procedures_proceduretype_changelist"),
            Entry(_("Red flags"), "flag", "procedures_redflag_changelist"),
            Entry(_("Readiness"), "checklist", "procedures_readinessitem_changelist"),
        ]),
        (_("Clinic"), [
            Entry(_("Sites"), "location_on", "clinic_site_changelist"),
            Entry(_("Resources"), "meeting_room", "clinic_resource_changelist"),
            Entry(_("Leave, closures"), "event_busy", "clinic_closure_changelist"),
            Entry(_("Categories"), "category", "clinic_resourcecategory_changelist"),
            Entry(_("Staff"), "badge", "clinic_user_changelist"),
            Entry(_("Roles"), "admin_panel_settings", "auth_group_changelist"),
        ]),
        (_("Trail"), [
            Entry(_("E-mails"), "outbox", "clinic_outgoingemail_changelist"),
            Entry(_("Text messages"), "sms", "clinic_outgoingtext_changelist"),
            Entry(_("Sending"), "send", "clinic_outgoingemail_sending", "clinic.view_outgoingemail"),
            Entry(_("E-mail previews"), "preview", "clinic_outgoingemail_previews", "clinic.view_outgoingemail"),
            Entry(_("Audit trail"), "history", "clinic_auditevent_changelist"),
            Entry(_("Seals"), "verified_user", "clinic_auditseal_changelist"),
        ]),
    ]
    # fmt: on


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """What unfold shows at the side for this user."""
    groups = []
    for title, entries in pages():
        items = [
            {
                "title": entry.title,
                "icon": entry.icon,
                "link": (link := reverse(f"admin:{entry.page}")) + entry.query,
                "active": is_open(request, link, entry.query),
            }
            for entry in entries
            if entry.is_for(request.user)
        ]
        if items:
            groups.append({"title": title, "separator": bool(title), "items": items})
    return groups


def is_open(request: HttpRequest, link: str, query: str) -> bool:
    """Whether the page at `link` is the one being shown; two entries share the list of appointments."""
    if link == reverse("admin:index"):
        return request.path == link
    if not request.path.startswith(link) or (
        query and request.path.endswith(("/board/", "/find/", "/week/"))
    ):
        return False
    if request.path.endswith(PAGES_OF_THEIR_OWN) and not request.path.endswith(link):
        return False
    if query == "?state=open":
        return True
    narrowed = {"q", "wants_change", "deceased", "displaced"} & request.GET.keys()
    today = request.path == link and request.GET.get("when", "today") == "today" and not narrowed
    return not query or (query == "?when=today") == today


def stylesheet(request: HttpRequest) -> str:
    """The front desk's own style sheet, beside unfold's."""
    return static("clinic/desk.css")


def script(request: HttpRequest) -> str:
    """What the front desk's pages need beside unfold's scripts."""
    return static("clinic/desk.js")


def icon(request: HttpRequest) -> str:
    """The sign in the browser's tab."""
    return static("clinic/icon.svg")


def search(request: HttpRequest) -> HttpResponse:
    """Find pages of the admin by their names; none while Redis, which keeps the last finds, is down."""
    try:
        found: HttpResponse = admin.site.search(request)  # type: ignore[attr-defined]  # unfold's
    except RedisError:
        return HttpResponse()
    return found
