"""Finding a time: what `procedures.availability` offers at the sites that the user may see."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    MOST,
    Input,
    LocalTimeField,
    NumberQuery,
    SiteTimeField,
    YesNoQuery,
    at_site,
    read_query,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import NoStoreAPIView
from clinic.models import Resource, Site
from patients.models import Patient
from procedures import services
from procedures.api.appointment_serializers import ProcedureTypeField
from procedures.availability import HeldResource, Slot, find_slots
from procedures.models import Appointment

#: Nobody plans further ahead in one look.
LONGEST = timedelta(days=92)


class HeldSerializer(serializers.Serializer[HeldResource]):
    """A resource that would be held, and the name of the category that the procedure type needs it for."""

    resource = serializers.IntegerField(source="resource_id")
    name = serializers.CharField()
    category = serializers.CharField()


class SlotSerializer(serializers.Serializer[Slot]):
    """A time at which the appointment can begin. Instants are UTC; `*_local` are on the site's wall clock.

    `resources`: what would be held if nobody else books first.
    """

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(help_text="The end of recovery.")
    starts_at_local = LocalTimeField()
    ends_at_local = LocalTimeField()
    site = SiteNameSerializer()
    resources = HeldSerializer(many=True)


@extend_schema_serializer(many=False)
class SlotsSerializer(serializers.Serializer[Any]):
    """The first starts within the span, in order of time. For later ones, ask again from a later instant."""

    results = SlotSerializer(many=True)


class NumbersQuery(serializers.ListField):
    """The numbers of up to 20 rows, in a query: `?site=1&site=2`."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.IntegerField(min_value=1, max_value=MOST)
        super().__init__(child=child, max_length=20, required=False, **kwargs)


class SlotQuery(Input):
    """What time is looked for."""

    procedure_type = ProcedureTypeField(help_text="Code of a procedure type.")
    site = NumbersQuery(help_text="May be repeated. All of your sites unless told.")
    starts_from = SiteTimeField(
        help_text="At or after this instant. Without an offset from UTC, where one site is named: on its wall clock."
    )
    starts_before = SiteTimeField(help_text="Before this instant, at most 92 days later.")
    clinician = NumberQuery(help_text="Number of a resource: the person who must be free.")
    resource = NumbersQuery(
        help_text="Numbers of further resources that must be taken: this room. May be repeated."
    )
    patient = NumberQuery(help_text="Leave out what overlaps with this patient's own appointments.")
    replacing = NumberQuery(help_text="The appointment that would be moved: its time counts as free.")
    keep = YesNoQuery(
        required=False,
        default=True,
        help_text="With `replacing`: what goes along when it is moved must be free, its clinicians above all.",
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=500, default=50, help_text="50 unless told."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `find_slots`, `now` apart. What the user may not see does not exist."""
        wanted = attrs.get("resource", [])
        sites = self.visible("site", Site.objects.all(), attrs.get("site"))
        starts_from, starts_before = (
            self.resolved(name, attrs[name], sites) for name in ("starts_from", "starts_before")
        )
        if starts_before <= starts_from:
            refuse("starts_before", "ends_before_start", "The span must end after it starts.")
        if starts_before - starts_from > LONGEST:
            refuse("starts_before", "span_too_long", f"Look at most {LONGEST.days} days ahead at once.")
        if not attrs["procedure_type"].active and "replacing" not in attrs:
            refuse("procedure_type", "unknown_procedure_type", "This procedure type is not offered.")
        if not attrs["procedure_type"].requirements.exists():
            refuse("procedure_type", "no_requirements", "This procedure type says nothing of what it needs.")
        found = {
            "procedure_type": attrs["procedure_type"],
            "sites": sites,
            "starts_from": starts_from,
            "starts_before": starts_before,
            "resources": self.visible("resource", Resource.objects.all(), wanted),
            "limit": attrs["limit"],
        }
        for name, queryset in (
            ("clinician", Resource.objects.all()),
            ("patient", Patient.objects.all()),
            ("replacing", Appointment.objects.all()),
        ):
            if name in attrs:
                found[name] = self.visible(name, queryset, [attrs[name]])[0]
        if (
            (old := found.get("replacing"))
            and attrs["keep"]
            and old.procedure_type == found["procedure_type"]
        ):
            named = [*found["resources"], *([found["clinician"]] if "clinician" in found else [])]
            found["resources"] = [*found["resources"], *services.kept_resources(old, named)]
        # Booking would refuse these; an empty list would only look like a full calendar.
        for name, chosen in (("resource", found["resources"]), ("clinician", [found.get("clinician")])):
            if any(resource and not resource.active for resource in chosen):
                refuse(name, "inactive", "This resource is out of use.")
        patient = found.get("patient")
        if patient and (patient.died_on or patient.merged_into_id):
            refuse("patient", "patient_not_bookable", "This patient cannot be booked.")
        return found

    def visible(self, name: str, queryset: Any, wanted: list[int] | None) -> list[Any]:
        """The rows with these numbers, all of them when None, in order; refuses one that the user may not see."""
        rows = queryset.visible_to(self.context["request"].user).order_by("pk")
        if wanted is None:
            return list(rows)
        if not wanted:
            return []
        found = list(rows.filter(pk__in=wanted))
        if missing := set(wanted) - {row.pk for row in found}:
            numbers = ", ".join(map(str, sorted(missing)))
            refuse(name, "does_not_exist", f"There is no number {numbers} that you may see.")
        return found

    def resolved(self, name: str, value: datetime, sites: list[Site]) -> datetime:
        """The instant of what was read: a wall time needs one site on whose wall it is."""
        if value.tzinfo is None and not (len(sites) == 1 and "site" in self.initial_data):
            refuse(name, "offset_required", "Add the offset from UTC, or name one site.")
        return at_site(value, sites[0].zone, field=name) if value.tzinfo is None else value


def refuse(field: str, code: str, sentence: str) -> None:
    """Raise the ValidationError of one input."""
    raise serializers.ValidationError({field: [ErrorDetail(sentence, code=code)]})


class Slots(NoStoreAPIView, viewsets.ViewSet):
    """Times that can be booked."""

    query_class = SlotQuery
    permissions_needed = {"list": "procedures.view_appointment"}

    @extend_schema(responses=SlotsSerializer)
    def list(self, request: Request) -> Response:
        """Find a time. Every start at which booking would say yes now, on the grid of each site's wall clock.

        Whatever the procedure type needs is there and free: people, rooms, machines, each for as long as it is needed.
        """
        query = read_query(SlotQuery, request.query_params, request=request)
        found = find_slots(**query.validated_data, now=timezone.now())
        return Response(SlotsSerializer({"results": found}).data)
