"""What procedures adds to a resource's page: the secret address of its calendar, to issue and to revoke."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.sites import ResourceAdmin
from clinic.models import Resource
from clinic.patient_pages import secret
from clinic.row_versions import one_at_a_time
from procedures import services
from procedures.models import CalendarFeed
from procedures.services.calendar_feeds import HAND_OUT


@ResourceAdmin.panel
def calendar_address(request: HttpRequest, resource: Resource) -> SafeString:
    """Whether the resource's calendar can be read at a secret address, and the ways to issue and to revoke one."""
    if not request.user.has_perm("procedures.view_calendarfeed"):
        return SafeString("")
    feed = services.feed_in_force(resource)
    context = {
        "resource": resource,
        "feed": feed,
        "since": site_time_text(feed.created_at, resource.site) if feed else "",
        "by": (feed.created_by if feed else None) or _("the command line"),
        "may": services.may_hand_out(resource, staff(request)),
        "usable": services.can_be_published(resource),
    }
    return SafeString(render_to_string("admin/procedures/feed.html", context, request=request))


class FeedPage(ActionPage):
    """A page about the address of a resource's calendar, for who may hand it out."""

    model = Resource
    permission_required = HAND_OUT

    def get_queryset(self) -> Any:
        return super().get_queryset().select_related("site", "user")

    def has_permission(self) -> bool:
        return super().has_permission() and services.may_hand_out(self.row, self.by)

    def versioned_row(self) -> CalendarFeed | None:
        """The address that was issued last, in force or not: of two who saw none, the second sees the first one's."""
        one_at_a_time(Resource, self.row.pk)
        return CalendarFeed.objects.filter(resource=self.row).order_by("-pk").first()


class IssueFeed(FeedPage):
    """Make a new address and show it, this once."""

    name, address = "issue_feed", "<int:pk>/calendar-address/issue/"
    title, submit = _("Calendar address"), _("Issue calendar address")

    def lead(self) -> str:
        words = [
            _("Whoever has the address can read when %s is taken and where, without patients and procedures.")
            % self.row
        ]
        if services.feed_in_force(self.row):
            words.append(_("The address that was issued before stops working."))
        return " ".join(map(str, words))

    def act(self, form: Any) -> str:
        return services.issue_feed(self.row, by=self.by, now=self.now)

    def answer(self, form: Any, result: str) -> HttpResponse:
        context = {
            **self.get_context_data(form=form),
            "resource": self.row,
            "address": services.feed_address(result),
        }
        return secret(TemplateResponse(self.request, "admin/procedures/feed_issued.html", context))


class RevokeFeed(FeedPage):
    """Make the address stop working."""

    name, address = "revoke_feed", "<int:pk>/calendar-address/revoke/"
    title, submit = _("Revoke the calendar address"), _("Revoke")
    done = _("The calendar address is revoked.")
    danger = True

    def unavailable_reason(self) -> Any:
        return "" if services.feed_in_force(self.row) else _("There is no calendar address to revoke.")

    def lead(self) -> str:
        words = _("The calendar program of %s will find nothing at this address any more.")
        return str(words % self.row)

    def act(self, form: Any) -> Any:
        return services.revoke_feed(self.row, by=self.by, now=self.now)


ResourceAdmin.pages += paths(IssueFeed, RevokeFeed)
