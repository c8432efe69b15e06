"""Follow-ups, their check-ins and alerts at the front desk, the chart on a patient's page, and the first page."""

from outcomes.admin import alerts, check_ins, follow_ups
from outcomes.admin.front_page import overview

__all__ = ["alerts", "check_ins", "follow_ups", "overview"]
