"""What was not sent and why, counted, and the check-ins behind each number."""

from datetime import timedelta

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from clinic.admin.base import staff
from clinic.models import Site
from outcomes.admin.check_ins import CheckInAdmin
from outcomes.check_in_history import reason
from outcomes.not_sent import not_sent

#: So many days back are counted.
DAYS = 30


def page(request: HttpRequest) -> HttpResponse:
    """Each reason with how often it kept something back. `site` in the address narrows it to one."""
    if not request.user.has_perm("outcomes.view_checkin"):
        raise PermissionDenied
    sites = list(Site.objects.visible_to(staff(request)))
    chosen = next((site for site in sites if str(site.pk) == request.GET.get("site")), None)
    since = timezone.now() - timedelta(days=DAYS)
    context = {
        **admin.site.each_context(request),
        "title": _("Not sent"),
        "days": DAYS,
        "sites": sites,
        "site": chosen,
        "paused": [site for site in ([chosen] if chosen else sites) if site.emails_paused],
        "rows": [
            {"count": count, "words": reason(count.reason), "link": listed(count.reason, chosen)}
            for count in not_sent([chosen] if chosen else sites, since=since)
        ],
    }
    return TemplateResponse(request, "admin/outcomes/not_sent.html", context)


def listed(code: str, site: Site | None) -> str:
    """The address of the check-ins that a reason kept back."""
    where = f"&follow_up__procedure__site__id__exact={site.pk}" if site else ""
    return f"{reverse('admin:outcomes_checkin_changelist')}?not_sent={code}{where}"


CheckInAdmin.pages += [
    path("not-sent/", admin.site.admin_view(page), name="outcomes_checkin_not_sent"),
]
