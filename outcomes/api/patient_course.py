"""One patient's whole course: every follow-up with what it shows, harm, and opioids."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.api.viewsets import NoStoreAPIView
from clinic.models import User
from outcomes.api.adverse_events import AdverseEventSerializer
from outcomes.api.follow_ups import FollowUpCourseSerializer
from outcomes.patient_course import patient_course
from patients import mme, services
from patients.api import PatientNameSerializer
from patients.api.opioids import NOTE, OpioidUseSerializer, TotalSerializer
from patients.models import Patient


class PatientCourseSerializer(serializers.Serializer[Any]):
    """A patient's whole course at the instant `made_at`, as far as you may see it. Mistakes are left out."""

    made_at = serializers.DateTimeField()
    patient = PatientNameSerializer()
    follow_ups = FollowUpCourseSerializer(many=True, help_text="In order of the procedures.")
    adverse_events = AdverseEventSerializer(many=True, help_text="In order of their beginning.")
    opioid_uses = OpioidUseSerializer(many=True, help_text="In order of their first day.")
    opioids_today = TotalSerializer(help_text="Of today at the patient's site.")


class PatientCourse(NoStoreAPIView, APIView):
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
        services.record_page_view(whose, by=user, now=now)
        known = patient_course(whose, user=user, now=now)
        follow_ups = [up.follow_up for up in known.follow_ups]
        opioids = known.opioids or []
        total = mme.total_on(opioids, known.today)
        whole = {
            "made_at": now,
            "patient": whose,
            "follow_ups": follow_ups,
            "adverse_events": known.events or [],
            "opioid_uses": opioids,
            "opioids_today": {
                "on": known.today,
                "mme_per_day": total.mme,
                "counted": total.counted,
                "left_out": [{"drug": drug.value, "reason": why.value} for drug, why in total.left_out],
                "note": NOTE,
            },
        }
        context = {"request": request, "now": now}
        return Response(PatientCourseSerializer(whole, context=context).data)
