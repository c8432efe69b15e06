"""The clinic overview as JSON: what waits today, who answers, whose relief was lost early this month."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.views import SiteNameSerializer
from outcomes.api.reports.counts import CountedShareSerializer
from outcomes.api.reports.parameters import NoQuery, Report
from outcomes.reports import OverviewReport, overview_report
from outcomes.reports.overview import SiteOverview


class SiteOverviewSerializer(serializers.Serializer[SiteOverview]):
    """One site today. Counts; a share is null where there is nothing to share."""

    site = SiteNameSerializer()
    month = serializers.DateField(help_text="The first of the month, on the site's wall clock.")
    open_alerts = serializers.DictField(
        child=serializers.IntegerField(), help_text="By kind; a kind without open alerts is absent."
    )
    overdue = serializers.IntegerField(help_text="Of the open alerts.")
    response = CountedShareSerializer(
        allow_null=True,
        help_text="Answered, of the check-ins of the last 30 days that were answered or whose time ran out.",
    )
    lost_early = serializers.IntegerField(
        help_text="Follow-ups with the verdict `lost_early` or `possibly_early` since the month began."
    )
    no_relief = serializers.IntegerField(
        help_text="Follow-ups with the verdict `no_relief` since the month began."
    )
    procedures = serializers.IntegerField(help_text="Performed since the month began.")
    answers = serializers.IntegerField(source="load.answers", help_text="In the last 30 days.")
    alerts_raised = serializers.IntegerField(source="load.raised", help_text="In the last 30 days.")
    alerts_per_100 = serializers.FloatField(
        source="load.per_100", allow_null=True, help_text="Alerts for 100 answers."
    )
    acted_on = CountedShareSerializer(
        source="load.acted_on",
        allow_null=True,
        help_text="Of those that were resolved: the patient was spoken with, seen or sent to the emergency department.",
    )


class OverviewSerializer(serializers.Serializer[OverviewReport]):
    """All of your sites, at the instant `made_at`."""

    made_at = serializers.DateTimeField()
    sites = SiteOverviewSerializer(many=True)


class OverviewView(Report):
    """The clinic overview."""

    @extend_schema(responses=OverviewSerializer)
    def get(self, request: Request) -> Response:
        """Your sites today: open alerts, who answers, whose relief was lost early this month.

        That you looked is written down.
        """
        self.asked(NoQuery)
        return self.shown("overview", OverviewSerializer(overview_report(user=self.user, now=timezone.now())))
