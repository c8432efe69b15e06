"""Whose an alert is: the provider's whose procedure it is about, or their deputy's, or everybody's at the site.

Assigned is not looked at: the alert stays due, and the site is told again when nobody looks in time (`alert_actions`).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from clinic import audit
from clinic.database import for_each_row
from clinic.models import Closure, Site, User
from outcomes.models import Alert, CourseSummary
from procedures.models import Procedure

#: What is the performer's: whether the procedure helped, and for how long. Red flags, silence and devices are
#: everybody's at the site: they must not wait for one person, and need none.
ABOUT_RELIEF = (
    Alert.Kind.LOST_EARLY,
    Alert.Kind.LOST_EFFECT,
    Alert.Kind.NO_RELIEF,
    Alert.Kind.WORSE,
    Alert.Kind.PAIN_BACK,
)


def handlers(site: Site) -> QuerySet[User]:
    """Who may handle alerts of the site."""
    return User.objects.able("outcomes.handle_alert", site)


def first_owner(procedure: Procedure, kind: str, site: Site, *, now: datetime) -> User | None:
    """Whose a new alert about the procedure is at `now`; None: everybody's at the site.

    About relief it is the performer's. One who is not active, or may not handle alerts there, is passed over: it is the
    site's. If they are away (a `clinic.Closure` of their resource), it goes to their deputy, and on along the chain of
    deputies. Where that leads to nobody, or in a circle, it is the site's.
    """
    return present(procedure.performer_id, site, now=now) if kind in ABOUT_RELIEF else None


def present(user_id: int | None, site: Site, *, now: datetime) -> User | None:
    """That member of staff, or who represents them while they are away at `now`; None: nobody does."""
    asked: set[int] = set()
    while user_id is not None and user_id not in asked:
        asked.add(user_id)
        user = handlers(site).filter(pk=user_id).first()
        if user is None:
            return None
        away = list(absences([user_id], now=now).values_list("deputy", flat=True))
        if not away:
            return user
        user_id = next((deputy for deputy in away if deputy is not None), None)
    return None


def absences(users: Iterable[int] | QuerySet[Any, Any], *, now: datetime) -> QuerySet[Closure]:
    """What time off of these people covers `now`, what was entered last first."""
    return Closure.objects.filter(resource__user__in=users, starts_at__lte=now, ends_at__gt=now).order_by(
        "-pk"
    )


def unseen() -> QuerySet[Alert]:
    """Open alerts that nobody has acknowledged. Only these change hands by themselves."""
    return Alert.objects.open().filter(acknowledged_at=None)


def reassign_alerts(*, now: datetime) -> int:
    """Give to others what its owner will not look at; how many alerts. The tick runs it. Idempotent.

    Of what nobody has acknowledged:

    - whose owner is no longer active, or may no longer handle alerts there, it becomes the site's;
    - whose owner's time off has begun, with a deputy, it becomes the deputy's, if it is about relief. Without a deputy
      it stays: an hour's closure would else empty a provider's list for good, and the site is told when it is overdue.
      It stays with the deputy when the time off is over, who may have begun;
    - whose procedure was performed by somebody else, as a correction says, it becomes theirs.

    What was acknowledged is its owner's: the site is told again when it is not resolved in time.
    """
    return sum((leave_to_sites(now=now), give_to_deputies(now=now), follow_performers(unseen(), now=now)))


def leave_to_sites(*, now: datetime) -> int:
    owned: dict[int, set[int]] = {}
    for number, owner in unseen().exclude(owner=None).order_by().values_list("site", "owner").distinct():
        owned.setdefault(number, set()).add(owner or 0)
    moved = 0
    for site in Site.objects.filter(pk__in=owned):
        able = set(handlers(site).filter(pk__in=owned[site.pk]).values_list("pk", flat=True))
        left = unseen().filter(site=site, owner__in=owned[site.pk] - able).values_list("pk", flat=True)
        moved += for_each_row(list(left), lambda pk: give(pk, None, now=now))
    return moved


def give_to_deputies(*, now: datetime) -> int:
    owners = unseen().filter(kind__in=ABOUT_RELIEF).exclude(owner=None).order_by().values("owner").distinct()
    away = absences(owners, now=now).exclude(deputy=None).values("resource__user")
    waiting = unseen().filter(kind__in=ABOUT_RELIEF, owner__in=away).select_related("site")
    moved = 0
    for alert in list(waiting):
        deputy = present(alert.owner_id, alert.site, now=now)
        moved += give(alert.pk, deputy, now=now) if deputy else 0
    return moved


def follow_performer(procedure: Procedure, *, now: datetime) -> int:
    """Bring the alerts of a procedure in line with who performed it, when that has changed; how many."""
    return follow_performers(unseen().filter(follow_up__procedure=procedure), now=now)


@transaction.atomic
def follow_performers(alerts: QuerySet[Alert], *, now: datetime) -> int:
    """The same for any alerts. Who performed it until now, says what reports count of the course."""
    counted, told = "follow_up__summary__performer", "follow_up__procedure__performer"
    same = Q(**{counted: F(told)}) | Q(**{f"{counted}__isnull": True, f"{told}__isnull": True})
    changed = (
        alerts.filter(~same, kind__in=ABOUT_RELIEF, follow_up__summary__isnull=False)
        .select_related("site", "follow_up__procedure")
        .order_by("pk")
    )
    moved = 0
    for alert in list(changed):
        procedure = alert.follow_up.procedure
        moved += give(alert.pk, present(procedure.performer_id, alert.site, now=now), now=now)
        CourseSummary.objects.filter(pk=alert.follow_up_id).update(performer=procedure.performer_id)
    return moved


@transaction.atomic
def give(alert_id: int, owner: User | None, *, now: datetime) -> int:
    """Make it `owner`'s, or the site's for None, unless somebody has looked meanwhile; 0 or 1. It stays due."""
    alert = unseen().select_for_update(of=("self",)).select_related("site").filter(pk=alert_id).first()
    if alert is None or alert.owner_id == (owner.pk if owner else None):
        return 0
    alert.owner = owner
    alert.save(update_fields=["owner"])
    audit.record("alert.reassigned", alert, by=None, at=now, site=alert.site)
    return 1
