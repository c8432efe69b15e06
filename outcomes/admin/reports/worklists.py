"""The worklists: follow-ups that want somebody, the most urgent first."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from clinic.admin.base import tell
from outcomes import services
from outcomes.admin.courses import VERDICT_LABELS
from outcomes.admin.providers import ME, provider_of, providers
from outcomes.admin.reports.base import page, require
from outcomes.models import Alert, FollowUp, VerdictChange
from outcomes.reports import WORKLISTS
from outcomes.reports.worklists import Worklist
from patients.models import Caregiver, answering, with_caregivers

#: Rows on a page.
MOST = 25


def titles() -> dict[str, tuple[str, str, str]]:
    """By code: the list's name, what is in it and in which order, and what to say when nobody is."""
    return {
        "losing_early": (
            _("Losing relief early"),
            _(
                "Relief was lost, or possibly lost, before the expected window opened. Who lost it soonest stands"
                " first. “Lost, unconfirmed”: one bad score says so."
            ),
            _("Nobody is losing relief early."),
        ),
        "loss_of_effect": (
            _("Loss of effect"),
            _(
                "A stimulator or a pump helped beyond the first day of its window, and does not help any more. Who lost"
                " it longest ago stands first. “Lost, unconfirmed”: one bad score says so."
            ),
            _("Nobody is losing the effect of a device."),
        ),
        "pain_back": (
            _("Says the pain is back"),
            _("The patient says so, and no score does: somebody should ask. Who said it first stands first."),
            _("Nobody has said so without a score that tells."),
        ),
        "no_relief": (
            _("No relief"),
            _("No relief by the day on which it was expected. Who has waited longest stands first."),
            _("Everybody whose day has come has had relief, or has not answered."),
        ),
        "silent": (
            _("Silent"),
            _("Two check-ins in a row without an answer. Silence is no failure: nobody knows how they are."),
            _("Nobody has fallen silent."),
        ),
        "due_for_repeat": (
            _("Due for repeat"),
            _(
                "Relief was there and is lost, but not early, and nothing of the kind is booked. Who lost it longest"
                " ago stands first. Whether a repeat is justified, a physician and the payer's rules say."
            ),
            _("Nobody waits for a repeat."),
        ),
        "trials_without_end": (
            _("Trials without a removal date"),
            _(
                "The trial period is over and nobody has recorded when the lead or catheter was removed. Without that"
                " date a trial has no result. The oldest stands first."
            ),
            _("Every finished trial has its removal date."),
        ),
    }


@dataclass(frozen=True)
class WorklistRow:
    """One follow-up on a list."""

    follow_up: FollowUp
    label: str
    performed: str
    since: str
    alert: str
    whose: str
    alert_page: str
    page: str
    book: str
    end: str
    removed: str
    caregiver: Caregiver | None


def worklists_page(request: HttpRequest) -> HttpResponse:
    """One list at a time, said by `list` in the address; the others as tabs with their counts. `provider` narrows all
    of them to the patients of one: "me" or a number.

    With `seen_to` in the address it shows those whose alert somebody has resolved, which are on the list no more.
    """
    user, now = require(request, "outcomes.view_followup"), timezone.now()
    said = request.GET.get("list", "")
    chosen = WORKLISTS.get(said) or next(iter(WORKLISTS.values()))
    try:
        provider = provider_of(request.GET.get("provider", ""), user)
    except ValidationError as refusal:
        tell(request, refusal)
        provider = None
    whose = Q(procedure__performer=provider) if provider else Q()
    services.view_report(chosen.code, by=user, now=now)
    names = titles()
    counts = {code: worklist.rows(user, now).filter(whose).count() for code, worklist in WORKLISTS.items()}
    seen_to = chosen.kind is not None and "seen_to" in request.GET
    others = (
        0 if chosen.kind is None or seen_to else chosen.rows(user, now, seen_to=True).filter(whose).count()
    )
    rows = chosen.rows(user, now, seen_to=seen_to).filter(whose)
    here = Paginator(with_all(rows), MOST).get_page(request.GET.get("page"))
    can_book = request.user.has_perm("procedures.book_appointment")
    can_decide = request.user.has_perm("procedures.perform_procedure")
    context = {
        "tabs": [
            {"code": code, "name": names[code][0], "count": count, "active": code == chosen.code}
            for code, count in counts.items()
        ],
        "list": chosen.code,
        "providers": [
            ("", _("all"), provider is None),
            (ME, _("my patients"), provider == user.pk),
            *(
                (str(colleague.pk), str(colleague), provider == colleague.pk)
                for colleague in providers(user)
                if colleague.pk != user.pk
            ),
        ],
        "name": names[chosen.code][0],
        "lead": names[chosen.code][1],
        "empty": _("Nobody is left: somebody has seen to everyone in this state.")
        if others or seen_to
        else names[chosen.code][2],
        "seen_to": seen_to,
        "others": others,
        "page": here,
        "rows": [
            row(follow_up, chosen, now, can_book=can_book, can_decide=can_decide)
            for follow_up in here.object_list
        ],
    }
    return page(request, "worklists", _("Worklists"), context)


def with_all(rows: QuerySet[FollowUp]) -> QuerySet[FollowUp]:
    """The rows with everything that is shown of them, in a fixed number of queries."""
    alerts = Alert.objects.select_related("owner", "resolved_by", "site")
    waiting = alerts.open().order_by("due_at", "pk")
    done = alerts.filter(resolved_at__isnull=False).exclude(resolution=Alert.Resolution.SETTLED)
    changes = VerdictChange.objects.order_by("id")
    return rows.select_related("patient", "procedure__site", "procedure__procedure_type").prefetch_related(
        Prefetch("alerts", waiting, to_attr="waiting"),
        Prefetch("alerts", done.order_by("-resolved_at", "pk"), to_attr="resolved"),
        Prefetch("verdict_changes", changes),
        with_caregivers("patient"),
    )


def row(
    follow_up: FollowUp, worklist: Worklist, now: datetime, *, can_book: bool, can_decide: bool
) -> WorklistRow:
    procedure, zone = follow_up.procedure, follow_up.procedure.site.zone
    same = [change.at for change in follow_up.verdict_changes.all() if change.verdict == follow_up.verdict]
    waiting, resolved = vars(follow_up)["waiting"], vars(follow_up)["resolved"]
    alerts: list[Alert] = [*waiting, *resolved]
    of_kind = [alert for alert in alerts if alert.kind == worklist.kind]
    alert = next(iter(of_kind or waiting), None)
    book = {
        "patient": follow_up.patient_id,
        "procedure_type": procedure.procedure_type_id,
        "region": procedure.region,
        "laterality": procedure.laterality,
    }
    return WorklistRow(
        follow_up=follow_up,
        label=VERDICT_LABELS[follow_up.verdict],
        performed=f"{procedure.performed_at.astimezone(zone):%-d %b %Y}",
        since=f"{same[-1].astimezone(zone):%-d %b %Y}" if same else "–",
        alert=alert_words(alert, now) if alert else _("no open alert"),
        whose=whose_words(alert) if alert else "",
        alert_page=reverse("admin:outcomes_alert_change", args=[alert.pk]) if alert else "",
        page=reverse("admin:outcomes_followup_change", args=[follow_up.pk]),
        book=f"{reverse('admin:procedures_appointment_find')}?{urlencode(book)}"
        if can_book and worklist.code == "due_for_repeat"
        else "",
        end=f"{reverse('admin:outcomes_followup_end', args=[follow_up.pk])}?list={worklist.code}"
        if can_decide and not follow_up.closed_at
        else "",
        removed=reverse("admin:outcomes_followup_trial", args=[follow_up.pk])
        if can_decide and worklist.code == "trials_without_end"
        else "",
        caregiver=answering(follow_up.patient),
    )


def alert_words(alert: Alert, now: datetime) -> str:
    """How an alert stands, or how it ended."""
    if alert.resolved_at:
        return str(alert.get_resolution_display())
    states = {"open": _("open"), "overdue": _("overdue"), "snoozed": _("snoozed")}
    said = states[alert.state(now)]
    return said if alert.confirmed else _("%s, not confirmed") % said


def whose_words(alert: Alert) -> str:
    """Who takes care of an alert and has looked, or on which day it was resolved, and by whom."""
    if alert.resolved_at:
        day = f"{alert.resolved_at.astimezone(alert.site.zone):%-d %b %Y}"
        return f"{day} · {alert.resolved_by}" if alert.resolved_by else day
    if alert.owner is None:
        return _("nobody's yet")
    return str(alert.owner) if alert.acknowledged_at else _("%s has not looked yet") % alert.owner
