"""When the relief of one follow-up ended, as JSON."""

from typing import Any

from rest_framework import serializers

from outcomes.models import CourseSummary, FollowUp


class EndedSerializer(serializers.Serializer[CourseSummary]):
    """When relief ended, as far as is known: later than `after`, not later than `until`, in `unit`.

    A curve of duration takes `after` and `ended_by`, which is `until`, or the bad score that nothing has confirmed.
    Null in place of all of it: nothing can be told, because there is no baseline above 0, the course is confounded, or
    nothing could be judged yet.
    """

    unit = serializers.ChoiceField(["day", "minute"])
    after = serializers.IntegerField(source="lost_after", help_text="In `unit` after the procedure.")
    until = serializers.IntegerField(
        source="lost_until", allow_null=True, help_text="Null: relief was not seen to end."
    )
    responded = serializers.BooleanField(help_text="Seen in relief at some check-in that counts.")
    suspected_until = serializers.IntegerField(
        allow_null=True, help_text="The first bad score after the last good one, which nobody confirmed."
    )
    loss_kind = serializers.CharField(
        help_text="The loss, confirmed or not, against the window, as the code of its verdict; empty without one."
    )
    ended_by = serializers.SerializerMethodField()

    def get_ended_by(self, known: CourseSummary) -> int | None:
        """The end of the interval for a curve."""
        return known.suspected_until if known.lost_until is None else known.lost_until


def summary(follow_up: FollowUp) -> CourseSummary | None:
    """What reports count of it; None until the tick has counted it. Of many, wants `summary` selected."""
    return getattr(follow_up, "summary", None)


def last_answer(follow_up: FollowUp) -> int | None:
    """Where the last answer lies, in the summary's unit after the procedure; None without one."""
    known = summary(follow_up)
    return known.last_answer if known else None


def ended(follow_up: FollowUp) -> Any:
    """What EndedSerializer writes, or None."""
    known = summary(follow_up)
    return EndedSerializer(known).data if known and known.lost_after is not None else None
