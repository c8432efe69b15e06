"""The tables on an appointment's page: what the patient said before, what is held, what has happened."""

from typing import cast

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import ReadOnlyInline
from clinic.admin.datetime_widgets import site_time_text
from procedures.admin.descriptions import BASELINE_LABELS, who_noted
from procedures.models import AppointmentStep, Baseline, Reservation


class ReservationInline(ReadOnlyInline):
    """What is held for the appointment, and when."""

    model = Reservation
    fields = readonly_fields = ("resource", "from_", "until", "held")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reservation]:
        rows = super().get_queryset(request).select_related("resource", "appointment__site")
        return cast(QuerySet[Reservation], rows)

    @display(description=_("from"))
    def from_(self, reservation: Reservation) -> str:
        return site_time_text(reservation.starts_at, reservation.appointment.site)

    @display(description=_("until"))
    def until(self, reservation: Reservation) -> str:
        return site_time_text(reservation.ends_at, reservation.appointment.site)

    @display(description=_("held"))
    def held(self, reservation: Reservation) -> str:
        return str(_("released") if reservation.released_at else _("held"))


class StepInline(ReadOnlyInline):
    """What has happened with it, and when, on the site's wall clock."""

    model = AppointmentStep
    fields = readonly_fields = ("when", "what", "by", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AppointmentStep]:
        rows = super().get_queryset(request).select_related("by", "appointment__site")
        return cast(QuerySet[AppointmentStep], rows)

    @display(description=_("at"))
    def when(self, step: AppointmentStep) -> str:
        return site_time_text(step.at, step.appointment.site)

    @display(description=_("status"))
    def what(self, step: AppointmentStep) -> str:
        return str(_("rescheduled") if step.step == "reschedule" else step.get_status_display())


class BaselineInline(ReadOnlyInline):
    """What the patient said before the procedure, the latest first."""

    model = Baseline
    fields = readonly_fields = ("what", "score", "said", "by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Baseline]:
        rows = super().get_queryset(request).select_related("recorded_by", "appointment__site")
        return cast(QuerySet[Baseline], rows)

    @display(description=_("question"))
    def what(self, row: Baseline) -> str:
        return str(BASELINE_LABELS.get(row.key, row.key))

    @display(description=_("score"))
    def score(self, row: Baseline) -> str:
        return f"{row.value} / 10"

    @display(description=_("said"))
    def said(self, row: Baseline) -> str:
        return site_time_text(row.taken_at, row.appointment.site)

    @display(description=_("recorded by"))
    def by(self, row: Baseline) -> str:
        return who_noted(row)
