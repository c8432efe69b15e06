"""What every report is asked, and the shape of the views that answer."""

from dataclasses import fields
from typing import Any, TypeVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.api.fields import Input, NumberQuery, read_query
from clinic.api.viewsets import NoStoreAPIView
from clinic.models import User
from outcomes import services
from outcomes.reports import Selection
from procedures.models import Intent

VIEW_REPORTS = "outcomes.view_reports"
Q = TypeVar("Q", bound=Input)


class NoQuery(Input):
    """Nothing can be asked."""


class SelectionQuery(Input):
    """Which follow-ups a report is about. What is left out leaves it open; of several, all must hold."""

    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    intent = serializers.ChoiceField(Intent.choices, required=False)
    indication = serializers.CharField(
        required=False, max_length=8, help_text="The beginning of an ICD-10-CM code: M47 or M47.816."
    )
    performer = NumberQuery(help_text="Number of the member of staff who performed it.")
    site = NumberQuery(help_text="Number of one of your sites; all of them unless told.")
    performed_from = serializers.DateField(
        required=False, help_text="The first day, on each site's wall clock."
    )
    performed_until = serializers.DateField(required=False, help_text="The last day, included.")

    def selection(self) -> Selection:
        """What was asked; `Selection.check` refuses what cannot be meant."""
        known = {field.name for field in fields(Selection)}
        return Selection(**{name: value for name, value in self.validated_data.items() if name in known})


class SelectionSerializer(serializers.Serializer[Selection]):
    """Which follow-ups the numbers are about; empty or null: left open."""

    procedure_type = serializers.CharField(help_text="Code of a procedure type.")
    intent = serializers.CharField()
    indication = serializers.CharField(help_text="The beginning of an ICD-10-CM code.")
    performer = serializers.IntegerField(allow_null=True)
    site = serializers.IntegerField(allow_null=True)
    performed_from = serializers.DateField(allow_null=True)
    performed_until = serializers.DateField(allow_null=True)


class Report(NoStoreAPIView, APIView):
    """A report: one GET, read-only, and that somebody looked is written down."""

    permissions_needed = {"get": VIEW_REPORTS}
    may_refuse = {"get": [400]}

    @property
    def user(self) -> User:
        """Who is asking. The permission class has seen to it that they are signed in."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    def asked(self, shape: type[Q]) -> Q:
        """What stands behind the question mark, read by `shape`. Raises ValidationError by field."""
        return read_query(shape, self.request.query_params, request=self.request)

    def shown(self, name: str, serializer: serializers.BaseSerializer[Any]) -> Response:
        """The report as JSON."""
        services.view_report(name, by=self.user, now=timezone.now())
        return Response(serializer.data)
