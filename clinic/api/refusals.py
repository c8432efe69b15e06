"""Every refusal as RFC 9457 problem+json, whoever refused: a rule, a field, a permission or the framework."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from clinic.database import is_busy
from clinic.refusals import Refusal

logger = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Codes that mean "somebody was faster", be it you with the same key: 409 instead of 400.
CONFLICTS = {
    *("taken", "kept_not_free", "answered_already", "other_remark", "key_reused", "answer_not_kept"),
    *("already_waiting", "not_waiting", "freed_time_closed"),
    *("closed_already", "taken_already", "resolved_already", "recorded_already"),
    *("likely_duplicate", "merged_already", "patient_not_current", "not_settled"),
    *("appointments_overlap", "courses_overlap", "waiting_twice", "opioid_twice", "caregiver_twice"),
    *("caregiver_already", "revoked_already"),
}
#: Other statuses of what a rule refused, by the code.
STATUSES = {"throttled": 429}
#: PostgreSQL's words for "there is one already" and "these overlap".
UNIQUE_VIOLATION, EXCLUSION_VIOLATION = "23505", "23P01"

Entry = dict[str, str]


class PreconditionFailed(exceptions.APIException):
    """The row was changed since the client read it: its If-Match names an older state."""

    status_code = 412
    default_code = "stale"
    default_detail = "This was changed since you read it. Read it again."


class ServiceBusy(exceptions.APIException):
    """What was asked for waited for others, or lasted, longer than it may; nothing was saved."""

    status_code = 503
    default_code = "busy"
    default_detail = "This took too long, because others are at the same. Nothing was saved: try again."
    wait = 5  # seconds until a try that is worth it


class PreconditionRequired(exceptions.APIException):
    """The client does not say which version of the row it has read: there is no If-Match, or `*`."""

    status_code = 428
    default_code = "if_match_required"
    default_detail = "Name in If-Match the ETag under which you read this."


def problem(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """`type`, `title`, `status`, `code` and, where inputs are to blame, `errors`: one {"field", "code", "detail"} each.

    `field` is "" when the whole request is meant; names of nested inputs are joined by dots. `code` is the first
    entry's, else that of the kind of refusal ("not_authenticated", "permission_denied", "not_found", "throttled" …).
    409 means that somebody was faster. `free`, where it was looked for: what could be asked for instead. None for what
    is no refusal but a fault: Django logs it and answers 500.
    """
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("There is nothing here that you may see.")
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    elif is_busy(exc):
        logger.warning("database_busy", exception=type(exc).__name__)
        exc = ServiceBusy()
    headers: dict[str, str] = {}
    title, errors = "The request was refused.", list[Entry]()
    if isinstance(exc, ValidationError):
        errors = of_django(exc)
    elif isinstance(exc, exceptions.ValidationError):
        errors = of_drf(exc.get_full_details())
    elif isinstance(exc, IntegrityError):
        # Two requests at once, both past the checks: the database kept one out. The sentence is for the loser.
        if getattr(exc.__cause__, "sqlstate", None) not in (UNIQUE_VIOLATION, EXCLUSION_VIOLATION):
            return None
        logger.warning("kept_out_by_constraint", exception=type(exc).__name__)
        errors = [{"field": "", "code": "taken", "detail": "Somebody else has just saved the same."}]
    elif not isinstance(exc, exceptions.APIException):
        return None
    set_rollback()
    if request := context.get(
        "request"
    ):  # JSON, whatever was asked for: the description of the API comes as YAML
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    if errors:
        code = errors[0]["code"]
        status = 409 if any(error["code"] in CONFLICTS for error in errors) else STATUSES.get(code, 400)
    else:
        assert isinstance(exc, exceptions.APIException)
        title, code, status = str(exc.detail), str(exc.get_codes()), exc.status_code
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        status, headers["WWW-Authenticate"] = 401, "Token"
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    members = exc.members if isinstance(exc, Refusal) else {}
    return Response(
        body(title, status, code, errors) | members,
        status=status,
        headers=headers,
        content_type=MEDIA_TYPE,
    )


def body(title: str, status: int, code: str, errors: list[Entry]) -> dict[str, Any]:
    """The members of a problem document."""
    return {"type": "about:blank", "title": title, "status": status, "code": code, "errors": errors}


def of_django(exc: ValidationError) -> list[Entry]:
    """The entries of `errors` that a Refusal or a model's ValidationError makes."""
    if isinstance(exc, Refusal):
        return [{"field": exc.field or "", "code": str(exc.code), "detail": " ".join(exc.messages)}]
    by_field = exc.error_dict if hasattr(exc, "error_dict") else {"": exc.error_list}
    return [
        {
            "field": "" if field == "__all__" else field,
            "code": str(fault.code or "invalid"),
            "detail": " ".join(fault.messages),
        }
        for field, faults in by_field.items()
        for fault in faults
    ]


def of_drf(details: Any, path: str = "") -> list[Entry]:
    """The entries of `errors` that a serializer's refusals make; nested fields are joined by dots."""
    if isinstance(details, Mapping) and {"message", "code"} == set(details) and is_leaf(details):
        field = "" if path == api_settings.NON_FIELD_ERRORS_KEY else path
        return [{"field": field, "code": str(details["code"]), "detail": str(details["message"])}]
    if isinstance(details, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), value) for key, value in details.items()]
    else:
        parts = [(path, value) for value in details]
    return [entry for inner, value in parts for entry in of_drf(value, inner)]


def is_leaf(details: Mapping[str, Any]) -> bool:
    """Whether this is one refusal, and not a form with inputs called "message" and "code"."""
    return isinstance(details["message"], str)


def fault(request: HttpRequest) -> HttpResponse:
    """The answer to a fault of ours: problem+json below /api/, Django's page elsewhere. Says nothing about it.

    503 where the database ended what took too long: the same again may go through a moment later.
    """
    if not request.path.startswith("/api/"):
        response = defaults.server_error(request)
        if is_busy(sys.exc_info()[1]):
            response.status_code, response["Retry-After"] = ServiceBusy.status_code, str(ServiceBusy.wait)
        return response
    return JsonResponse(
        body("Something went wrong on our side; nothing was saved.", 500, "fault", []),
        status=500,
        content_type=MEDIA_TYPE,
    )


@csrf_exempt
def no_such_address(request: HttpRequest, rest: str) -> HttpResponse:
    """404 for whatever else stands below /api/, in the shape of every other refusal."""
    title = "There is no such address. Every address of the API ends with a slash."
    return JsonResponse(body(title, 404, "not_found", []), status=404, content_type=MEDIA_TYPE)
