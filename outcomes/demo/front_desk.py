"""What lies on the desk on the day on which the demo is made: requests, wishes, leave, and times that came free.

Everything is done through the services, by whoever would do it, at an instant of the days before.
"""

from datetime import date, datetime, time, timedelta
from random import Random

from clinic import outbox
from clinic.models import Closure, Resource, User
from clinic.refusals import Refusal
from clinic.timezones import on_wall
from outcomes import services as outcomes
from outcomes.demo.clinic import DemoClinic, Place, address
from outcomes.demo.timeline import NO_POST, PatientTimeline
from outcomes.models import Export
from outcomes.reports import Selection
from procedures import services as procedures
from procedures.models import Appointment, WaitlistEntry
from procedures.services import notifications

Priority = WaitlistEntry.Priority
#: Days of every year on which Riverside is closed: month, day, why. Desert View is open on every day.
HOLIDAYS = ((1, 1, "New Year's Day"), (7, 4, "Independence Day"), (12, 25, "Christmas Day"))
#: Who waits: how urgently, since so many days, told so many hours before, and a word about it.
WAITING = (
    (Priority.URGENT, 2, 3, "Cannot sleep; lives round the corner."),
    (Priority.SOON, 5, 24, "Mornings are best."),
    (Priority.ROUTINE, 12, 24, ""),
    (Priority.ROUTINE, 26, 48, "Needs a driver: two days' notice."),
)
#: After so many days those are asked whether they still wait; for the one who waits longest that day has come.
STILL = 21
#: Why a physician takes a patient into the time of another one.
SQUEEZED_IN = "severe pain; agreed with the physician"
#: The tables that the manager has asked for, and whether they are de-identified.
TABLES = (("follow_ups", False), ("check_ins", True))


def close_for_holidays(house: DemoClinic, *, now: datetime) -> None:
    """Close Riverside on the holidays of every year that the demo tells of."""
    manager = User.objects.get(email=address("manager"))
    site = house.places["riverside"].site
    for month, day, reason in HOLIDAYS:
        first = date(now.year - 2, month, day)
        closure = Closure(
            site=site,
            starts_at=on_wall(first, time(0), site.zone),
            ends_at=on_wall(first + timedelta(days=1), time(0), site.zone),
            reason=reason,
            yearly=True,
        )
        procedures.close(closure, by=manager, now=now)


def open_up(lives: list[PatientTimeline], place: Place, *, now: datetime) -> None:
    """Let the days before leave something to do: for the waitlist, for requests, for leave, for the waiting room."""
    rng = Random(f"{place.key}:desk")
    coming = list(
        Appointment.objects.filter(site=place.site, status__in=Appointment.EXPECTED, starts_at__gt=now)
        .select_related("patient__site", "procedure_type", "site")
        .order_by("starts_at")
    )
    soon = [appointment for appointment in coming if appointment.starts_at > now + timedelta(hours=20)]
    wait_for_earlier(soon[12:], place, now=now)
    move_one(soon, place, now=now)
    give_back(soon, place, now=now)
    for number, appointment in enumerate(soon[6:8], start=1):
        procedures.ask_for_change(appointment.pk, now=now - timedelta(hours=5 * number))
    booked = {appointment.patient_id for appointment in coming}
    free = [
        live for live in lives if live.patient.pk not in booked and live.person.newcomer and not live.truths
    ]
    squeeze_in(free[:1], coming, now=worked_at(place, now - timedelta(hours=1)))
    hold(free[1:2], place, now=now)
    request(free[2:5], place, rng, now=now)
    take_leave(place, now=now)


def worked_at(place: Place, now: datetime) -> datetime:
    """The last moment before `now`, some minutes ago at least, at which somebody was at the desk."""
    day = place.day(now)
    while day.weekday() not in place.plan.weekdays or place.at(day, 9) > now:
        day -= timedelta(days=1)
    return min(now - timedelta(minutes=17), place.at(day, 15, 42))


def wait_for_earlier(later: list[Appointment], place: Place, *, now: datetime) -> None:
    """Some who are booked in two weeks or more would come sooner."""
    for appointment, (priority, days, notice, note) in zip(later, WAITING, strict=False):
        since = place.at(place.day(now) - timedelta(days=days), 11, 20)
        entry = WaitlistEntry(
            patient=appointment.patient,
            procedure_type=appointment.procedure_type,
            intent=appointment.intent,
            region=appointment.region,
            laterality=appointment.laterality,
            earliest_on=place.day(since),
            stale_on=place.day(since) + timedelta(days=STILL),
            notice_hours=notice,
            priority=priority,
            note=note,
        )
        procedures.join_waitlist(entry, sites=[place.site], by=place.clerk, now=since)


def move_one(soon: list[Appointment], place: Place, *, now: datetime) -> None:
    """One patient has asked for another time and got it, a quarter of an hour later or more."""
    old = soon.pop(3) if len(soon) > 10 else None
    for start in place.starts(place.day(old.starts_at), old.procedure_type) if old else ():
        if old and start > old.starts_at:
            try:
                moment = worked_at(place, now - timedelta(hours=4))
                moved = procedures.reschedule(old.pk, starts_at=start, by=place.clerk, now=moment)
            except Refusal:
                continue
            deliver(moved, notifications.BOOKED, now=moment)
            return


def give_back(soon: list[Appointment], place: Place, *, now: datetime) -> None:
    """Two patients have cancelled; their times are free."""
    for number, hours, reason in ((4, 20, "patient is ill"), (1, 2, "no driver found")):
        if len(soon) > 10:
            gone = soon.pop(number)
            moment = worked_at(place, now - timedelta(hours=hours))
            procedures.cancel(gone.pk, reason=reason, ended_by="patient", by=place.clerk, now=moment)
            deliver(gone, notifications.CANCELLED, now=moment)


def request(newcomers: list[PatientTimeline], place: Place, rng: Random, *, now: datetime) -> None:
    """The nurse has written down for whom an appointment is wanted; nobody has given it a time yet."""
    for ahead, life in enumerate(newcomers, start=6):
        visit = life.visits.first()
        day = place.working_day(place.day(now) + timedelta(days=ahead))
        starts = list(place.starts(day, life.visits.kind(visit)))
        wanted = life.visits.appointment(visit, rng.choice(starts))
        asked_at = worked_at(place, now - timedelta(hours=7 * (ahead - 6)))
        procedures.book(wanted, by=place.nurse, now=asked_at, request=True)


def hold(newcomers: list[PatientTimeline], place: Place, *, now: datetime) -> None:
    """While the site is open a clerk is talking, and holds a time for ten minutes."""
    opens, closes = (place.moment(place.day(now), share) for share in (0, 1))
    if not opens <= now < closes or now.astimezone(place.site.zone).weekday() not in place.plan.weekdays:
        return
    for life in newcomers:
        visit = life.visits.first()
        for start in life.visits.free_times(visit, place.day(now) + timedelta(days=2)):
            try:
                appointment = life.visits.appointment(visit, start)
                procedures.book(appointment, by=place.clerk, now=now, hold=True)
            except Refusal:
                continue
            return


def squeeze_in(newcomers: list[PatientTimeline], coming: list[Appointment], *, now: datetime) -> None:
    """The physician has let somebody come in the time of another patient."""
    for life in newcomers:
        for beside in coming:
            doctor = physician_of(beside)
            appointment = life.visits.appointment(life.visits.first(), beside.starts_at)
            appointment.overbooked_reason = SQUEEZED_IN
            try:
                procedures.book(appointment, resources=[doctor], by=doctor.user, now=now)
            except Refusal:
                continue
            deliver(appointment, notifications.BOOKED, now=now)
            return


def physician_of(appointment: Appointment) -> Resource:
    """Who is to treat the patient."""
    return Resource.objects.select_related("user", "site").get(
        reservations__appointment=appointment, categories__code="physician"
    )


def take_leave(place: Place, *, now: datetime) -> None:
    """A physician will be away in ten days; whoever is booked then must be moved."""
    taken = (
        Appointment.objects.filter(
            site=place.site,
            status__in=Appointment.EXPECTED,
            starts_at__gt=now + timedelta(days=8),
            reservations__resource__categories__code="physician",
        )
        .order_by("starts_at")
        .first()
    )
    if taken is None:
        return
    doctor = physician_of(taken)
    day = place.day(taken.starts_at)
    closure = Closure(
        resource=doctor,
        starts_at=on_wall(day, time(0), doctor.site.zone),
        ends_at=on_wall(day + timedelta(days=1), time(0), doctor.site.zone),
        reason="Congress",
        deputy=deputy_of(doctor),
    )
    procedures.close(closure, by=doctor.user, now=worked_at(place, now))


def deputy_of(doctor: Resource) -> User | None:
    """Who sees to the alerts about a physician's patients: a nurse or another physician of the home site."""
    others = procedures.deputies(doctor.site).filter(is_superuser=False).order_by("pk")
    return next((other for other in others if other.pk != doctor.user_id), None)


def deliver(appointment: Appointment, letter: str, *, now: datetime) -> None:
    """The letter has gone out, to nobody."""
    outbox.send_due(now=now, limit=1, key=notifications.letter_key(appointment.pk, letter), backend=NO_POST)


def ask_for_tables(*, now: datetime) -> None:
    """The manager has asked for some tables; once."""
    manager = User.objects.get(email=address("manager"))
    if not Export.objects.exists():
        for kind, deidentified in TABLES:
            outcomes.request_export(kind, Selection(), deidentified=deidentified, by=manager, now=now)
