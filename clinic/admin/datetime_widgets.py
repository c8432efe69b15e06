"""Wall clocks on the screen: how instants are shown, and how a date and a time become an instant."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import BASE_INPUT_CLASSES

from clinic.models import Site
from clinic.timezones import NoSuchTime, instant


def site_time_text(moment: datetime | None, site: Site) -> str:
    """An instant on the site's wall clock, with the zone's abbreviation: "Mon 11 Jan 2027, 09:00 EST"."""
    return f"{moment.astimezone(site.zone):%a %-d %b %Y, %H:%M %Z}" if moment else ""


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a naive wall time; ValidationError "no_such_time" when the clocks jump over it."""
    try:
        return instant(wall, zone)
    except NoSuchTime:
        raise ValidationError(
            _("%(time)s does not exist on that day: the clocks jump over it."),
            code="no_such_time",
            params={"time": f"{wall:%H:%M}"},
        ) from None


class DateInput(forms.DateInput):
    """The browser's own date field: works by keyboard, needs no script."""

    input_type = "date"


class TimeInput(forms.TimeInput):
    """The browser's own time field."""

    input_type = "time"


class WallClockWidget(forms.SplitDateTimeWidget):
    """A date and a time of day side by side, each with its name for a screen reader."""

    template_name = "admin/clinic/wall_clock_widget.html"

    def __init__(self, label: str = "") -> None:
        css = " ".join(BASE_INPUT_CLASSES)
        forms.MultiWidget.__init__(
            self,
            [
                DateInput({"class": css, "aria-label": f"{label} date".strip()}, "%Y-%m-%d"),
                TimeInput({"class": css, "aria-label": f"{label} time".strip()}, "%H:%M"),
            ],
        )

    def decompress(self, value: Any) -> Any:
        """The day and the time; nothing of what an address says, which is no wall time."""
        return super().decompress(value if isinstance(value, datetime) else None)


class WallClockField(forms.SplitDateTimeField):
    """A date and a time on some site's wall clock: cleans to a naive wall time, which only a zone makes an instant.

    Its initial value is a naive wall time, too.
    """

    def __init__(self, *, label: Any, **kwargs: Any) -> None:
        super().__init__(label=label, widget=WallClockWidget(str(label)), **kwargs)

    def compress(self, data_list: Any) -> datetime | None:
        if not data_list:
            return None
        day, at = data_list
        if day in self.empty_values:
            raise ValidationError(self.error_messages["invalid_date"], code="invalid_date")
        if at in self.empty_values:
            raise ValidationError(self.error_messages["invalid_time"], code="invalid_time")
        return datetime.combine(day, at)
