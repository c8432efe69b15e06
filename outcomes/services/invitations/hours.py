"""At which hours a site asks."""

from collections.abc import Sequence
from datetime import datetime, time

from django.db.models import Q

from clinic.models import Site
from clinic.timezones import on_wall
from outcomes.models import CheckIn
from outcomes.schedule import DAY, quiet_until


def asked_at_this_hour(now: datetime, sites: Sequence[Site] | None = None) -> Q:
    """Of check-ins: their sites ask now. In its quiet hours a site asks nothing but diaries of that day.

    `sites`: those that have not stopped all questions, where they are known.
    """
    sites = list(Site.objects.filter(emails_paused=False)) if sites is None else sites
    quiet = {site: quiet_at(site, now) for site in sites}
    asked = Q(follow_up__procedure__site__in=[site.pk for site in sites if not quiet[site]])
    for site in sites:
        if quiet[site]:
            today = on_wall(now.astimezone(site.zone).date(), time(0), site.zone)
            asked |= Q(
                follow_up__procedure__site=site.pk,
                follow_up__procedure__performed_at__gte=today,
                kind=CheckIn.Kind.PLANNED,
                offset_minutes__gt=0,
                offset_minutes__lt=DAY,
            )
    return asked


def quiet_at(site: Site, now: datetime) -> datetime | None:
    """The end of the site's quiet hours when `now` lies in them, in UTC; else None."""
    return quiet_until(now, quiet_from=site.quiet_from, quiet_until=site.quiet_until, zone=site.zone)


def waits_until(check_in: CheckIn, *, now: datetime) -> datetime | None:
    """The end of the quiet hours for which a question waits, in UTC; None when it may go out now.

    The diary of a procedure of the same day never waits. It asks by the hour how an anaesthetic works that is gone by
    the morning, and the patient was told at the clinic that it would come.
    """
    procedure = check_in.follow_up.procedure
    zone = procedure.site.zone
    on_the_day = procedure.performed_at.astimezone(zone).date() == now.astimezone(zone).date()
    if on_the_day and check_in.kind == CheckIn.Kind.PLANNED and 0 < check_in.offset_minutes < DAY:
        return None
    return quiet_at(procedure.site, now)
