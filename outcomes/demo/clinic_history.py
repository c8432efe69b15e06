"""Making the demo clinic: the essentials at once, two years of history patient by patient.

That the demo was made, and whose history is told, stands in the audit trail, written in the transaction of the work
itself: a run that is cut off goes on where it was, and a second run finds nothing to do.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from random import Random

from django.db import connection, transaction
from django.db.models import Min

from clinic import audit
from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from outcomes.demo import front_desk
from outcomes.demo.clinic import DemoClinic, Place, build
from outcomes.demo.made_up_patients import DECEASED, DIARY, DIES, Person, invent
from outcomes.demo.pathways import REPEATED
from outcomes.demo.timeline import PatientTimeline
from outcomes.models import CheckIn
from outcomes.services.invitations import quiet_at
from patients import services as patients
from patients.models import Patient
from procedures.models import Appointment, ProcedureType
from procedures.services.booking_checks import no_resource_locked

SEED = "riverside"
PATIENTS = 200
MADE, TOLD = "demo.made", "demo.history_told"
#: How many appointments a site has: yesterday, today, and on each day of the time that is booked ahead.
YESTERDAY, TODAY, A_DAY, DAYS_AHEAD = 4, 6, 2, 21
#: How many minutes from now some more begin, where the site is open.
AROUND = (-55, -32, -25, -12, -5, 10, 25)
#: The minutes of a block's diary: one of them is always now, somewhere, while a site was open.
DIARY_MINUTES = (30, 120, 180, 60, 240, 300, 360, 480, 720)
#: Two treatments of a known patient lie at least so far apart around the day on which the demo is made.
PAUSE = timedelta(days=60)
#: For so long staff have been behind with alerts and calls.
BEHIND = timedelta(days=30)
#: After so many patients the database counts its rows anew: what it thinks of tables that were empty a moment ago makes
#: it read them from end to end at every question.
COUNTED_AFTER = 10
#: Advisory lock of whoever tells the history: one at a time. Any number, used nowhere else.
TELLING = 7_461_006
#: Whose visit is so near is told first.
NEAR = timedelta(days=2)


def made_at() -> datetime | None:
    """When the demo clinic of this database was made; None when there is none."""
    event = AuditEvent.objects.filter(action=MADE).order_by("id").first()
    return event.at if event else None


def patients_told() -> int:
    """How many patients' history is told."""
    return AuditEvent.objects.filter(action=TOLD).count()


@transaction.atomic
def make_essentials(*, now: datetime, number: int) -> None:
    """Make sites, staff, `number` patients, and the appointments from yesterday to three weeks ahead.

    Raises Refusal "not_a_demo" when patients or sites are there already, "no_catalogue" without procedure types.
    """
    if Patient.objects.exists() or Site.objects.exists():
        raise Refusal(
            "This database holds patients or sites that are not the demo's: nothing was changed.",
            code="not_a_demo",
        )
    if not ProcedureType.objects.exists():
        raise Refusal(
            "There are no procedure types yet: run `manage.py load_catalogue` first.", code="no_catalogue"
        )
    house = build()
    front_desk.close_for_holidays(house, now=now)
    people = invent(SEED, now.date(), number)
    lives = [PatientTimeline(person, register(person, house, now), house, SEED, "live") for person in people]
    fill_the_book(lives, house, now=now)
    for place in house.places.values():
        front_desk.open_up([life for life in lives if life.place is place], place, now=now)
    audit.record(MADE, None, by=None, at=now, actor="import", reason=f"{number} patients")


def register(person: Person, house: DemoClinic, now: datetime) -> Patient:
    """Register the patient, some days before the first visit."""
    rng = Random(f"{SEED}:{person.number}:registered")
    place = house.places[person.site]
    day = place.day(now) - timedelta(days=person.joined + rng.randint(26, 34))
    moment = place.at(day, rng.randint(8, 16), rng.randrange(60))
    names = ("record_number", "given_name", "family_name", "born_on", "email", "phone", "language")
    patient = Patient(
        site=place.site,
        consented_at=moment if person.consented else None,
        **{name: getattr(person, name) for name in names},
    )
    patients.save(patient, insist=True, by=place.clerk, now=moment)  # a couple shares its telephone
    if person.opted_out:
        patients.opt_out(patient.pk, by=place.clerk, now=moment + timedelta(hours=2))
    if person.died_on:
        patient.died_on = person.died_on
        patients.save(patient, by=place.clerk, now=place.at(person.died_on, 12))
    return patient


def fill_the_book(lives: list[PatientTimeline], house: DemoClinic, *, now: datetime) -> None:
    """Appointments around `now` at both sites, each as far as it has come by then.

    Newcomers take what has begun already: they have no history that could contradict it when it is told later. Where
    the site is open now, some more come around this hour, so that the day board shows patients at every step.
    """
    for place in house.places.values():
        here = [life for life in lives if life.place is place]
        ask_soon([life for life in here if life.person.number in DIARY], place, now=now)
        new = [life for life in here if life.person.newcomer and life.person.number not in DIARY]
        known = [life for life in here if comes_again(life.person)]
        # The days on which somebody did not come; and now, when somebody is late.
        missed: set[date | datetime] = set()
        for about in times(place, now=now):
            begun = about < now + timedelta(minutes=45)
            away = place.day(about) < place.day(now) and place.day(about) not in missed
            late = timedelta(minutes=10) < now - about < timedelta(minutes=40) and now not in missed
            life = visit_about(about, new if begun else [*known, *new], now=now, comes=not (away or late))
            if life and (away or late):
                missed.add(place.day(about) if away else now)
            for pool in (new, known):
                if life in pool:
                    pool.remove(life)
        hurry(place, now=now)


def times(place: Place, *, now: datetime) -> list[datetime]:
    """About when patients come, from yesterday to DAYS_AHEAD; in order."""
    found = []
    for ahead in range(-1, DAYS_AHEAD + 1):
        day = place.day(now) + timedelta(days=ahead)
        wanted = {-1: YESTERDAY, 0: TODAY}.get(ahead, A_DAY)
        rng = Random(f"{SEED}:{place.key}:{day}")
        found += [place.moment(day, (turn + rng.uniform(0.05, 0.85)) / wanted) for turn in range(wanted)]
    opens, closes = (place.moment(place.day(now), share) for share in (0, 1))
    around = (now + timedelta(minutes=minutes) for minutes in AROUND)
    return sorted([*found, *(moment for moment in around if opens <= moment < closes)])


def comes_again(person: Person) -> bool:
    """Whether the person has a history and its next procedure would be the first one again."""
    return not person.newcomer and person.pathway in REPEATED and person.number not in (DECEASED, DIES)


def visit_about(
    about: datetime, pool: list[PatientTimeline], *, now: datetime, comes: bool
) -> PatientTimeline | None:
    """Who of `pool` is booked at `about` or the nearest free time after it on that day, and played until `now`.

    None when nobody can be. Not `comes`: the patient stays away.
    """
    for life in pool:
        visit = life.visits.first()
        day = life.place.day(about)
        starts = [start for start in life.place.starts(day, life.visits.kind(visit)) if start >= about]
        if life.visits.attend(visit, starts, now=now, comes=comes):
            return life
    return None


def ask_soon(blocks: list[PatientTimeline], place: Place, *, now: datetime) -> None:
    """Have blocks been done at `place` exactly so long ago that a question of the diary falls due within a minute."""
    rng = Random(f"{SEED}:{place.key}:soon")
    for minutes in DIARY_MINUTES:
        if not blocks:
            break
        life = blocks[0]
        performed_at = now + timedelta(seconds=rng.randint(25, 50)) - timedelta(minutes=minutes)
        begun = performed_at - timedelta(minutes=3)
        # On the site's grid, and so up to a quarter of an hour before.
        begun = begun.astimezone(place.site.zone)
        start = begun - timedelta(
            minutes=(begun.hour * 60 + begun.minute) % place.site.grid_minutes,
            seconds=begun.second,
            microseconds=begun.microsecond,
        )
        if life.visits.attend(life.visits.first(), [start], now=now, performed_at=performed_at):
            del blocks[0]


def hurry(place: Place, *, now: datetime) -> None:
    """Where no diary begins just now, because the site is closed, let one question come within a minute all the same.

    One of today's that is still to come is asked at once; where there is none, a patient is reminded; where there is
    nobody to remind, the next question of all comes early. In its quiet hours the site waits.
    """
    if quiet_at(place.site, now):
        return
    soon = now + timedelta(seconds=Random(f"{SEED}:{place.key}:hurry").randint(25, 50))
    here = CheckIn.objects.filter(
        follow_up__procedure__site=place.site, follow_up__patient__consented_at__isnull=False
    ).exclude(follow_up__patient__email="")
    planned = here.filter(status=CheckIn.Status.PLANNED)
    if planned.filter(due_at__gt=now, due_at__lte=now + timedelta(minutes=1)).exists():
        return
    first = planned.filter(opens_at__lte=now, due_at__gt=now).order_by("due_at", "pk").first()
    if first:
        planned.filter(pk=first.pk).update(due_at=soon)
        return
    asked = here.filter(status=CheckIn.Status.INVITED, closes_at__gt=soon, remind_at__isnull=False)
    if last := asked.order_by("-invited_at", "pk").first():
        here.filter(pk=last.pk).update(remind_at=soon)
    elif upcoming := planned.filter(due_at__gt=now).order_by("due_at", "pk").first():
        planned.filter(pk=upcoming.pk).update(opens_at=now, due_at=soon)


def tell_history(*, clock: Callable[[], datetime]) -> Iterator[tuple[int, int]]:
    """Tell every patient's history, each in one transaction; yields how many of how many are told.

    `clock` is asked before each patient: what fell due while the others' history was told belongs to the past too.
    Those who are expected within NEAR come first, then those of whom the lists of today tell most. Raises Refusal
    "no_demo" before the essentials are made.
    """
    anchor = made_at()
    if anchor is None:
        raise Refusal(
            "There is no demo clinic yet: run `manage.py seed_demo --essentials` first.", code="no_demo"
        )
    house = DemoClinic.found()
    rows = {row.record_number: row for row in Patient.objects.filter(record_number__startswith="DEMO-")}
    people = [person for person in invent(SEED, anchor.date(), len(rows)) if person.record_number in rows]
    done = set(AuditEvent.objects.filter(action=TOLD).values_list("object_id", flat=True))
    expected = dict(
        Appointment.objects.filter(starts_at__gte=anchor - timedelta(days=2), created_at__lte=anchor)
        .values_list("patient")
        .annotate(Min("starts_at"))
    )

    def turn(person: Person) -> tuple[bool, bool, bool, int]:
        at = expected.get(rows[person.record_number].pk)
        return (person.newcomer, at is None or at > anchor + NEAR, at is not None, person.number)

    people.sort(key=turn)
    for person in people:
        patient = rows[person.record_number]
        if patient.pk not in done:
            tell(person, patient, house, anchor=anchor, expected_at=expected.get(patient.pk), until=clock())
            done.add(patient.pk)
            if len(done) % COUNTED_AFTER == 0:
                with connection.cursor() as cursor:
                    tables = connection.introspection.table_names(cursor)
                    cursor.execute(f"ANALYZE {', '.join(map(connection.ops.quote_name, tables))}")
        if len(done) == len(people):
            front_desk.ask_for_tables(now=clock())
        yield len(done), len(people)


@transaction.atomic
def tell(
    person: Person,
    patient: Patient,
    house: DemoClinic,
    *,
    anchor: datetime,
    expected_at: datetime | None,
    until: datetime,
) -> None:
    """Play one patient's past, up to `until`; nothing if somebody else has just done it.

    One transaction, so that no tick meets half a life. It locks nothing that others need: no resource, for in the past
    nobody else books, and of rows that are there only those of this patient.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TELLING])
    if AuditEvent.objects.filter(
        action=TOLD, object_type=patient._meta.label_lower, object_id=patient.pk
    ).exists():
        return
    if not person.newcomer and person.number != DECEASED:
        life = PatientTimeline(person, patient, house, SEED, "history")
        today = life.place.day(anchor)
        last_on = today - timedelta(days=3)
        if expected_at:
            last_on = min(last_on, life.place.day(expected_at) - PAUSE)
        life.behind_since = anchor - BEHIND
        life.visits.follow(today - timedelta(days=person.joined), last_on)
        if person.number == DIES:
            life.at(anchor - timedelta(days=person.joined * 0.4), life.visits.die)
        with no_resource_locked():
            life.play(until)
    audit.record(TOLD, patient, by=None, at=until, site=patient.site, actor="import")
