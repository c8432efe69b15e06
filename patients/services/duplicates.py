"""Likely duplicates: records that may be of the same person, found by PostgreSQL's trigrams and by exact keys."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from unicodedata import normalize

from django.contrib.postgres.search import TrigramSimilarity
from django.db.models import Q, Value
from django.db.models.functions import Concat

from clinic.models import User
from clinic.refusals import Refusal
from patients.import_rows import PatientRow
from patients.models import Patient
from patients.normalize import PlainWords
from patients.search import digits_of, telling

#: From this share of common trigrams on two full names are alike (a choice): Anne OBrien and Ann O’Brien are.
ALIKE = 0.4
#: So many matches are shown at most.
MOST = 10
#: A phone number with fewer digits tells nobody apart.
FEWEST_DIGITS = 7
#: The columns by which records are compared.
IDENTITY = frozenset({"family_name", "given_name", "born_on", "phone", "email"})


@dataclass(frozen=True)
class Match:
    """A record that may be of the same person. `reasons`: "name_and_birth_date", "phone", "email"."""

    patient: Patient
    reasons: tuple[str, ...]


class LikelyDuplicate(Refusal):
    """Records are there already that may be of the same person; `matches` are those that the asker may see."""

    def __init__(self, matches: Sequence[Match]) -> None:
        super().__init__(
            "A record of this patient may be there already. Look at it; if this is another person, say so.",
            code="likely_duplicate",
        )
        self.matches = matches


def name_of(patient: Patient) -> PlainWords:
    """The full name of a patient who need not be saved, as it is compared."""
    return PlainWords(Value(f"{patient.family_name} {patient.given_name}"))


def likeness(patient: Patient) -> TrigramSimilarity:
    """How much a row's full name has in common with the patient's, 0 to 1, in any order of its words."""
    full = PlainWords(Concat("family_name", Value(" "), "given_name"))
    return TrigramSimilarity(full, name_of(patient))  # type: ignore[arg-type]


def matches(patient: Patient, *, by: User | None, among: Collection[int] | None = None) -> list[Match]:
    """The records that may be of the same person as `patient`, the most alike first; only those that `by` may see.

    The same birth date and a name that is alike, the same phone number in whatever format, or the same e-mail address.
    Records that were merged do not count. `by` None: all records. `among`: only records with these numbers.
    """
    rows = Patient.objects.all() if by is None else Patient.objects.visible_to(by)
    if among is not None:
        rows = rows.filter(pk__in=among)
    named = Q(born_on=patient.born_on, alike__gte=ALIKE)
    digits = telling(digits_of(patient.phone))
    known = named
    if len(digits) >= FEWEST_DIGITS:
        known |= Q(phone__has_digits=digits)
    if patient.email:
        known |= Q(email__iexact=patient.email)
    found = (
        rows.filter(merged_into=None)
        .exclude(pk=patient.pk)
        .select_related("site")
        .annotate(alike=likeness(patient))
        .filter(known)
        .order_by("-alike", "pk")[:MOST]
    )
    return [Match(other, reasons(other, patient, digits)) for other in found]


def new_matches(before: Patient, patient: Patient, *, by: User | None) -> list[Match]:
    """The records that may be of the same person as `patient` by what has changed since `before`, each with the new
    reasons alone. What has long been alike, or has not changed, is not asked about.
    """
    keys: dict[str, Callable[[Patient], object]] = {
        "name_and_birth_date": lambda patient: (patient.family_name, patient.given_name, patient.born_on),
        "phone": lambda patient: telling(digits_of(patient.phone)),
        "email": lambda patient: patient.email.casefold(),
    }
    changed = {reason for reason, key in keys.items() if key(before) != key(patient)}
    if not changed:
        return []
    found = matches(patient, by=by)
    known = {
        match.patient.pk: match.reasons
        for match in matches(before, by=by, among=[match.patient.pk for match in found])
    }
    fresh = [
        Match(
            match.patient,
            tuple(
                why for why in match.reasons if why in changed and why not in known.get(match.patient.pk, ())
            ),
        )
        for match in found
    ]
    return [match for match in fresh if match.reasons]


def reasons(other: Patient, patient: Patient, digits: str) -> tuple[str, ...]:
    """Why the row `one`, with its `alike`, may be the patient."""
    told = {
        "name_and_birth_date": other.born_on == patient.born_on and other.alike >= ALIKE,  # type: ignore[attr-defined]
        "phone": len(digits) >= FEWEST_DIGITS and digits in digits_of(other.phone),
        "email": bool(patient.email) and other.email.casefold() == patient.email.casefold(),
    }
    return tuple(reason for reason, true in told.items() if true)


def refuse_another_person(entry: PatientRow, known: Patient) -> None:
    """Refuse, code "other_person", a row of a file whose number is `known`'s and who is somebody else: born on another
    day, or with a name that is not alike. The sentence shows both, to whoever brought the file and may see the record.
    """
    said = Patient(
        family_name=entry.values.get("family_name", known.family_name),
        given_name=entry.values.get("given_name", known.given_name),
        born_on=entry.born_on,
    )
    if (str(said), said.born_on) == (str(known), known.born_on):
        return
    if said.born_on == known.born_on:
        rows = Patient.objects.annotate(alike=likeness(said))
        if rows.filter(pk=known.pk, alike__gte=ALIKE).exists():
            return
    raise Refusal(
        f"{known.record_number} is {known}, born {known.born_on}; this row says {said}, born {said.born_on}.",
        code="other_person",
        field="record_number",
    )


def there_already(entries: Collection[PatientRow], *, by: User | None) -> dict[int, Patient]:
    """Of the rows of a file that would register somebody, by their numbers, those of whom a record of the same
    `person` is there, with that record; one query, or none."""
    if not entries:
        return {}
    rows = Patient.objects.all() if by is None else Patient.objects.visible_to(by)
    found = rows.filter(merged_into=None, born_on__in={entry.born_on for entry in entries})
    known = {person(patient.born_on, patient.family_name, patient.given_name): patient for patient in found}
    keys = {entry.row.number: person_of(entry) for entry in entries}
    return {row: known[key] for row, key in keys.items() if key in known}


def person(born_on: date, family_name: str, given_name: str) -> tuple[date, str, str]:
    """Whom a record of a file is of: birth date and name, without capitals, accents and what is no letter."""
    return born_on, letters(family_name), letters(given_name)


def person_of(entry: PatientRow) -> tuple[date, str, str]:
    """The same of a row that would register somebody."""
    return person(entry.born_on, entry.values["family_name"], entry.values.get("given_name", ""))


def letters(name: str) -> str:
    return "".join(letter for letter in normalize("NFKD", name).casefold() if letter.isalnum())
