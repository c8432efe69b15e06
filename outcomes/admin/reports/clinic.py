"""The clinic overview: what waits today at each site, who answers, and whose relief was lost early this month."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from outcomes import services
from outcomes.admin.reports.base import of_words, page, require
from outcomes.models import Alert
from outcomes.reports import overview_report
from outcomes.reports.overview import LOOKS_BACK, SiteOverview


def clinic_page(request: HttpRequest) -> HttpResponse:
    """Every site of the one who asks; each number leads to what it counts."""
    user, now = require(request), timezone.now()
    services.view_report("overview", site=None, by=user, now=now)
    report = overview_report(user=user, now=now)
    context = {
        "days": LOOKS_BACK.days,
        "sites": [shown(one) for one in report.sites],
    }
    return page(request, "clinic", _("Clinic today"), context)


def address(name: str, **query: Any) -> str:
    return f"{reverse(f'admin:outcomes_{name}')}?{urlencode(query)}"


def shown(one: SiteOverview) -> dict[str, Any]:
    """A site's cards."""
    site = one.site.pk
    month = {"site": site, "performed_from": one.month.isoformat()}
    cards: list[dict[str, Any]] = [
        {
            "count": sum(one.open_alerts.values()),
            "label": _("open alerts"),
            "note": ", ".join(
                f"{one.open_alerts[kind.value]} {kind.label}"
                for kind in Alert.Kind
                if one.open_alerts.get(kind.value)
            ),
            "link": address("alert_changelist", site__id__exact=site),
        },
        {
            "count": one.overdue,
            "label": _("overdue alerts"),
            "urgent": bool(one.overdue),
            "link": address("alert_changelist", state="overdue", site__id__exact=site),
        },
        {
            "count": f"{100 * one.response.value:.0f} %" if one.response else "–",
            "label": _("answered in 30 days"),
            "note": of_words(one.response),
            "link": address("followup_response", site=site),
        },
        {
            "count": one.lost_early,
            "label": _("lost early this month"),
            "urgent": bool(one.lost_early),
            "link": address("followup_changelist", cell="month:lost_early", site=site),
        },
        {
            "count": one.no_relief,
            "label": _("no relief this month"),
            "urgent": bool(one.no_relief),
            "link": address("followup_changelist", cell="month:no_relief", site=site),
        },
        {
            "count": one.procedures,
            "label": _("procedures this month"),
            "link": address("followup_changelist", cell="treated", **month),
        },
        {
            "count": "–" if one.alerts_per_100 is None else f"{one.alerts_per_100:.1f}",
            "label": _("alerts for 100 answers in 30 days"),
            "note": _("%(alerts)d alerts, %(answers)d answers")
            % {"alerts": one.alerts_raised, "answers": one.answers},
            "link": address("alert_changelist", state="all", site__id__exact=site),
        },
        {
            "count": f"{100 * one.acted_on.value:.0f} %" if one.acted_on else "–",
            "label": _("of resolved alerts acted on"),
            "note": _("%(count)d of %(of)d") % {"count": one.acted_on.count, "of": one.acted_on.of}
            if one.acted_on
            else _("none was resolved"),
            "link": address("alert_changelist", state="resolved", site__id__exact=site),
        },
    ]
    return {"site": one.site, "month": one.month, "cards": cards}
