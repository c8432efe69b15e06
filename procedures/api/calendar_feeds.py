"""The secret address of a resource's calendar by API: issued, revoked, and whether there is one."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import NothingInput
from clinic.api.viewsets import SiteScopedViewSet, tag_of
from clinic.models import Resource
from procedures import services
from procedures.models import CalendarFeed
from procedures.services.calendar_feeds import HAND_OUT


class CalendarFeedSerializer(serializers.Serializer[Any]):
    """Since when the resource's calendar can be read at a secret address, and who issued it; null: there is none."""

    issued_at = serializers.DateTimeField(allow_null=True)
    issued_by = serializers.CharField(allow_null=True)


class IssuedFeedSerializer(CalendarFeedSerializer):
    """A secret address for a calendar program. It is shown this once and kept nowhere."""

    address = serializers.URLField()


def feed_data(feed: CalendarFeed | None) -> dict[str, Any]:
    """What CalendarFeedSerializer writes about `feed`; None: there is none."""
    return {
        "issued_at": feed.created_at if feed else None,
        "issued_by": str(feed.created_by) if feed and feed.created_by else None,
    }


class CalendarFeeds(SiteScopedViewSet):
    """One resource's calendar."""

    queryset = Resource.objects.select_related("site", "user")
    serializer_class = CalendarFeedSerializer
    answer_secrets = frozenset({"create"})
    permissions_needed = {
        "retrieve": "procedures.view_calendarfeed",
        "create": HAND_OUT,
        "destroy": HAND_OUT,
    }

    def retrieve(self, request: Request, pk: int) -> Response:
        """See whether a resource's calendar can be read at a secret address. The address itself is kept nowhere."""
        return Response(self.told(self.get_object()))

    def told(self, row: Resource) -> Any:
        return CalendarFeedSerializer(feed_data(services.feed_in_force(row))).data

    @extend_schema(request=NothingInput, responses={201: IssuedFeedSerializer})
    def create(self, request: Request, pk: int) -> Response:
        """Issue a secret address of a resource's calendar; an earlier one stops working.

        Whoever has the address can read when the resource is taken and where, without patients and procedures. A
        calendar that is not your own needs `procedures.publish_others` as well.
        """
        resource = self.get_object()
        self.inputs(NothingInput)
        token = services.issue_feed(resource, by=self.user, now=timezone.now())
        issued = feed_data(services.feed_in_force(resource)) | {"address": services.feed_address(token)}
        headers = {"ETag": tag_of(self.told(resource))}  # the address is no part of what is shown later
        return Response(IssuedFeedSerializer(issued).data, status=201, headers=headers)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Revoke the address of a resource's calendar. Where there is none, nothing changes.

        A calendar that is not your own needs `procedures.publish_others` as well.
        """
        services.revoke_feed(self.get_object(), by=self.user, now=timezone.now())
        return Response(status=204)
