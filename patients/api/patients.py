"""Patients for physicians and nurses: search, read (which is written down), register, change, import."""

from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.csv_import import ImportInput, ImportReportSerializer, Imports
from clinic.api.fields import (
    ColumnsSerializer,
    Input,
    InstantField,
    NumberQuery,
    Query,
    VisibleField,
    YesNoField,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from clinic.models import Site
from patients import services
from patients.models import Patient


class PatientNameSerializer(ColumnsSerializer[Patient]):
    """A patient, as far as other rows show them."""

    class Meta:
        model = Patient
        fields = ["id", "record_number", "given_name", "family_name", "born_on"]


class PatientSerializer(serializers.ModelSerializer[Patient]):
    """A patient. `why_no_email`: the code of the reason why no e-mail may be sent, empty when it may."""

    site = SiteNameSerializer()
    why_no_email = serializers.CharField()

    class Meta:
        model = Patient
        fields = [
            *("id", "record_number", "given_name", "family_name", "born_on", "site", "email", "phone"),
            *("language", "consented_at", "consent_version", "sms_consented_at", "opted_out_at"),
            *("bounced_at", "died_on", "merged_into"),
            *("why_no_email", "created_at"),
        ]


class PatientInput(Input, serializers.ModelSerializer[Patient]):
    """What staff say about a patient. Without `record_number` who is new gets the next free one of their site.

    `consented_at`: when the patient agreed to e-mail; null takes the agreement back. `consent_version`: to which text;
    a new agreement that does not say is one to a text that this service does not know. `sms_consented_at`: the same of
    text messages. Opting out is the patient's own wish and the front desk's: it cannot be set here. `insist`: save
    although records are there that may be of the same person.
    """

    site = VisibleField(queryset=Site.objects.all())
    consented_at = InstantField(required=False, allow_null=True)
    sms_consented_at = InstantField(required=False, allow_null=True)
    insist = YesNoField(default=False)

    class Meta:
        model = Patient
        fields = [
            *("record_number", "given_name", "family_name", "born_on", "site", "email", "phone", "language"),
            *("consented_at", "consent_version", "sms_consented_at", "died_on", "insist"),
        ]
        extra_kwargs: ClassVar[dict[str, Any]] = {"record_number": {"allow_blank": False}}


class MatchSerializer(serializers.Serializer[Any]):
    """A record that may be of the same person, and why."""

    patient = PatientSerializer()
    reasons = serializers.ListField(
        child=serializers.ChoiceField([(code, code) for code in ("name_and_birth_date", "phone", "email")])
    )


class PatientQuery(Query):
    """What a list of patients can be narrowed to."""

    lookups = {"site": "site", "born_on": "born_on"}

    search = serializers.CharField(
        required=False,
        max_length=100,
        help_text="Every word is part of a name or of the record number, with or without accents, or is the date of "
        "birth or a part of it: 1944-05-06, 5/6/1944, 6 May 1944, 1944; or a phone number in any format, or its last "
        "four digits; or, with an @, a part of the e-mail address.",
    )
    born_on = serializers.DateField(required=False)
    site = NumberQuery(help_text="Whose home is this site.")
    mme_at_least = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="Whose opioids of today come to so many MME or more, as far as they can be counted: no advice.",
    )

    def narrow(self, rows: Any) -> Any:
        rows = super().narrow(rows)
        rows = rows.found_by(self.validated_data.get("search", ""))
        if "mme_at_least" in self.validated_data:
            rows = rows.mme_at_least(self.validated_data["mme_at_least"], timezone.now().date())
        return rows


@extend_schema_view(
    list=extend_schema(description="Patients of your sites, to search."),
)
class Patients(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = Patient.objects.select_related("site")
    serializer_class = PatientSerializer
    query_class = PatientQuery
    permissions_needed = {
        "list": "patients.view_patient",
        "retrieve": "patients.view_patient",
        "create": "patients.add_patient",
        "partial_update": "patients.change_patient",
    }
    may_refuse = {"create": [409], "partial_update": [409]}

    def retrieve(self, request: Request, pk: int) -> Response:
        """One patient. That you looked is written down."""
        patient = self.get_object()
        services.record_page_view(patient, by=self.user, now=timezone.now())
        return self.show(patient)

    @extend_schema(request=PatientInput, responses={201: PatientSerializer})
    def create(self, request: Request) -> Response:
        """Register a patient.

        Where records are there that may be of the same person (the same birth date and a similar name, the same phone
        number or e-mail address), it is refused with 409, `likely_duplicate`, and the member `matches` lists those that
        you may see, each with its `patient` and `reasons`. `"insist": true` registers all the same.
        """
        said = self.inputs(PatientInput)
        insist, patient = said.pop("insist"), Patient(**said)
        self.save(patient, insist=insist)
        return self.show(patient, status=201)

    def save(self, patient: Patient, *, insist: bool) -> None:
        """Save what was said. A refusal lists the records that may be of the same person."""
        try:
            services.save(patient, insist=insist, by=self.user, now=timezone.now())
        except services.LikelyDuplicate as refusal:
            refusal.members = {"matches": MatchSerializer(refusal.matches, many=True).data}
            raise

    @extend_schema(request=PatientInput, responses=PatientSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change what is named about a patient; the rest stays as it is.

        Where the change makes the patient look like another one (by name and birth date, phone number or e-mail
        address), it is refused as a registration is, with `matches`; `"insist": true` saves all the same. What has not
        changed is not asked about.
        """
        self.get_object()
        with transaction.atomic():
            # Locked before it is read: of two changes at once, each keeps what the other one said.
            patient = Patient.objects.select_for_update(of=("self",)).select_related("site").get(pk=pk)
            said = self.inputs(PatientInput, instance=patient, partial=True)
            insist = said.pop("insist", False)
            if said.get("consented_at", patient.consented_at) != patient.consented_at:
                said = {"consent_version": ""} | said
            for name, value in said.items():
                setattr(patient, name, value)
            self.save(patient, insist=insist)
        return self.show(patient)


class ImportPatients(Imports):
    """Patients from a file."""

    permissions_needed = {"post": ("patients.add_patient", "patients.change_patient")}

    @extend_schema(request=ImportInput, responses=ImportReportSerializer)
    def post(self, request: Request) -> Response:
        """Register and change the patients of a CSV file, or check what that would do.

        Who is known by record number is changed where the file says something else. The same file again changes
        nothing. `docs/imports.md` names the columns.
        """
        return self.imported(request, services.import_patients)
