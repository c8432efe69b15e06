"""Follow-ups, their check-ins, calls and alerts at the front desk, the chart on a patient's page, the first page."""

from outcomes.admin import alerts, calls, check_ins, follow_ups, paper, previews, reports
from outcomes.admin.front_page import overview

__all__ = ["alerts", "calls", "check_ins", "follow_ups", "overview", "paper", "previews", "reports"]
