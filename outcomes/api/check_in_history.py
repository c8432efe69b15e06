"""What became of a check-in, and the versions of its answer, as the API tells them."""

from typing import Any

from rest_framework import serializers

from outcomes.check_in_history import Fact
from outcomes.check_in_sentences import SENTENCES
from outcomes.questions import PAIN_NOW
from outcomes.services.corrections import Version

#: Every code of a fact.
CODES = tuple(SENTENCES["facts"])


class FactSerializer(serializers.Serializer[Fact]):
    """One thing that happened, or is still to come. `said` is a sentence; `at` is null for what has no certain time."""

    code = serializers.ChoiceField([(code, code) for code in CODES])
    at = serializers.DateTimeField(allow_null=True)
    said = serializers.CharField()


class VersionSerializer(serializers.Serializer[Version]):
    """One version of the answer: the pain now and all other figures by "instrument.item". The first has no reason."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    by = serializers.SerializerMethodField()
    reason = serializers.CharField()
    score = serializers.SerializerMethodField()
    values = serializers.SerializerMethodField()

    def get_by(self, version: Version) -> int | None:
        return version.by.pk if version.by else None

    def get_score(self, version: Version) -> int | None:
        return version.values.get(PAIN_NOW)

    def get_values(self, version: Version) -> dict[str, int]:
        return {key: value for key, value in version.values.items() if key != PAIN_NOW}


class WhySerializer(serializers.Serializer[Any]):
    """Why a check-in is as it is: `facts` in order of time, and the `versions` of its answer, the first at the top."""

    facts = FactSerializer(many=True)
    versions = VersionSerializer(many=True)
