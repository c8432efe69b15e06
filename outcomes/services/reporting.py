"""Writing down who looked at a report."""

from datetime import datetime

from clinic import audit
from clinic.models import Site, User


def note_report(name: str, *, site: Site | None, by: User, now: datetime) -> None:
    """Write down that `by` looked at a report: which one, and of which site, and nothing else of what was selected."""
    audit.record("report.viewed", None, by=by, at=now, site=site, reason=name)
