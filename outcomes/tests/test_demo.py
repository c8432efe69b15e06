"""The demo clinic: the same every time, made through the services, and in nobody's inbox."""

import html
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.models import AuditEvent, Closure, OutgoingEmail, User
from clinic.refusals import Refusal
from outcomes import services
from outcomes.demo import clinic_history, relief_courses
from outcomes.demo.clinic import PASSWORD, build
from outcomes.demo.made_up_patients import COUPLE, DECEASED, OPTED_OUT, invent
from outcomes.demo.timeline import PatientTimeline
from outcomes.models import (
    Alert,
    Answer,
    AnswerCorrection,
    CheckIn,
    ContactAttempt,
    CourseSummary,
    FollowUp,
)
from outcomes.models.follow_ups import JudgedAs
from outcomes.relief import Verdict
from outcomes.reports import Selection, procedure_report
from outcomes.reports.counts import EVALUABLE
from outcomes.services.courses import check_ins_of_courses, courses_of
from outcomes.services.judgement import judgement_of
from outcomes.tests.demo_history import DEMO_NOW, demo_rows, undone
from patients.models import Patient
from procedures import services as procedures
from procedures.models import (
    Appointment,
    Baseline,
    FreedTime,
    ProcedureType,
    ReliefProfile,
    WaitlistEntry,
)
from procedures.tests.factories import World

FEW = 6
#: So many patients have lived at least before reports are looked at; the numbers of some with a rare verdict.
ENOUGH, RARE = 36, (63, 93, 125, 180)
#: Verdicts that so many patients are sure to have; the rarest, such as fluctuating pain, would take hundreds.
ORDINARY = {
    Verdict.TOO_EARLY,
    Verdict.IN_RELIEF,
    Verdict.NO_RELIEF,
    Verdict.LOST_WITHIN,
    Verdict.UNKNOWN,
}


def tell() -> list[tuple[int, int]]:
    return list(clinic_history.tell_history(clock=lambda: DEMO_NOW))


def test_the_same_clinic_again_even_when_cut_off(
    procedure_types: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with undone():
        clinic_history.make_essentials(now=DEMO_NOW, number=FEW)
        assert tell() == [(number, FEW) for number in range(1, FEW + 1)]
        first = demo_rows()
        assert tell()[-1] == (FEW, FEW)
        assert demo_rows() == first

    clinic_history.make_essentials(now=DEMO_NOW, number=FEW)
    story = clinic_history.tell_history(clock=lambda: DEMO_NOW)
    next(story)
    play = PatientTimeline.play

    def struck_down(self: PatientTimeline, until: datetime) -> None:
        play(self, until - timedelta(days=200))
        raise KeyboardInterrupt

    monkeypatch.setattr(PatientTimeline, "play", struck_down)
    with pytest.raises(KeyboardInterrupt):
        next(story)
    monkeypatch.undo()
    assert clinic_history.patients_told() == 1
    tell()
    assert demo_rows() == first

    # It is a clinic that lived: what was asked is answered or closed, and nothing waits in the outbox.
    assert len(first["answers"]) > 20
    assert mail.outbox == []
    assert {status for _, status, *_ in first["e-mails"]} <= {"sent", "skipped", "failed"}
    assert all(sent_at <= DEMO_NOW for _, status, sent_at, _ in first["e-mails"] if status == "sent")
    assert not CheckIn.objects.filter(status__in=CheckIn.OPEN, closes_at__lte=DEMO_NOW).exists()
    assert not CheckIn.objects.filter(status="planned", not_sent_reason="", due_at__lte=DEMO_NOW).exists()
    done = services.tick(now=DEMO_NOW)
    # The times that were given back in those two years have passed; nobody is asked to fill them. Tests whose diaries
    # are over end with the first tick.
    late = {"audit_events_sealed", "freed_times_passed", "diaries_over"}
    assert {name for name, count in done.items() if count} <= late
    assert not AuditEvent.objects.filter(at__gt=DEMO_NOW).exists()


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 20, 18, tzinfo=UTC),  # both sites are open
        datetime(2026, 11, 22, 3, 30, tzinfo=UTC),  # Saturday evening
        datetime(2026, 11, 22, 12, 55, tzinfo=UTC),  # Sunday, before anybody opens
        datetime(2026, 7, 5, 13, 10, tzinfo=UTC),  # a Sunday in summer
    ],
)
def test_mail_arrives_while_somebody_watches(procedure_types: None, now: datetime) -> None:
    clinic_history.make_essentials(now=now, number=FEW)
    assert mail.outbox == []
    assert not OutgoingEmail.objects.exclude(status="sent").exists()
    assert asked(services.tick(now=now)) == 0
    assert asked(services.tick(now=now + timedelta(minutes=1))) >= 1


def asked(done: dict[str, int]) -> int:
    """How many questions a tick asked or reminded of."""
    return done["check_ins_invited"] + done["check_in_reminders_reminded"]


def test_the_book_is_open_around_now(procedure_types: None) -> None:
    now = datetime(
        2026, 11, 25, 18, 20, tzinfo=UTC
    )  # a Wednesday, 13:20 at Riverside and 11:20 at Desert View
    clinic_history.make_essentials(now=now, number=clinic_history.PATIENTS)
    today = Appointment.objects.filter(
        starts_at__gte=now - timedelta(hours=5), starts_at__lte=now + timedelta(hours=8)
    )
    statuses = set(today.values_list("status", flat=True))
    assert {"completed", "booked"} <= statuses
    assert len(statuses & {"arrived", "ready", "in_procedure", "recovering"}) >= 2
    assert set(today.values_list("site__name", flat=True)) == {"Riverside Clinic", "Desert View Clinic"}
    assert not Appointment.objects.filter(status="completed", starts_at__gt=now).exists()
    assert Appointment.objects.filter(status__in=Appointment.EXPECTED, starts_at__lt=now).exists()  # late
    assert Appointment.objects.filter(status="booked", starts_at__gt=now + timedelta(days=7)).exists()
    for appointment in Appointment.objects.select_related("site"):
        assert 7 <= appointment.starts_at.astimezone(appointment.site.zone).hour < 20
    assert set(Baseline.objects.values_list("channel", flat=True)) == {"staff", "link", "tablet"}
    desk = User.objects.get(email="desk@demo.example.org")
    assert desk.check_password(PASSWORD)
    assert {site.name for site in desk.sites.all()} == {"Riverside Clinic"}


def test_the_desk_has_something_to_do(procedure_types: None) -> None:
    """Of everything that a front desk looks after there is something, and nothing of it is from the future."""
    clinic_history.make_essentials(now=DEMO_NOW, number=120)
    every = Appointment.objects.all()
    assert every.filter(status="requested").exists()
    assert every.filter(status="held", held_until__gt=DEMO_NOW).exists()
    assert every.filter(wants_change_at__lte=DEMO_NOW, status__in=Appointment.EXPECTED).exists()
    assert every.filter(rescheduled_from__isnull=False).exists()
    assert every.exclude(overbooked_reason="").filter(reservations__lane__gt=0).exists()
    open_times = FreedTime.objects.filter(closed_at=None, starts_at__gt=DEMO_NOW)
    assert any(procedures.matches(freed, now=DEMO_NOW) for freed in open_times)
    assert WaitlistEntry.objects.filter(
        closed_at=None, stale_on__lte=DEMO_NOW.date()
    ).exists()  # to be asked again
    leave = Closure.objects.filter(resource__isnull=False)
    assert all(procedures.displaced_by(closure, now=DEMO_NOW).exists() for closure in leave)
    assert leave.exists()
    assert not AuditEvent.objects.filter(at__gt=DEMO_NOW).exists()


def test_two_hundred_invented_people() -> None:
    people = invent(clinic_history.SEED, date(2026, 11, 20), clinic_history.PATIENTS)
    ages = [2026 - person.born_on.year for person in people]
    assert 24 <= min(ages) <= 30
    assert 88 <= max(ages) <= 94
    assert 0.2 < sum(person.language == "es" for person in people) / len(people) < 0.35
    assert 0.4 < sum(person.answers for person in people) / len(people) < 0.6
    assert all(
        person.email == "" or person.email.split("@")[1] in ("example.org", "example.com", "example.net")
        for person in people
    )
    assert all(" 555 01" in person.phone for person in people)
    assert (
        {person.email == "" for person in people} == {person.consented for person in people} == {True, False}
    )
    first, other = (people[number - 1] for number in COUPLE)
    assert (first.email, first.family_name) == (other.email, other.family_name) != ("", "")
    assert people[DECEASED - 1].died_on
    assert all(people[number - 1].opted_out for number in OPTED_OUT)
    assert invent(clinic_history.SEED, date(2026, 11, 20), FEW) == people[:FEW]


def share(code: str, day: float, number: int = 4000) -> float:
    """The share of courses after the procedure that have at least half relief on `day`."""
    rng = Random(f"{code} {day}")
    return sum(relief_courses.SHAPES[code](rng).works(day) for _ in range(number)) / number


@pytest.mark.parametrize(
    ("code", "day", "published"),
    [
        ("rfa_facet", 263, 0.50),  # Lord 1996: the median
        ("esi_transforaminal", 30, 0.63),  # Smith 2020
        ("esi_transforaminal", 91, 0.74),
        ("esi_transforaminal", 183, 0.64),
        ("esi_interlaminar", 14, 0.409),  # PubMed 23895182
        ("esi_interlaminar", 60, 0.456),
        ("rfa_sacroiliac", 150, 0.86),  # Stelzer 2013
        ("rfa_sacroiliac", 270, 0.71),
        ("rfa_sacroiliac", 450, 0.48),
        ("rfa_peripheral", 182, 0.62),  # Kose 2022
    ],
)
def test_the_shapes_are_the_published_ones(code: str, day: float, published: float) -> None:
    assert share(code, day) == pytest.approx(published, abs=0.03)


def test_what_patients_say_shows_how_they_are() -> None:
    """Whole numbers with noise, compared with the baseline as the service does, find the true share again."""
    rng = Random("said")
    said = true = 0
    for _ in range(2000):
        course = relief_courses.SHAPES["esi_transforaminal"](rng)
        baseline = rng.randint(5, 9)
        said += 2 * relief_courses.score(course, 92, baseline=baseline, rng=rng) <= baseline
        true += course.works(92)
    assert said == pytest.approx(true, rel=0.06)


def test_a_real_clinic_is_left_alone(world: World, settings: Any) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match="not the demo's"):
        call_command("seed_demo", "--essentials")
    assert Patient.objects.count() == 1
    with pytest.raises(CommandError, match="no demo clinic"):
        call_command("seed_demo", "--history")


def test_without_debug_it_refuses(procedure_types: None) -> None:
    with pytest.raises(CommandError, match="DEBUG is off"):
        call_command("seed_demo")
    assert not Patient.objects.exists()


def test_without_catalogue_it_refuses(db: None) -> None:
    with pytest.raises(Refusal, match="load_catalogue"):
        clinic_history.make_essentials(now=DEMO_NOW, number=FEW)


def test_the_command_says_what_it_did(
    procedure_types: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clinic_history, "PATIENTS", FEW)
    monkeypatch.setattr(timezone, "now", lambda: DEMO_NOW)
    settings.DATA_DIR = tmp_path
    call_command("seed_demo", "--essentials", "--yes-this-is-not-a-real-clinic")
    said = capsys.readouterr().out
    assert (tmp_path / "demo-sign-ins.txt").read_text() == said
    assert PASSWORD in said
    call_command("seed_demo", "--yes-this-is-not-a-real-clinic")
    said = capsys.readouterr().out
    assert said.startswith("The demo clinic is there already; nothing was changed.\n")
    assert f"Demo history: {FEW} of {FEW} patients" in said
    call_command("seed_demo", "--history", "--yes-this-is-not-a-real-clinic")
    assert capsys.readouterr().out == "The demo history is complete already; nothing was changed.\n"


def test_one_command_prepares_all_that_the_first_page_needs(
    db: None, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(clinic_history, "PATIENTS", FEW)
    monkeypatch.setattr(timezone, "now", lambda: DEMO_NOW)
    settings.DATA_DIR, settings.DEBUG = tmp_path, True
    for _ in range(2):  # the second time there is nothing to do
        call_command("prepare", "--demo", stdout=StringIO())
        assert ProcedureType.objects.count() > 20
        assert Patient.objects.count() == FEW
        assert (tmp_path / "demo-sign-ins.txt").exists()


def test_the_reports_of_the_demo_show_what_is_true(procedure_types: None) -> None:
    """The curve of the clinic's own follow-ups against how long their relief truly lasts, which only the demo knows.
    And every verdict is explained."""
    truths = lived()
    manager = User.objects.get(email="manager@demo.example.org")
    report = procedure_report(Selection(), user=manager, now=DEMO_NOW)
    (curve, *_) = report.curves
    told = dict(
        CourseSummary.objects.counted()
        .filter(EVALUABLE, unit="day", lost_after__isnull=False)
        .values_list("pk", "follow_up__procedure__procedure_type__code")
    )
    lasts = [truths[pk] for pk in told]
    assert curve.total == len(lasts) > 50
    # The latest first day of judgement; beyond a year hardly anybody is followed.
    places = [place for place in curve.places if 42 <= place.at <= 366]
    assert len(places) > 20
    # What is true of these very patients, and of the shapes that they were drawn from: without and with those whose
    # relief begins late, which counts only where no two bad answers came before it (`test_true_curves`).
    shape = {code: lasting_of(code) for code in set(told.values())}
    for truth in ([np.array(lasts).T], [shape[code] for code in told.values()]):
        inside = []
        for place in places:
            least, most = np.mean([(days > place.at).mean(axis=1) for days in truth], axis=0)
            inside.append(place.band_low <= most and least <= place.band_high)
        assert sum(inside) >= 0.9 * len(places), f"{sum(inside)} of {len(places)}"
    explained_from_what_is_stored()
    explained_on_the_patient_course()
    looked_after()


def lasting(course: relief_courses.SimulatedCourse, profile: ReliefProfile) -> tuple[float, float]:
    """The day on which relief truly ends: 0 for relief that begins after the second planned day of judgement, and as it
    is."""
    first_two = [day for day in profile.check_in_days if day >= profile.evaluate_after_days][:2]
    return course.lasts if any(course.works(day) for day in first_two) else 0.0, course.lasts


def lived() -> dict[int, tuple[float, float]]:
    """Some patients have lived until NOW: the day on which relief truly ends, by follow-up. RARE are among them: in
    their lives two treatments of a region meet."""
    house, truths = build(), dict[int, tuple[float, float]]()
    people = [
        person
        for person in invent(clinic_history.SEED, DEMO_NOW.date(), clinic_history.PATIENTS)
        if person.joined > 200
    ]
    people.sort(key=lambda person: person.number not in RARE)
    for number, person in enumerate(people):
        if number >= ENOUGH:
            break
        if number % 5 == 1:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")  # nobody else can, within a test's transaction
        life = PatientTimeline(
            person, clinic_history.register(person, house, DEMO_NOW), house, clinic_history.SEED, "history"
        )
        life.behind_since = DEMO_NOW - clinic_history.BEHIND
        today = life.place.day(DEMO_NOW)
        life.visits.follow(today - timedelta(days=person.joined), today)
        life.play(DEMO_NOW)
        truths |= {
            pk: lasting(truth.course, truth.follow_up.relief_profile) for pk, truth in life.truths.items()
        }
    return truths


def lasting_of(code: str) -> Any:
    """The days on which relief of 4,000 courses after a procedure ends for good, as two rows: see `relief_end`."""
    rng = Random(f"{code}:lasting")
    profile = ReliefProfile.objects.filter(procedure_type__code=code).latest("version")
    return np.array([lasting(relief_courses.SHAPES[code](rng), profile) for _ in range(4000)]).T


def explained_from_what_is_stored() -> None:
    """Each follow-up says why it is judged so, with the figures that decide, and is judged the same again."""
    told = list(
        FollowUp.objects.select_related(
            "procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile"
        )
    )
    courses, rows = courses_of(told), check_ins_of_courses([follow_up.pk for follow_up in told])
    for follow_up in told:
        course = courses[follow_up.pk]
        again = judgement_of(follow_up, course, rows[follow_up.pk])
        assert (follow_up.verdict, follow_up.verdict_reason) == (again.verdict, again.reason)
        assert follow_up.verdict_reason.endswith(".")
        if (
            follow_up.verdict in (Verdict.NO_BASELINE, Verdict.CONFOUNDED)
            or follow_up.judged_as != JudgedAs.TREATMENT
        ):
            continue
        days = {int(number) for number in re.findall(r"day (\d+)", follow_up.verdict_reason)}
        assert days, follow_up.verdict_reason
        if follow_up.verdict not in (Verdict.TOO_EARLY, Verdict.UNKNOWN):
            scores = re.search(r"Pain (\d+) before, (\d+) on", follow_up.verdict_reason)
            assert scores, follow_up.verdict_reason
            assert int(scores[1]) == follow_up.procedure.baseline_pain
            assert int(scores[2]) in {reading.score for reading in course.readings}
        if again.lost_between:
            assert set(again.lost_between) <= days


def explained_on_the_patient_course() -> None:
    """Whoever opens a patient's course reads of every follow-up its verdict and why."""
    told = defaultdict(list)
    seen = set()
    for follow_up in FollowUp.objects.exclude(closed_reason=FollowUp.Closed.VOIDED):
        told[follow_up.patient_id].append(follow_up)
        seen.add(follow_up.verdict)
    assert seen >= ORDINARY
    reader = Client()
    reader.force_login(User.objects.get(email="administrator@demo.example.org"))
    for patient, follow_ups in told.items():
        page = html.unescape(
            reader.get(reverse("admin:patients_patient_course", args=[patient])).content.decode()
        )
        for up in follow_ups:
            assert up.get_verdict_display() in page
            assert up.verdict_reason in page


def looked_after() -> None:
    """Patients were reminded and telephoned, slips corrected; whoever resolved an alert had taken it and says how."""
    attempts = set(ContactAttempt.objects.values_list("kind", "outcome"))
    assert {("reminder", "queued"), ("call", "reached"), ("call", "no_answer")} <= attempts
    assert set(Answer.objects.values_list("channel", flat=True)) >= {"email", "phone", "paper"}
    assert AnswerCorrection.objects.exists()
    resolved = Alert.objects.filter(resolved_at__isnull=False).exclude(resolution=Alert.Resolution.SETTLED)
    assert {"lost_early", "no_relief", "silent", "red_flag"} <= set(resolved.values_list("kind", flat=True))
    assert not resolved.filter(Q(owner=None) | Q(resolved_by=None) | Q(acknowledged_at=None)).exists()
    assert Alert.objects.filter(escalated_at__isnull=False).exists()
    assert max(Counter(Alert.objects.open().values_list("patient", flat=True)).values(), default=0) <= 3
