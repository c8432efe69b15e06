"""What came back, and the figures in it, as the API writes them."""

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from outcomes.models import Answer, FollowUp
from outcomes.questions import PAIN_NOW as PAIN
from outcomes.relief import meets, relief_of
from outcomes.services.courses import PAIN_NOW, felt_at, in_minutes, position
from patients.models import AnsweredBy


class MeasurementSerializer(serializers.Serializer[Any]):
    """The pain that a patient named, 0–10, so many of the window's units after the procedure.

    `percent_relief` against the baseline, negative when worse; it and `in_relief` are null where no baseline above 0
    is known. `points` less than the baseline, null without one: after a low baseline one point is a large percentage.
    """

    after = serializers.IntegerField()
    answered_at = serializers.DateTimeField()
    score = serializers.IntegerField()
    percent_relief = serializers.IntegerField(allow_null=True)
    points = serializers.IntegerField(allow_null=True)
    in_relief = serializers.BooleanField(allow_null=True)
    channel = serializers.ChoiceField(Answer.Channel.choices)
    answered_by = serializers.ChoiceField(AnsweredBy.choices)
    check_in = serializers.IntegerField()


class AnswerSerializer(serializers.ModelSerializer[Answer]):
    """What came back. `recorded_by`: the member of staff who entered it, null when the patient did.

    `answered_by`: the patient, or a caregiver in the patient's place; `caregiver`: which one, by number, null where
    none was on record. Both count alike for the verdict.

    `score` is the pain now, `values` are all other figures by "instrument.item". `late`: an entry of a diary that was
    written down well after its hour. `version` counts from 1; each correction makes one more.
    """

    score = serializers.SerializerMethodField()
    values = serializers.SerializerMethodField()

    class Meta:
        model = Answer
        fields = [
            *("score", "values", "remark", "channel", "answered_by", "caregiver", "answered_at"),
            *("recorded_by", "late", "version"),
        ]

    def get_score(self, answer: Answer) -> int | None:
        return pain_now(answer)

    def get_values(self, answer: Answer) -> dict[str, int]:
        figures = {
            f"{measurement.instrument}.{measurement.item}": measurement.value
            for measurement in answer.measurements.all()
        }
        return {key: value for key, value in figures.items() if key != PAIN}


def threshold(follow_up: FollowUp) -> int:
    """The relief that counts, in percent of the baseline."""
    return follow_up.relief_profile.percent_for(follow_up.procedure.intent)


def measurements(follow_up: FollowUp) -> list[dict[str, Any]]:
    """What MeasurementSerializer writes, in order of time. Wants `check_ins__answer__measurements` fetched."""
    procedure, minutes = follow_up.procedure, in_minutes(follow_up)
    baseline = procedure.baseline_pain
    return [
        {
            "after": position(
                felt_at(answer.check_in, answer, procedure.performed_at),
                procedure.performed_at,
                zone=procedure.site.zone,
                minutes=minutes,
            ),
            "answered_at": answer.answered_at,
            "score": score,
            "percent_relief": (known := relief_of(baseline, score)).percent,
            "points": known.points,
            "in_relief": meets(baseline, score, threshold(follow_up)) if baseline else None,
            "channel": answer.channel,
            "answered_by": answer.answered_by,
            "check_in": answer.check_in_id,
        }
        for answer, score in sorted(scores(follow_up), key=lambda pair: pair[0].answered_at)
    ]


def scores(follow_up: FollowUp) -> Iterator[tuple[Answer, int]]:
    """Every answer of the follow-up that holds a pain score, with the score."""
    for check_in in follow_up.check_ins.all():
        answer = getattr(check_in, "answer", None)
        score = pain_now(answer) if answer else None
        if answer and score is not None:
            yield answer, score


def pain_now(answer: Answer) -> int | None:
    """The pain score of an answer, 0–10; None when it holds none."""
    return item_of(answer, PAIN_NOW["instrument"], PAIN_NOW["item"])


def item_of(answer: Answer, instrument: str, item: str) -> int | None:
    """One figure of an answer whose measurements are fetched; None when it holds none."""
    return next(
        (
            measurement.value
            for measurement in answer.measurements.all()
            if (measurement.instrument, measurement.item) == (instrument, item)
        ),
        None,
    )
