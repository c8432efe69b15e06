"""The OpenAPI description: what every operation needs, and how it may refuse."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from clinic.api.permissions import ANYONE, SIGNED_IN, permission_needed
from clinic.api.refusals import MEDIA_TYPE, PreconditionFailed, PreconditionRequired, body
from clinic.api.viewsets import IDEMPOTENCY_KEY, IF_MATCH, UNSAFE, ClinicViewSet


class InvalidInputSerializer(serializers.Serializer[Any]):
    """One input that was refused, and why."""

    field = serializers.CharField(help_text="The input's name; empty when the whole request is meant.")
    code = serializers.CharField(help_text="Stable; for programs.")
    detail = serializers.CharField(help_text="A sentence; for people.")


class AlternativeSerializer(serializers.Serializer[Any]):
    """Somebody or something that could come instead."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class AlternativesSerializer(serializers.Serializer[Any]):
    """What is free instead, by input: resources at that time, and the next starts with those that were asked for."""

    resources = AlternativeSerializer(many=True, required=False)
    starts_at = serializers.ListField(child=serializers.DateTimeField(), required=False)


class ProblemSerializer(serializers.Serializer[Any]):
    """A refusal, as RFC 9457 has it. Nothing was saved."""

    type = serializers.CharField()
    title = serializers.CharField(help_text="A sentence; for people.")
    status = serializers.IntegerField()
    code = serializers.CharField(
        help_text="Stable; for programs. The first entry's of `errors`, if there are any."
    )
    errors = InvalidInputSerializer(many=True)  # type: ignore[assignment]
    free = AlternativesSerializer(
        required=False, help_text="When a move is refused because somebody or something is not free."
    )


#: What each status means.
REFUSALS = {
    400: "An input or a rule refused.",
    401: "Nobody is signed in, or the token has expired.",
    403: "The role of who is signed in does not allow it.",
    404: "It does not exist, or not for you.",
    409: "Somebody was faster, or the Idempotency-Key named another request.",
    412: "It was changed since you read it.",
    428: "The request does not name in If-Match the ETag under which the row was read.",
    415: "The body is of another kind than this address reads: JSON, or for an import a form with a file.",
    422: "An import of which nothing could be saved. `report` says why, row by row.",
    429: "Too many attempts from this address; Retry-After says how many seconds to wait.",
}
#: How they look: status, code, the input that is to blame ("" for none), and the sentence about it or about the whole.
EXAMPLES = [
    (400, "outside_hours", "starts_at", "Room 1 does not work from 18:00 to 18:45 on 2027-01-15."),
    (400, "unknown_field", "colour", "There is no such input."),
    (401, "not_authenticated", "", "Authentication credentials were not provided."),
    (403, "permission_denied", "", "You do not have permission to perform this action."),
    (404, "not_found", "", "There is nothing here that you may see."),
    (409, "taken", "starts_at", "Room 1 is taken from 09:00 to 09:45 on 2027-01-15."),
    (412, "stale", "", str(PreconditionFailed.default_detail)),
    (428, "if_match_required", "", str(PreconditionRequired.default_detail)),
    (415, "unsupported_media_type", "", 'Unsupported media type "text/plain" in request.'),
    (422, "rows_refused", "file", "120 rows: 117 added, 0 changed, 0 unchanged, 3 refused."),
    (429, "throttled", "", "Request was throttled. Expected available in 42 seconds."),
]


def examples(status: int) -> dict[str, Any]:
    """The examples of refusals with that status, by their code."""
    shown = {}
    for _, code, field, sentence in (example for example in EXAMPLES if example[0] == status):
        whole = "Nothing was imported." if status == 422 else "The request was refused."
        errors = [{"field": field, "code": code, "detail": sentence}] if field else []
        shown[code] = {"value": body(whole if field else sentence, status, code, errors)}
    return shown


#: What refusals with some statuses say besides, by the name of its shape.
WITH_MORE = {422: {"report": "ImportReport"}}
#: How an answer names the version of what is in it.
ETAG = {"description": "Names this version; for a later If-Match.", "schema": {"type": "string"}}
#: What a response that is no refusal means.
DONE = {"200": "As asked.", "201": "Made, or recorded.", "204": "Done."}


def share_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put how each status refuses into the description once, where every operation refers to it."""
    result["components"]["responses"] = {
        str(status): {
            "description": sentence,
            "content": {MEDIA_TYPE: {"schema": problem_of(status), "examples": examples(status)}},
        }
        for status, sentence in REFUSALS.items()
    }
    return result


def problem_of(status: int) -> dict[str, Any]:
    """The shape of a refusal with this status."""
    shape: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
    if status not in WITH_MORE:
        return shape
    more = {name: {"$ref": f"#/components/schemas/{of}"} for name, of in WITH_MORE[status].items()}
    return {"allOf": [shape, {"type": "object", "properties": more, "required": list(more)}]}


def extra_actions(view: Any) -> list[Any]:
    """The actions that a view has beside those of every list of rows."""
    return list(view.get_extra_actions()) if hasattr(view, "get_extra_actions") else []


class Schema(AutoSchema):
    """Adds to each operation the permission it demands and the refusals it may meet; a list's query; a summary."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        needed = permission_needed(self.view, self.method)
        if operation and needed and needed not in (ANYONE, SIGNED_IN):
            names = " and ".join(f"`{name}`" for name in ((needed,) if isinstance(needed, str) else needed))
            operation["description"] = f"{operation.get('description', '')}\n\nNeeds {names}.".strip()
        return operation

    def get_summary(self) -> str | None:
        """The first sentence of the description."""
        first = self.get_description().split("\n\n")[0].replace("\n", " ")
        return first.split(". ")[0].rstrip(".") or None

    def get_override_parameters(self) -> list[Any]:
        query = getattr(self.view, "query_class", None)
        asked: list[Any] = [query] if query and getattr(self.view, "action", None) == "list" else []
        asked += [IDEMPOTENCY_KEY] if self.takes_key() else []
        return [*asked, *([IF_MATCH] if self.changes_a_row() else [])]

    def takes_key(self) -> bool:
        """Whether the operation can be sent again under an Idempotency-Key: each that somebody signed in posts."""
        return self.method == "POST" and permission_needed(self.view, self.method) != ANYONE

    def changes_a_row(self) -> bool:
        """Whether this operation changes the row whose number is in its address."""
        return isinstance(self.view, ClinicViewSet) and self.method in UNSAFE and "{id}" in self.path

    def shows_a_row(self) -> bool:
        """Whether an answer carries the ETag of what is in it."""
        return isinstance(self.view, ClinicViewSet) and getattr(self.view, "action", None) != "list"

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = dict(super()._get_response_bodies(direction))
        for status, shown in bodies.items():
            shown["description"] = shown["description"] or DONE.get(status, "")
            if self.shows_a_row() and "application/json" in shown.get("content", {}):
                shown["headers"] = {"ETag": ETAG}
        self.resolve_serializer(ProblemSerializer(), "response")
        refusals = {str(status): {"$ref": f"#/components/responses/{status}"} for status in self.refusals()}
        return bodies | refusals

    def get_operation_id(self) -> str:
        """Actions go by their own name: appointments_cancel, not appointments_cancel_create."""
        operation_id = super().get_operation_id()
        extra = getattr(self.view, "action", None) in {act.__name__ for act in extra_actions(self.view)}
        return operation_id.removesuffix("_create") if extra else operation_id

    def refusals(self) -> list[int]:
        """The statuses with which this operation may refuse."""
        statuses = {400}  # what is said twice behind the question mark
        permission = permission_needed(self.view, self.method)
        if permission != ANYONE:
            statuses.add(401)
        if permission not in (ANYONE, SIGNED_IN):
            statuses.add(403)
        if "{" in self.path:
            statuses.add(404)
        if self.method in ("POST", "PUT", "PATCH"):
            statuses.add(415)
        if self.takes_key():
            statuses.add(409)
        if self.changes_a_row():
            statuses |= {412, 428}
        name = getattr(self.view, "action", None) or self.method.lower()
        return sorted(statuses | set(getattr(self.view, "may_refuse", {}).get(name, ())))


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "clinic.api.permissions.ByToken"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <token>`, with the token that POST /api/v1/token/ gives.",
        }
