"""A small clinic for every test: one site in New York, a physician, rooms, and a facet ablation."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pgtrigger
import pytest
from django.contrib.auth.models import Group
from django.test import Client

from clinic import roles
from clinic.models import (
    AuditEvent,
    AuditSeal,
    DatabaseIdentity,
    Resource,
    ResourceCategory,
    Site,
    User,
    WorkingHours,
)
from clinic.tests.desk import Desk
from clinic.throttling import OWN
from patients.models import Patient
from procedures import services
from procedures.models import (
    Appointment,
    Laterality,
    Procedure,
    ProcedureType,
    ReliefProfile,
    ResourceRequirement,
)

NEW_YORK = ZoneInfo("America/New_York")
#: A Monday in winter; nothing before it has happened.
MONDAY = date(2027, 1, 11)


@dataclass
class World:
    """The small clinic. `at` makes an instant from a wall time at its site."""

    site: Site
    clerk: User
    nurse: User
    physician: User
    admin: User
    room: Resource
    bay: Resource
    doctor: Resource
    patient: Patient
    ablation: ProcedureType
    now: datetime

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """The UTC instant of a wall time at the site."""
        return datetime.combine(day, time(hour, minute), self.site.zone).astimezone(UTC)

    def appointment(self, **values: object) -> Appointment:
        """An appointment that could be booked: the patient's left lumbar ablation on Monday at nine."""
        defaults: dict[str, object] = {
            "patient": self.patient,
            "procedure_type": self.ablation,
            "site": self.site,
            "starts_at": self.at(MONDAY, 9),
            "region": "lumbar",
            "laterality": Laterality.LEFT,
        }
        return Appointment(**defaults | values)

    def another_patient(self, number: int = 2, **values: object) -> Patient:
        """One more patient of the site who agreed to e-mail."""
        defaults: dict[str, object] = {
            "record_number": f"P{number:05}",
            "given_name": f"Ana{number}",
            "family_name": f"García{number}",
            "born_on": date(1950, 2, 3),
            "site": self.site,
            "email": f"ana{number}@example.org",
            "consented_at": self.now - timedelta(days=400),
            "created_at": self.now,
        }
        return Patient.objects.create(**defaults | values)

    def performed(
        self, *, baseline: int | None = 8, day: date = MONDAY, hour: int = 9, **values: object
    ) -> Procedure:
        """A booked and performed ablation, recorded an hour after its start."""
        appointment = services.book(
            self.appointment(starts_at=self.at(day, hour), **values), by=self.clerk, now=self.now
        )
        record = services.Performed(performed_at=self.at(day, hour), baseline_pain=baseline)
        return services.perform(appointment.pk, record, by=self.physician, now=self.at(day, hour + 1))


def staff(email: str, role: str, site: Site) -> User:
    """A member of staff with one role at one site; password "correct horse"."""
    user = User.objects.create_user(email, "correct horse", is_staff=True, first_name=role, last_name="Test")
    user.groups.add(Group.objects.get(name=role))
    user.sites.add(site)
    return user


def resource(name: str, category: ResourceCategory, site: Site, user: User | None = None) -> Resource:
    """A resource that works every weekday from eight to five."""
    made = Resource.objects.create(name=name, site=site, user=user)
    made.categories.add(category)
    WorkingHours.objects.bulk_create(
        WorkingHours(resource=made, site=site, weekday=day, opens=time(8), closes=time(17))
        for day in range(5)
    )
    return made


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
    OWN.clear()


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
