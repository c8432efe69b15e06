"""The comparison of two groups as JSON: both reports, and whether relief lasts equally long in them."""

from datetime import date
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import MOST
from clinic.refusals import Refusal
from outcomes.api.reports.parameters import Report, SelectionQuery
from outcomes.api.reports.procedure import POPULATIONS, ProcedureReportSerializer
from outcomes.reports import ComparisonReport, Group, compare_groups
from outcomes.reports.comparison import DIMENSIONS, ScoreTest, split

#: Dimensions whose values are numbers of rows.
NUMBERS = ("performer", "site")


class ComparisonQuery(SelectionQuery):
    """What both groups share, as for every report, and the one thing in which they differ."""

    dimension = serializers.ChoiceField([(name, name) for name in DIMENSIONS])
    one = serializers.CharField(
        max_length=60,
        help_text="What the first group has in this dimension: a code or a number; for a period its first and "
        "last day, as in 2026-01-01/2026-06-30, of which one may be left out.",
    )
    other = serializers.CharField(max_length=60, help_text="What the second group has.")
    population = serializers.ChoiceField(POPULATIONS, default="all_treated")


class ScoreTestSerializer(serializers.Serializer[ScoreTest]):
    """A score test of equal duration.

    `sun`: of the log-rank type. `excess` of each group is above 0 where relief ended sooner than in both together.
    """

    score = serializers.ChoiceField(["sun", "finkelstein", "wilcoxon"])
    statistic = serializers.FloatField()
    p = serializers.FloatField(help_text="By the chi-square.")
    p_permuted = serializers.FloatField(
        allow_null=True, help_text="From arrangements into the groups. Null: both groups are large."
    )
    excess = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)


class GroupSerializer(serializers.Serializer[Group]):
    """One of the groups."""

    name = serializers.CharField(help_text="What it has in the dimension.")
    report = ProcedureReportSerializer()


class ComparisonSerializer(serializers.Serializer[ComparisonReport]):
    """Two groups side by side. Groups that were not drawn by lot may differ in more than what is compared.

    `tests` is empty where `why_not` says why: `nothing_known` of one group, `hidden` because one is smaller than the
    smallest cell, `units_differ`, `not_proven` because the estimate missed the conditions for the maximum.
    """

    dimension = serializers.ChoiceField(DIMENSIONS)
    population = serializers.ChoiceField(POPULATIONS)
    groups = GroupSerializer(many=True, help_text="Two.")
    tests = ScoreTestSerializer(many=True)
    why_not = serializers.ChoiceField(["", "nothing_known", "hidden", "units_differ", "not_proven"])


class ComparisonView(Report):
    """Two groups side by side."""

    @extend_schema(parameters=[ComparisonQuery], responses=ComparisonSerializer)
    def get(self, request: Request) -> Response:
        """Two groups side by side: the report of each, and tests of whether relief lasts equally long in them.

        They differ in one thing alone and share no follow-up. A difference is no proof that this thing made it. That
        you looked is written down.
        """
        query = self.asked(ComparisonQuery)
        asked = query.validated_data
        dimension, shared = asked["dimension"], query.selection()
        if dimension != "period" and getattr(shared, dimension) not in ("", None):
            raise Refusal(
                "The groups cannot share that in which they differ.", code="not_open", field=dimension
            )
        first, other = (value_of(dimension, asked[name], name) for name in ("one", "other"))
        report = compare_groups(
            *split(shared, dimension, first, other),
            names=(asked["one"], asked["other"]),
            population=asked["population"],
            user=self.user,
            now=timezone.now(),
        )
        return self.shown("comparison", ComparisonSerializer(report))


def value_of(dimension: str, text: str, field: str) -> Any:
    """What `text` names in a dimension. Raises Refusal, code "invalid", for what is no number or no period."""
    try:
        if dimension == "period":
            first, last = text.split("/")
            return tuple(date.fromisoformat(day) if day else None for day in (first, last))
        if dimension in NUMBERS and not 0 < int(text) <= MOST:
            raise ValueError
        return int(text) if dimension in NUMBERS else text
    except ValueError:
        raise Refusal("This is no value of the dimension.", code="invalid", field=field) from None
