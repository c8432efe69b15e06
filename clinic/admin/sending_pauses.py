"""What goes out after a restore: the page on which a person decides, and that says why nothing leaves meanwhile."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clinic.admin.base import staff, tell
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.stale_forms import SHOWN, seal, unseal
from clinic.models import OutgoingEmail, OutgoingText, SendingPause
from clinic.refusals import Refusal
from clinic.restores import decisions, why_paused
from clinic.restores.decisions import ChosenMessages

#: So many rows of a list are shown.
SHOWN_ROWS = 300
#: Names the page for what it carries about what it showed.
OF = "sending"
NAME = "clinic_outgoingemail_sending"
Reason = SendingPause.Reason

#: What has been noticed, for those who have to decide.
EXPLAINED = {
    Reason.OTHER_IDENTITY: gettext_lazy(
        "The copy that is kept outside of the database belongs to another database. Either this database was restored "
        "in the place of another one, or the folder is another clinic's."
    ),
    Reason.COPY_MISSING: gettext_lazy(
        "This database has sent messages, and the copy of its counter that is kept outside of it is not there. Either "
        "this is a copy on another machine, such as one for tests, or the folder was lost."
    ),
    Reason.COUNTER_BEHIND: gettext_lazy(
        "More was sent than this database knows of: it was restored to an earlier time."
    ),
    Reason.COPY_UNREADABLE: gettext_lazy(
        "The file outside of the database makes no sense, so that nobody can tell whether it was restored."
    ),
    Reason.COPY_UNREACHABLE: gettext_lazy(
        "The file outside of the database cannot be read or written: perhaps the disk is full, or the folder belongs "
        "to somebody else. Nothing is lost; sending goes on by itself within a minute after that is mended."
    ),
}


def page(request: HttpRequest) -> HttpResponse:
    """Why nothing is sent; what probably went out before a restore, and what goes out when sending goes on."""
    if not request.user.has_perm("clinic.view_outgoingemail"):
        raise PermissionDenied
    now = timezone.now()
    if request.method == "POST":
        return decide(request, now=now)
    pause = why_paused()
    doubt = listed(request, decisions.doubtful(OutgoingEmail), decisions.doubtful(OutgoingText))
    ready = listed(request, decisions.to_go(OutgoingEmail, now=now), decisions.to_go(OutgoingText, now=now))
    last = {
        kind: max((page_data["numbers"][kind] for page_data in (doubt, ready)), default=0)
        for kind in ("email", "text")
    }
    carried = [pause.pk if pause else 0, last["email"], last["text"]]
    context = {
        **admin.site.each_context(request),
        "title": _("Sending"),
        "pause": pause,
        "explained": EXPLAINED[Reason(pause.reason)] if pause else "",
        "may_tick": bool(pause and pause.wants_decision) and request.user.has_perm("clinic.decide_sending"),
        "may_decide": request.user.has_perm("clinic.decide_sending"),
        "doubtful": doubt,
        "ready": ready,
        "shown": seal(carried, OF, at=now),
        "shown_name": SHOWN,
    }
    return TemplateResponse(request, "admin/clinic/sending.html", context)


def at_sites(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of the user's sites."""
    user = staff(request)
    return rows if user.sees_all_sites else rows.filter(site__in=user.sites.values("pk"))


def listed(
    request: HttpRequest, emails: QuerySet[OutgoingEmail], texts: QuerySet[OutgoingText]
) -> dict[str, Any]:
    """One list of the page: its first rows of both outboxes, how many there are, and the highest numbers."""
    found, count = [], 0
    numbers = {}
    for kind, rows in (("email", at_sites(request, emails)), ("text", at_sites(request, texts))):
        some = list(rows.select_related("site")[: SHOWN_ROWS + 1])
        total = len(some) if len(some) <= SHOWN_ROWS else rows.count()
        count += total
        numbers[kind] = max((row.pk for row in some), default=0)
        if total > SHOWN_ROWS:
            numbers[kind] = rows.order_by("-pk").values_list("pk", flat=True)[0]
        found += [message_row(kind, row) for row in some[:SHOWN_ROWS]]
    found.sort(key=lambda row: row["fell_due"])
    return {
        "rows": found[:SHOWN_ROWS],
        "count": count,
        "more": max(0, count - SHOWN_ROWS),
        "numbers": numbers,
    }


def message_row(kind: str, row: Any) -> dict[str, Any]:
    """A message as the page shows it."""
    model = "outgoingemail" if kind == "email" else "outgoingtext"
    return {
        "kind": kind,
        "pk": row.pk,
        "what": row.key,
        "to": row.to if kind == "email" else _("text message"),
        "site": row.site,
        "fell_due": row.fell_due,
        "when": site_time_text(row.fell_due, row.site),
        "page": reverse(f"admin:clinic_{model}_change", args=[row.pk]),
    }


def decide(request: HttpRequest, *, now: datetime) -> HttpResponse:
    """Do what the pressed button says with what the page showed, and nothing with what came since."""
    if not request.user.has_perm("clinic.decide_sending"):
        raise PermissionDenied
    carried, _at = unseal(request.POST.get(SHOWN, ""), OF)
    pause = why_paused()
    if carried is None or carried[0] != (pause.pk if pause else 0):
        messages.error(
            request, _("Nothing was done: this has changed while you had it open. Look, then decide again.")
        )
        return HttpResponseRedirect(request.path)
    what, by = request.POST.get("do", ""), staff(request)
    goes_on = what in ("send_all", "mark_all", "go_on")
    if goes_on and pause and request.POST.get("own") != "yes":
        messages.error(
            request,
            _("Nothing was done: first say that this is the clinic's own installation and not a copy of it."),
        )
        return HttpResponseRedirect(request.path)
    chosen = everything(request, carried) if what.endswith("_all") else ticked(request)
    try:
        with transaction.atomic():
            done = 0
            if what.startswith("send"):
                done = decisions.send_again(chosen, by=by, now=now)
            elif what.startswith("mark"):
                done = decisions.mark_as_sent(chosen, by=by, now=now)
            if goes_on and pause:
                decisions.go_on(by=by, now=now)
    except Refusal as refusal:
        tell(request, refusal)
        return HttpResponseRedirect(request.path)
    say(request, what, done, goes_on=goes_on)
    return HttpResponseRedirect(request.path)


def say(request: HttpRequest, what: str, done: int, *, goes_on: bool) -> None:
    """Tell what was done."""
    if what.startswith("send"):
        words = ngettext("%d message is to go out again.", "%d messages are to go out again.", done) % done
        messages.success(request, words)
    elif what.startswith("mark"):
        words = ngettext("%d message is marked as sent.", "%d messages are marked as sent.", done) % done
        messages.success(request, words)
    if goes_on:
        messages.success(request, _("Sending goes on within a minute."))


def ticked(request: HttpRequest) -> ChosenMessages:
    """What is ticked, as far as it belongs to the user's sites."""
    sent = {
        kind: [
            int(number) for number in request.POST.getlist(kind) if number.isdecimal() and len(number) < 18
        ]
        for kind in ("email", "text")
    }
    return seen(
        request,
        OutgoingEmail.objects.filter(pk__in=sent["email"]),
        OutgoingText.objects.filter(pk__in=sent["text"]),
    )


def everything(request: HttpRequest, carried: list[int]) -> ChosenMessages:
    """All that probably went out and stood there when the page was shown."""
    _pause, email, text = carried
    return seen(
        request,
        decisions.doubtful(OutgoingEmail).filter(pk__lte=email),
        decisions.doubtful(OutgoingText).filter(pk__lte=text),
    )


def seen(
    request: HttpRequest, emails: QuerySet[OutgoingEmail], texts: QuerySet[OutgoingText]
) -> ChosenMessages:
    """The numbers of those at the user's sites."""
    return ChosenMessages(
        emails=list(at_sites(request, emails).values_list("pk", flat=True)),
        texts=list(at_sites(request, texts).values_list("pk", flat=True)),
    )


def address() -> URLPattern:
    """Where the page is. Asked for once the admin site leads by the sign-in (`clinic.admin.session_expired`)."""
    return path("sending/", admin.site.admin_view(page), name=NAME)
