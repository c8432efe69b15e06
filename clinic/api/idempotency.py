"""A request that is sent again under its `Idempotency-Key` is done once, and answered again as it was."""

import json
import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.models import SentRequest, User
from clinic.refusals import Refusal

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
        if request.method == "POST" and isinstance(request.user, User) and (key := request_key(request)):
            vars(self)["post"] = partial(self.once, vars(self).get("post") or self.post, key)  # type: ignore[attr-defined]

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
