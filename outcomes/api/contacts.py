"""Attempts to reach a patient, and telephone calls that brought no answer."""

from rest_framework import serializers

from clinic.api.fields import Input, InstantField
from outcomes.models import ContactAttempt
from outcomes.services.calls import NOTED

#: What can come of a call that brought no answer.
OUTCOMES = [(outcome.value, outcome.label) for outcome in NOTED]


class CallInput(Input):
    """A call that brought no answer. `again_at` belongs to `call_again`, and to nothing else."""

    outcome = serializers.ChoiceField(OUTCOMES)
    again_at = InstantField(required=False, help_text="When the patient wants to be called again.")


class ContactSerializer(serializers.ModelSerializer[ContactAttempt]):
    """Somebody or something tried to reach the patient. `by`: the member of staff, null for what time did."""

    class Meta:
        model = ContactAttempt
        fields = ["kind", "outcome", "at", "by", "reason", "again_at"]
