"""The API of the ground floor: signing in by token, who am I, sites and resources."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic import services
from clinic.api.fields import ColumnsSerializer, Input, NumberQuery, Query, WallTimeField, YesNoQuery
from clinic.api.permissions import ANYONE, SIGNED_IN, ByToken
from clinic.api.viewsets import NoStoreAPIView, SiteScopedViewSet
from clinic.models import Resource, Site, User


class SiteNameSerializer(ColumnsSerializer[Site]):
    """A site, as far as other rows show it. `time_zone` is an IANA name."""

    class Meta:
        model = Site
        fields = ["id", "name", "time_zone"]


class SiteSerializer(serializers.ModelSerializer[Site]):
    """A site. `check_in_at` is on its own wall clock, whose IANA zone is `time_zone`.

    `sender_name`: what mailboxes show as the sender of its e-mails; "" for the installation's. `reply_to`: where
    answers to them go; "" when nobody reads any.
    """

    check_in_at = WallTimeField()

    class Meta:
        model = Site
        fields = [
            "id",
            "name",
            "time_zone",
            "phone",
            "emergency_phone",
            "check_in_at",
            "address",
            "sender_name",
            "reply_to",
        ]


class ResourceSerializer(serializers.ModelSerializer[Resource]):
    """A person, room or machine that can be reserved. `user`: the number of the member of staff that it is, or null.

    `overbooking`: how many more appointments may deliberately hold it at the same time.
    """

    site = SiteNameSerializer()
    categories = serializers.SlugRelatedField[Any](slug_field="code", many=True, read_only=True)

    class Meta:
        model = Resource
        fields = ["id", "name", "site", "categories", "user", "active", "overbooking"]


class CredentialsInput(Input):
    """What a member of staff signs in with."""

    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class TokenSerializer(serializers.Serializer[services.SignedIn]):
    """A token for the header `Authorization: Token <token>`. It is shown this once; it ends at `expires_at` (UTC)."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class MeSerializer(serializers.ModelSerializer[User]):
    """Who is signed in, and what they may do: their roles, the sites they work at, the names of their permissions."""

    name = serializers.CharField(source="__str__")
    roles = serializers.SerializerMethodField()
    sites = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "email", "name", "roles", "sites", "permissions"]

    def get_roles(self, user: User) -> list[str]:
        return [group.name for group in user.groups.order_by("name")]

    @extend_schema_field(SiteNameSerializer(many=True))
    def get_sites(self, user: User) -> Any:
        return SiteNameSerializer(Site.objects.visible_to(user), many=True).data

    def get_permissions(self, user: User) -> list[str]:
        return sorted(user.get_all_permissions())


class Token(NoStoreAPIView, APIView):
    """Signing in and out."""

    permissions_needed = {"post": ANYONE, "delete": SIGNED_IN}
    may_refuse = {"post": [401, 429]}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """A token can end itself only; a stale one in the header must not keep anybody from signing in."""
        return [ByToken()] if self.request and self.request.method == "DELETE" else []

    @extend_schema(request=CredentialsInput, responses={201: TokenSerializer})
    def post(self, request: Request) -> Response:
        """Sign in.

        An unknown address, a wrong password and a closed account are refused alike: 401, code `sign_in_refused`.
        After ten wrong passwords for one account or thirty from one network address every further try is refused for
        ten minutes: 429, code `throttled`. Where the account has been signed in to before, others' tries do not count.
        """
        form = CredentialsInput(data=request.data)
        form.is_valid(raise_exception=True)
        signed_in = services.sign_in(
            form.validated_data["email"],
            form.validated_data["password"],
            request=request._request,
            now=timezone.now(),
        )
        if signed_in is None:
            raise AuthenticationFailed("E-mail or password is wrong.", code="sign_in_refused")
        return Response(TokenSerializer(signed_in).data, status=201)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Sign out: the token that this request carries ends."""
        assert isinstance(request.user, User)
        services.sign_out(request.auth, by=request.user, now=timezone.now())
        return Response(status=204)


class Me(NoStoreAPIView, APIView):
    """Who is signed in."""

    permissions_needed = {"get": SIGNED_IN}

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who am I. With roles, sites and permissions."""
        assert isinstance(request.user, User)
        return Response(MeSerializer(request.user).data)


@extend_schema_view(
    list=extend_schema(description="The sites that you work at."),
    retrieve=extend_schema(description="One site."),
)
class Sites(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = Site.objects.all()
    serializer_class = SiteSerializer
    permissions_needed = {"list": "clinic.view_site", "retrieve": "clinic.view_site"}


class ResourceQuery(Query):
    """What a list of resources can be narrowed to."""

    lookups = {"site": "site", "category": "categories__code", "active": "active"}

    site = NumberQuery(help_text="Whose home is this site.")
    category = serializers.SlugField(
        required=False, help_text="Code of a category: physician, procedure_room …"
    )
    active = YesNoQuery(required=False)


@extend_schema_view(
    list=extend_schema(description="People, rooms and machines that can be reserved at your sites."),
    retrieve=extend_schema(description="One resource."),
)
class Resources(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = Resource.objects.select_related("site").prefetch_related("categories")
    serializer_class = ResourceSerializer
    query_class = ResourceQuery
    permissions_needed = {"list": "clinic.view_resource", "retrieve": "clinic.view_resource"}
