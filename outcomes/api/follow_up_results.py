"""What a follow-up shows, as JSON: window, diary, trial, responder."""

from typing import Any

from rest_framework import serializers

from outcomes import trial_result
from outcomes.diary_result import Outcome, Why


class WindowSerializer(serializers.Serializer[dict[str, Any]]):
    """When relief is expected to end: from `earliest` to `latest`, counted from the procedure in `unit`."""

    unit = serializers.ChoiceField(["day", "minute"], help_text="Days are calendar days at the site.")
    earliest = serializers.IntegerField()
    latest = serializers.IntegerField()
    ongoing = serializers.BooleanField(help_text="No end is expected; `latest` is how far ahead is looked.")
    evaluate_after = serializers.IntegerField(help_text="A bad score before that is a flare, not a failure.")


class DiarySerializer(serializers.Serializer[Any]):
    """What the diary of a test shows, at the relief that counts. Positions are in minutes after the procedure.

    `outcome` by what is written until now: while the diary is open the verdict may still be too early. `why`: of an
    indeterminate one, that pain medicine was taken within the window, that entries cover too little of the time before
    pain, or that they leave it open; empty of others. `decided_at`: the planned hour that decided it. Of the window's
    `window_minutes` from the procedure on, `covered_percent` are covered by entries, `relief_percent` by those with
    enough less pain. `relief_seen_at`: the last such entry before the first one without, which is `gone_at`.
    `long_relief`: there is such an entry beyond the window. `medicine_by`: by when pain medicine had been taken. Null:
    there is none. `entries` and `late` are counts.
    """

    outcome = serializers.ChoiceField([outcome.value for outcome in Outcome])
    why = serializers.ChoiceField(["", *(why.value for why in Why)])
    decided_at = serializers.IntegerField(allow_null=True)
    window_minutes = serializers.IntegerField()
    covered_percent = serializers.IntegerField(help_text="Cut towards 0.")
    relief_percent = serializers.IntegerField(help_text="Cut towards 0.")
    relief_seen_at = serializers.IntegerField(allow_null=True)
    gone_at = serializers.IntegerField(allow_null=True)
    long_relief = serializers.BooleanField()
    medicine_by = serializers.IntegerField(allow_null=True)
    entries = serializers.IntegerField()
    late = serializers.IntegerField()


class TrialSerializer(serializers.Serializer[Any]):
    """What the days of a trial show: `days` in all, `known` of them by an answer, `relief` of these with enough less
    pain. While nobody has said when the lead or catheter came out, `days` are those up to the last answer.

    `outcome` by what is known until now. `ended_on`: the day, at the site, on which the lead or catheter came out, null
    while nobody has said it. `peg_before` and `peg_last`: function beside it, the sum of the PEG, 0–30;
    `medicine_last`: how much pain medicine is taken against before, by `pain_medicine.any`. Null: not known.
    """

    outcome = serializers.ChoiceField([outcome.value for outcome in trial_result.Outcome])
    days = serializers.IntegerField()
    known = serializers.IntegerField()
    relief = serializers.IntegerField()
    days_percent = serializers.IntegerField(
        help_text="So many percent of the days with enough less pain pass it."
    )
    ended_on = serializers.DateField(allow_null=True)
    peg_before = serializers.IntegerField(allow_null=True)
    peg_last = serializers.IntegerField(allow_null=True)
    medicine_last = serializers.IntegerField(allow_null=True)


class ResponderSerializer(serializers.Serializer[Any]):
    """Whether the patient has responded, by each definition side by side, at the last answer with a pain score.

    At least 30 or 50 percent less pain; at least two points less; says "very much" or "much improved" (`pgic_1_2`); at
    least the relief that the profile asks for (`profile`). What cannot be computed is null, never false.
    """

    percent_30 = serializers.BooleanField(allow_null=True)
    percent_50 = serializers.BooleanField(allow_null=True)
    points_2 = serializers.BooleanField(allow_null=True)
    pgic_1_2 = serializers.BooleanField(allow_null=True)
    profile = serializers.BooleanField(allow_null=True)
