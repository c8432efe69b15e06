"""The clinic overview: what waits today at each site, who answers, and whose relief was lost early this month."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from outcomes import services
from outcomes.admin.reports.base import RowLinks, linked, page, require, shares
from outcomes.models import Alert
from outcomes.reports import Selection, overview_report
from outcomes.reports.alert_load import LOOKS_BACK
from outcomes.reports.overview import SiteOverview


def clinic_page(request: HttpRequest) -> HttpResponse:
    """Every site of the one who asks; each number leads to what it counts."""
    user, now = require(request), timezone.now()
    services.view_report("overview", site=None, by=user, now=now)
    report = overview_report(user=user, now=now)
    context = {
        "days": LOOKS_BACK.days,
        "sites": [site_cards(site, RowLinks(request, Selection(site=site.site.pk))) for site in report.sites],
    }
    return page(request, "clinic", _("Clinic today"), context)


def site_cards(site_overview: SiteOverview, rows: RowLinks) -> dict[str, Any]:
    """A site's cards. A count leads to what it counts; of a share each of its counts does."""
    kinds = [
        (kind, site_overview.open_alerts[kind.value])
        for kind in Alert.Kind
        if site_overview.open_alerts.get(kind.value)
    ]
    month = RowLinks(rows.request, replace(rows.selection, performed_from=site_overview.month))
    cards: list[dict[str, Any]] = [
        {
            "count": sum(number for _kind, number in kinds),
            "label": _("open alerts"),
            "note": format_html_join(
                ", ",
                "{} {}",
                ((linked(number, alerts(rows, kind__exact=kind)), kind.label) for kind, number in kinds),
            ),
            "link": alerts(rows),
        },
        {
            "count": site_overview.overdue,
            "label": _("overdue alerts"),
            "urgent": bool(site_overview.overdue),
            "link": alerts(rows, state="overdue"),
        },
        {
            "count": f"{100 * site_overview.response.value:.0f} %" if site_overview.response else "–",
            "label": _("answered in 30 days"),
            "note": shares(rows, site_overview.response, "asked:recent:answered", "asked:recent:due")
            or _("nothing fell due yet"),
        },
        {
            "count": site_overview.lost_early,
            "label": _("lost early this month"),
            "note": _("or possibly so"),
            "urgent": bool(site_overview.lost_early),
            "link": rows.address("month:lost_early"),
        },
        {
            "count": site_overview.no_relief,
            "label": _("no relief this month"),
            "urgent": bool(site_overview.no_relief),
            "link": rows.address("month:no_relief"),
        },
        {
            "count": site_overview.procedures,
            "label": _("procedures this month"),
            "link": month.address("procedures"),
        },
        {
            "count": "–" if site_overview.load.per_100 is None else f"{site_overview.load.per_100:.1f}",
            "label": _("alerts for 100 answers in 30 days"),
            "note": format_html(
                "{} {}, {} {}",
                rows.link(site_overview.load.raised, "alerts:raised"),
                _("alerts"),
                rows.link(site_overview.load.answers, "asked:recent:answered"),
                _("answers"),
            ),
        },
        {
            "count": f"{100 * site_overview.load.acted_on.value:.0f} %"
            if site_overview.load.acted_on
            else "–",
            "label": _("of resolved alerts acted on"),
            "note": shares(rows, site_overview.load.acted_on, "alerts:acted", "alerts:resolved")
            or _("none was resolved"),
        },
    ]
    return {
        "site": site_overview.site,
        "cards": [card if card["count"] else {**card, "link": ""} for card in cards],
    }


def alerts(rows: RowLinks, **query: Any) -> str:
    """The list of a site's open alerts, or of those in a state; "" for one who may not see them."""
    if not rows.user.has_perm("outcomes.view_alert"):
        return ""
    query["site__id__exact"] = rows.selection.site
    return f"{reverse('admin:outcomes_alert_changelist')}?{urlencode(query)}"
