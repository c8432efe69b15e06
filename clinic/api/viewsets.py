"""The shape of the API's views: rows that the user may see, read by the framework, written by services.

A request that is sent again under its `Idempotency-Key` is done once, and answered again as it was.

ETag and If-Match: nobody changes by API what they have not seen as it stands. An ETag stands for a row as its own
address shows it, to who asks, now. Whatever changes the row of an address with a number, PATCH, DELETE or a step, names
in If-Match the one that was read. `*` names none: it is refused as if absent.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags, quote_etag
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions, viewsets
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.api.fields import Input, NothingInput, Query, read_query, refuse_repeated
from clinic.api.permissions import Needed
from clinic.api.refusals import PreconditionFailed, PreconditionRequired
from clinic.models import SentRequest, User
from clinic.refusals import Refusal
from clinic.row_versions import digest, one_at_a_time

#: What an Idempotency-Key is made of.
KEY = re.compile(r"[!-~]{1,100}")
HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Your name for this request, 1 to 100 visible ASCII characters, say a UUID. Of no meaning to others'. "
    f"Sent again, the same request is answered again, with `{REPLAYED}: true`, and nothing is done twice; "
    "another one under the same key is refused with 409, code `key_reused`.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag under which you read the row. 428 without one, or with `*`; 412 when the row has changed.",
)
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class IdempotentAPIView(APIView):
    """Views whose every POST takes an Idempotency-Key from who is signed in.

    A refused request does not use its key up. The same key with another method, address or body is refused, 409, code
    "key_reused"; when the answer is kept no longer, or was a secret that is kept nowhere, 409, code "answer_not_kept".
    """

    #: Actions that answer anew a request whose key their service knows. They see to it that it is done once.
    know_their_keys: frozenset[str] = frozenset()
    #: Actions whose answer holds a secret.
    answer_secrets: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        handler = getattr(self, "post", None)  # without one it is 405
        signed_in = request.method == "POST" and isinstance(request.user, User)
        if handler and signed_in and (key := request_key(request)):
            view: Any = self
            view.post = partial(self.once, handler, key)  # what `dispatch` calls next

    def once(
        self, handler: Callable[..., Response], key: str, request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        """What `handler` answers, or what it answered when the same request came before."""
        assert isinstance(request.user, User)
        mine = SentRequest(by=request.user, key=key, fingerprint=fingerprint(request), at=timezone.now())
        action = getattr(self, "action", None) or "post"
        with transaction.atomic():
            if action in self.know_their_keys:
                return self.answered_anew(mine, lambda: handler(request, *args, **kwargs))
            sent, made = request_row(mine)  # whoever comes with the same key meanwhile waits here
            if not made:
                return answered_before(sent)
            response = handler(request, *args, **kwargs)
            if response.status_code >= 400:
                sent.delete()
            elif action not in self.answer_secrets:
                sent.status, sent.answer = response.status_code, JSONRenderer().render(response.data).decode()
                sent.save(update_fields=["status", "answer"])
            return response

    def done_before(self, request: Request) -> bool:
        """Whether this request is done by now and is only answered anew: then nothing of today may refuse it.

        Asked once rivals with the same key have been waited for.
        """
        key = request_key(request) if getattr(self, "action", None) in self.know_their_keys else ""
        return bool(key) and SentRequest.objects.filter(by=request.user.pk, key=key).exists()

    def answered_anew(self, mine: SentRequest, handle: Callable[[], Response]) -> Response:
        """The answer of a service that knows its keys: of rivals with one key, one does it and all are answered."""
        if before := SentRequest.objects.filter(by=mine.by, key=mine.key).first():
            refuse_another(before, mine)
        response = handle()
        if response.status_code < 400:
            _, made = request_row(mine)
            if not made or response.status_code == 200:
                response[REPLAYED] = "true"
        return response


class NoStoreAPIView(IdempotentAPIView):
    """No browser and no proxy keeps what these views answer: it is about somebody. A POST can be sent again.

    What stands more than once behind the question mark, and is no list, is refused, code "given_twice".
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        listed = getattr(self, "action", None) == "list"
        super().initial(request, *args, **kwargs)
        refuse_repeated(getattr(self, "query_class", None) if listed else None, request.query_params)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class ClinicViewSet(NoStoreAPIView, viewsets.GenericViewSet[Any]):
    """Rows of one model. Views declare `queryset`, `serializer_class`, `permissions_needed`; lists a `query_class`.

    `may_refuse` names by action what beside the usual refusals the schema should announce: {"book": [409]}.
    `detail_serializer_class` is for a row on its own, where that shows more than a list does: its ETag is of that.
    """

    lookup_value_converter = "int"
    detail_serializer_class: Any = None
    query_class: type[Query] = Query
    permissions_needed: Mapping[str, Needed] = {}
    may_refuse: dict[str, list[int]] = {}

    @property
    def user(self) -> User:
        """Who is asking. The permission class has seen to it that they are signed in."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    # Which version was read.

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whatever changes a row looks at its version and acts in one transaction, one after the other."""
        super().initial(request, *args, **kwargs)
        if self.lookup_field in self.kwargs and request.method in UNSAFE:
            name = request.method.lower()
            if handler := getattr(self, name, None):  # else 405
                setattr(self, name, transaction.atomic(handler))

    def get_object(self) -> Any:
        """The row of the address; if it is to be changed, only for who has read it as it stands."""
        if self.request.method not in UNSAFE:
            return super().get_object()
        super().get_object()  # what may not be seen does not exist, whatever it says
        one_at_a_time(self.get_queryset().model, self.kwargs[self.lookup_field])
        row = super().get_object()
        if not self.done_before(self.request):  # else it had been read, and is only answered anew
            refuse_unless_read(self.request, tag_of(self.told(row)))
        return row

    def told(self, row: Any) -> Mapping[str, Any]:
        """The row as its own address shows it."""
        shown: Mapping[str, Any] = self.serializer_of_one()(row, context=self.get_serializer_context()).data
        return shown

    def serializer_of_one(self) -> Any:
        """What shows a row on its own."""
        return self.detail_serializer_class or self.serializer_class

    def get_serializer_class(self) -> Any:
        return self.serializer_class if self.action == "list" else self.serializer_of_one()

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the ETag of the row that is in the answer; without where it is sent again, and may be older."""
        response = super().finalize_response(*args, **kwargs)
        data, listed = getattr(response, "data", None), self.action == "list"
        new = response.status_code in (200, 201) and REPLAYED not in response.headers
        if new and isinstance(data, Mapping) and not listed:
            response.headers.setdefault("ETag", tag_of(data))
        return response

    def filter_queryset(self, queryset: Any) -> Any:
        """For lists: what the query asks for; refuses, code "unknown_field", what it cannot ask for."""
        if self.action != "list":
            return queryset
        query = read_query(self.query_class, self.request.query_params, **self.get_serializer_context())
        return query.narrow(queryset)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": timezone.now()}

    def inputs(self, shape: type[Input], *, zone: ZoneInfo | None = None, **kwargs: Any) -> Any:
        """The request's body, read by `shape`, its wall times in `zone`. Raises ValidationError by field."""
        context = self.get_serializer_context() | {"zone": zone}
        form = shape(data=self.request.data, context=context, **kwargs)
        form.is_valid(raise_exception=True)
        return form.validated_data

    def act(
        self, service: Callable[..., Any], shape: type[Input] = NothingInput, *, status: int = 200
    ) -> Response:
        """Have `service` do with the row of the address what the body says, read by `shape`; the row afterwards."""
        row = self.get_object()
        said = self.inputs(shape, zone=row.site.zone if hasattr(row, "site") else None)
        service(row.pk, **said, by=self.user, now=timezone.now())
        return self.shown(row.pk, status=status)

    def shown(self, pk: int, *, status: int = 200) -> Response:
        """The row with the number `pk` as this view shows it."""
        return self.show(self.get_queryset().get(pk=pk), status=status)

    def show(self, row: Any, *, status: int = 200) -> Response:
        """`row`, with all that belongs to it at hand, as this view shows it."""
        return Response(self.get_serializer(row).data, status=status)


class SiteScopedViewSet(ClinicViewSet):
    """Rows that belong to sites: what `visible_to` keeps from the user is 404, as if it did not exist."""

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.user)


def tag_of(shown: Mapping[str, Any]) -> str:
    """The ETag of a row that is shown like this."""
    return quote_etag(digest(shown))


def refuse_unless_read(request: Request, tag: str) -> None:
    """Raise PreconditionRequired unless the request names a version, PreconditionFailed unless it is that with the ETag
    `tag`.
    """
    named = request.headers.get("If-Match", "").strip()
    if named in ("", "*"):
        raise PreconditionRequired
    # Of what is no ETag at all, Django would say that nothing was asked for.
    if not parse_etags(named) or get_conditional_response(request._request, etag=tag) is not None:
        raise PreconditionFailed


def request_row(mine: SentRequest) -> tuple[SentRequest, bool]:
    """The row of this request, and whether it is new. Raises Refusal "key_reused" where the key named another."""
    said = {"fingerprint": mine.fingerprint, "at": mine.at}
    sent, made = SentRequest.objects.get_or_create(by=mine.by, key=mine.key, defaults=said)
    refuse_another(sent, mine)
    return sent, made


def refuse_another(sent: SentRequest, mine: SentRequest) -> None:
    """Raise Refusal "key_reused" where the key named another request."""
    if sent.fingerprint != mine.fingerprint:
        raise Refusal("This key was used for another request.", code="key_reused", field=HEADER)


def answered_before(sent: SentRequest) -> Response:
    """The answer that is kept. Raises Refusal "answer_not_kept" where none is."""
    if sent.answer is None or sent.status is None:
        raise Refusal(
            "This request was done before. Its answer is not kept.", code="answer_not_kept", field=HEADER
        )
    data = json.loads(sent.answer) if sent.answer else None
    return Response(data, status=sent.status, headers={REPLAYED: "true"})


def fingerprint(request: Request) -> str:
    """SHA-256, in hex, of method, address and body: of JSON what it says, of a form its fields and its files' bytes."""
    return sha256(
        "\n".join((request.method or "", request.get_full_path(), said_in(request.data))).encode()
    ).hexdigest()


def said_in(data: Any) -> str:
    if isinstance(data, QueryDict):
        data = {name: [of_form(value) for value in values] for name, values in sorted(data.lists())}
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def of_form(value: Any) -> str:
    if not isinstance(value, UploadedFile):
        return str(value)
    value.seek(0)
    digest = sha256(value.read()).hexdigest()
    value.seek(0)
    return digest


def request_key(request: Request) -> str:
    """The request's Idempotency-Key; "" without one. Raises ValidationError for one that cannot be kept."""
    key = request.headers.get(HEADER)
    if key is not None and not KEY.fullmatch(key):
        detail = exceptions.ErrorDetail("A key is 1 to 100 visible ASCII characters.", code="invalid")
        raise exceptions.ValidationError({HEADER: [detail]})
    return key or ""
