"""ETag and If-Match: nobody changes by API what they have not seen as it stands.

An ETag stands for a row as its own address shows it, to who asks, now. Whatever changes the row of an address with a
number, PATCH, DELETE or a step, names in If-Match the one that was read. `*` names none: it is refused as if absent.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags, quote_etag
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from clinic.api.refusals import PreconditionFailed, PreconditionRequired
from clinic.row_versions import digest

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag under which you read the row. 428 without one, or with `*`; 412 when the row has changed.",
)
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def tag_of(shown: Mapping[str, Any]) -> str:
    """The ETag of a row that is shown like this."""
    return quote_etag(digest(shown))


def refuse_unless_read(request: Request, tag: str) -> None:
    """Raise Unmatched unless the request names a version, Stale unless it is the one with the ETag `tag`."""
    named = request.headers.get("If-Match", "").strip()
    if named in ("", "*"):
        raise PreconditionRequired
    # Of what is no ETag at all, Django would say that nothing was asked for.
    if not parse_etags(named) or get_conditional_response(request._request, etag=tag) is not None:
        raise PreconditionFailed
