"""Record numbers: the next free one of a site, and the one answer to a number that is taken."""

from django.db import connection
from django.db.models import BigIntegerField, Func, Max, Value
from django.db.models.functions import Cast

from clinic.models import Site
from clinic.refusals import Refusal
from patients.models import Patient
from patients.normalize import NumberKey
from patients.record_numbers import made_by, number_key, numbered

#: Advisory lock under which numbers are given, so that two who register at once get two. Any number, used nowhere else.
NUMBERING = 7_461_003


def free_number(site: Site) -> str:
    """The next free record number of the site's scheme: one above the highest that the scheme made for anybody."""
    pattern = made_by(site.record_number_scheme)
    digits = Func("record_number", Value("[0-9]+$"), function="SUBSTRING")
    made = Patient.objects.filter(record_number__iregex=pattern)
    highest = made.aggregate(most=Max(Cast(digits, BigIntegerField())))["most"]
    return numbered(site.record_number_scheme, (highest or 0) + 1)


def give_number(patient: Patient) -> None:
    """Give a new patient the next free number of their site; others who register wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NUMBERING])
    patient.record_number = free_number(patient.site)


def is_taken(patient: Patient) -> bool:
    """Whether another patient has this number, wherever they are."""
    rows = Patient.objects.annotate(key=NumberKey("record_number")).filter(
        key=number_key(patient.record_number)
    )
    return rows.exclude(pk=patient.pk).exists()


def taken(site: Site) -> Refusal:
    """The refusal of a number that somebody has: whoever asks, it names neither the record nor its site."""
    return Refusal(
        f"This record number is taken. {free_number(site)} is free.", code="unique", field="record_number"
    )
