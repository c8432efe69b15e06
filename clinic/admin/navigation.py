"""The list of pages at the side: what the user may open, in the order of a day's work."""

from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError


class NavigationEntry(NamedTuple):
    """One entry: a change list of the admin, or any other of its pages, and the permission that opens it."""

    title: str
    icon: str
    page: str
    permission: str = ""
    query: str = ""


#: Pages below a list's address that have an entry of their own.
PAGES_OF_THEIR_OWN = (
    *("/calls/", "/previews/", "/sending/", "/worklists/"),
    *(f"/reports/{name}/" for name in ("clinic", "procedures", "compare", "response")),
)


def pages() -> list[tuple[str, list[NavigationEntry]]]:
    """Every entry by group. Addresses are names: this app need not know the apps above it."""
    day, kind = "procedures_appointment", "procedures_proceduretype"
    return [
        (
            "",
            [
                NavigationEntry(_("Overview"), "home", "index"),
                NavigationEntry(_("Book"), "add_circle", f"{day}_find", "procedures.book_appointment"),
                NavigationEntry(_("Day board"), "view_kanban", f"{day}_board", "procedures.view_appointment"),
                NavigationEntry(
                    _("Week"), "calendar_view_week", f"{day}_week", "procedures.view_appointment"
                ),
                NavigationEntry(
                    _("Today"), "today", f"{day}_changelist", "procedures.view_appointment", "?when=today"
                ),
                NavigationEntry(
                    _("Patients"), "groups", "patients_patient_changelist", "patients.view_patient"
                ),
                NavigationEntry(
                    _("Appointments"),
                    "calendar_month",
                    f"{day}_changelist",
                    "procedures.view_appointment",
                    "?when=all",
                ),
                NavigationEntry(
                    _("Procedures"),
                    "medical_services",
                    "procedures_procedure_changelist",
                    "procedures.view_procedure",
                ),
                NavigationEntry(
                    _("Implanted devices"),
                    "memory",
                    "procedures_implanteddevice_changelist",
                    "procedures.view_implanteddevice",
                ),
                NavigationEntry(
                    _("Waitlist"),
                    "hourglass_top",
                    "procedures_waitlistentry_changelist",
                    "procedures.view_waitlistentry",
                ),
                NavigationEntry(
                    _("Freed times"),
                    "event_available",
                    "procedures_freedtime_changelist",
                    "procedures.view_freedtime",
                    "?state=open",
                ),
            ],
        ),
        (
            _("Follow-ups"),
            [
                NavigationEntry(
                    _("Alerts"), "notification_important", "outcomes_alert_changelist", "outcomes.view_alert"
                ),
                NavigationEntry(
                    _("Follow-ups"), "monitoring", "outcomes_followup_changelist", "outcomes.view_followup"
                ),
                NavigationEntry(
                    _("Check-ins"), "mark_chat_unread", "outcomes_checkin_changelist", "outcomes.view_checkin"
                ),
                NavigationEntry(
                    _("Adverse events"),
                    "healing",
                    "outcomes_adverseevent_changelist",
                    "outcomes.view_adverseevent",
                ),
                NavigationEntry(_("Calls"), "call", "outcomes_checkin_calls", "outcomes.record_answer"),
                NavigationEntry(
                    _("Not sent"), "unsubscribe", "outcomes_checkin_not_sent", "outcomes.view_checkin"
                ),
            ],
        ),
        (
            _("Reports"),
            [
                NavigationEntry(
                    _("Worklists"), "checklist_rtl", "outcomes_followup_worklists", "outcomes.view_followup"
                ),
                NavigationEntry(
                    _("Clinic today"), "dashboard", "outcomes_followup_clinic", "outcomes.view_reports"
                ),
                NavigationEntry(
                    _("Procedure report"), "query_stats", "outcomes_followup_report", "outcomes.view_reports"
                ),
                NavigationEntry(
                    _("Compare"), "compare_arrows", "outcomes_followup_compare", "outcomes.view_reports"
                ),
                NavigationEntry(
                    _("Who answers"),
                    "mark_email_read",
                    "outcomes_followup_response",
                    "outcomes.view_reports",
                ),
                NavigationEntry(
                    _("Exports"), "download", "outcomes_export_changelist", "outcomes.export_outcomes"
                ),
            ],
        ),
        (
            _("Catalogue"),
            [
                NavigationEntry(
                    _("Procedure types"), "menu_book", f"{kind}_changelist", "procedures.view_proceduretype"
                ),
                NavigationEntry(
                    _("Red flags"), "flag", "procedures_redflag_changelist", "procedures.view_redflag"
                ),
                NavigationEntry(
                    _("Readiness"),
                    "checklist",
                    "procedures_readinessitem_changelist",
                    "procedures.view_readinessitem",
                ),
            ],
        ),
        (
            _("Clinic"),
            [
                NavigationEntry(_("Sites"), "location_on", "clinic_site_changelist", "clinic.view_site"),
                NavigationEntry(
                    _("Resources"), "meeting_room", "clinic_resource_changelist", "clinic.view_resource"
                ),
                NavigationEntry(
                    _("Leave, closures"), "event_busy", "clinic_closure_changelist", "clinic.view_closure"
                ),
                NavigationEntry(
                    _("Categories"),
                    "category",
                    "clinic_resourcecategory_changelist",
                    "clinic.view_resourcecategory",
                ),
                NavigationEntry(_("Staff"), "badge", "clinic_user_changelist", "clinic.view_user"),
                NavigationEntry(
                    _("Roles"), "admin_panel_settings", "auth_group_changelist", "auth.view_group"
                ),
            ],
        ),
        (
            _("Trail"),
            [
                NavigationEntry(
                    _("E-mails"), "outbox", "clinic_outgoingemail_changelist", "clinic.view_outgoingemail"
                ),
                NavigationEntry(
                    _("Text messages"), "sms", "clinic_outgoingtext_changelist", "clinic.view_outgoingtext"
                ),
                NavigationEntry(
                    _("Sending"), "send", "clinic_outgoingemail_sending", "clinic.view_outgoingemail"
                ),
                NavigationEntry(
                    _("E-mail previews"),
                    "preview",
                    "clinic_outgoingemail_previews",
                    "clinic.view_outgoingemail",
                ),
                NavigationEntry(
                    _("Audit trail"), "history", "clinic_auditevent_changelist", "clinic.view_auditevent"
                ),
                NavigationEntry(
                    _("Seals"), "verified_user", "clinic_auditseal_changelist", "clinic.view_auditseal"
                ),
            ],
        ),
    ]


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
            if not entry.permission or request.user.has_perm(entry.permission)
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
