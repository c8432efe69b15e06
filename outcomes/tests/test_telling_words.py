"""No e-mail names a procedure or a condition: each kind of e-mail, about each procedure type of the catalogue."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings

from clinic.outbox import Message
from clinic.tests.factories import MONDAY
from outcomes import emails as of_outcomes
from outcomes.models import Alert, CheckIn, FollowUp
from outcomes.services.alert_emails import OVERDUE, RAISED
from outcomes.tests.factories import PREVIEWED_EMAILS
from patients.models import Caregiver
from procedures import catalogue
from procedures import emails as of_procedures
from procedures.models import Appointment, Procedure, ProcedureType
from procedures.services.catalogue_loader import load
from procedures.tests.factories import World

#: Words of the catalogue that tell nothing, though they have as many letters as those that do.
PLAIN = {"change", "example", "visit"}
#: How the same things are called besides, in both languages; the catalogue knows its own words only.
BESIDES = (
    r"\b(esis?|tfesi|rfa|mbb|scs|pns|itp|prp|m[0-9]{2}(\.[0-9]+)?|icd)\b"
    r"|steroid|cortiso|anesth|anaesth|anest[eé]s|ablaci|inyecc|infiltra|bloqueo|nervi|epidural|facet|radiofrec"
    r"|estimula|bomba|m[eé]dula|columna|lumba|cervical|sacro|articula|rodilla|cadera|hombro|dolor|cr[oó]nic"
    r"|radiculop|esteno|ci[aá]tic|hernia|artr[io]|neuralg|procedimiento|procedure|injection|needle|aguja|surgery|cirug"
)
#: What says nothing: HTML's own words, the style, a calendar's alarm, the random part of an address. An alert's page
#: asks to sign in.
CHANCE = re.compile(
    r'<style.*?</style>|<meta[^>]*>|</?\w+|(?:style|class)="[^"]*"|^TRIGGER[;:]|/[acpu]/[^/\s"]+/|/admin/outcomes/alert/',
    re.S | re.M,
)
FOLDER = Path(catalogue.__file__).parent


def telling() -> re.Pattern[str]:
    """Every name, code and family of the catalogue, its conditions, and the words that these are made of."""
    whole, words = set[str](), set[str]()
    for procedure_type in catalogue.read_catalogue().procedure_types:
        whole |= {
            procedure_type.code,
            procedure_type.family,
            procedure_type.name,
            *procedure_type.indications,
        }
        words |= set(
            re.findall(
                r"[a-z]{4,}",
                f"{procedure_type.name} {procedure_type.code} {procedure_type.family}".replace(
                    "_", " "
                ).casefold(),
            )
        )
        words |= set(procedure_type.regions) - {""}
        whole |= {red_flag.replace("_", " ") for red_flag in procedure_type.red_flags}
    for file in FOLDER.glob("*.toml"):
        # The words for a code stand beside it, for those who read the file.
        for condition in re.findall(r'^  "[A-Z][0-9.A-Z]+", +# (.+)$', file.read_text(), re.M):
            words |= set(re.findall(r"[a-z]{7,}", condition.casefold()))
    listed = "|".join(re.escape(word) for word in sorted(whole | words - PLAIN))
    return re.compile(rf"\b(?:{listed})s?\b|{BESIDES}", re.I)


def one_of_each(world: World) -> Iterator[tuple[Appointment, CheckIn, Alert]]:
    """An appointment of each procedure type, a check-in after it and an alert about it: only their rows."""
    for number, kind in enumerate(ProcedureType.objects.order_by("code")):
        starts = world.at(MONDAY + timedelta(days=number), 9)
        said = {
            "patient": world.patient,
            "procedure_type": kind,
            "site": world.site,
            "intent": "therapeutic",
            "region": kind.regions[0] if kind.regions else "",
            "laterality": "left",
            "indication": kind.indications[0] if kind.indications else "",
        }
        appointment = Appointment.objects.create(
            **said,
            starts_at=starts,
            ends_at=starts + timedelta(hours=2),
            created_at=world.now,
            note="Ablation",
        )
        profile = kind.relief_profiles.latest("version")
        procedure = Procedure.objects.create(
            **said,
            appointment=appointment,
            relief_profile=profile,
            status="completed",
            performed_at=starts,
            recorded_at=starts,
        )
        follow_up = FollowUp.objects.create(
            procedure=procedure, patient=world.patient, relief_profile=profile, opened_at=starts
        )
        due = starts + timedelta(days=14)
        check_in = CheckIn.objects.create(
            follow_up=follow_up,
            offset_minutes=14 * 1440,
            opens_at=due,
            due_at=due,
            closes_at=due + timedelta(days=7),
        )
        alert = Alert.objects.create(
            follow_up=follow_up,
            patient=world.patient,
            site=world.site,
            kind=Alert.Kind.LOST_EARLY,
            urgency=Alert.Urgency.SAME_DAY,
            raised_at=due,
            due_at=due,
        )
        yield appointment, check_in, alert


def written(world: World, appointment: Appointment, check_in: CheckIn, alert: Alert) -> Iterator[Message]:
    """Each kind of e-mail, as its template in SHOWN writes it once it has been found that it may go out."""
    for kind, method in (
        ("booked", "PUBLISH"),
        ("moved", "PUBLISH"),
        ("reminder", "PUBLISH"),
        ("cancelled", "CANCEL"),
    ):
        found = of_procedures.find(appointment.pk)
        yield of_procedures.letter(found, kind, method=method, now=world.now)
    for reminder in (False, True):
        for times in (1, 2):
            asked = of_outcomes.NEEDED.get(pk=check_in.pk)
            courses = [(asked.follow_up, "token")] * times
            yield of_outcomes.invitation_context(
                [(asked, "token")] * times, reminder=reminder, courses=courses
            )
    asked = of_outcomes.NEEDED.get(pk=check_in.pk)
    patient = asked.follow_up.patient
    caregiver = Caregiver(
        patient=patient, name="Bea", language=patient.language, relation="friend", unsubscribe_key=uuid4()
    )
    yield of_outcomes.invitation_context([(asked, "token")], reminder=0, caregiver=caregiver)
    for occasion in (RAISED, OVERDUE):
        yield of_outcomes.announcement(alert, occasion)


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES])
def test_no_email_about_any_procedure_type_names_it_or_a_condition(world: World, language: str) -> None:
    load(catalogue.read_catalogue(), by=None, now=world.now)
    world.patient.language = language
    world.patient.save()
    secrets, told, seen = telling(), set[str](), 0
    for appointment, check_in, alert in one_of_each(world):
        for message in written(world, appointment, check_in, alert):
            seen += 1
            parts = [message.subject, message.text, message.html, str(message.headers)]
            parts += [f"{attachment.name} {attachment.text}" for attachment in message.attachments]
            assert message.text
            assert message.html
            told |= {
                found[0].casefold() for part in parts for found in secrets.finditer(CHANCE.sub(" ", part))
            }
    assert told == set()
    assert seen == 28 * sum(map(len, PREVIEWED_EMAILS.values()))


def test_the_words_are_those_that_tell() -> None:
    """If this fails, the test above proves nothing."""
    secrets = telling()
    for procedure_type in catalogue.read_catalogue().procedure_types:
        for said in (
            procedure_type.name,
            procedure_type.name.upper(),
            procedure_type.code,
            procedure_type.family.replace("_", " "),
            *procedure_type.indications,
        ):
            assert secrets.search(f"Your {said} on Monday"), said
    for said in (
        "bloqueo del nervio",
        "su inyección",
        "an RFA",
        "M54.16",
        "lumbar",
        "radiculopathy",
        "dolor",
        "knee",
    ):
        assert secrets.search(said), said
    assert not secrets.search("How are you? Two minutes for Riverside. Reminder: your appointment")
