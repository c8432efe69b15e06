"""The API's description, for programs and for people."""

from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import exceptions

from clinic.api.permissions import SIGNED_IN, HasNamedPermission


class Description(SpectacularAPIView):
    """This API as OpenAPI, for whoever is signed in."""

    permission_classes = [HasNamedPermission]
    permissions_needed = {"get": SIGNED_IN}


class Manual(SpectacularSwaggerSplitView):
    """This API to read and to try out, for whoever is signed in; others are asked to sign in first."""

    permission_classes = [HasNamedPermission]
    permissions_needed = {"get": SIGNED_IN}

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            return redirect_to_login(self.request.get_full_path(), str(settings.LOGIN_URL))
        return super().handle_exception(exc)
