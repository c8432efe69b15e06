"""Every address of the service. The one place that looks up at all four apps."""

from django.conf import settings
from django.contrib import admin
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, include, path

import clinic.views
import outcomes.views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", lambda request: redirect("admin:index")),
    path("admin/", admin.site.urls),
    path("c/<str:token>/", outcomes.views.check_in, name="check_in"),
    path("c/<str:token>/stop/", outcomes.views.stop, name="stop"),
    path("health/live", clinic.views.live),
    path("health/ready", clinic.views.ready),
]
if settings.DEBUG:
    urlpatterns.append(path("dev/mail/", include("django_mail_preview.urls")))
