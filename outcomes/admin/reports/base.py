"""What the pages of reports share: who may see them, what is selected, how shares and links are written."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from clinic.admin.base import staff
from clinic.models import Site, User
from outcomes.charts.svg import percent
from outcomes.rates import Rate, Share
from outcomes.reports import Selection


def require(request: HttpRequest, permission: str = "outcomes.view_reports") -> User:
    """Who asks, if their role may see the page."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return staff(request)


def page(
    request: HttpRequest, template: str, title: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """A page of the admin, from a template of reports."""
    whole = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/outcomes/reports/{template}.html", whole, status=status)


def site_of(selection: Selection) -> Site | None:
    """The site of a selection, for the audit trail."""
    return Site.objects.filter(pk=selection.site).first() if selection.site else None


def linked(number: int, address: str) -> SafeString:
    """A number, linked if there is an address."""
    return (
        format_html('<a class="desk-link" href="{}">{}</a>', address, number)
        if address
        else SafeString(f"{number}")
    )


#: Which list has the rows behind a cell, by how it begins; all others are follow-ups. Alerts are shown in any state.
LISTS = {"asked": "checkin", "alerts": "alert", "events": "adverseevent"}


class RowLinks:
    """Links from numbers to the rows behind them, for those who may see such rows."""

    def __init__(self, request: HttpRequest, selection: Selection) -> None:
        self.request, self.user, self.selection = request, request.user, selection

    def link(self, number: int | None, cell: str) -> SafeString:
        """A number, linked unless it is 0."""
        if number is None:
            return format_html("{}", _("hidden"))
        return linked(number, self.address(cell) if number else "")

    def address(self, cell: str) -> str:
        """Where the rows are; "" for one who may not see them."""
        of = LISTS.get(cell.partition(":")[0], "followup")
        if not self.user.has_perm(f"outcomes.view_{of}"):
            return ""
        state = {"state": "all"} if of == "alert" else {}
        query = urlencode({**self.selection.query(), **state, "cell": cell})
        return f"{reverse(f'admin:outcomes_{of}_changelist')}?{query}"

    def share(self, share: Share | None, cell: str) -> SafeString:
        """A share with its counts and its interval, the rows behind the first: "25 of 40: 62 % (47–75 %)"."""
        if share is None:
            return SafeString("–")
        words = _("%(count)s of %(of)d") % {"count": self.link(share.count, cell), "of": share.of}
        return format_html("{}: {}", SafeString(words), share_words(share))


def shares(rows: RowLinks, share: Share | None, counted: str, of: str) -> SafeString:
    """Both counts of a share, each with its rows: "25 of 40"; "" of nobody."""
    if share is None:
        return SafeString("")
    words = {"count": rows.link(share.count, counted), "of": rows.link(share.of, of)}
    return SafeString(_("%(count)s of %(of)s") % words)


def share_words(share: Share | None) -> str:
    """A share with its interval: "62 % (47–75 %)"."""
    if share is None:
        return "–"
    return f"{percent(share.value)} ({100 * share.low:.0f}–{100 * share.high:.0f} %)"


def of_words(share: Share | None) -> str:
    """A share with its counts: "25 of 40 (62 %)"."""
    if share is None:
        return _("nothing fell due yet")
    return _("%(count)d of %(of)d") % {"count": share.count, "of": share.of} + f" ({percent(share.value)})"


def rate_words(rate: Rate) -> str:
    """The share of those who answered, with its interval."""
    return _("hidden") if rate.hidden else share_words(rate.complete)


def bounds_words(rate: Rate) -> str:
    """From all silent as not reached to all silent as reached."""
    if rate.worst is None or rate.best is None:
        return ""
    return f"{100 * rate.worst.value:.0f}–{percent(rate.best.value)}"


def made(now: datetime) -> str:
    return f"{now:%-d %b %Y, %H:%M} UTC"


def drawing(svg: str) -> SafeString:
    """A chart, every word of which is escaped where it is drawn."""
    return mark_safe(svg)  # noqa: S308
