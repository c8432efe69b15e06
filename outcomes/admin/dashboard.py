"""The first page: what today holds, and what waits for somebody."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from clinic import health_checks
from clinic.admin.base import staff
from clinic.models import OutgoingEmail, Site
from clinic.timezones import day_span
from outcomes.models import Alert
from outcomes.reports import WORKLISTS
from outcomes.troubles import troubles
from patients.admin import to_correct
from patients.models import Patient
from procedures.models import Appointment, FreedTime, WaitlistEntry
from procedures.services.waitlist import stale_when

#: An e-mail that has been due for so long means that the sender or the mail server stands still.
LATE = timedelta(hours=1)


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fills the first page; unfold calls it: what stands still, and figures that lead to what they count."""
    groups = [
        {"title": _("To be set up"), "cards": silent_sites(request)},
        {"title": _("Alerts"), "cards": alerts(request)},
        {"title": _("Today"), "cards": today(request)},
        {"title": _("Patients to call"), "cards": requests(request)},
        {"title": _("Waitlist"), "cards": waitlist(request)},
        {"title": _("Follow-ups that need a look"), "cards": losses(request)},
        {"title": _("E-mails"), "cards": emails(request)},
    ]
    context["troubles"] = troubles(broker=health_checks.redis_answers(), now=timezone.now())
    context["overview"] = [group for group in groups if group["cards"]]
    context["title"] = _("Overview")
    return context


def silent_sites(request: HttpRequest) -> list[dict[str, Any]]:
    """Sites where nobody is told by e-mail of an alert, for who can name an address."""
    if not request.user.has_perm("clinic.change_site"):
        return []
    silent = Site.objects.visible_to(staff(request)).filter(alert_email="")
    return [
        {
            "count": site.name,
            "label": _("names no address for alerts: nobody is told by e-mail of a red flag"),
            "urgent": True,
            "link": reverse("admin:clinic_site_change", args=[site.pk]),
        }
        for site in silent
    ]


def listed(page: str, query: str) -> str:
    return f"{reverse(f'admin:{page}_changelist')}?{query}"


def today(request: HttpRequest) -> list[dict[str, Any]]:
    """How many appointments each site has today, on its own calendar."""
    if not request.user.has_perm("procedures.view_appointment"):
        return []
    now = timezone.now()
    sites = list(Site.objects.visible_to(staff(request)))
    spans = {site.pk: day_span(now.astimezone(site.zone).date(), site.zone) for site in sites}
    wanted = Q(pk__in=[])
    for pk, (start, end) in spans.items():
        wanted |= Q(site=pk, starts_at__gte=start, starts_at__lt=end)
    counts: dict[int, Any] = {
        row["site"]: row
        for row in Appointment.objects.filter(wanted, status__in=Appointment.LIVE)
        .order_by()
        .values("site")
        .annotate(count=Count("pk"), done=Count("pk", filter=Q(status=Appointment.Status.COMPLETED)))
    }
    return [
        {
            "count": counts.get(site.pk, {}).get("count", 0),
            "label": site.name,
            "note": _("appointments; %(done)d done. It is %(time)s.")
            % {
                "done": counts.get(site.pk, {}).get("done", 0),
                "time": f"{now.astimezone(site.zone):%a %-d %b, %H:%M %Z}",
            },
            "link": listed("procedures_appointment", f"when=today&site__id__exact={site.pk}"),
        }
        for site in sites
    ]


def requests(request: HttpRequest) -> list[dict[str, Any]]:
    """Patients who asked for another time, whose procedure is requested, whose time was taken away, and, while there
    are any, appointments of those who have died."""
    if not request.user.has_perm("procedures.view_appointment"):
        return []
    seen = Appointment.objects.visible_to(staff(request))
    count = seen.wanting_change().count()
    lost = seen.displaced(timezone.now()).count()
    requested = seen.filter(status=Appointment.Status.REQUESTED).count()
    deceased = seen.of_the_deceased().count()
    gone = {
        "count": deceased,
        "label": _("of patients who have died, to be cancelled"),
        "urgent": True,
        "link": listed("procedures_appointment", "deceased=yes"),
    }
    return [
        *([gone] if deceased else []),
        {
            "count": count,
            "label": _("asked for another time"),
            "urgent": bool(count),
            "link": listed("procedures_appointment", "wants_change=yes"),
        },
        {
            "count": requested,
            "label": _("requested, to be booked"),
            "urgent": bool(requested),
            "link": listed("procedures_appointment", "status__exact=requested&when=all"),
        },
        {
            "count": lost,
            "label": _("displaced, to be moved"),
            "urgent": bool(lost),
            "link": reverse("admin:procedures_appointment_displaced")
            if request.user.has_perm("procedures.book_appointment")
            else listed("procedures_appointment", "displaced=yes"),
        },
    ]


def waitlist(request: HttpRequest) -> list[dict[str, Any]]:
    """Times that came free, and entries that have grown so old that somebody should ask again."""
    if not request.user.has_perm("procedures.view_waitlistentry"):
        return []
    user, now = staff(request), timezone.now()
    free = FreedTime.objects.visible_to(user).filter(closed_at=None, starts_at__gt=now).count()
    old = WaitlistEntry.objects.visible_to(user).filter(stale_when(now)).count()
    return [
        {
            "count": free,
            "label": _("came free, to be offered"),
            "urgent": bool(free),
            "link": listed("procedures_freedtime", "state=open"),
        },
        {
            "count": old,
            "label": _("to be asked again"),
            "urgent": bool(old),
            "link": listed("procedures_waitlistentry", "state=ask"),
        },
    ]


def alerts(request: HttpRequest) -> list[dict[str, Any]]:
    """What somebody must look at, and what nobody has looked at in time."""
    if not request.user.has_perm("outcomes.view_alert"):
        return []
    now = timezone.now()
    waiting = Alert.objects.visible_to(staff(request)).waiting(now)
    counts = waiting.aggregate(all=Count("pk"), overdue=Count("pk", filter=Q(due_at__lte=now)))
    return [
        {"count": counts["all"], "label": _("open"), "link": reverse("admin:outcomes_alert_changelist")},
        {
            "count": counts["overdue"],
            "label": _("overdue"),
            "urgent": bool(counts["overdue"]),
            "link": listed("outcomes_alert", "state=overdue"),
        },
    ]


def losses(request: HttpRequest) -> list[dict[str, Any]]:
    """The worklists of relief that is lost early, of effects that are lost, and of relief that never came; one query
    each."""
    if not request.user.has_perm("outcomes.view_followup"):
        return []
    user, now = staff(request), timezone.now()
    words = {
        "losing_early": _("losing relief early"),
        "loss_of_effect": _("loss of effect"),
        "no_relief": _("no relief"),
    }
    counts = {code: WORKLISTS[code].rows(user, now).count() for code in words}
    return [
        {
            "count": counts[code],
            "label": label,
            "urgent": bool(counts[code]),
            "link": f"{reverse('admin:outcomes_followup_worklists')}?list={code}",
        }
        for code, label in words.items()
    ]


def emails(request: HttpRequest) -> list[dict[str, Any]]:
    """What keeps e-mails from arriving."""
    return [*outbox(request), *addresses(request)]


def addresses(request: HttpRequest) -> list[dict[str, Any]]:
    """Patients whose e-mail came back."""
    if not request.user.has_perm("patients.view_patient"):
        return []
    count = to_correct(Patient.objects.visible_to(staff(request))).count()
    return [
        {
            "count": count,
            "label": _("addresses to correct"),
            "urgent": bool(count),
            "link": listed("patients_patient", "address=bounced"),
        }
    ]


def outbox(request: HttpRequest) -> list[dict[str, Any]]:
    """E-mails that were given up, and those that should have gone out long ago."""
    user = staff(request)
    if not user.has_perm("clinic.view_outgoingemail"):
        return []
    seen = OutgoingEmail.objects.all()
    if not user.sees_all_sites:
        seen = seen.filter(site__in=user.sites.values("pk"))
    failed = seen.filter(status=OutgoingEmail.Status.FAILED).count()
    late = seen.filter(
        status__in=(OutgoingEmail.Status.QUEUED, OutgoingEmail.Status.SENDING),
        not_before__lt=timezone.now() - LATE,
    ).count()
    return [
        {
            "count": failed,
            "label": _("failed"),
            "urgent": bool(failed),
            "link": listed("clinic_outgoingemail", "status__exact=failed"),
        },
        {
            "count": late,
            "label": _("late by an hour or more"),
            "urgent": bool(late),
            "link": listed("clinic_outgoingemail", "status__exact=queued"),
        },
    ]
