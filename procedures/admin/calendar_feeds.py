"""What procedures adds to a resource's page: the secret address of its calendar, to issue and to revoke."""

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from clinic.admin.base import staff, tell
from clinic.admin.datetime_widgets import shown
from clinic.admin.sites import ResourceAdmin
from clinic.admin.taking import form_page, in_a_line, missed, take
from clinic.models import Resource
from clinic.patient_pages import secret
from clinic.versions import one_at_a_time
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
        "since": shown(feed.created_at, resource.site) if feed else "",
        "by": (feed.created_by if feed else None) or _("the command line"),
        "may": services.may_hand_out(resource, staff(request)),
        "usable": services.can_be_published(resource),
    }
    return SafeString(render_to_string("admin/procedures/feed.html", context, request=request))


def asked_for(request: HttpRequest, pk: int) -> tuple[Resource, str]:
    """The resource and the address of its page; refuses who may not hand out calendars."""
    if not request.user.has_perm(HAND_OUT):
        raise PermissionDenied
    rows = Resource.objects.visible_to(staff(request)).select_related("site", "user")
    resource = get_object_or_404(rows, pk=pk)
    if not services.may_hand_out(resource, staff(request)):
        raise PermissionDenied
    return resource, reverse("admin:clinic_resource_change", args=[pk])


def last_feed(resource: Resource) -> CalendarFeed | None:
    """The address that was issued last, in force or not: what a page about the calendar's address has shown."""
    return CalendarFeed.objects.filter(resource=resource).order_by("-pk").first()


@transaction.atomic
def issue(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask first; by POST, make a new address and show it, this once."""
    resource, back = asked_for(request, pk)
    page = {"title": _("Calendar address"), "opts": Resource._meta}
    if request.method != "POST":
        words = [
            _("Whoever has the address can read when %s is taken and where, without patients and procedures.")
            % resource
        ]
        if services.feed_in_force(resource):
            words.append(_("The address that was issued before stops working."))
        context = {**page, "submit": _("Issue calendar address"), "lead": " ".join(words)}
        return form_page(request, forms.Form(), back=back, context=context, row=last_feed(resource))
    one_at_a_time(Resource, pk)  # of two who saw none, the second sees the first one's
    last = last_feed(resource)
    if last and (stale := missed(request, last)):
        messages.error(request, in_a_line(stale))
        return HttpResponseRedirect(back)
    try:
        token = services.issue_feed(resource, by=staff(request), now=timezone.now())
    except ValidationError as refusal:
        tell(request, refusal)
        return HttpResponseRedirect(back)
    context = {
        **admin.site.each_context(request),
        **page,
        "resource": resource,
        "address": services.feed_address(token),
        "back": back,
    }
    return secret(TemplateResponse(request, "admin/procedures/feed_issued.html", context))


def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask first; by POST, make the address stop working."""
    resource, back = asked_for(request, pk)
    if not services.feed_in_force(resource):
        messages.info(request, _("There is no calendar address to revoke."))
        return HttpResponseRedirect(back)

    def act() -> str:
        services.revoke_feed(resource, by=staff(request), now=timezone.now())
        return back

    return take(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        act,
        done=_("The calendar address is revoked."),
        back=back,
        context={
            "title": _("Revoke the calendar address"),
            "opts": Resource._meta,
            "submit": _("Revoke"),
            "danger": True,
            "lead": _("The calendar program of %s will find nothing at this address any more.") % resource,
        },
        row=last_feed(resource),
    )


ResourceAdmin.pages += [
    path(
        f"<int:pk>/calendar-address/{name}/", admin.site.admin_view(view), name=f"clinic_resource_{name}_feed"
    )
    for name, view in (("issue", issue), ("revoke", revoke))
]
