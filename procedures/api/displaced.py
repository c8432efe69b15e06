"""Displaced appointments: another time proposed for each, and moving them together."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, InstantField, VisibleField, YesNoField
from clinic.api.viewsets import NoStoreAPIView
from procedures import services, workflow
from procedures.api.slots import SlotSerializer
from procedures.models import Appointment


class ProposalSerializer(serializers.Serializer[services.Proposal]):
    """Another time for a displaced appointment. `keep` false: only without the clinician or what was named."""

    appointment = serializers.IntegerField(source="appointment.pk")
    slot = SlotSerializer(allow_null=True)
    keep = serializers.BooleanField()


@extend_schema_serializer(many=False)
class ProposalsSerializer(serializers.Serializer[Any]):
    """`count` is of all that are displaced; proposals are made for the first 25."""

    count = serializers.IntegerField()
    results = ProposalSerializer(many=True)


class MoveInput(Input):
    """One appointment and its new time; `keep` as in `reschedule`."""

    appointment = VisibleField(queryset=Appointment.objects.all())
    starts_at = InstantField()
    keep = YesNoField(required=False)


class RebookInput(Input):
    """What is to be moved, up to 25 at once."""

    moves = MoveInput(many=True, min_length=1, max_length=services.AT_ONCE)  # type: ignore[call-arg]


class RebookedSerializer(serializers.Serializer[Any]):
    """What became of one: its successor, or null with the code and the sentence of the refusal."""

    appointment = serializers.IntegerField()
    rescheduled_to = serializers.IntegerField(allow_null=True)
    code = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)


@extend_schema_serializer(many=False)
class RebookedAllSerializer(serializers.Serializer[Any]):
    """One result a move, in the same order."""

    results = RebookedSerializer(many=True)


class Displaced(NoStoreAPIView, viewsets.ViewSet):
    """Future appointments whose resources are closed, out of use, or no longer at work then."""

    permissions_needed = {"list": "procedures.view_appointment", "create": workflow.BOOK}

    @extend_schema(responses=ProposalsSerializer)
    def list(self, request: Request) -> Response:
        """See another time for each displaced appointment of your sites. Nothing is taken; no two get the same."""
        user: Any = request.user
        now = timezone.now()
        rows = Appointment.objects.visible_to(user).displaced(now).filter(status__in=Appointment.EXPECTED)
        found = (
            rows.select_related("site", "patient", "procedure_type")
            .prefetch_related("procedure_type__requirements")
            .order_by("starts_at", "pk")[: services.AT_ONCE]
        )
        shown = {"count": rows.count(), "results": services.propose(list(found), now=now)}
        return Response(ProposalsSerializer(shown).data)

    @extend_schema(request=RebookInput, responses={200: RebookedAllSerializer})
    def create(self, request: Request) -> Response:
        """Move appointments to the times that were proposed, or to others; each patient gets one letter.

        Each is moved by itself: what is refused stays where it is, and the others are moved all the same.
        """
        form = RebookInput(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        user: Any = request.user
        results = []
        for move in form.validated_data["moves"]:
            old = move["appointment"]
            done: dict[str, Any] = {"appointment": old.pk, "rescheduled_to": None, "code": "", "detail": ""}
            try:
                new = services.rebook(
                    old.pk,
                    starts_at=move["starts_at"],
                    keep=move.get("keep", True),
                    by=user,
                    now=timezone.now(),
                )
                done["rescheduled_to"] = new.pk
            except ValidationError as refusal:
                done |= {"code": getattr(refusal, "code", "invalid"), "detail": " ".join(refusal.messages)}
            results.append(done)
        return Response(RebookedAllSerializer({"results": results}).data)
