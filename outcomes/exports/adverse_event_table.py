"""The table of harm: adverse events by severity and procedure type, as the procedure report shows them."""

from collections.abc import Sequence

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column
from outcomes.exports.follow_ups import chosen
from outcomes.rates import Share
from outcomes.reports import Selection
from outcomes.reports.safety import HarmOfType, harm_by_type
from outcomes.reports.selection import smallest_cell
from procedures.models import ProcedureType

#: What is counted, by the name of the number, as its column is called, and in words.
COUNTED = (
    ("any", "with_any", "led to an adverse event"),
    ("mild", "worst_mild", "led to a mild event and none worse"),
    ("moderate", "worst_moderate", "led to a moderate event and none worse"),
    ("severe", "worst_severe", "led to a severe event"),
    ("serious", "with_serious", "led to a serious event, of any severity"),
)
HIDDEN = "Fewer procedures than the smallest cell"


def rows(selection: Selection, user: User) -> QuerySet[ProcedureType]:
    return ProcedureType.objects.filter(pk__in=chosen(selection, user).values("procedure_type"))


def totals(selection: Selection, user: User) -> Sequence[HarmOfType]:
    return harm_by_type(chosen(selection, user), smallest=smallest_cell(user, selection))


def value(share: Share) -> float:
    return round(share.value, 4)


def low(share: Share) -> float:
    return round(share.low, 4)


def high(share: Share) -> float:
    return round(share.high, 4)


def columns() -> list[Column]:
    found = [
        Column("procedure_type", "text", "Code of the procedure type in the catalogue", "code"),
        Column("procedure_type_name", "text", "Its name", "name"),
        Column("procedures", "integer", "Performed, wholly or in part", "procedures"),
    ]
    for name, column, words in COUNTED:
        found += [
            Column(column, "integer", f"How many of them {words}", f"{name}.count"),
            Column(
                f"{column}_share",
                "number",
                f"The share that {words}",
                f"{name}.share",
                value,
                scale="0–1",
                empty=HIDDEN,
            ),
            Column(
                f"{column}_low",
                "number",
                "Lower end of its 95 % interval (Wilson)",
                f"{name}.share",
                low,
                scale="0–1",
                empty=HIDDEN,
            ),
            Column(
                f"{column}_high",
                "number",
                "Upper end of its 95 % interval (Wilson)",
                f"{name}.share",
                high,
                scale="0–1",
                empty=HIDDEN,
            ),
        ]
    return found
