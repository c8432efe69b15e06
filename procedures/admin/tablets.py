"""The digits with which a tablet opens the questions before a procedure, for who stands at the front desk."""

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from clinic.admin.action_pages import next_page
from clinic.admin.base import staff
from clinic.patient_pages import secret
from clinic.row_versions import SEEN, seen
from procedures import services
from procedures.admin.appointments import AppointmentAdmin
from procedures.admin.descriptions import page_of, span
from procedures.admin.workflow_actions import STEPS, TABLET
from procedures.models import Appointment


def digits(request: HttpRequest, pk: int) -> HttpResponse:
    """Shows the digits of an appointment that can still be typed in, and where; offering new ones is a step of it."""
    step = STEPS[TABLET]
    if not request.user.has_perm(step.permission):
        raise PermissionDenied
    rows = Appointment.objects.visible_to(staff(request)).select_related("patient", "procedure_type", "site")
    appointment, now = get_object_or_404(rows, pk=pk), timezone.now()
    link = services.offered_code(appointment, now=now)
    until = link and link.tablet_until
    query = request.GET.copy()
    query[SEEN] = seen(appointment)
    context = {
        **admin.site.each_context(request),
        "title": step.title,
        "opts": Appointment._meta,
        "lead": f"{appointment.patient} · {span(appointment)}",
        "code": link.code if link else "",
        "until": f"{until.astimezone(appointment.site.zone):%H:%M}" if until else "",
        "address": settings.SITE_URL + reverse("tablet"),
        "again": f"{step.url(appointment)}?{query.urlencode()}"
        if step.possible(appointment, now=now)
        else "",
        "back": next_page(request) or page_of(appointment),
        "no_more": _("The digits were used or have run out."),
    }
    return secret(TemplateResponse(request, "admin/procedures/tablet.html", context))


AppointmentAdmin.pages.append(
    path("<int:pk>/tablet/digits/", admin.site.admin_view(digits), name="procedures_appointment_digits")
)
