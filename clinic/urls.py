"""Every address of the service. The one place that looks up at all four apps."""

from django.conf import settings
from django.contrib import admin
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

import clinic.admin.navigation
import clinic.api.description
import clinic.api.refusals
import clinic.api.sending_pauses
import clinic.api.views
import clinic.views
import outcomes.api
import outcomes.api.reports
import outcomes.views
import patients.api
import patients.views
import procedures.api
import procedures.views

router = SimpleRouter(use_regex_path=False)
router.register("sites", clinic.api.views.Sites)
router.register("resources", clinic.api.views.Resources)
router.register("patients", patients.api.Patients)
router.register("procedure-types", procedures.api.ProcedureTypes)
router.register("slots", procedures.api.Slots, basename="slot")
router.register("appointments", procedures.api.Appointments)
router.register("displaced", procedures.api.Displaced, basename="displaced")
router.register("procedures", procedures.api.Procedures)
router.register("devices", procedures.api.ImplantedDevices, basename="device")
router.register("closures", procedures.api.Closures)
router.register("waitlist", procedures.api.Waitlist)
router.register("freed-times", procedures.api.FreedTimes)
router.register("follow-ups", outcomes.api.FollowUps)
router.register("check-ins", outcomes.api.CheckIns)
router.register("calls", outcomes.api.Calls, basename="call")
router.register("alerts", outcomes.api.Alerts)
router.register("exports", outcomes.api.Exports, basename="export")
router.register("adverse-events", outcomes.api.AdverseEvents, basename="adverse-event")

#: What a patient takes, below the patient.
opioids, use = "patients/<int:patient>/opioids/", patients.api.OpioidUses

api: list[URLPattern | URLResolver] = [
    path("token/", clinic.api.views.Token.as_view()),
    path("me/", clinic.api.views.Me.as_view()),
    path("schema/", clinic.api.description.Description.as_view(), name="schema"),
    path("docs/", clinic.api.description.Manual.as_view()),
    path(
        "resources/<int:pk>/calendar-feed/",
        procedures.api.CalendarFeeds.as_view({"get": "retrieve", "post": "create", "delete": "destroy"}),
    ),
    path(opioids, use.as_view({"get": "list", "post": "create"})),
    path("patients/<int:pk>/merge/", patients.api.Merges.as_view({"get": "preview", "post": "merge"})),
    path(
        "patients/<int:pk>/cancel-appointments/",
        procedures.api.AppointmentsOfDeceased.as_view({"post": "cancel"}),
    ),
    path(f"{opioids}total/", use.as_view({"get": "total"})),
    path(f"{opioids}<int:pk>/", use.as_view({"get": "retrieve"})),
    path(f"{opioids}<int:pk>/end/", use.as_view({"post": "end"})),
    path(f"{opioids}<int:pk>/correct/", use.as_view({"post": "correct"})),
    path(
        "patients/<int:pk>/caregiver/", patients.api.Caregivers.as_view({"get": "retrieve", "put": "update"})
    ),
    path("patients/<int:pk>/caregiver/revoke/", patients.api.Caregivers.as_view({"post": "revoke"})),
    path("imports/patients/", patients.api.ImportPatients.as_view()),
    path("imports/appointments/", procedures.api.ImportAppointments.as_view()),
    path("patients/<int:patient>/course/", outcomes.api.PatientCourse.as_view()),
    path("sending/", clinic.api.sending_pauses.Sending.as_view()),
    path("reports/comparison/", outcomes.api.reports.ComparisonView.as_view()),
    path("reports/overview/", outcomes.api.reports.OverviewView.as_view()),
    path("reports/procedure/", outcomes.api.reports.ProcedureView.as_view()),
    path("reports/response/", outcomes.api.reports.ResponseRatesView.as_view()),
    path("reports/worklists/<slug:code>/", outcomes.api.reports.Worklists.as_view({"get": "list"})),
    *router.urls,
]

handler500 = "clinic.api.refusals.fault"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", lambda request: redirect("admin:index")),
    path("admin/search/", admin.site.admin_view(clinic.admin.navigation.search)),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/<path:rest>", clinic.api.refusals.no_such_address),
    path("c/<str:token>/", outcomes.views.check_in, name="check_in"),
    path("c/<str:token>/stop/", outcomes.views.stop_emails_page, name="stop"),
    path("p/<str:token>/", outcomes.views.pain_report_page, name="pain_back"),
    path("a/<str:token>/", procedures.views.appointment, name="appointment"),
    path("a/<str:token>/before/", outcomes.views.baseline_page, name="before"),
    path("tablet/", procedures.views.tablet, name="tablet"),
    path("calendar/<str:token>.ics", procedures.views.calendar, name="calendar"),
    path("u/<str:token>/", patients.views.unsubscribe, name="unsubscribe"),
    path("webhooks/email/", clinic.views.email_reports, name="email_reports"),
    path("health/live", clinic.views.live),
    path("health/ready", clinic.views.ready),
    path("health/jobs", outcomes.views.jobs),
]
if settings.DEBUG:
    urlpatterns.append(path("dev/mail/", include("django_mail_preview.urls")))
