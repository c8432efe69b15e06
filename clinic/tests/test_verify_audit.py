"""`manage.py verify_audit`: silence is not its answer, and a broken trail is a failed command."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from clinic import audit
from clinic.models import AuditSeal
from procedures.tests.factories import World


def test_it_counts_what_holds_and_fails_on_what_does_not(world: World) -> None:
    audit.record("test.one", None, by=None, at=world.now)
    audit.record("test.two", None, by=None, at=world.now)
    audit.seal(now=world.now)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    seal = AuditSeal.objects.get()
    words = f"The audit trail holds: 2 sealed events.\nThe newest seal is number {seal.pk}: {seal.hash}\n"
    assert out.getvalue() == words

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # a superuser's way around triggers
        cursor.execute("DELETE FROM clinic_auditevent WHERE action = 'test.one'")
    with pytest.raises(CommandError, match=r"The events under seal .* are not those that were sealed"):
        call_command("verify_audit")
