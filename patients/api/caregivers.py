"""Who answers for a patient: read, recorded, changed and revoked. Who gets the patient's check-ins follows from it."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, InstantField
from clinic.api.viewsets import SiteScopedViewSet
from patients import services
from patients.models import Caregiver, Patient

#: Who gets the e-mails about a patient's check-ins.
ASKED = [(code, code) for code in ("caregiver", "patient", "nobody")]


class CaregiverSerializer(serializers.ModelSerializer[Caregiver]):
    """A person who answers in the patient's place. `why_no_email`: the code of the reason why no e-mail may be sent to
    them, empty when it may. `permitted_by`: the patient, or the law, as for a guardian."""

    why_no_email = serializers.CharField()

    class Meta:
        model = Caregiver
        fields = [
            *("id", "name", "relation", "email", "language", "consented_at", "consent_version"),
            *("permitted_by", "permitted_on", "opted_out_at", "bounced_at", "why_no_email"),
            *("recorded_by", "recorded_at", "revoked_at", "revoked_by", "revoked_reason"),
        ]


class AskedSerializer(serializers.Serializer[Any]):
    """Who gets the e-mails about a patient's check-ins, and who answers for the patient; null for nobody."""

    asked = serializers.ChoiceField(ASKED)
    caregiver = CaregiverSerializer(allow_null=True)


class CaregiverInput(Input, serializers.ModelSerializer[Caregiver]):
    """All that staff say about a caregiver.

    `consented_at`: when they agreed themselves to e-mail that is not secure; null: not yet, or no longer, and then the
    patient is asked. `consent_version`: to which text. `permitted_by`, `permitted_on`: whose permission it is that they
    answer, and since which day. Opting out is the caregiver's own wish and the front desk's: it cannot be set here.
    """

    consented_at = InstantField(required=False, allow_null=True, default=None)
    consent_version = serializers.CharField(required=False, allow_blank=True, max_length=10, default="")

    class Meta:
        model = Caregiver
        fields = [
            *("name", "relation", "email", "language", "consented_at", "consent_version"),
            *("permitted_by", "permitted_on"),
        ]


class RevokeInput(Input):
    """Why somebody answers no longer."""

    reason = serializers.CharField(max_length=500)


class Caregivers(SiteScopedViewSet):
    """Who answers for one patient: at most one person at a time."""

    queryset = Patient.objects.select_related("site")
    serializer_class = AskedSerializer
    permissions_needed = {
        "retrieve": "patients.view_patient",
        "update": "patients.change_patient",
        "revoke": "patients.change_patient",
    }
    may_refuse = {"update": [404, 409], "revoke": [404, 409]}

    def told(self, row: Patient) -> Any:
        caregiver = services.read_caregiver(row.pk)
        return AskedSerializer({"asked": services.who_is_asked(row, caregiver), "caregiver": caregiver}).data

    @extend_schema(responses=AskedSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Who gets a patient's check-ins, and who answers for the patient. That you looked is written down."""
        patient = self.get_object()
        services.record_page_view(patient, by=self.user, now=timezone.now())
        return Response(self.told(patient))

    @extend_schema(request=CaregiverInput, responses={200: AskedSerializer})
    def update(self, request: Request, pk: int) -> Response:
        """Record who answers for the patient, or change what is known about them: all of it.

        From then on check-ins are e-mailed to the caregiver in the patient's place, once both have agreed, and answers
        are marked as the caregiver's. Links that were e-mailed before open nothing any more; what is open is asked
        anew. Another person is another caregiver: revoke the one before. Refuses `address_of_patient` and,
        for an agreement that was taken back later, `withdrawn_since`. The ETag for
        If-Match is that of this address.
        """
        patient = self.get_object()
        said = self.inputs(CaregiverInput)
        caregiver = services.read_caregiver(patient.pk)
        if caregiver is None:
            caregiver = Caregiver(patient=patient, **said)
        else:
            for name, value in said.items():
                setattr(caregiver, name, value)
        services.save_caregiver(caregiver, by=self.user, now=timezone.now())
        return Response(self.told(patient))

    @extend_schema(request=RevokeInput, responses=AskedSerializer)
    def revoke(self, request: Request, pk: int) -> Response:
        """Somebody answers for the patient no longer; the patient is asked again. 409, `revoked_already`, where nobody
        answers. What they answered stays, and stays marked. The ETag for If-Match is that of the address above."""
        patient = self.get_object()
        said = self.inputs(RevokeInput)
        services.revoke_caregiver_of(patient.pk, **said, by=self.user, now=timezone.now())
        return Response(self.told(patient))
