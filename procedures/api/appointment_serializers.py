"""An appointment on the wire: as it is shown, and what it is booked, moved and ended with."""

from typing import Any

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clinic.api.fields import (
    BuiltOnce,
    Input,
    LocalTimeField,
    SiteTimeField,
    VisibleField,
    VisibleManyField,
    YesNoField,
    at_site,
)
from clinic.api.views import SiteNameSerializer
from clinic.models import Resource, Site
from patients.api import PatientNameSerializer
from patients.models import Patient
from procedures.api.baselines import BaselineSerializer
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.models import Appointment, AppointmentStep, ProcedureType, Reservation
from procedures.workflow import STEPS, possible


class ProcedureTypeField(serializers.SlugRelatedField[ProcedureType]):
    """The code of a procedure type; code "unknown_procedure_type" when the catalogue has none such."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="code", queryset=ProcedureType.objects.all(), **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        found = ProcedureType.objects.filter(code=data).first() if "\0" not in data else None
        if found is None:
            raise serializers.ValidationError(
                "The catalogue has no such procedure type.", code="unknown_procedure_type"
            )
        return found


class ReservationSerializer(serializers.ModelSerializer[Reservation]):
    """One resource that the appointment holds for a while. `released_at`: since when it is free again.

    `lane` above 0: it is held a second time, by deliberate overbooking.
    """

    name = serializers.CharField(source="resource.name")

    class Meta:
        model = Reservation
        fields = ["resource", "name", "starts_at", "ends_at", "released_at", "lane"]

    def to_representation(self, row: Reservation) -> dict[str, Any]:
        columns = ("starts_at", "ends_at", "released_at", "lane")
        shown = {name: getattr(row, name) for name in columns}
        return shown | {"resource": row.resource_id, "name": row.resource.name}


class StepSerializer(serializers.ModelSerializer[AppointmentStep]):
    """A step that was taken, and the status to which it led. `by` null: time or the patient did it."""

    by = serializers.CharField(allow_null=True, read_only=True)

    class Meta:
        model = AppointmentStep
        fields = ["at", "step", "status", "by", "reason"]

    def to_representation(self, row: AppointmentStep) -> dict[str, Any]:
        shown = {name: getattr(row, name) for name in ("at", "step", "status", "reason")}
        return shown | {"by": str(row.by) if row.by else None}


class AppointmentSerializer(BuiltOnce, serializers.ModelSerializer[Appointment]):
    """An appointment. Instants are UTC; `*_local` are the same on the site's wall clock. It ends with the recovery.

    `held_until`: the time frees itself then; null unless held. `ended_by` and `ended_reason`: who cancelled, and why.
    `displaced_reason`: what it holds is `closed`, `inactive` or `outside_hours` by now; "" if not, or once it began.
    `wants_change_at`: since when the patient asks for another time. `sequence`: how often what the patient was told
    has changed. `baselines`: scores from before the procedure, the latest first. `possible_steps`: what you may do
    next, each the last part of an address: `appointments/7/arrive/`.
    """

    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer()
    site = SiteNameSerializer()
    starts_at_local = LocalTimeField()
    ends_at_local = LocalTimeField()
    overbooked = serializers.SerializerMethodField()
    reservations = ReservationSerializer(many=True)
    steps = StepSerializer(many=True)
    baselines = BaselineSerializer(many=True)
    possible_steps = serializers.SerializerMethodField()
    rescheduled_to = serializers.SerializerMethodField()
    procedure = serializers.SerializerMethodField()
    displaced_reason = serializers.SerializerMethodField()

    class Meta:
        model = Appointment
        fields = [
            *("id", "patient", "procedure_type", "site", "starts_at", "ends_at", "starts_at_local"),
            *("ends_at_local", "status", "intent", "region", "laterality", "levels", "indication", "note"),
            *("held_until", "ended_by", "ended_reason", "overbooked", "overbooked_reason"),
            "displaced_reason",
            *("wants_change_at", "sequence", "reservations", "steps", "possible_steps", "baselines"),
            *("rescheduled_from", "rescheduled_to", "procedure", "created_at"),
        ]

    def get_overbooked(self, appointment: Appointment) -> bool:
        return bool(appointment.overbooked_reason)

    @extend_schema_field({"type": "array", "items": {"type": "string", "enum": list(STEPS)}})
    def get_possible_steps(self, appointment: Appointment) -> list[str]:
        user = self.context["request"].user
        return [step.name for step in possible(appointment.status) if user.has_perm(step.permission)]

    @extend_schema_field({"type": "string", "enum": Appointment.Displaced.values})
    def get_displaced_reason(self, appointment: Appointment) -> str:
        return appointment.displaced_reason if appointment.lies_displaced(self.context["now"]) else ""

    def get_rescheduled_to(self, appointment: Appointment) -> int | None:
        later = getattr(appointment, "rescheduled_to", None)
        return later.pk if later else None

    def get_procedure(self, appointment: Appointment) -> int | None:
        performed = getattr(appointment, "procedure", None)
        return performed.pk if performed else None


class NewAppointmentSerializer(AppointmentSerializer):
    """An appointment that `services.book` returned a moment ago: what it has written need not be read again."""

    reservations = serializers.SerializerMethodField()  # type: ignore[assignment]
    steps = serializers.SerializerMethodField()  # type: ignore[assignment]
    baselines = serializers.SerializerMethodField()  # type: ignore[assignment]

    def get_reservations(self, appointment: Appointment) -> Any:
        assert appointment.made_with is not None
        reservations, _ = appointment.made_with
        prefetch_related_objects(reservations, "resource")  # of those that nobody asked for by name
        return ReservationSerializer(reservations, many=True).data

    def get_steps(self, appointment: Appointment) -> Any:
        assert appointment.made_with is not None
        _, step = appointment.made_with
        return [StepSerializer(step).data]

    def get_baselines(self, _: Appointment) -> list[Any]:
        return []

    def get_rescheduled_to(self, _: Appointment) -> None:
        return None

    def get_procedure(self, _: Appointment) -> None:
        return None


class BookingInput(Input, serializers.ModelSerializer[Appointment]):
    """An appointment to book. Its end follows from the procedure type.

    `resources`: those that must be taken; for every category without one, any that is free is chosen. `intent` may be
    left out where the procedure type leaves no choice. `hold`: only keep the time for ten minutes; the step `book`
    makes it an appointment. `request`: only say that it is wanted then; nothing is taken and the patient is not told
    until the step `accept`. `overbooked_reason`: take what is taken a second time, as far as each resource allows;
    needs `procedures.overbook_appointment`.
    """

    patient = VisibleField(queryset=Patient.objects.all())
    procedure_type = ProcedureTypeField()
    site = VisibleField(queryset=Site.objects.all())
    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    resources = VisibleManyField(queryset=Resource.objects.all(), required=False)
    hold = YesNoField(required=False)
    request = YesNoField(required=False)

    class Meta:
        model = Appointment
        fields = [
            *("patient", "procedure_type", "site", "starts_at", "intent", "region", "laterality", "levels"),
            *("indication", "note", "resources", "hold", "request"),
            "overbooked_reason",
        ]
        extra_kwargs = {"intent": {"required": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | {"starts_at": at_site(attrs["starts_at"], attrs["site"].zone, field="starts_at")}


class CorrectionInput(Input, serializers.ModelSerializer[Appointment]):
    """What is meant by an appointment, as it should have been booked."""

    class Meta:
        model = Appointment
        fields = ["laterality", "levels", "indication", "note"]


class ReasonInput(Input):
    """Why."""

    reason = serializers.CharField(max_length=500)


class TimeInput(ReasonInput):
    """When it was really performed, and why that changes."""

    performed_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")


class CancelInput(ReasonInput):
    """Why, and whose wish it is."""

    ended_by = serializers.ChoiceField(
        Appointment.EndedBy.choices, required=False, help_text="`clinic` unless told."
    )


class NewTimeInput(Input):
    """A time for what is there already; `resources` and `overbooked_reason` as in a booking."""

    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    resources = VisibleManyField(queryset=Resource.objects.all(), required=False)
    overbooked_reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class RescheduleInput(NewTimeInput):
    """The new time, why, and whose wish it is; `resources` and `overbooked_reason` as in a booking.

    The clinicians go along, and every room or machine that was asked for by name, unless `resources` names another of
    their kind, or `keep` is false: then only `resources` are insisted on.
    """

    keep = YesNoField(required=False, help_text="True unless told.")
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)
    ended_by = serializers.ChoiceField(
        Appointment.EndedBy.choices,
        required=False,
        help_text="Unless told `patient`, where `wants_change_at` says that they asked, else `clinic`.",
    )


class AcceptInput(NewTimeInput):
    """The time, when it is another than was asked for; `resources` and `overbooked_reason` as in a booking."""

    starts_at = SiteTimeField(
        required=False,
        help_text="Without an offset from UTC: on the wall clock of the site. Else as asked for.",
    )
