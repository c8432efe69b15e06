"""Every e-mail that goes out, as it goes out, in each of its languages, with made-up data."""

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _

from clinic.admin.audit_log import OutgoingEmailAdmin
from clinic.admin.base import staff
from clinic.models import Site
from clinic.outbox import shown_with_logo
from outcomes import emails as of_outcomes
from procedures import emails as of_procedures

#: Every e-mail, in the order of a course.
PREVIEWS = [*of_procedures.PREVIEWS, *of_outcomes.PREVIEWS]


def previews(request: HttpRequest) -> HttpResponse:
    """One e-mail in every language. The address says which: `email`, and `site` for whose."""
    if not request.user.has_perm("clinic.view_outgoingemail"):
        raise PermissionDenied
    sites = list(Site.objects.visible_to(staff(request)))
    if request.GET.get("site") and request.GET["site"] not in {str(site.pk) for site in sites}:
        raise Http404
    site = next(
        (site for site in sites if str(site.pk) == request.GET.get("site")), sites[0] if sites else None
    )
    key = request.GET.get("email", PREVIEWS[0].key)
    chosen = next((preview for preview in PREVIEWS if preview.key == key), None)
    if chosen is None:
        raise Http404
    context = {
        **admin.site.each_context(request),
        "title": _("E-mail previews"),
        "previews": PREVIEWS,
        "chosen": chosen,
        "sites": sites,
        "site": site,
        "shown": [
            {"code": code, "name": name, "message": message, "html": shown_with_logo(message.html, site)}
            for code, name in settings.LANGUAGES
            if code in chosen.languages and (message := chosen.render(code, site))
        ]
        if site
        else [],
    }
    return TemplateResponse(request, "admin/outcomes/previews.html", context)


OutgoingEmailAdmin.pages += [
    path("previews/", admin.site.admin_view(previews), name="clinic_outgoingemail_previews"),
]
