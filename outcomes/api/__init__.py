"""Follow-ups with their verdicts, and check-ins, for physicians and nurses."""

from outcomes.api.check_ins import BY_STAFF, CheckIns
from outcomes.api.follow_ups import FollowUps

__all__ = ["BY_STAFF", "CheckIns", "FollowUps"]
