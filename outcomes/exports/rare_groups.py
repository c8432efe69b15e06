"""By what a patient could be recognised in a de-identified file: what few patients of a selection share."""

from collections import defaultdict
from collections.abc import Iterable

from clinic.models import Site, User
from outcomes.exports.deidentification import band
from outcomes.reports import Selection
from patients.models import full_years

#: A procedure type, by its number, and a band of age.
Group = tuple[int, str]
#: What else is told only where enough share it, by the names that columns have for it in `Column.whose`.
TOLD = {"language": "patient__language", "indication": "indication"}


def recognisable(selection: Selection, user: User) -> tuple[set[Group], dict[str, set[str]]]:
    """The groups with fewer patients than the smallest cell of the sites, whose rows are left out; and of the others
    the languages and indications that as many share.
    """
    smallest = max(Site.objects.visible_to(user).values_list("smallest_cell", flat=True), default=1)
    patients: defaultdict[Group, set[int]] = defaultdict(set)
    sharing: defaultdict[tuple[str, str], defaultdict[Group, set[int]]] = defaultdict(
        lambda: defaultdict(set)
    )
    columns = ("patient", "procedure_type", "patient__born_on", "performed_on", *TOLD.values())
    for patient, kind, born_on, day, *values in (
        selection.summaries(user).order_by().values_list(*columns).iterator()
    ):
        group = kind, band(full_years(born_on, day))
        patients[group].add(patient)
        for name, value in zip(TOLD, values, strict=True):
            sharing[name, value][group].add(patient)
    rare = {group for group, who in patients.items() if len(who) < smallest}
    common: dict[str, set[str]] = {name: set() for name in TOLD}
    for (name, value), groups in sharing.items():
        if count_patients(who for group, who in groups.items() if group not in rare) >= smallest:
            common[name].add(value)
    return rare, common


def count_patients(sets: Iterable[set[int]]) -> int:
    """How many patients these are."""
    return len(set().union(*sets))
