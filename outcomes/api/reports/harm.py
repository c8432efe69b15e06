"""What came with the relief, as JSON: harm, and what became of the opioids."""

from rest_framework import serializers

from outcomes.api.reports.counts import CountedShareSerializer
from outcomes.models.adverse_events import TERMS
from outcomes.reports.safety import AdverseLine, AdverseReport, MmeChange


class AdverseLineSerializer(serializers.Serializer[AdverseLine]):
    """Events of one term by severity, how many of all are serious, and in how many follow-ups they came."""

    term = serializers.ChoiceField([(code.value, words) for code, words in TERMS])
    mild = serializers.IntegerField()
    moderate = serializers.IntegerField()
    severe = serializers.IntegerField()
    serious = serializers.IntegerField(help_text="Of any severity, by what the event led to.")
    follow_ups = serializers.IntegerField()


class AdverseReportSerializer(serializers.Serializer[AdverseReport]):
    """Harm, without what was entered in error. Never hidden, however little; what nobody wrote down is not here."""

    follow_ups = serializers.IntegerField(help_text="Of so many that were treated.")
    events = serializers.IntegerField()
    related = serializers.IntegerField(help_text="Events whose relation is possible, probable or definite.")
    any = CountedShareSerializer(allow_null=True, help_text="Follow-ups with an event.")
    serious = CountedShareSerializer(allow_null=True, help_text="Follow-ups with a serious one.")
    lines = AdverseLineSerializer(many=True, help_text="The most frequent term first.")


class MmeChangeSerializer(serializers.Serializer[MmeChange]):
    """Morphine milligram equivalents a day, CDC-2022 (unconfirmed): estimates, never to be used to switch drugs.

    On the day of the procedure, and on the first day of the relief window.
    """

    took = serializers.IntegerField(
        help_text="Follow-ups whose patient took an opioid on the day, and whose second day has come."
    )
    countable = serializers.IntegerField(
        help_text="Those of them all of whose opioids have a factor on both."
    )
    before = serializers.FloatField(
        allow_null=True, help_text="Mean of the countable. Null: fewer than the smallest cell."
    )
    after = serializers.FloatField(allow_null=True, help_text="Theirs on the second day.")
    halved = CountedShareSerializer(allow_null=True, help_text="At least 50 % less.")
    stopped = CountedShareSerializer(allow_null=True, help_text="None left.")
