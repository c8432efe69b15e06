"""The response report as JSON: who answers."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from outcomes.api.reports.counts import CountedShareSerializer
from outcomes.api.reports.parameters import Report, SelectionQuery, SelectionSerializer
from outcomes.reports import ResponseReport, response_report
from outcomes.reports.response_rates import Answered


class AnsweredSerializer(serializers.Serializer[Answered]):
    """How many check-ins of one group fell due and were answered."""

    label = serializers.CharField(  # type: ignore[assignment]
        help_text="A code: `day 92`, `hour 3.5`, `email`, `es`, `60-69` (years of age at the procedure)."
    )
    follow_ups = serializers.IntegerField(allow_null=True, help_text="Null: not counted so, or `hidden`.")
    due = serializers.IntegerField(
        allow_null=True, help_text="Check-ins; for a channel all answers. Null where hidden."
    )
    answered = serializers.IntegerField(allow_null=True, help_text="Null where hidden.")
    response = CountedShareSerializer(
        allow_null=True, help_text="Answered of due. Null: nothing fell due, or hidden."
    )
    hidden = serializers.BooleanField(
        help_text="Fewer fell due than the smallest cell, or the line would tell what another one hides."
    )


class ResponseReportSerializer(serializers.Serializer[ResponseReport]):
    """Who answers, at the instant `made_at`.

    Every check-in that fell due is counted, also of follow-ups without a baseline and of confounded ones.
    """

    selection = SelectionSerializer()
    made_at = serializers.DateTimeField()
    smallest = serializers.IntegerField(help_text="Groups with fewer check-ins are hidden.")
    whole = AnsweredSerializer()
    days = AnsweredSerializer(many=True, help_text="By planned check-in.")
    channels = AnsweredSerializer(many=True, help_text="Of all answers, those through each channel.")
    languages = AnsweredSerializer(many=True)
    ages = AnsweredSerializer(many=True)


class ResponseRatesView(Report):
    """Who answers."""

    @extend_schema(parameters=[SelectionQuery], responses=ResponseReportSerializer)
    def get(self, request: Request) -> Response:
        """Who answers: of the check-ins that fell due, how many were answered, by day, channel, language and age.

        Small groups are hidden. That you looked is written down.
        """
        selection = self.asked(SelectionQuery).selection()
        report = response_report(selection, user=self.user, now=timezone.now())
        return self.shown("response", ResponseReportSerializer(report))
