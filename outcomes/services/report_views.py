"""Writing down who looked at which report."""

from datetime import datetime

from clinic import audit
from clinic.models import Site, User


def view_report(name: str, *, by: User, now: datetime, site: Site | None = None) -> None:
    """Write down that `by` looked at a report: "procedure", "comparison", "response", "overview", a worklist's code.

    `site`: of which alone; None: of all that `by` may see. What else it was about stays unwritten: an indication or a
    clinician has no place in the trail's reasons.
    """
    audit.record("report.viewed", None, by=by, at=now, site=site, reason=name)
