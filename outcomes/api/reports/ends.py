"""When the relief of one follow-up ended, as JSON."""

from typing import Any

from rest_framework import serializers

from outcomes.models import CourseSummary, FollowUp


class EndedSerializer(serializers.Serializer[CourseSummary]):
    """When relief ended, as far as the check-ins tell: later than `after`, not later than `until`, in `unit`.

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


def summary(follow_up: FollowUp) -> CourseSummary | None:
    """What reports count of it; None until the tick has counted it. Wants `summary` selected."""
    return getattr(follow_up, "summary", None)


def ended(follow_up: FollowUp) -> Any:
    """What EndedSerializer writes, or None."""
    known = summary(follow_up)
    return EndedSerializer(known).data if known and known.lost_after is not None else None
