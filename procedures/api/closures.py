"""Closing a site or a resource for a while, with a look beforehand at the appointments that lose something by it."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    Input,
    InstantField,
    LocalTimeField,
    NumberQuery,
    Query,
    SiteTimeField,
    VisibleField,
    YesNoField,
    at_site,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import ClinicViewSet
from clinic.models import Closure, Resource, Site, User
from procedures import services
from procedures.api.appointment_serializers import AppointmentSerializer
from procedures.api.appointments import Appointments
from procedures.models import Appointment

#: So many displaced appointments are shown; `count` says how many there are.
SHOWN = 200


class DeputySerializer(serializers.ModelSerializer[User]):
    """Who gets the alerts about somebody's patients while they are away."""

    name = serializers.CharField(source="__str__")

    class Meta:
        model = User
        fields = ["id", "name"]


class DeputyField(VisibleField):
    """The number of a member of staff at one of the user's sites, or of an administrator; null: no deputy."""

    def find(self, pk: int, user: User) -> Iterable[User]:
        sites = Site.objects.visible_to(user)
        return User.objects.filter(Q(sites__in=sites) | Q(is_superuser=True), pk=pk).distinct()


class ResourceNameSerializer(serializers.ModelSerializer[Resource]):
    """A resource, as far as other rows show it."""

    class Meta:
        model = Resource
        fields = ["id", "name"]


class ClosureSerializer(serializers.ModelSerializer[Closure]):
    """A span in which `site` as a whole, or one `resource`, cannot be reserved; the other one is null.

    Instants are UTC; `*_local` are the same on the wall clock of the site, or of the resource's home. `repeats`: the
    yearly closure of which this is a later year; null: none. `deputy`: who gets the alerts about this provider's
    patients meanwhile; null: the site.
    """

    site = SiteNameSerializer(allow_null=True)
    resource = ResourceNameSerializer(allow_null=True)
    deputy = DeputySerializer(allow_null=True)
    starts_at_local = LocalTimeField(site="place")
    ends_at_local = LocalTimeField(site="place")

    class Meta:
        model = Closure
        fields = [
            *("id", "site", "resource", "starts_at", "ends_at", "starts_at_local", "ends_at_local"),
            *("reason", "deputy", "yearly", "repeats"),
        ]


class DisplacedSerializer(serializers.Serializer[Any]):
    """The appointments that hold something which a closure takes away, by their start.

    `count` is of all of them; `appointments` are the first 200 of those at your sites.
    """

    count = serializers.IntegerField()
    appointments = AppointmentSerializer(many=True)


@extend_schema_field({"type": "integer", "minimum": 1})  # null is added for `allow_null`
class OneOfTwoField(VisibleField):
    """The number of a site or of a resource, of which one is named."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)


class ClosureInput(Input):
    """What is closed, either a site or a resource, from when until when, and why. `yearly`: every year again.

    `deputy`, of a person's time off: who gets the alerts about their patients meanwhile. Refused for a site
    (`deputy_of_a_site`), a room or a machine (`deputy_of_a_thing`), the person themself (`own_deputy`), and somebody
    who is not active or may not handle alerts at the person's home site (`not_allowed`).
    """

    site = OneOfTwoField(queryset=Site.objects.all())
    resource = OneOfTwoField(queryset=Resource.objects.prefetch_related("site"))
    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    ends_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    reason = serializers.CharField(max_length=200)
    deputy = DeputyField(queryset=User.objects.all(), required=False, allow_null=True)
    yearly = YesNoField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        site, resource = attrs.get("site"), attrs.get("resource")
        if (site is None) == (resource is None):
            detail = ErrorDetail("Name either a site or a resource.", code="site_or_resource")
            raise serializers.ValidationError({"site": [detail]})
        zone = Closure(site=site, resource=resource).place.zone
        for name in ("starts_at", "ends_at"):
            attrs[name] = at_site(attrs[name], zone, field=name)
        if attrs["ends_at"] <= attrs["starts_at"]:
            detail = ErrorDetail("A closure must end after it starts.", code="ends_before_start")
            raise serializers.ValidationError({"ends_at": [detail]})
        return attrs


class ClosureQuery(Query):
    """What a list of closures can be narrowed to."""

    lookups = {"resource": "resource", "ends_after": "ends_at__gt", "starts_before": "starts_at__lt"}

    site = NumberQuery(help_text="Of this site as a whole, or of a resource whose home it is.")
    resource = NumberQuery(help_text="Of this resource itself.")
    ends_after = InstantField(required=False, help_text="Not over at this instant.")
    starts_before = InstantField(required=False, help_text="Begun before this instant.")

    def narrow(self, rows: Any) -> Any:
        rows = super().narrow(rows)
        if site := self.validated_data.get("site"):
            rows = rows.filter(Q(site=site) | Q(resource__site=site))
        return rows


@extend_schema_view(
    list=extend_schema(description="Closures of your sites and their resources, by their start."),
    retrieve=extend_schema(description="One closure."),
)
class Closures(mixins.ListModelMixin, mixins.RetrieveModelMixin, ClinicViewSet):
    queryset = Closure.objects.select_related("site", "resource__site", "deputy")
    serializer_class = ClosureSerializer
    query_class = ClosureQuery
    ordering = ("starts_at", "pk")
    may_refuse = {"create": [409]}
    permissions_needed = {
        "list": "clinic.view_closure",
        "retrieve": "clinic.view_closure",
        "displaced": "procedures.view_appointment",
        "preview": "clinic.add_closure",
        "create": "clinic.add_closure",
        # Who may close may open again.
        "destroy": "clinic.add_closure",
    }

    def get_queryset(self) -> Any:
        """Closures of the sites and the resources that the user may see."""
        sites = Site.objects.visible_to(self.user)
        resources = Resource.objects.visible_to(self.user)
        return super().get_queryset().filter(Q(site__in=sites) | Q(resource__in=resources))

    @extend_schema(request=ClosureInput, responses={201: ClosureSerializer})
    def create(self, request: Request) -> Response:
        """Close a site or a resource. Nobody can book into it; what is booked already stays, see `displaced`.

        Refused with 409, code `closed_already`, where the same is closed from and until the same instants.
        Without `clinic.close_others` only the resource that is yourself: your leave. Else refused, code `not_yours`.
        """
        closed = services.close(Closure(**self.inputs(ClosureInput)), by=self.user, now=timezone.now())
        return self.shown(closed.pk, status=201)

    @extend_schema(request=ClosureInput, responses=DisplacedSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """See what a closure would displace. Nothing is saved. Of a yearly one, two years ahead are looked at."""
        return self.displaced_by(Closure(**self.inputs(ClosureInput)))

    @extend_schema(responses=DisplacedSerializer)
    @action(detail=True, methods=["get"])
    def displaced(self, request: Request, pk: int) -> Response:
        """See whom a closure still displaces: those to move or to cancel."""
        return self.displaced_by(self.get_object())

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Open again: the closure goes, and with a yearly one its later years."""
        services.reopen(self.get_object(), by=self.user, now=timezone.now())
        return Response(status=204)

    def displaced_by(self, closure: Closure) -> Response:
        """The answer that shows what `closure`, saved or not, displaces."""
        displaced = services.displaced_by(closure, now=timezone.now()).order_by()
        visible: Any = Appointment.objects.visible_to(self.user).filter(pk__in=displaced.values("pk"))
        numbers = list(visible.order_by("starts_at", "pk").values_list("pk", flat=True)[:SHOWN])
        appointments = Appointments.queryset.filter(pk__in=numbers).order_by("starts_at", "pk")
        shown = {"count": displaced.count(), "appointments": appointments}
        return Response(DisplacedSerializer(shown, context=self.get_serializer_context()).data)
