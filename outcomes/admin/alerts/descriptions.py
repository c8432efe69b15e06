"""What an alert says: which questions were answered with yes, which devices are due, how it stands."""

from datetime import datetime, timedelta

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from clinic.admin.datetime_widgets import site_time_text
from clinic.models import User
from outcomes import services
from outcomes.models import Alert
from procedures.admin.descriptions import label
from procedures.admin.device_descriptions import page_of as device_page
from procedures.admin.device_descriptions import since_words
from procedures.services.red_flag_wordings import wordings_at


def questions(alert: Alert) -> SafeString:
    """The red-flag questions that the patient said yes to, in the words of then and the reader's language, the most
    urgent first."""
    column = "question_es" if (get_language() or "").startswith("es") else "question"
    flags = sorted(wordings_at(alert.codes, alert.raised_at), key=lambda flag: (flag.urgency, flag.code))
    return format_html_join(
        "", "<li>{} <strong>{}</strong></li>", ((getattr(flag, column), _("Yes")) for flag in flags)
    )


def devices_due(alert: Alert, user: User, *, now: datetime) -> list[tuple[str, str]]:
    """What of a device is due since when, a line each with the device's page; nothing for alerts of another kind."""
    if alert.kind != Alert.Kind.DEVICE_DUE:
        return []
    may_open = user.has_perm("procedures.view_implanteddevice")
    return [
        (since_words(due.what, due.since), device_page(due.device) if may_open else "")
        for due in services.due_of(alert.follow_up, now=now)
    ]


def ending(alert: Alert) -> SafeString:
    """When relief ended, of an alert about that, and that nothing confirms it where that is so; "" otherwise."""
    ended = services.ended_of(alert)
    said = [str(ended)] if ended else []
    if not alert.confirmed:
        said.append(gettext("Not confirmed: one bad score says so."))
    return format_html_join(" ", "{}", ((sentence,) for sentence in said))


def due_label(alert: Alert, *, now: datetime) -> SafeString:
    """How it stands, in words: overdue since when, due in what time, snoozed until, or how it ended."""
    state = alert.state(now)
    if state == "resolved":
        return label(alert.get_resolution_display(), "default", [])
    if state == "snoozed":
        return label(_("snoozed until %s") % site_time_text(alert.snoozed_until, alert.site), "default", [])
    if state == "overdue":
        return label(_("overdue by %s") % span_text(now - alert.due_at), "danger", [])
    words = _("resolve within %s") if alert.acknowledged_at else _("look within %s")
    return label(words % span_text(alert.due_at - now), "info", [])


def span_text(span: timedelta) -> str:
    """A span as people say it: "12 min", "5 h", "3 days"; cut, so that what is left is never overstated."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 60:
        return str(_("%d min") % minutes)
    if minutes < 48 * 60:
        return str(_("%d h") % (minutes // 60))
    days = minutes // (24 * 60)
    return ngettext("%d day", "%d days", days) % days
