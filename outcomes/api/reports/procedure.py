"""The procedure report as JSON: what one selection of procedures achieved."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from outcomes.api.reports.counts import (
    ByVerdictSerializer,
    CountedShareSerializer,
    DistributionSerializer,
    FunnelSerializer,
    PointSerializer,
    TestCountsSerializer,
    TrialCountsSerializer,
    UnitField,
)
from outcomes.api.reports.harm import AdverseReportSerializer, MmeChangeSerializer
from outcomes.api.reports.parameters import Report, SelectionQuery, SelectionSerializer
from outcomes.reports import ProcedureReport, procedure_report
from outcomes.reports.curves import OTHERS, CurveAtDay, CurvePiece, DurationCurve, HalfLost, Run

POPULATIONS = [("all_treated", "all treated"), ("responders", "responders")]
RUNS = [(name, name) for name in OTHERS]


class HalfLostSerializer(serializers.Serializer[HalfLost]):
    """When half have lost their relief: `about` then, and between `low` and `high`, at which the band of the share
    still in relief holds one half. In `unit` after the procedure."""

    about = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class PieceSerializer(serializers.Serializer[CurvePiece]):
    """The curve from `begins` to `ends`: the share still in relief is between `low` and `high`, 0 to 1.

    Where they differ nothing is known of how the curve falls from `high` to `low`.
    """

    begins = serializers.FloatField()
    ends = serializers.FloatField(allow_null=True, help_text="Null: without end.")
    low = serializers.FloatField()
    high = serializers.FloatField()


class AtSerializer(serializers.Serializer[CurveAtDay]):
    """The share still in relief at one time, 0 to 1, with its pointwise band and how many stand behind it."""

    at = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    band_low = serializers.FloatField(help_text="Lower end of the band, 0 to 1.")
    band_high = serializers.FloatField(help_text="Upper end of the band, 0 to 1.")
    known_in = serializers.IntegerField(help_text="Follow-ups known to be in relief then.")
    known_out = serializers.IntegerField(help_text="Follow-ups known to have lost it by then.")


class BoundsSerializer(serializers.Serializer[Any]):
    """The lowest and the highest share still in relief, 0 to 1."""

    low = serializers.FloatField()
    high = serializers.FloatField()


class RunSerializer(serializers.Serializer[Run]):
    """The same follow-ups under another assumption.

    `repeat_is_loss`: relief had ended when the treatment was repeated. `confirmed_only`: a bad score that nothing has
    confirmed is no loss, which shows too much relief. `half_is_loss`: a score exactly at the limit, half of the pain
    before as a rule, is pain that has returned (Lord). `lost_when_found`: relief ended on the very day on which a
    check-in found it gone, as registries count (Kaplan and Meier's curve); it overstates how long relief lasts.

    The figures are null of nobody, of fewer than the smallest cell, and after the curve's `told_until`.
    """

    name = serializers.ChoiceField(RUNS)
    total = serializers.IntegerField(help_text="Follow-ups behind it; by `half_is_loss` there may be fewer.")
    window_first = serializers.SerializerMethodField()
    window_last = serializers.SerializerMethodField()

    @extend_schema_field(BoundsSerializer(allow_null=True))
    def get_window_first(self, run: Run) -> Any:
        return bounds(run, 0)

    @extend_schema_field(BoundsSerializer(allow_null=True))
    def get_window_last(self, run: Run) -> Any:
        return bounds(run, 1)


def bounds(run: Run, end: int) -> dict[str, float] | None:
    """The share at one end of the window; None where nothing is told of it."""
    found = run.at_window and run.at_window[end]
    return dict(zip(("low", "high"), found, strict=True)) if found else None


class CurveSerializer(serializers.Serializer[DurationCurve]):
    """How long relief lasts in one population, by Turnbull's estimate from intervals.

    All treated and responders are not the same: the second leaves out those who never had relief. Times are in `unit`
    after the procedure.

    An answer counts on the day for which it was planned, and what is known of a day in between on the next planned one.
    Nothing is told after the last one: from then on only those are heard of who are treated again. In made-up clinics
    of 60 and 150 patients whose relief is known, with up to half of the failures treated again, the band of a day held
    the true share in at least 90 of 100 clinics. On average up to 3 points of 100 too little relief were shown on
    planned days, most at one year after ablations where many are treated again, and up to 3 too much at an end of the
    window that lies between two check-ins.
    """

    population = serializers.ChoiceField(POPULATIONS)
    unit = UnitField()
    total = serializers.IntegerField(help_text="Follow-ups behind the curve.")
    hidden = serializers.BooleanField(
        help_text="Fewer follow-ups than the smallest cell: nothing but `total` is told."
    )
    response = CountedShareSerializer(
        allow_null=True,
        help_text="Of the report's evaluable follow-ups that had to answer, those that did. Null: nothing fell due.",
    )
    half_lost = HalfLostSerializer(
        allow_null=True, help_text="Null where hidden, and where the band leaves it open on either side."
    )
    window_first = serializers.SerializerMethodField()
    window_last = serializers.SerializerMethodField()
    told_until = serializers.FloatField(
        allow_null=True,
        help_text="The last planned day of any of the follow-ups; nothing is told of later days. Null: a plan goes on "
        "without end, it counts in minutes, or it is hidden.",
    )
    level = serializers.FloatField(help_text="Of each band alone, 0 to 1.")
    proven = serializers.BooleanField(help_text="The estimate meets the conditions for the maximum.")
    violation = serializers.FloatField(help_text="By how much it misses them at most; 0 is exact.")
    pieces = PieceSerializer(many=True)
    places = AtSerializer(many=True)
    runs = RunSerializer(
        many=True, help_text="All of them, also where they change nothing. Empty where hidden."
    )

    @extend_schema_field(AtSerializer(allow_null=True))
    def get_window_first(self, curve: DurationCurve) -> Any:
        """At the first day of the relief window. Null where hidden, and after `told_until`."""
        at = curve.window and curve.window[0]
        return AtSerializer(at).data if at else None

    @extend_schema_field(AtSerializer(allow_null=True))
    def get_window_last(self, curve: DurationCurve) -> Any:
        """At its last day. Null where hidden, and after `told_until`."""
        at = curve.window and curve.window[1]
        return AtSerializer(at).data if at else None


class ExpectedSerializer(serializers.Serializer[Any]):
    """The relief window: relief is expected to end from `earliest` to `latest`, in the report's unit."""

    earliest = serializers.IntegerField()
    latest = serializers.IntegerField()
    confirmed = serializers.BooleanField(
        help_text="Physicians stand by it, in every version of a relief profile by which a follow-up is judged."
    )


class ProcedureReportSerializer(serializers.Serializer[ProcedureReport]):
    """What a selection of procedures achieved, at the instant `made_at`.

    Procedures entered in error are left out. Counts are of follow-ups; shares are from 0 to 1.
    """

    selection = SelectionSerializer()
    made_at = serializers.DateTimeField()
    smallest = serializers.IntegerField(help_text="Rates from fewer answers are hidden.")
    procedures = serializers.IntegerField(help_text="All of them: treated, tests, and the upkeep of devices.")
    funnel = FunnelSerializer()
    tests = TestCountsSerializer()
    trials = TrialCountsSerializer()
    verdicts = ByVerdictSerializer()
    unit = UnitField(help_text="`day`; `minute` where there are only tests.")
    other_unit = serializers.IntegerField(
        help_text="Tests among treatments, of which rates and curves say nothing."
    )
    window = serializers.SerializerMethodField()
    windows = serializers.IntegerField(help_text="How many different relief windows there are.")
    success_percent = serializers.IntegerField(
        allow_null=True, help_text="The relief that counts, for most of them; null: nothing selected."
    )
    points = PointSerializer(many=True, help_text="By planned check-in, in order.")
    curves = CurveSerializer(
        many=True, help_text="All treated, then responders. Empty: nothing can be judged yet."
    )
    satisfied = DistributionSerializer(
        help_text="The last satisfaction of each follow-up, 1 very dissatisfied to 5 very satisfied."
    )
    adverse = AdverseReportSerializer()
    mme = MmeChangeSerializer()

    @extend_schema_field(ExpectedSerializer(allow_null=True))
    def get_window(self, report: ProcedureReport) -> Any:
        """That of most of the follow-ups. Null: nothing selected."""
        if report.window is None:
            return None
        earliest, latest = report.window
        return {"earliest": earliest, "latest": latest, "confirmed": report.window_confirmed}


class ProcedureView(Report):
    """What procedures achieved."""

    @extend_schema(parameters=[SelectionQuery], responses=ProcedureReportSerializer)
    def get(self, request: Request) -> Response:
        """What a selection of procedures achieved: rates at each check-in, and how long relief lasts.

        Each rate comes with how many were treated, due and answered, and with what it would be if all of the silent
        had failed or succeeded. Rates from few answers are hidden. That you looked is written down.
        """
        selection = self.asked(SelectionQuery).selection()
        report = procedure_report(selection, user=self.user, now=timezone.now())
        return self.shown("procedure", ProcedureReportSerializer(report))
