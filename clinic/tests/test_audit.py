"""The audit trail: it cannot be changed, and when somebody changes it all the same, that shows."""

import pgtrigger
import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from clinic import audit
from clinic.models import AuditEvent, AuditSeal
from procedures.tests.factories import World


def sealed(world: World) -> AuditEvent:
    for word in ("one", "two", "three"):
        audit.record(f"test.{word}", world.site, by=world.clerk, at=world.now, site=world.site)
    assert audit.seal(now=world.now) == 3
    audit.record("test.four", world.site, by=None, at=world.now)
    assert audit.seal(now=world.now) == 1
    assert audit.seal(now=world.now) == 0
    return AuditEvent.objects.get(action="test.two")


def test_who_what_when_where(world: World) -> None:
    event = sealed(world)
    assert (event.by, event.actor, event.object_type, event.object_id) == (
        world.clerk,
        "staff",
        "clinic.site",
        world.site.pk,
    )
    assert AuditEvent.objects.get(action="test.four").actor == "time"
    assert audit.verify(now=world.now) == []


@pytest.mark.parametrize(
    "change", [{"action": "test.nothing"}, {"by": None}, {"seal": None}, {"reason": "x"}]
)
def test_an_event_cannot_be_changed(world: World, change: dict[str, object]) -> None:
    event = sealed(world)
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent.objects.filter(pk=event.pk).update(**change)


def test_an_unsealed_event_cannot_be_changed_either(world: World) -> None:
    audit.record("test.one", None, by=None, at=world.now)
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent.objects.update(action="test.other")


def test_events_and_seals_cannot_be_deleted_or_emptied(world: World) -> None:
    event = sealed(world)
    with pytest.raises(DatabaseError), transaction.atomic():
        event.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditSeal.objects.all().delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditSeal.objects.update(events=7)


def test_the_tables_cannot_be_emptied(db: None) -> None:
    for model in (AuditEvent, AuditSeal):
        pgtrigger.install(f"{model._meta.label}:never_emptied")
        with (
            pytest.raises(DatabaseError, match="never emptied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")


@pytest.mark.parametrize(
    ("crime", "evidence"),
    [
        (
            "UPDATE clinic_auditevent SET action = 'test.nothing' WHERE action = 'test.two'",
            "not those that were",
        ),
        ("DELETE FROM clinic_auditevent WHERE action = 'test.two'", "not those that were"),
        ("UPDATE clinic_auditseal SET hash = repeat('0', 64) WHERE previous_hash = ''", "does not follow"),
        (
            "INSERT INTO clinic_auditevent (at, actor, action, object_type, reason, request_id, seal_id)"
            " SELECT at, 'time', 'test.slipped_in', '', '', '', seal_id FROM clinic_auditevent LIMIT 1",
            "not those that were",
        ),
    ],
)
def test_what_is_done_past_the_triggers_shows(world: World, crime: str, evidence: str) -> None:
    sealed(world)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # a superuser's way around triggers
        cursor.execute(crime)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert any(evidence in fault for fault in audit.verify(now=world.now))


def test_a_trail_that_nobody_seals_is_reported(world: World) -> None:
    audit.record("test.one", None, by=None, at=world.now)
    event = AuditEvent.objects.get()
    assert audit.verify(now=event.recorded_at) == []
    late = event.recorded_at + 2 * audit.SEALED_WITHIN
    assert audit.verify(now=late) == ["1 events wait for a seal: is the tick running?"]
