"""What every API view of the house shares: refusals as problem+json, pages, permissions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from rest_framework import exceptions, permissions, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView, set_rollback

from clinic.refusals import Refusal
from clinic.wall_clock import NoSuchTime, instant


class Nobody(permissions.BasePermission):
    """The default: a view that names no permission of its own answers nobody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return False


class Holds(permissions.BasePermission):
    """Lets those through who hold the permission that the view names for the request's action.

    A view declares `permissions_needed = {"list": "procedures.view_appointment", "book": …}`; an action that is not
    named is nobody's.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        needed: Mapping[str, str] = getattr(view, "permissions_needed", {})
        permission = needed.get(getattr(view, "action", None) or "")
        user = request.user
        return bool(permission and user.is_authenticated and user.is_active and user.has_perm(permission))


class Pages(CursorPagination):
    """Pages by cursor: stable while rows are added, and as fast on the last page as on the first."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "pk"


def problem(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Every refusal as RFC 9457 problem+json: `title`, `status`, `code` and, for inputs, `errors` by field.

    Each entry of `errors` is {"field", "code", "detail"}; `field` is "" when it is about the whole request. `code` is
    the first entry's, or that of the kind of refusal: "not_authenticated", "permission_denied", "not_found", ….
    None for what is no refusal but a fault: Django then answers 500 and logs it without its text.
    """
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    status, headers = 400, {}
    if isinstance(exc, ValidationError):
        errors = list(of_django(exc))
        status = 409 if any(error["code"] == "taken" for error in errors) else 400
        title = "The request was refused."
    elif isinstance(exc, exceptions.ValidationError):
        errors = list(of_drf(exc.get_full_details()))
        title = "The request was refused."
    elif isinstance(exc, exceptions.APIException):
        status = exc.status_code
        errors = []
        title = str(exc.detail)
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            status, headers["WWW-Authenticate"] = 401, "Token"
        if wait := getattr(exc, "wait", None):
            headers["Retry-After"] = str(int(wait))
    else:
        return None
    set_rollback()
    code = (
        errors[0]["code"]
        if errors
        else str(exc.get_codes())
        if isinstance(exc, exceptions.APIException)
        else ""
    )
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "errors": errors}
    return Response(body, status=status, headers=headers, content_type="application/problem+json")


def of_django(exc: ValidationError) -> "list[dict[str, str]]":
    """The entries of `errors` that a Refusal or a model's ValidationError makes."""
    if isinstance(exc, Refusal):
        return [{"field": exc.field or "", "code": str(exc.code), "detail": " ".join(exc.messages)}]
    by_field = exc.error_dict if hasattr(exc, "error_dict") else {"": exc.error_list}
    return [
        {
            "field": "" if field == "__all__" else field,
            "code": str(one.code or "invalid"),
            "detail": " ".join(one.messages),
        }
        for field, faults in by_field.items()
        for one in faults
    ]


def of_drf(details: Any, path: str = "") -> "list[dict[str, str]]":
    """The entries of `errors` that a serializer's refusals make; nested fields are joined by dots."""
    if isinstance(details, Mapping) and {"message", "code"} == set(details):
        field = "" if path == api_settings.NON_FIELD_ERRORS_KEY else path
        return [{"field": field, "code": str(details["code"]), "detail": str(details["message"])}]
    if isinstance(details, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), value) for key, value in details.items()]
    else:
        parts = [(path, value) for value in details]
    return [entry for inner, value in parts for entry in of_drf(value, inner)]


class SiteTimeField(serializers.DateTimeField):
    """An instant. With an offset it is taken as it is; without one it is the wall clock of the site.

    The site is that of the request's `site`; the serializer resolves it with `at_site`. Written out in UTC.
    """

    def enforce_timezone(self, value: datetime) -> datetime:
        return value.astimezone(UTC) if value.tzinfo else value


def at_site(value: datetime, zone: ZoneInfo, *, field: str) -> datetime:
    """The UTC instant of what a SiteTimeField read.

    Raises Refusal "no_such_time" for a wall time that the clocks jump over.
    """
    if value.tzinfo:
        return value
    try:
        return instant(value, zone)
    except NoSuchTime as exc:
        raise Refusal(str(exc), code="no_such_time", field=field) from None
