"""The whole promise through public doors alone: API, tick, the e-mail's text, and the patient's page."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.core.management import call_command
from django.db.models import Q
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from clinic import roles
from clinic.logs import ScrubFilter
from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours
from clinic.tests.factories import MONDAY, NEW_YORK, staff
from outcomes import services as outcomes
from outcomes.models import Alert, Answer, CheckIn, FollowUp
from outcomes.reports import WORKLISTS
from outcomes.tests.factories import insist
from patients.models import Patient
from procedures import services as procedures
from procedures.models import Appointment, Privilege, ProcedureType

#: What each check-in of an ablation is answered with; days that are missing are met with silence.
STORY = {1: 9, 7: 7, 14: 5, 42: 3, 92: 2, 275: 6, 366: 7}
#: day → the verdict that a physician reads after that check-in's day. Day 184 is silent.
VERDICTS = {
    1: "too_early",
    14: "too_early",
    42: "in_relief",
    92: "in_relief",
    184: "in_relief",
    275: "lost_unconfirmed",  # one bad score may be noise
    366: "lost_date_unknown",  # after day 92 and by day 275: most of it lies after day 180
    731: "lost_date_unknown",
}


class Clock:
    """What every edge sees as now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = now
        monkeypatch.setattr(timezone, "now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, at(MONDAY - timedelta(days=3), 12))


@pytest.fixture(autouse=True)
def unhurried(settings: Any) -> None:
    """Two years of sign-ins pass within a minute of the real clock that throttling goes by: count none."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}


@pytest.fixture
def clinic(db: None, clock: Clock) -> Site:
    """A site with the project's own catalogue and one resource of every kind."""
    call_command("load_catalogue", stdout=StringIO())
    site = Site.objects.create(name="Riverside", time_zone=NEW_YORK.key, phone="+1 212 555 0100")
    staff("clerk@example.org", roles.FRONT_DESK, site)
    physician = staff("physician@example.org", roles.PHYSICIAN, site)
    for category in ResourceCategory.objects.all():
        resource = Resource.objects.create(
            name=category.name, site=site, user=physician if category.code == "physician" else None
        )
        resource.categories.add(category)
        if category.needs_privilege:
            for family in ("radiofrequency_ablation", "epidural_steroid_injection"):
                Privilege.objects.create(resource=resource, family=family)
        for day in range(5):
            WorkingHours.objects.create(
                resource=resource, site=site, weekday=day, opens=time(8), closes=time(17)
            )
    return site


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything that is logged, as the deployment's handler writes it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    handler.setFormatter(next(h.formatter for h in root.handlers if h.formatter and h.name == "console"))
    handler.addFilter(ScrubFilter())
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), NEW_YORK).astimezone(UTC)


def signed_in(email: str) -> APIClient:
    client = APIClient()
    token = client.post("/api/v1/token/", {"email": email, "password": "correct horse"})
    assert token.status_code == 201, token.content
    client.credentials(HTTP_AUTHORIZATION=f"Token {token.json()['token']}")
    return client


def ok(response: Any) -> Any:
    assert response.status_code in (200, 201), response.content
    return response.json()


def booked_and_performed(site: Site, clock: Clock) -> None:
    """A clerk registers Ann O'Brien and books her; she says that she will come; a physician records the ablation."""
    desk = signed_in("clerk@example.org")
    patient = ok(
        desk.post(
            "/api/v1/patients/",
            {
                "record_number": "A-1944",
                "given_name": "Ann",
                "family_name": "O'Brien",
                "born_on": "1944-05-06",
                "site": site.pk,
                "email": "ann@example.org",
                "language": "en",
                "consented_at": clock.now.isoformat(),
            },
        )
    )
    appointment = ok(
        desk.post(
            "/api/v1/appointments/",
            {
                "patient": patient["id"],
                "procedure_type": "rfa_facet",
                "site": site.pk,
                "starts_at": f"{MONDAY}T09:00",
                "region": "lumbar",
                "laterality": "left",
                "levels": "L3-L5",
            },
        )
    )
    call_command("tick", now=clock.now.isoformat(), stdout=StringIO())
    clock.now = at(MONDAY - timedelta(days=1), 9)  # a day before, on the hour
    call_command("tick", now=clock.now.isoformat(), stdout=StringIO())
    assert [message.subject for message in mail.outbox] == [
        "Your appointment: January 11, 9 a.m.",
        "Reminder: your appointment, January 11, 9 a.m.",
    ]
    for message in mail.outbox:
        found = re.search(r"http://testserver(/a/[^/\s]+/)", str(message.body))
        assert found
        page = Client().post(found[1], {"reply": "come"}, follow=True)
        assert "You told us that you will come" in page.content.decode()
    clock.now = at(MONDAY, 10)
    doctor = signed_in("physician@example.org")
    row = f"/api/v1/appointments/{appointment['id']}/"
    ok(
        doctor.post(
            f"{row}complete/",
            {"performed_at": f"{MONDAY}T09:10", "baseline_pain": 8, "status": "completed"},
            headers={"If-Match": doctor.get(row)["ETag"]},
        )
    )


def verdict(doctor: APIClient) -> str:
    (follow_up,) = ok(doctor.get("/api/v1/follow-ups/"))["results"]
    return str(ok(doctor.get(f"/api/v1/follow-ups/{follow_up['id']}/"))["verdict"])


def days_asked(site: Site, clock: Clock) -> Iterator[tuple[int, str]]:
    """Let two years pass, a tick each morning; (day, the link's path) for each question that arrives.

    Each e-mail asks or reminds: the letters about the appointment came before its day.
    """
    for day in range(1, 760):
        clock.now = at(MONDAY + timedelta(days=day), 10)
        before = len(mail.outbox)
        call_command("tick", now=clock.now.isoformat(), stdout=StringIO())
        for message in mail.outbox[before:]:
            found = re.search(r"http://testserver(/c/[^/\s]+/)", str(message.body))
            assert found
            if not message.subject.startswith("A reminder"):
                yield day, found[1]


def answered(page: Client, path: str, score: int) -> str:
    """Answer a check-in as a patient does, step by step: the pain now, and no to every red flag. The last page."""
    html = page.get(path).content.decode()
    for _ in range(3):
        step = re.search(r'name="step" value="(\d)"', html)
        if not step:
            break
        flags = set(re.findall(r'name="(red_flag\.\w+)"', html))
        said = {"step": step[1], "nrs.now": score} | dict.fromkeys(flags, 0)
        html = insist(page, path, said, follow=True).content.decode()
    return html


def test_a_booked_procedure_is_followed_through_all_its_check_ins(clinic: Site, clock: Clock) -> None:
    booked_and_performed(clinic, clock)
    page = Client()
    asked = []
    for day, path in days_asked(clinic, clock):
        asked.append(day)
        if day in STORY:
            assert page.get(path).status_code == 200
            assert "Thank you" in answered(page, path, STORY[day])
        if day in VERDICTS:
            assert verdict(signed_in("physician@example.org")) == VERDICTS[day], day
    assert asked == [1, 7, 14, 42, 92, 166, 180, 184, 275, 282, 366, 548, 731]  # on day 282 once more
    doctor = signed_in("physician@example.org")
    (row,) = ok(doctor.get("/api/v1/follow-ups/"))["results"]
    assert "Relief ended after day 92 and by day 275" in row["verdict_reason"]
    call_command("tick", now=clock.now.isoformat(), stdout=StringIO())  # seals what was read just now
    call_command("verify_audit", stdout=StringIO())


def test_no_name_score_or_procedure_leaves_the_house(
    clinic: Site, clock: Clock, log: StringIO, settings: Any
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    booked_and_performed(clinic, clock)
    page = Client()
    paths = []
    for day, path in days_asked(clinic, clock):
        paths.append(path)
        page.get(path)
        answered(page, path, 3)
        page.get("/c/forged/")
        if day > 20:
            break
    logging.getLogger("django.request").error("a fault with %s", "ann@example.org")
    secrets = re.compile(
        r"o'?brien|o&#x27;brien|\bann\b|ann@|a-1944|1944-05-06|ablation|radiofrequency|facet|lumbar|l3-l5|\brfa\b",
        re.I,
    )
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        for text in (message.subject, message.body, message.alternatives[0][0]):
            assert not secrets.search(str(text)), text
    logged = log.getvalue()
    assert "request_finished" in logged  # there is something to search
    assert not secrets.search(logged), secrets.search(logged)
    paths += re.findall(r"http://testserver(/a/[^/\s]+/)", " ".join(str(m.body) for m in mail.outbox))
    assert len(paths) > 4
    for path in paths:
        assert path.split("/")[2] not in logged
        assert not secrets.search(path)
    for line in logged.splitlines():
        assert "score" not in line
        assert "red_flag" not in line
    assert User.objects.count() == 2


def treated(site: Site, number: int, kind: str, *, hour: int, baseline: int) -> FollowUp:
    """A patient of that number, treated on MONDAY; the course that follows."""
    patient = Patient.objects.create(
        record_number=f"Y-{number}",
        given_name=f"Pat{number}",
        family_name=f"Year{number}",
        born_on=date(1950, 1, number),
        site=site,
        email=f"pat{number}@example.org",
        consented_at=at(MONDAY - timedelta(days=30), 9),
        created_at=at(MONDAY - timedelta(days=30), 9),
    )
    appointment = Appointment(
        patient=patient,
        procedure_type=ProcedureType.objects.get(code=kind),
        site=site,
        starts_at=at(MONDAY, hour),
        region="lumbar",
        laterality="left" if kind == "rfa_facet" else "",
    )
    procedures.book(appointment, by=None, now=at(MONDAY - timedelta(days=3), 12), quietly=True)
    record = procedures.Performed(performed_at=at(MONDAY, hour), baseline_pain=baseline)
    procedure = procedures.perform(appointment.pk, record, by=None, now=at(MONDAY, hour + 1))
    return FollowUp.objects.get(procedure=procedure)


def hours_of(day: int) -> Iterator[datetime]:
    """The hours of the site's wall clock at which that day is ticked: all of them when anything is to happen, else ten.

    Looked at again after each tick, because one thing leads to another.
    """
    start = at(MONDAY + timedelta(days=day), 0)
    for hour in range(24):
        moment = at(MONDAY + timedelta(days=day), hour)
        span = (start - timedelta(hours=12), start + timedelta(hours=25))  # a night may lie between
        fields = ("due_at", "remind_at", "call_at", "closes_at", "hold_until")
        busy = Q(*[(f"{name}__range", span) for name in fields], _connector=Q.OR)
        if hour == 10 or CheckIn.objects.filter(busy).exists():
            yield moment


def test_a_year_of_an_ablation_and_an_injection_plays_through_the_tick(clinic: Site, clock: Clock) -> None:
    """Every check-in, reminder, silence, telephone call and red flag to the hour, by `manage.py tick`."""
    clinic.alert_email = "alerts@example.org"
    clinic.save()
    ablation = treated(clinic, 1, "rfa_facet", hour=9, baseline=8)
    injection = treated(clinic, 2, "esi_interlaminar", hour=13, baseline=7)
    scores = {
        "pat1@example.org": {1: 7, 7: 7, 14: 6, 42: 2, 166: 2, 180: 2, 184: 3},
        "pat2@example.org": {1: 5, 3: 4, 7: 3, 14: 2, 18: 2, 21: 2, 28: 2, 60: 6, 63: 6, 92: 7, 180: 7},
    }
    by_phone = {92: 2}  # of the ablation; its day 275 is met with silence to the end
    nurse = staff("nurse@example.org", roles.NURSE, clinic)
    page = Client()
    asked: dict[str, list[int]] = {address: [] for address in scores}
    reminded: dict[str, list[tuple[int, int]]] = {address: [] for address in scores}
    told: list[tuple[int, int]] = []
    called: dict[tuple[int, int], tuple[int, int]] = {}
    missed: dict[tuple[int, int], tuple[int, int]] = {}
    for day in range(300):
        for now in hours_of(day):
            clock.now = now
            hour = now.astimezone(NEW_YORK).hour
            before = len(mail.outbox)
            call_command("tick", now=now.isoformat(), stdout=StringIO())
            for message in mail.outbox[before:]:
                (address,) = message.to
                if address == clinic.alert_email:
                    told.append((day, hour))
                    continue
                if message.subject.startswith("A reminder"):
                    reminded[address].append((day, hour))
                else:
                    assert hour == 10
                    asked[address].append(day)
                found = re.search(r"http://testserver(/c/[^/\s]+/)", str(message.body))
                assert found
                if day not in scores[address]:
                    continue
                if address == "pat2@example.org" and day == 3:
                    says_yes_to_a_red_flag(page, found[1], clinic, clock)
                assert "Thank you" in answered(page, found[1], scores[address][day])
            for check_in in CheckIn.objects.filter(call_at__lte=now, status__in=CheckIn.OPEN):
                planned = check_in.offset_minutes // 1440
                called.setdefault((check_in.follow_up_id, planned), (day, hour))
                if check_in.follow_up_id == ablation.pk and planned in by_phone:
                    outcomes.store_answer(
                        check_in.pk,
                        values={"nrs.now": by_phone[planned]},
                        channel="phone",
                        language="en",
                        by=nurse,
                        now=now,
                    )
            for check_in in CheckIn.objects.filter(status="missed"):
                planned = check_in.offset_minutes // 1440
                missed.setdefault((check_in.follow_up_id, planned), (day, hour))
    assert asked == {
        "pat1@example.org": [1, 7, 14, 42, 92, 166, 180, 184, 275],
        "pat2@example.org": [1, 3, 7, 14, 18, 21, 28, 60, 63, 92, 180, 184],  # day 63 confirms day 60
    }
    # A fortnight's window: reminders after a quarter of it, which is at 22:00 and so waits for the morning, and after
    # half; the call after three quarters; and an end. The clocks change neither here nor between.
    assert reminded == {
        "pat1@example.org": [(96, 8), (99, 10), (279, 8), (282, 10)],
        "pat2@example.org": [(188, 8), (191, 10)],
    }
    assert called == {
        (ablation.pk, 92): (102, 22),
        (injection.pk, 184): (194, 22),
        (ablation.pk, 275): (285, 22),
    }
    assert missed == {(injection.pk, 184): (198, 10), (ablation.pk, 275): (289, 10)}
    assert Answer.objects.get(check_in__follow_up=ablation, channel="phone").recorded_by == nurse
    ablation.refresh_from_db()
    injection.refresh_from_db()
    assert (ablation.verdict, injection.verdict) == ("in_relief", "lost_within_window")
    alert = Alert.objects.get(kind="red_flag")
    assert (alert.codes, alert.urgency, alert.follow_up) == (["fever_chills"], "same_day", injection)
    assert alert.escalated_at  # nobody looked at it in time
    assert told[0] == (3, 11)  # with the first tick after the answer
    assert told[1] > told[0]
    outcomes.resolve(alert.pk, resolution="spoken", by=nurse, now=clock.now)
    assert not Alert.objects.filter(kind="red_flag").open().exists()


def says_yes_to_a_red_flag(page: Client, path: str, clinic: Site, clock: Clock) -> None:
    """The patient has a fever: told what to do, and an alert is raised, before the answer is complete."""
    insist(page, path, {"step": "1", "nrs.now": 4})
    html = page.get(path).content.decode()
    flags = dict.fromkeys(re.findall(r'name="(red_flag\.\w+)"', html), 0)
    step = re.search(r'name="step" value="(\d)"', html)
    assert step
    said = {"step": step[1]} | flags | {"red_flag.fever_chills": 1}
    told = page.post(path, said, follow=True).content.decode()
    assert clinic.phone in told
    assert Alert.objects.get().raised_at == clock.now


def worklists(user: User, clock: Clock) -> dict[str, list[str]]:
    """Who stands on each worklist, by family name; the lists with nobody are left out."""
    rows = {
        code: sorted(follow_up.patient.family_name for follow_up in worklist.rows(user, clock.now))
        for code, worklist in WORKLISTS.items()
    }
    return {code: names for code, names in rows.items() if names}


def test_worklists_are_empty_then_fill_then_are_empty_again(clinic: Site, clock: Clock) -> None:
    """Relief lost early, none, silence, relief lost in its window: each list from the day on which its reason begins to
    hold to the day before somebody acts. Three are treated again; the silent patient answers by telephone."""
    physician = User.objects.get(email="physician@example.org")
    nurse = staff("nurse@example.org", roles.NURSE, clinic)
    for number, hour in ((1, 9), (2, 10), (3, 11), (4, 13)):
        treated(clinic, number, "esi_interlaminar", hour=hour, baseline=8)
    stories: dict[str, dict[int, int]] = {
        "pat1@example.org": {3: 2, 7: 3, 14: 3, 18: 7, 21: 8, 28: 8},
        "pat2@example.org": {7: 8, 14: 7, 28: 8},
        "pat3@example.org": {},
        "pat4@example.org": {7: 4, 14: 3, 28: 2, 60: 7, 92: 8},
    }
    treated_again, telephoned = 105, 190
    page = Client()
    listed: dict[str, dict[str, list[int]]] = {code: {} for code in WORKLISTS}
    for day in range(1, 365):
        clock.now = at(MONDAY + timedelta(days=day), 10)
        before = len(mail.outbox)
        call_command("tick", now=clock.now.isoformat(), stdout=StringIO())
        for message in mail.outbox[before:]:
            (address,) = message.to
            found = re.search(r"http://testserver(/c/[^/\s]+/)", str(message.body))
            if not found or message.subject.startswith("A reminder"):
                continue
            after_repeat = 2 if day > treated_again and stories[address] else None
            score = stories[address].get(day, after_repeat)
            if score is not None:
                assert "Thank you" in answered(page, found[1], score)
        if day == treated_again:
            for number, hour in ((1, 9), (2, 10), (4, 13)):
                again(clinic, number, hour=hour, day=MONDAY + timedelta(days=day), clock=clock)
        if day == telephoned:
            silent = CheckIn.objects.get(follow_up__patient__family_name="Year3", offset_minutes=184 * 1440)
            outcomes.record_answer(
                silent.pk, values={"nrs.now": 3}, channel="phone", language="en", by=nurse, now=clock.now
            )
        for code, names in worklists(physician, clock).items():
            for name in names:
                listed[code].setdefault(name, []).append(day)
    assert listed == {
        # From the bad score of day 18 on, which day 21 confirms; the window opens on day 21.
        "losing_early": {"Year1": list(range(18, treated_again))},
        # Day 7 is a flare; a result is judged from day 14 on.
        "no_relief": {"Year2": list(range(14, treated_again))},
        # Two did not answer on days 1 and 3 either, and then on day 7.
        "silent": {"Year2": [6], "Year3": list(range(6, telephoned)), "Year4": [6]},
        # Relief that was there on day 28 was gone on day 60, within its window, and day 92 confirms it.
        "due_for_repeat": {"Year4": list(range(92, treated_again))},
        "loss_of_effect": {},
        "pain_back": {},
        "trials_without_end": {},
    }
    # All that stood on a list was also an alert, unless its relief had lasted as long as was expected of it.
    raised = Alert.objects.values_list("kind", "patient__family_name", "resolution")
    assert sorted(raised) == [
        ("lost_early", "Year1", "settled"),
        ("no_relief", "Year2", "settled"),
        ("silent", "Year2", "settled"),
        ("silent", "Year3", "settled"),
        ("silent", "Year4", "settled"),
    ]


def again(site: Site, number: int, *, hour: int, day: date, clock: Clock) -> None:
    """The same injection again, booked a week ahead and performed on that day."""
    appointment = Appointment(
        patient=Patient.objects.get(family_name=f"Year{number}"),
        procedure_type=ProcedureType.objects.get(code="esi_interlaminar"),
        site=site,
        starts_at=at(day, hour),
        region="lumbar",
    )
    procedures.book(appointment, by=None, now=at(day - timedelta(days=7), 12), quietly=True)
    record = procedures.Performed(performed_at=at(day, hour), baseline_pain=8)
    procedures.perform(appointment.pk, record, by=None, now=at(day, hour + 1))
