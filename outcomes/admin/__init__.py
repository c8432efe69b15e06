"""Follow-ups and their check-ins at the front desk, the chart on a patient's page, and the first page."""

from outcomes.admin import check_ins, follow_ups
from outcomes.admin.front_page import overview

__all__ = ["check_ins", "follow_ups", "overview"]
