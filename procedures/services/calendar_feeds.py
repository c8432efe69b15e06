"""Secret addresses at which calendar programs read when a clinician is taken."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.urls import reverse

from clinic import audit
from clinic.links import new_token, token_hash
from clinic.models import Resource, User
from clinic.refusals import Refusal
from procedures.models import CalendarFeed

#: What staff must hold to hand out a clinician's calendar, or to take it back; and if it is not their own.
HAND_OUT = "procedures.add_calendarfeed"
HAND_OUT_OTHERS = "procedures.publish_others"


@transaction.atomic
def issue_feed(resource: Resource, *, by: User | None, now: datetime) -> str:
    """Make the secret address of a clinician's calendar and return its token, which is kept nowhere.

    Earlier ones of the same clinician stop working: who asks again has lost the old one, or fears that others have it.
    Raises PermissionDenied where `may_hand_out` says no or at a site that `by` does not see;
    Refusal "inactive" for a resource that is out of use or whose user has left: its address would show nothing.
    """
    refuse_strangers(resource, by)
    if not can_be_published(resource):
        raise Refusal(f"{resource} is out of use.", code="inactive")
    revoke_all(resource, by=by, now=now)
    token = new_token()
    feed = CalendarFeed.objects.create(
        resource=resource, token_hash=token_hash(token), created_at=now, created_by=by
    )
    audit.record("calendar_feed.issued", feed, by=by, at=now, site=resource.site)
    return token


def can_be_published(resource: Resource) -> bool:
    """Whether an address of its calendar would show anything: it is in use, and who it is still works here."""
    return resource.active and (resource.user is None or resource.user.is_active)


def feed_in_force(resource: Resource) -> CalendarFeed | None:
    """The clinician's address that has been issued and not revoked, without its token; None when there is none."""
    feeds = CalendarFeed.objects.filter(resource=resource, revoked_at=None)
    return feeds.select_related("created_by").order_by("-pk").first()


@transaction.atomic
def revoke_feed(resource: Resource, *, by: User | None, now: datetime) -> int:
    """Make every address of the clinician's calendar stop working; how many did. PermissionDenied as `issue_feed`."""
    refuse_strangers(resource, by)
    return revoke_all(resource, by=by, now=now)


def feed_address(token: str) -> str:
    """The secret address that `issue_feed` made, in full, for a calendar program."""
    return f"{settings.SITE_URL}{reverse('calendar', args=[token])}"


def may_hand_out(resource: Resource, by: User) -> bool:
    """Whether `by` may hand out and revoke this calendar: their own with the permission "procedures.add_calendarfeed",
    another's only with "procedures.publish_others" as well."""
    own = resource.user_id is not None and resource.user_id == by.pk
    return by.has_perm(HAND_OUT) and (own or by.has_perm(HAND_OUT_OTHERS))


def refuse_strangers(resource: Resource, by: User | None) -> None:
    """Raise PermissionDenied unless `by` may hand out this calendar; None is the command line."""
    if by is not None and not (
        may_hand_out(resource, by) and Resource.objects.visible_to(by).filter(pk=resource.pk).exists()
    ):
        raise PermissionDenied


def revoke_all(resource: Resource, *, by: User | None, now: datetime) -> int:
    Resource.objects.select_for_update(no_key=True).get(
        pk=resource.pk
    )  # two at once leave one address, not two
    live = list(CalendarFeed.objects.filter(resource=resource, revoked_at=None))
    CalendarFeed.objects.filter(pk__in=[feed.pk for feed in live]).update(revoked_at=now)
    for feed in live:
        audit.record("calendar_feed.revoked", feed, by=by, at=now, site=resource.site)
    return len(live)


def open_feed(token: str) -> Resource | None:
    """The clinician whose calendar is at this address.

    None when it is unknown or revoked, or when the clinician has left.
    """
    feed = (
        CalendarFeed.objects.filter(token_hash=token_hash(token), revoked_at=None, resource__active=True)
        .exclude(resource__user__is_active=False)
        .select_related("resource__site")
        .first()
    )
    return feed.resource if feed else None
