"""Scores from before a procedure on the wire."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clinic.api.fields import Input, SiteTimeField, WholeNumberField
from patients.models import AnsweredBy
from procedures.models import Baseline
from procedures.services.procedures import check_score


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": 10})
class ScoreField(serializers.Field[int, Any, int, Any]):
    """A pain score, 0 (none) to 10 (worst imaginable): a whole JSON number, else code "score_out_of_range"."""

    def to_internal_value(self, data: Any) -> int:
        check_score(data, field=self.field_name or "")
        assert isinstance(data, int)
        return data

    def to_representation(self, value: int) -> int:
        return value


class BaselineSerializer(serializers.ModelSerializer[Baseline]):
    """One score from before the procedure: `key` is "instrument.item", `taken_at` when the patient named it.

    `channel`: who noted it, staff, the patient by the link of the appointment or on the clinic's tablet, or an import.
    `answered_by`: who said it, the patient or a caregiver in the patient's place.
    """

    key = serializers.CharField()

    class Meta:
        model = Baseline
        fields = [
            "key",
            "version",
            "value",
            "taken_at",
            "recorded_at",
            "recorded_by",
            "channel",
            "answered_by",
        ]


class BaselineInput(Input):
    """What the patient said before the procedure.

    `values` by "instrument.item": the pain now, 0–10, is `nrs.now`; `peg.pain`, `peg.enjoyment` and `peg.activity`.
    `taken_at`: when they said it; now where it is left out.
    """

    values = serializers.DictField(child=WholeNumberField())
    taken_at = SiteTimeField(
        default=lambda: timezone.now(), help_text="Without an offset from UTC: on the wall clock of the site."
    )
    answered_by = serializers.ChoiceField(
        AnsweredBy.choices,
        default=AnsweredBy.PATIENT,
        help_text="The patient, or a caregiver in the patient's place.",
    )


class PainInput(Input):
    """What the pain before really was, 0–10, null when nobody asked, and why that changes.

    `taken_at`: when the patient named it; where it is left out, when the score that stood was, or else the procedure.
    """

    pain = ScoreField(allow_null=True)
    reason = serializers.CharField(max_length=500)
    taken_at = SiteTimeField(
        required=False, help_text="Without an offset from UTC: on the wall clock of the site."
    )
