"""While the demo's history is told, nobody who uses the clinic waits for it."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from clinic.models import AuditEvent
from outcomes.demo import clinic_history
from procedures import catalogue
from procedures.services.catalogue_loader import load

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
#: What bookings, calls and answers of others lock, and what they point to.
NEEDED = (
    "clinic_resource",
    "clinic_site",
    "clinic_user",
    "procedures_proceduretype",
    "procedures_appointment",
)


@pytest.mark.django_db(transaction=True)
def test_a_life_that_is_being_told_locks_nothing_that_others_need(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    load(catalogue.read_catalogue(), by=None, now=NOW)
    clinic_history.make_essentials(now=NOW, number=6)
    with (
        transaction.atomic(),
        psycopg.connect(**connection.get_connection_params(), autocommit=True) as other,
    ):
        next(clinic_history.tell_history(clock=lambda: NOW))  # told, and not committed yet
        (told,) = AuditEvent.objects.filter(action=clinic_history.TOLD).values_list("object_id", flat=True)
        for table in NEEDED:
            assert other.execute(f"SELECT id FROM {table} FOR NO KEY UPDATE NOWAIT".encode()).fetchall()
        rest = "SELECT id FROM patients_patient WHERE id <> %s FOR UPDATE NOWAIT"
        assert other.execute(rest, [told]).fetchall()
