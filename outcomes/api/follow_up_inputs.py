"""What lists of follow-ups can be narrowed to, and what their steps are told."""

from typing import Any

from rest_framework import serializers

from clinic.api.fields import (
    ChoicesQuery,
    Input,
    NumberQuery,
    PersonQuery,
    Query,
    YesNoField,
    YesNoQuery,
)
from outcomes.api.check_ins import BY_STAFF
from outcomes.models import VERDICTS
from outcomes.relief import LOST_VERDICTS
from outcomes.reports import Selection
from outcomes.services.plans import ENDINGS
from patients.models import AnsweredBy, Patient
from procedures.api.baselines import ScoreField
from procedures.models import Intent

#: What narrows a list of follow-ups by who performed the procedure, and when: input → lookup.
PERFORMED = {
    "performer": "procedure__performer",
    "performed_from": "summary__performed_on__gte",
    "performed_until": "summary__performed_on__lte",
}


class PerformedQuery(Query):
    """Whose patients, and of which days. Unknown people and days that cannot be meant are refused, as by reports:
    `unknown_performer`, `out_of_range`, `empty_period`."""

    performer = PersonQuery(help_text="Number of the member of staff who performed it; `me` for yourself.")
    performed_from = serializers.DateField(
        required=False, help_text="The first day, on each site's wall clock."
    )
    performed_until = serializers.DateField(required=False, help_text="The last day, included.")

    def narrow(self, rows: Any) -> Any:
        asked = {name: self.validated_data[name] for name in PERFORMED if name in self.validated_data}
        Selection(**asked).check(self.context["request"].user)
        return super().narrow(rows)


class FollowUpQuery(PerformedQuery):
    """What a list of follow-ups can be narrowed to."""

    lookups = {
        "verdict": "verdict",
        "patient": "patient",
        "site": "procedure__site",
        "procedure_type": "procedure__procedure_type__code",
        "procedure": "procedure",
        **PERFORMED,
    }

    verdict = ChoicesQuery(
        VERDICTS,
        help_text="Those that say that relief was lost are about treatments; tests are never among them.",
    )
    patient = NumberQuery()
    site = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    procedure = NumberQuery(help_text="Number of the procedure that is followed.")
    open = YesNoQuery(required=False, help_text="Whether the course still runs.")

    def narrow(self, rows: Any) -> Any:
        rows = super().narrow(rows)
        if "verdict" in self.validated_data:  # a test has no relief to lose
            rows = rows.exclude(verdict__in=LOST_VERDICTS, procedure__intent=Intent.DIAGNOSTIC)
        if "open" in self.validated_data:
            rows = rows.filter(closed_at__isnull=self.validated_data["open"])
        return rows


#: The ways in which staff end a course.
ENDED_BY_STAFF = [(ending.value, ending.label) for ending in ENDINGS]


class EndInput(Input):
    """Why the course ends, and what is to be remembered about it."""

    closed_reason = serializers.ChoiceField(ENDED_BY_STAFF)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class ResumeInput(Input):
    """Why the course goes on."""

    reason = serializers.CharField(max_length=500)


class NotConfoundedInput(Input):
    """Why another procedure does not blur the course."""

    reason = serializers.CharField(max_length=500)


class ConsistentInput(Input):
    """Whether the relief of a test lasted as long as its agent works."""

    consistent = YesNoField()


class EndTrialInput(Input):
    """On which day, at the site, the lead or catheter of a trial came out."""

    on = serializers.DateField()


class PainReportInput(Input):
    """That the pain is back, as a patient says who was not asked."""

    score = ScoreField(help_text="The pain now, 0 (none) to 10 (worst imaginable).")
    since = serializers.DateField(
        required=False, help_text="Since which day, on the site's calendar, if the patient names one."
    )
    channel = serializers.ChoiceField(BY_STAFF)
    answered_by = serializers.ChoiceField(
        AnsweredBy.choices,
        default=AnsweredBy.PATIENT,
        help_text="The patient, or a caregiver in the patient's place.",
    )
    language = serializers.ChoiceField(
        Patient.Language.choices,
        required=False,
        help_text="In which it was said; the patient's unless told.",
    )
    remark = serializers.CharField(required=False, allow_blank=True, max_length=2000)
