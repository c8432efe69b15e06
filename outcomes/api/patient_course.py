"""One patient's whole course: every follow-up with what it shows, harm, and opioids."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.api.rows import NeverKept
from clinic.models import User
from outcomes.api.adverse_events import AdverseEventSerializer
from outcomes.api.follow_ups import FollowUpCourseSerializer
from outcomes.models import AdverseEvent, FollowUp
from outcomes.services.judging import courses_of
from patients import mme, services
from patients.api import PatientNameSerializer
from patients.api.opioids import NOTE, OpioidUseSerializer, TotalSerializer
from patients.models import OpioidUse, Patient


@dataclass(frozen=True)
class Whole:
    """What is shown of one patient."""

    made_at: datetime
    patient: Patient
    follow_ups: list[FollowUp]
    adverse_events: list[AdverseEvent]
    opioid_uses: list[OpioidUse]
    opioids_today: dict[str, Any]


class PatientCourseSerializer(serializers.Serializer[Whole]):
    """A patient's whole course at the instant `made_at`, as far as you may see it. Mistakes are left out."""

    made_at = serializers.DateTimeField()
    patient = PatientNameSerializer()
    follow_ups = FollowUpCourseSerializer(many=True, help_text="In order of the procedures.")
    adverse_events = AdverseEventSerializer(many=True, help_text="In order of their beginning.")
    opioid_uses = OpioidUseSerializer(many=True, help_text="In order of their first day.")
    opioids_today = TotalSerializer(help_text="Of today at the patient's site.")


class PatientCourse(NeverKept, APIView):
    """One patient's whole course."""

    permissions_needed = {
        "get": ("outcomes.view_followup", "outcomes.view_adverseevent", "patients.view_opioiduse")
    }
    may_refuse = {"get": [404]}

    @extend_schema(responses=PatientCourseSerializer)
    def get(self, request: Request, patient: int) -> Response:
        """Every follow-up of a patient with scores, verdict, its reason, and when relief ended; harm and opioids.

        That you looked at the patient's data is written down.
        """
        user, now = request.user, timezone.now()
        assert isinstance(user, User)
        whose = get_object_or_404(Patient.objects.visible_to(user).select_related("site"), pk=patient)
        services.read(whose, by=user, now=now)
        follow_ups = list(
            FollowUp.objects.visible_to(user)
            .filter(patient=whose)
            .exclude(closed_because=FollowUp.Closed.VOIDED)
            .select_related("patient", "procedure__procedure_type", "procedure__site", "relief_profile")
            .prefetch_related("check_ins__answer__measurements", "verdict_changes")
            .order_by("procedure__performed_at", "pk")
        )
        events = AdverseEvent.objects.visible_to(user).standing().filter(follow_up__in=follow_ups)
        places = ("patient", "procedure__procedure_type", "procedure__site")
        uses = [one for one in whose.opioid_uses.order_by("from_on", "pk") if not one.entered_in_error_at]
        today = now.astimezone(whose.site.zone).date()
        total = mme.total_on(whose.opioid_uses.on(today), today)
        whole = Whole(
            made_at=now,
            patient=whose,
            follow_ups=follow_ups,
            adverse_events=list(
                events.select_related(*(f"follow_up__{place}" for place in places)).order_by("onset_on", "pk")
            ),
            opioid_uses=uses,
            opioids_today={
                "on": today,
                "mme_per_day": total.mme,
                "counted": total.counted,
                "left_out": [{"drug": drug.value, "reason": why.value} for drug, why in total.left_out],
                "note": NOTE,
            },
        )
        context = {"request": request, "now": now, "courses": courses_of(follow_ups)}
        return Response(PatientCourseSerializer(whole, context=context).data)
