"""Writing down who looked at which report."""

from datetime import datetime

from clinic import audit
from clinic.models import User


def view_report(name: str, *, by: User, now: datetime) -> None:
    """Write down that `by` looked at a report: "procedure", "comparison", "response", "overview", a worklist's code.

    What it was about stays unwritten: an indication or a clinician has no place in the trail's reasons.
    """
    audit.record("report.viewed", None, by=by, at=now, reason=name)
