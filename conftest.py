"""A small clinic for every test: one site in New York, a physician, rooms, and a facet ablation."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pgtrigger
import pytest
from django.test import Client

from clinic import roles
from clinic.models import AuditEvent, AuditSeal, DatabaseIdentity, ResourceCategory, Site, User
from clinic.tests.admin_client import Desk
from clinic.tests.factories import MONDAY, NEW_YORK, resource, staff
from clinic.throttling import PROCESS_CACHE
from patients.models import Patient
from procedures.models import ProcedureType, ReliefProfile, ResourceRequirement
from procedures.tests.factories import World


@pytest.fixture(autouse=True)
def light_settings(settings: Any) -> None:
    """Passwords are hashed fast, and pages name their static files as they are.

    The hashed names of a deployment come from `collectstatic`, which no test runs.
    """
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@pytest.fixture(autouse=True)
def nobody_tried_yet() -> None:
    """No test has to wait because another one has sent wrong passwords or digits."""
    PROCESS_CACHE.clear()


@pytest.fixture(autouse=True)
def own_outside_copy(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each test's database begins anew, and so does the copy of its counter. The folder is made by who sends."""
    settings.SENDING_COPY_DIR = str(tmp_path_factory.getbasetemp() / f"sending-{uuid4().hex}")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """After transactional tests Django empties tables with TRUNCATE, which triggers of some tables refuse.

    `clinic/tests/test_audit.py` and `clinic/tests/test_restores.py` put them back and show that they hold.
    """
    with django_db_blocker.unblock():
        for model in (AuditEvent, AuditSeal, DatabaseIdentity):
            pgtrigger.uninstall(f"{model._meta.label}:never_emptied")


@pytest.fixture
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of the test's own for sockets: pytest's `tmp_path` is too long for them, and kill -9 leaves folders."""
    with tempfile.TemporaryDirectory(prefix="clinic-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture
def client() -> Client:
    """Nobody's browser."""
    return Desk()


@pytest.fixture
def world(db: None) -> World:
    """See World. `now` is the Friday before MONDAY, at noon."""
    site = Site.objects.create(
        name="Riverside", time_zone="America/New_York", phone="+1 212 555 0100", check_in_at=time(10)
    )
    categories = {
        code: ResourceCategory.objects.get_or_create(code=code, defaults={"name": name})[0]
        for code, name in (
            ("physician", "Physician"),
            ("procedure_room", "Procedure room"),
            ("recovery_bay", "Recovery bay"),
        )
    }
    now = datetime.combine(MONDAY - timedelta(days=3), time(12), NEW_YORK).astimezone(UTC)
    physician = staff("physician@example.org", roles.PHYSICIAN, site)
    ablation = ProcedureType.objects.create(
        code="rfa_facet",
        name="Radiofrequency ablation of facet nerves",
        family="radiofrequency_ablation",
        purpose="therapeutic",
        description="Heat on the nerves that carry pain from the facet joints.",
        sedation="local_only",
        laterality="required",
        laterality_options=["left", "right", "bilateral"],
        regions=["cervical", "thoracic", "lumbar"],
        procedure_minutes=45,
        recovery_minutes=60,
        duration_source="test",
    )
    for code, starts, lasts in (("physician", 0, 45), ("procedure_room", 0, 45), ("recovery_bay", 45, 60)):
        ResourceRequirement.objects.create(
            procedure_type=ablation,
            category=categories[code],
            starts_after_minutes=starts,
            lasts_minutes=lasts,
        )
    ReliefProfile.objects.create(
        procedure_type=ablation,
        version=1,
        origin="catalogue",
        in_force_from=now - timedelta(days=900),
        onset_from_days=10,
        onset_until_days=42,
        onset_source="test",
        window_from_days=180,
        window_until_days=365,
        window_source="test",
        check_in_days=[1, 7, 14, 42, 92, 184, 275, 366, 548, 731],
        check_in_source="test",
        evaluate_after_days=42,
        evaluate_after_source="test",
        success_percent=50,
        success_source="test",
    )
    return World(
        site=site,
        clerk=staff("clerk@example.org", roles.FRONT_DESK, site),
        nurse=staff("nurse@example.org", roles.NURSE, site),
        physician=physician,
        admin=User.objects.create_superuser("admin@example.org", "correct horse", first_name="Admin"),
        room=resource("Room 1", categories["procedure_room"], site),
        bay=resource("Bay 1", categories["recovery_bay"], site),
        doctor=resource("Dr Test", categories["physician"], site, physician),
        patient=Patient.objects.create(
            record_number="P00001",
            given_name="Ann",
            family_name="O'Brien",
            born_on=date(1944, 5, 6),
            site=site,
            email="ann@example.org",
            consented_at=now - timedelta(days=400),
            created_at=now,
        ),
        ablation=ablation,
        now=now,
    )
