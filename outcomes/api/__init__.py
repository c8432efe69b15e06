"""Follow-ups with their verdicts, check-ins and alerts, for physicians and nurses."""

from outcomes.api.alerts import Alerts
from outcomes.api.check_ins import BY_STAFF, CheckIns
from outcomes.api.follow_ups import FollowUps

__all__ = ["BY_STAFF", "Alerts", "CheckIns", "FollowUps"]
