"""What came with the relief, as JSON: harm, and what became of the opioids."""

from rest_framework import serializers

from outcomes.api.reports.counts import CountedShareSerializer
from outcomes.models.adverse_events import TERMS
from outcomes.reports.safety import AdverseLine, AdverseReport, HarmOfType, HarmShare, MmeChange


class AdverseLineSerializer(serializers.Serializer[AdverseLine]):
    """Events of one term by severity, how many of all are serious, and in how many follow-ups they came."""

    term = serializers.ChoiceField([(code.value, words) for code, words in TERMS])
    mild = serializers.IntegerField()
    moderate = serializers.IntegerField()
    severe = serializers.IntegerField()
    serious = serializers.IntegerField(help_text="Of any severity, by what the event led to.")
    follow_ups = serializers.IntegerField()


class HarmedSerializer(serializers.Serializer[HarmShare]):
    """How many procedures led to something, and their share of all of the type."""

    count = serializers.IntegerField(help_text="Never hidden.")
    share = CountedShareSerializer(allow_null=True, help_text="Null where `hidden`.")


class HarmOfTypeSerializer(serializers.Serializer[HarmOfType]):
    """Harm after the procedures of one type, each of which counts once, by its worst event."""

    code = serializers.CharField(help_text="Code of the procedure type.")
    name = serializers.CharField()
    procedures = serializers.IntegerField(help_text="Performed, wholly or in part.")
    hidden = serializers.BooleanField(
        help_text="Fewer procedures than the smallest cell: shares are withheld."
    )
    any = HarmedSerializer(help_text="With an event of any severity.")
    mild = HarmedSerializer(help_text="The worst event was mild.")
    moderate = HarmedSerializer(help_text="The worst event was moderate.")
    severe = HarmedSerializer(help_text="The worst event was severe.")
    serious = HarmedSerializer(help_text="With a serious event, by what it led to.")


class AdverseReportSerializer(serializers.Serializer[AdverseReport]):
    """Harm, without what was entered in error. Never hidden, however little; what nobody wrote down is not here."""

    follow_ups = serializers.IntegerField(help_text="Of so many that were treated.")
    events = serializers.IntegerField()
    related = serializers.IntegerField(help_text="Events whose relation is possible, probable or definite.")
    any = CountedShareSerializer(allow_null=True, help_text="Follow-ups with an event.")
    serious = CountedShareSerializer(allow_null=True, help_text="Follow-ups with a serious one.")
    lines = AdverseLineSerializer(many=True, help_text="The most frequent term first.")
    types = HarmOfTypeSerializer(many=True, help_text="By the name of the procedure type.")


class MmeChangeSerializer(serializers.Serializer[MmeChange]):
    """Morphine milligram equivalents a day, CDC-2022 (unconfirmed): estimates, never to be used to switch drugs.

    Not meant for the treatment of opioid use disorder; methadone (long, variable half-life) and fentanyl patches need
    special care. What goes into the spinal fluid and what has no factor, such as buprenorphine, is left out.

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
