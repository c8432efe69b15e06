"""The figures and words that come with an answer, checked before they are stored."""

import re
from collections.abc import Mapping
from datetime import datetime

from clinic.refusals import Refusal
from outcomes.instruments import latest
from outcomes.models import FollowUp, Measurement
from outcomes.questions import ENDED_ON, WORN_OFF
from outcomes.services.judgement import position
from procedures.models import RedFlag

#: Characters of a remark.
MOST_REMARK = 2000
#: Control characters except the line's end, and what turns the direction of the text around it.
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
#: What is asked that no instrument's file holds: the version, the items, None for any red flag's code, and the values.
#: The day in ENDED_ON is checked by itself.
OWN = {
    "red_flag": ("1", None, (0, 1)),
    "diary": ("1", ("took_medicine",), (0, 1)),
    "relief": ("1", ("worn_off",), (0, 1, 2)),
}


def plain_remark(remark: str) -> str:
    """The remark without control characters and without room at its ends.

    Raises Refusal "remark_too_long" for more than MOST_REMARK characters.
    """
    text = CONTROL.sub("", remark.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")).strip()
    if len(text) > MOST_REMARK:
        raise Refusal(
            f"A remark has at most {MOST_REMARK} characters.", code="remark_too_long", field="remark"
        )
    return text


def stored_values(values: Mapping[str, int]) -> dict[str, int]:
    """The figures as they are stored: without the day since which the pain is back where relief has not worn off."""
    return {key: value for key, value in values.items() if key != ENDED_ON or values.get(WORN_OFF) != 0}


def measurements_of(values: Mapping[str, int]) -> list[Measurement]:
    """The figures as rows that are not saved and have no answer yet, each with its instrument's newest version.

    Raises Refusal, with the key as its field: "unknown_item" for a key that nobody asks, "score_out_of_range" for
    anything but a whole number that the item can have, "before_procedure" for a day before the procedure.
    """
    rows = []
    flags = {key.partition(".")[2] for key in values if key.startswith("red_flag.")}
    known = set(RedFlag.objects.filter(code__in=flags).values_list("code", flat=True)) if flags else set()
    for key, value in values.items():
        name, _, item = key.partition(".")
        if key == ENDED_ON:
            version = day_checked(value)
        elif name in OWN:
            version, items, possible = OWN[name]
            if item not in (known if items is None else items):
                raise Refusal(f"There is no question “{key}”.", code="unknown_item", field=key)
            if type(value) is not int or value not in possible:
                codes = " or ".join(map(str, possible))
                raise Refusal(f"An answer here is {codes}.", code="score_out_of_range", field=key)
        else:
            version = checked(key, name, item, value)
        rows.append(Measurement(instrument=name, version=version, item=item, value=value))
    return rows


def day_checked(value: int) -> str:
    """The version of the question since which day the pain is back, which can have that value. Raises as
    `measurements_of` does."""
    if type(value) is not int:
        raise Refusal(
            "A day is a whole number of days after the procedure.", code="score_out_of_range", field=ENDED_ON
        )
    if value < 0:
        raise Refusal("This day lies before the procedure.", code="before_procedure", field=ENDED_ON)
    return "1"


def refuse_future(values: Mapping[str, int], follow_up: FollowUp, *, at: datetime) -> None:
    """Raise Refusal "in_the_future" for a day, since which the pain is back, that lies after `at` on the calendar of
    the site."""
    if ENDED_ON not in values:
        return
    procedure = follow_up.procedure
    if values[ENDED_ON] > position(at, procedure.performed_at, zone=procedure.site.zone, minutes=False):
        raise Refusal("This day is still to come.", code="in_the_future", field=ENDED_ON)


def checked(key: str, name: str, item: str, value: int) -> str:
    """The version of an instrument whose item can have that value. Raises as `measurements_of` does."""
    try:
        instrument = latest(name)
        instrument.check_given({item: value})
    except Refusal as refusal:
        unknown = refusal.code in ("unknown_instrument", "unknown_item")
        code = "unknown_item" if unknown else "score_out_of_range"
        raise Refusal(" ".join(refusal.messages), code=code, field=key) from None
    return instrument.version


def said_yes(values: Mapping[str, int]) -> set[str]:
    """The codes of the red flags that were answered with yes."""
    return {
        key.partition(".")[2] for key, value in values.items() if key.startswith("red_flag.") and value == 1
    }
