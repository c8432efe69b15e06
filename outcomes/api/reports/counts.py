"""Shares, rates, funnels and points as JSON: never a rate without its denominators."""

from typing import Any

from rest_framework import serializers

from outcomes.rates import Rate, Share
from outcomes.relief import Verdict
from outcomes.reports.counts import ENDED, CheckInCounts, Distribution, Funnel
from outcomes.reports.diagnostic_results import TestCounts, TrialCounts


class UnitField(serializers.ChoiceField):
    """Calendar days on the site's wall clock, or minutes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(["day", "minute"], **kwargs)


class CountedShareSerializer(serializers.Serializer[Share]):
    """`count` of `of`, as a share from 0 to 1 between the bounds of its 95 % interval (Wilson)."""

    count = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Above 0.")
    value = serializers.FloatField(help_text="From 0 to 1.")
    low = serializers.FloatField(help_text="From 0 to 1.")
    high = serializers.FloatField(help_text="From 0 to 1.")


class TestCountsSerializer(serializers.Serializer[TestCounts]):
    """What tests show: procedures done to find out where the pain comes from. They count in no rate and in no curve.

    `judged` have one of the three results; the others, `undecided`, are too early or have no pain score above 0 before.
    """

    __test__ = False

    tests = serializers.IntegerField()
    positive = serializers.IntegerField()
    negative = serializers.IntegerField()
    indeterminate = serializers.IntegerField()
    judged = serializers.IntegerField(help_text="Shares of the three are of these.")
    undecided = serializers.IntegerField()


class TrialCountsSerializer(serializers.Serializer[TrialCounts]):
    """What trials show: procedures done to find out whether an implant would help. As of tests."""

    trials = serializers.IntegerField()
    passed = serializers.IntegerField()
    failed = serializers.IntegerField()
    indeterminate = serializers.IntegerField()
    judged = serializers.IntegerField(help_text="Shares of the three are of these.")
    undecided = serializers.IntegerField()


class RateSerializer(serializers.Serializer[Rate]):
    """How many follow-ups reached something, of all that were treated, due, asked and answered.

    Whoever did not answer is counted three ways: left out (`complete`), as not reached (`worst`), as reached (`best`).
    Who is treated again before the check-in stays in the denominators of the last two: `worst` takes them as not
    reached, `best` by the pain before the second treatment, and where nobody asked for it as reached, unless relief was
    known to be lost. After a second treatment nobody can tell what the first one still does. Follow-ups without a
    baseline and confounded ones, of which nothing is known, are in no denominator. A share of nobody is null.
    """

    treated = serializers.IntegerField()
    due = serializers.IntegerField(
        help_text="Evaluable, and the check-in's day has come, also where the course had ended before."
    )
    asked = serializers.IntegerField(help_text="Due, and the course had not ended before.")
    answered = serializers.IntegerField()
    count = serializers.IntegerField(allow_null=True, help_text="Reached it. Null where `hidden`.")
    response = CountedShareSerializer(allow_null=True, help_text="Answered of asked.")
    complete = CountedShareSerializer(allow_null=True, help_text="Reached of answered.")
    worst = CountedShareSerializer(allow_null=True, help_text="Of due; only those who said so reached it.")
    best = CountedShareSerializer(
        allow_null=True, help_text="Of due; the silent did reach it, and who was treated again as said above."
    )
    hidden = serializers.BooleanField(
        help_text="Fewer answers than the smallest cell: count and shares are withheld."
    )


class FunnelSerializer(serializers.Serializer[Funnel]):
    """From treated to counted; numbers of follow-ups. Who is left out is said, not dropped."""

    treated = serializers.IntegerField()
    no_baseline = serializers.IntegerField(
        help_text="No pain score above 0 before the procedure. Left out of all that follows."
    )
    confounded = serializers.IntegerField(help_text="Another treatment of the same region. Left out too.")
    evaluable = serializers.IntegerField(help_text="Neither.")
    due = serializers.IntegerField(
        help_text="Evaluable, and a check-in from the first day of judgement on has fallen due."
    )
    answered = serializers.IntegerField(help_text="Due, and something was answered from that day on.")
    in_curve = serializers.IntegerField(help_text="Evaluable, and something could be judged.")


class ByChannelSerializer(serializers.Serializer[dict[str, int]]):
    """Answers by the channel through which they came."""

    email = serializers.IntegerField()
    phone = serializers.IntegerField()
    clinic = serializers.IntegerField()
    paper = serializers.IntegerField()


class ByVerdictSerializer(serializers.Serializer[dict[str, int]]):
    """How many follow-ups have each verdict."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {verdict.value: serializers.IntegerField() for verdict in Verdict}


class GroupsSerializer(serializers.Serializer[dict[str, int]]):
    """Follow-ups that are due at a check-in and were not asked, because the course had ended before.

    Treated again, by the pain before the second treatment: `again_in_relief`, `again_out_of_relief` (also where nobody
    asked and relief was known to be lost), `again_not_asked`. The others by how the course had ended.
    """

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: serializers.IntegerField() for name in ENDED}


class PointSerializer(serializers.Serializer[CheckInCounts]):
    """What is known of one planned check-in, of evaluable follow-ups.

    Five rates: less pain by 30 %, by 50 %, by what counts for the procedure, by 2 points at least; the global
    impression of change at 1 or 2, of those who were asked it. Means and distributions of fewer answers than the
    smallest cell are null.
    """

    at = serializers.IntegerField(help_text="In `unit` after the procedure.")
    unit = UnitField()
    groups = GroupsSerializer()
    thirty = RateSerializer()
    fifty = RateSerializer()
    success = RateSerializer()
    two_points = RateSerializer()
    improved = RateSerializer()
    pain = serializers.FloatField(allow_null=True, help_text="Mean pain now of those who answered, 0–10.")
    pain_before = serializers.FloatField(allow_null=True, help_text="Mean of their baselines, 0–10.")
    peg = serializers.FloatField(allow_null=True, help_text="Mean PEG of those known before and now, 0–10.")
    peg_before = serializers.FloatField(allow_null=True, help_text="Mean of theirs before, 0–10.")
    peg_known = serializers.IntegerField(help_text="How many these are.")
    channels = ByChannelSerializer()
    changes = serializers.ListField(
        child=serializers.IntegerField(),
        min_length=7,
        max_length=7,
        allow_null=True,
        help_text="Answers by level of the impression of change: 1 very much improved to 7 very much worse.",
    )


class DistributionSerializer(serializers.Serializer[Distribution]):
    """How many chose each value of an item."""

    treated = serializers.IntegerField(help_text="Of so many follow-ups.")
    answered = serializers.IntegerField(help_text="So many were answered.")
    counts = serializers.DictField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="By value, as text. Null: fewer answered than the smallest cell.",
    )
