"""What is left of a patient who has died, by API: cancelled in one step."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import NothingInput
from clinic.api.viewsets import SiteScopedViewSet, tag_of
from patients.api.patients import PatientSerializer
from patients.models import Patient
from procedures import services
from procedures.workflow import STEPS


class CancelledSerializer(serializers.Serializer[Any]):
    """The numbers of the appointments that were cancelled now, the soonest first."""

    cancelled = serializers.ListField(child=serializers.IntegerField())


class AppointmentsOfDeceased(SiteScopedViewSet):
    """The appointments of a patient who has died; the ETag is the patient's."""

    queryset = Patient.objects.select_related("site")
    serializer_class = PatientSerializer
    permissions_needed = {"cancel": STEPS["cancel"].permission}

    @extend_schema(request=NothingInput, responses=CancelledSerializer)
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel every appointment of a patient who has died, booked or requested, at the sites that you work at.

        No letter goes out. A second time there is nothing left. Of somebody who lives it is refused, `not_deceased`.
        The ETag for If-Match is that of `patients/{id}/`.
        """
        patient = self.get_object()
        self.inputs(NothingInput)
        done = services.cancel_of_deceased(patient.pk, by=self.user, now=timezone.now())
        headers = {"ETag": tag_of(self.told(patient))}
        return Response(CancelledSerializer({"cancelled": [row.pk for row in done]}).data, headers=headers)
