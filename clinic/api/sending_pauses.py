"""Whether anything is sent, for other programs."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.models import OutgoingEmail, OutgoingText, SendingPause
from clinic.restores import decisions, why_paused


class SendingSerializer(serializers.Serializer[Any]):
    """Whether e-mails and text messages go out.

    `reason`: why not, and `since` when (UTC); both null while sending is not paused. `probably_sent`: messages of this
    installation that fell due in a time that a restore set back, and go out only when a person says so. `waiting`: what
    goes out, beside them, as soon as sending goes on, or with the next run of the sender.
    """

    paused = serializers.BooleanField()
    reason = serializers.ChoiceField(choices=SendingPause.Reason.choices, allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    probably_sent = serializers.IntegerField()
    waiting = serializers.IntegerField()


def state(*, now: datetime) -> dict[str, Any]:
    """What the serializer shows."""
    pause = why_paused()
    return {
        "paused": pause is not None,
        "reason": pause.reason if pause else None,
        "since": pause.began_at if pause else None,
        "probably_sent": decisions.doubtful(OutgoingEmail).count() + decisions.doubtful(OutgoingText).count(),
        "waiting": decisions.to_go(OutgoingEmail, now=now).count()
        + decisions.to_go(OutgoingText, now=now).count(),
    }


class Sending(APIView):
    """Whether anything is sent."""

    permissions_needed = {"get": "clinic.view_outgoingemail"}

    @extend_schema(responses=SendingSerializer)
    def get(self, request: Request) -> Response:
        """Do e-mails and text messages go out? While sending is paused none does; booking and answering go on."""
        return Response(SendingSerializer(state(now=timezone.now())).data)
