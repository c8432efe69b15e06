"""The audit trail and the outbox, to look at."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from clinic import outbox
from clinic.admin.base import ReadOnlyAdmin, ReadOnlyInline, SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.models import AuditEvent, AuditSeal, DeliveryReport, OutgoingEmail, OutgoingText


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("when", "who", "action", "object_type", "object_id", "site", "reason")
    list_filter = ("actor", ("site", SeenFilter))
    list_select_related = ("by", "site")
    search_fields = ("action", "object_type", "=object_id", "=request_id", "by__email")
    search_help_text = _("Action, kind or number of the object, request, member of staff")
    date_hierarchy = "at"
    site_path = "site"

    @display(description=_("at"), ordering="id")
    def when(self, event: AuditEvent) -> str:
        return site_time_text(event.at, event.site) if event.site else f"{event.at:%a %-d %b %Y, %H:%M UTC}"

    @display(description=_("by"))
    def who(self, event: AuditEvent) -> str:
        return str(event.by or event.actor)


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    list_display = ("id", "at", "events", "hash")
    ordering = ("-id",)


class DeliveryReportInline(ReadOnlyInline):
    model = DeliveryReport
    fields = ("kind", "reason", "when")
    readonly_fields = fields

    @display(description=_("at"))
    def when(self, report: DeliveryReport) -> str:
        return site_time_text(report.at, report.email.site)


@admin.register(OutgoingEmail)
class OutgoingEmailAdmin(ReadOnlyAdmin):
    list_display = ("key", "when", "to", "state", "attempts", "problem", "site")
    list_filter = ("status", ("site", SeenFilter))
    list_select_related = ("site",)
    search_fields = ("key", "to")
    date_hierarchy = "created_at"
    site_path = "site"
    actions = ("try_again",)
    exclude = ("context", "template", "message_id", "provider_id")
    inlines = (DeliveryReportInline,)

    @display(
        description=_("status"),
        ordering="status",
        label={
            OutgoingEmail.Status.SENT.label: "success",
            OutgoingEmail.Status.FAILED.label: "danger",
            OutgoingEmail.Status.QUEUED.label: "info",
            OutgoingEmail.Status.SENDING.label: "info",
        },
    )
    def state(self, email: OutgoingEmail) -> str:
        return email.get_status_display()

    def get_ordering(self, request: HttpRequest) -> Any:
        """What goes out or went out last, first."""
        return (Coalesce("sent_at", "not_before").desc(), "-pk")

    @display(description=_("time"), ordering=Coalesce("sent_at", "not_before"))
    def when(self, email: OutgoingEmail) -> SafeString:
        time = site_time_text(email.sent_at or email.not_before, email.site)
        waits = email.status in (OutgoingEmail.Status.QUEUED, OutgoingEmail.Status.SENDING)
        note = format_html('<span class="desk-sub">{}</span>', _("goes out from then on")) if waits else ""
        return format_html('<span class="desk-time">{}</span>{}', time, note)

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """Queue failed e-mails once more; others among the chosen are left alone."""
        count = outbox.retry(list(chosen.values_list("pk", flat=True)), by=staff(request), now=timezone.now())
        words = ngettext("%d e-mail is queued again.", "%d e-mails are queued again.", count) % count
        messages.info(request, words)


@admin.register(OutgoingText)
class OutgoingTextAdmin(ReadOnlyAdmin):
    list_display = ("key", "status", "attempts", "made", "sent", "problem", "site")
    list_filter = ("status", ("site", SeenFilter))
    list_select_related = ("site",)
    search_fields = ("key",)
    date_hierarchy = "created_at"
    site_path = "site"
    exclude = ("context", "template", "provider_id")
    ordering = ("-created_at", "-pk")

    @display(description=_("created"), ordering="created_at")
    def made(self, text: OutgoingText) -> str:
        return site_time_text(text.created_at, text.site)

    @display(description=_("sent"), ordering="sent_at")
    def sent(self, text: OutgoingText) -> str:
        return site_time_text(text.sent_at, text.site)
