"""Follow-ups, their check-ins, calls and alerts at the front desk, the chart on a patient's page, the first page."""

from outcomes.admin import (
    adverse_events,
    alerts,
    calls,
    check_ins,
    exports,
    follow_ups,
    not_sent,
    pain_reports,
    paper_forms,
    patient_courses,
    previews,
    reports,
)
from outcomes.admin.dashboard import overview
