"""How patients are told a time, in the language that is active."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _

#: Cities of time zones that have another name in another language.
CITIES = {"New York": lambda: _("New York"), "Los Angeles": lambda: _("Los Angeles")}


def when(moment: datetime, zone: ZoneInfo) -> str:
    """The instant `moment` on the wall clock of `zone`: "Monday, Jan. 11, 2027, 9 a.m. (New York time, EST)".

    The zone is said by its city, because few people know its letters; the letters, where it has any, tell apart the
    two hours that clocks show twice.
    """
    local = moment.astimezone(zone)
    place = zone.key.rsplit("/", 1)[-1].replace("_", " ")
    letters = local.tzname() or ""
    wall = local.replace(tzinfo=None)  # or Django shows UTC
    text: str = _("%(weekday)s, %(date)s, %(time)s (%(place)s time%(letters)s)") % {
        "weekday": date_format(wall, "l"),
        "date": date_format(wall, "DATE_FORMAT"),
        "time": date_format(wall, "TIME_FORMAT"),
        "place": CITIES[place]() if place in CITIES else place,
        "letters": f", {letters}" if letters.isalpha() else "",
    }
    return text


def day_and_time(moment: datetime, zone: ZoneInfo) -> str:
    """The same for a subject: "January 11, 9 a.m."."""
    wall = moment.astimezone(zone).replace(tzinfo=None)
    return f"{date_format(wall, 'MONTH_DAY_FORMAT')}, {date_format(wall, 'TIME_FORMAT')}"
