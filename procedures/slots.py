"""Finding a time: every start on a site's grid at which booking would say yes, from one statement over multiranges.

For each requirement of the procedure type, a resource is free in (working hours − closures − what it is held for). A
free stretch, shrunk by how long the resource is held and shifted back by when, is where the appointment could begin as
far as that resource goes; the union over a category's resources and the intersection over the requirements, less the
patient's own appointments, is where it can. The grid then picks the starts that a clerk would name, and for each of
them resources are chosen as `procedures.services.check` chooses them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo

from django.db.models import Q

from clinic import prepared
from clinic.models import Resource, Site
from clinic.wall_clock import day_span
from patients.models import Patient
from procedures.models import Appointment, Procedure, ProcedureType

#: More starts than this are not returned unless asked for: nobody reads them.
MOST = 500
#: Every start of a week on the finest grid.
WEEK = 7 * 25 * 12
#: How far `first_available` looks before it looks at the whole span: most clinics have something within it.
SOON = timedelta(days=14)
#: Requirements reach at most so far beyond the appointment's start for clock changes to be known in their hours.
REACH = timedelta(days=3)


@dataclass(frozen=True)
class Held:
    """A resource that would be held for one requirement; `category` is the name of what was required."""

    resource_id: int
    name: str
    category: str


@dataclass(frozen=True)
class Slot:
    """A time at which an appointment can begin: [starts_at, ends_at) in UTC, its end that of recovery.

    `resources`: what would be held if nobody else books first, one a requirement, in the requirements' order. The
    spans of the holds follow from the requirements and may begin earlier (set-up) and end later (turnover).
    """

    starts_at: datetime
    ends_at: datetime
    site: Site
    resources: tuple[Held, ...]

    @property
    def wall(self) -> datetime:
        """The start on the site's wall clock, as an aware datetime in the site's zone."""
        return self.starts_at.astimezone(self.site.zone)


def find_slots(
    procedure_type: ProcedureType,
    *,
    sites: Iterable[Site],
    starts_from: datetime,
    starts_before: datetime,
    now: datetime,
    clinician: Resource | None = None,
    resources: Iterable[Resource] = (),
    patient: Patient | None = None,
    replacing: Appointment | None = None,
    limit: int = MOST,
) -> list[Slot]:
    """The first `limit` starts in [starts_from, starts_before) that can be booked, in order of time, then of `sites`.

    All instants are aware; nothing before `now` is offered. Starts lie on each site's own grid (`Site.grid_minutes`),
    counted from midnight on its wall clock. A wall time that the clock shows twice is offered once, the first; one
    that it jumps over never. `clinician` and `resources` must be taken, each for its category, as in `book`; None and
    empty mean anybody. With `patient`, times at which the patient has another appointment are left out. `replacing`
    is the appointment that would be moved: its own time counts as free. Holds that have run out at `now` count as
    free too: `book` gives them back first. Nobody is overbooked.

    Nothing is offered for a procedure type that is out of use or without requirements (such a type can be booked at
    any hour, so there is nothing to find), nor for a patient who has died or was merged into another record, nor at a
    site where a chosen resource is out of use or not needed. One query, however long the span.
    """
    places = list(sites)
    first = max(starts_from, now)
    if not places or not procedure_type.active or first >= starts_before or limit <= 0:
        return []
    if patient and (patient.died_on or patient.merged_into_id):
        return []
    chosen = {resource.pk for resource in (*resources, *([clinician] if clinician else []))}
    clocks = {site.pk: clock(site.zone, first, starts_before) for site in places}
    offers = ask(
        procedure_type,
        clocks,
        first=first,
        before=starts_before,
        now=now,
        chosen=chosen,
        patient=patient,
        replacing=replacing,
    )
    lasts = timedelta(minutes=procedure_type.total_minutes)
    streams = (
        offers[site.pk].slots(site, rank, clocks[site.pk], lasts)
        for rank, site in enumerate(places)
        if site.pk in offers and chosen <= offers[site.pk].serving
    )
    # The rank decides between sites at the same instant, so that slots themselves are never compared.
    return [slot for _, _, slot in islice(merge(*streams, key=lambda found: found[:2]), limit)]


def first_available(
    procedure_type: ProcedureType,
    *,
    sites: Iterable[Site],
    starts_from: datetime,
    starts_before: datetime,
    now: datetime,
    clinician: Resource | None = None,
    resources: Iterable[Resource] = (),
    patient: Patient | None = None,
    replacing: Appointment | None = None,
) -> Slot | None:
    """The first start that `find_slots` would offer; None when there is none. At most two queries."""
    places, wanted = list(sites), list(resources)
    begin = max(starts_from, now)
    near = min(begin + SOON, starts_before)
    for since, until in ((begin, near), (near, starts_before)):
        found = find_slots(
            procedure_type,
            sites=places,
            starts_from=since,
            starts_before=until,
            now=now,
            clinician=clinician,
            resources=wanted,
            patient=patient,
            replacing=replacing,
            limit=1,
        )
        if found:
            return found[0]
    return None


def week_at_a_glance(
    procedure_type: ProcedureType,
    *,
    site: Site,
    first_on: date,
    now: datetime,
    clinician: Resource | None = None,
    resources: Iterable[Resource] = (),
    patient: Patient | None = None,
    replacing: Appointment | None = None,
) -> dict[date, list[Slot]]:
    """All starts on the seven days from `first_on` on the site's wall clock; a day without any has an empty list."""
    days = [first_on + timedelta(days=number) for number in range(7)]
    found = find_slots(
        procedure_type,
        sites=[site],
        starts_from=day_span(days[0], site.zone)[0],
        starts_before=day_span(days[-1], site.zone)[1],
        now=now,
        clinician=clinician,
        resources=resources,
        patient=patient,
        replacing=replacing,
        limit=WEEK,
    )
    return {day: [] for day in days} | by_day(found)


def by_day(slots: Iterable[Slot]) -> dict[date, list[Slot]]:
    """Slots by the day that the wall shows at their own site, in the order in which they come."""
    days: dict[date, list[Slot]] = {}
    for slot in slots:
        days.setdefault(slot.wall.date(), []).append(slot)
    return days


def same_clinician(patient: Patient) -> Resource | None:
    """Who treated this patient last, to pass as `clinician`; None when nobody did, or cannot be booked any more.

    That is who performed the last procedure; where nobody wrote it down, who was reserved to.
    """
    last = (
        Procedure.objects.filter(patient=patient, status__in=Procedure.FOLLOWED)
        .order_by("-performed_at")
        .first()
    )
    if last is None:
        return None
    if last.performer_id:
        who = Q(user=last.performer_id)
    else:
        who = Q(reservations__appointment=last.appointment_id, categories__needs_privilege=True)
    return Resource.objects.filter(who, active=True).order_by("pk").first()


# The wall clock


@dataclass(frozen=True)
class Stretch:
    """A stretch of wall time in which a clock keeps one distance from UTC. Seconds; walls count from 1970 on the wall.

    Of a wall time shown twice the stretch has the first; `shown_until` is where those end that are shown at all, and
    from there to `wall_until` the clock jumps.
    """

    wall_from: int
    wall_until: int
    shown_until: int
    ahead: int


#: No set-up is longer: the column's greatest number of minutes.
LONGEST = timedelta(minutes=32767)
# Wall times, which have no zone: where their count begins, and before and after all that anybody asks for.
EPOCH, EVER, NEVER = datetime(1970, 1, 1), datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001


def clock(zone: ZoneInfo, first: datetime, last: datetime) -> list[Stretch]:
    """How the clock in `zone` goes from `first` to `last` and REACH beyond, without gaps, as `wall_clock.on_wall`.

    Taken from Python's time zones and not from PostgreSQL's, which may be of another release and, of a wall time that
    occurs twice, mean the second.
    """
    day = (first.astimezone(zone) - REACH).date()
    end = (last.astimezone(zone) + REACH).date()
    changes: list[tuple[datetime, timedelta]] = []
    wall = datetime.combine(day, time(0))
    ahead = distance(wall, zone)
    begin = (EVER, ahead)
    while wall.date() < end:
        following = wall + timedelta(days=1)
        after = distance(following, zone)
        if after != ahead:
            low, high = 0, 24 * 60  # the distance changes in the minute that ends at `high`
            while high - low > 1:
                middle = (low + high) // 2
                same = distance(wall + timedelta(minutes=middle), zone) == ahead
                low, high = (middle, high) if same else (low, middle)
            changes.append((wall + timedelta(minutes=high), after))
        wall, ahead = following, after
    starts = [begin, *changes]
    ends = [*changes, (NEVER, ahead)]
    return [
        Stretch(
            seconds(since),
            seconds(until),
            seconds(until - max(then - own, timedelta(0))),
            own.days * 86400 + own.seconds,
        )
        for (since, own), (until, then) in zip(starts, ends, strict=True)
    ]


def distance(wall: datetime, zone: ZoneInfo) -> timedelta:
    """How far the clock in `zone` is ahead of UTC when it shows `wall`, for the first time if it does so twice."""
    return wall.replace(tzinfo=zone).utcoffset() or timedelta(0)


def seconds(wall: datetime) -> int:
    return (wall - EPOCH) // timedelta(seconds=1)


def on_grid(spans: Iterable[tuple[int, int]], stretches: Sequence[Stretch], minutes: int) -> Iterator[int]:
    """The instants, as seconds since 1970 in UTC, at which the wall shows a time on the grid within closed `spans`."""
    step = minutes * 60
    for low, high in spans:
        for stretch in stretches:
            since = max(low + stretch.ahead, stretch.wall_from)
            until = min(high + stretch.ahead + 1, stretch.shown_until)
            for wall in range(-(-since // step) * step, until, step):
                yield wall - stretch.ahead


# What the database says


@dataclass
class Server:
    """A resource that could serve a need, and the starts that it allows: closed spans in seconds, in order."""

    held: Held
    lows: list[int]
    highs: list[int]

    @property
    def resource_id(self) -> int:
        return self.held.resource_id

    def allows(self, at: int) -> bool:
        """Whether it is there and free for an appointment that starts at `at`."""
        position = bisect_right(self.lows, at) - 1
        return position >= 0 and at <= self.highs[position]


@dataclass
class Want:
    """A requirement, held from `after` to `until` seconds after the start, and all who could serve it, by name."""

    category: str
    after: int
    until: int
    servers: list[Server] = field(default_factory=list)

    @property
    def ids(self) -> set[int]:
        """The resources that could serve it."""
        return {server.resource_id for server in self.servers}


@dataclass
class Offer:
    """One site: the starts that are left when every need is met, and its needs in order."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    wants: dict[int, Want] = field(default_factory=dict)

    @property
    def serving(self) -> set[int]:
        """Every resource that could serve at all."""
        return {resource_id for want in self.wants.values() for resource_id in want.ids}

    def slots(
        self, site: Site, rank: int, stretches: Sequence[Stretch], lasts: timedelta
    ) -> Iterator[tuple[datetime, int, Slot]]:
        """The site's slots in order, each behind its start and the site's rank, made as they are asked for."""
        wants = list(self.wants.values())
        # As `looking.choose`: needs with the fewest candidates choose first, and the candidates come by name.
        order = sorted(range(len(wants)), key=lambda number: len(wants[number].servers))
        rivals = [
            [other for other in order if contested(wants[number], wants[other])]
            for number in range(len(wants))
        ]
        for at in on_grid(self.spans, stretches, site.grid_minutes):
            held = choose(wants, order, rivals, at)
            if held is not None:
                starts_at = datetime.fromtimestamp(at, UTC)
                yield starts_at, rank, Slot(starts_at, starts_at + lasts, site, held)


def contested(want: Want, other: Want) -> bool:
    """Whether there is a resource that could serve both, and not both at once."""
    at_once = other is not want and other.after < want.until and other.until > want.after
    return at_once and not want.ids.isdisjoint(other.ids)


def choose(
    wants: Sequence[Want], order: Sequence[int], rivals: Sequence[Sequence[int]], at: int
) -> tuple[Held, ...] | None:
    """One server a need for a start at `at`, none of them twice at once; None when there is not one for each.

    `rivals`: for each need, the needs with which it is `contested`.
    """
    chosen: list[Server | None] = [None] * len(wants)
    for number in order:
        taken = [server.resource_id for rival in rivals[number] if (server := chosen[rival])]
        for server in wants[number].servers:
            if server.allows(at) and server.resource_id not in taken:
                chosen[number] = server
                break
        else:
            return None
    return tuple(server.held for server in chosen if server)


#: Every bound of a start is closed, so that spans can be cut and joined without asking which ends belong to them; only
#: then are they counted in whole seconds. Wall times become instants by the clocks that are handed in, see `clock`.
FIND = """
WITH need AS MATERIALIZED (
    SELECT requirement.id, category_id, category.name AS category, needs_privilege, starts_after_minutes,
           (starts_after_minutes - setup_minutes) * INTERVAL '1 minute' AS after,
           (starts_after_minutes + lasts_minutes + turnover_minutes) * INTERVAL '1 minute' AS until
      FROM procedures_resourcerequirement AS requirement
      JOIN clinic_resourcecategory AS category ON category.id = category_id
     WHERE procedure_type_id = %(kind)s::bigint
), whole AS MATERIALIZED (
    SELECT %(first)s::timestamptz + MIN(after) AS first, %(last)s::timestamptz + MAX(until) AS last FROM need
), clock AS MATERIALIZED (
    SELECT * FROM UNNEST(
        %(clock_sites)s::bigint[], %(walls_from)s::timestamp[], %(walls_until)s::timestamp[], %(ahead)s::interval[]
    ) AS clock (site_id, wall_from, wall_until, ahead)
), gone AS MATERIALIZED (
    SELECT id FROM procedures_appointment WHERE status = 'held' AND held_until <= %(now)s::timestamptz
 UNION ALL
    SELECT %(replacing)s::bigint WHERE %(replacing)s::bigint IS NOT NULL
), candidate AS MATERIALIZED (
    SELECT site.id AS site_id, need.id AS need_id, need.after, need.until, resource.id, resource.name,
           CASE WHEN needs_privilege THEN privilege.id IS NOT NULL ELSE TRUE END AS privileged,
           CASE WHEN needs_privilege THEN privilege.valid_until_on END AS privileged_until_on
      FROM UNNEST(%(sites)s::bigint[]) AS site (id)
     CROSS JOIN LATERAL (
           SELECT id AS resource_id FROM clinic_resource WHERE site_id = site.id
            UNION
           SELECT resource_id FROM clinic_workinghours WHERE site_id = site.id
           ) AS there
      JOIN clinic_resource AS resource ON resource.id = there.resource_id AND resource.active
      JOIN clinic_resource_categories AS serves ON serves.resource_id = resource.id
      JOIN need ON need.category_id = serves.resourcecategory_id
 LEFT JOIN procedures_privilege AS privilege ON privilege.resource_id = resource.id AND family = %(family)s::text
     WHERE (resource.id = ANY (%(chosen)s::bigint[])
            OR NOT EXISTS (SELECT FROM clinic_resource_categories AS other
                            WHERE other.resourcecategory_id = need.category_id
                              AND other.resource_id = ANY (%(chosen)s::bigint[])))
), opened AS (
    SELECT site_id, id, RANGE_AGG(TSTZRANGE(opens_at, closes_at)) AS spans
      FROM (SELECT who.site_id, who.id,
                   (day + opens - before.ahead) AT TIME ZONE 'UTC' AS opens_at,
                   (closing - after.ahead) AT TIME ZONE 'UTC' AS closes_at
              FROM (SELECT DISTINCT site_id, id FROM candidate) AS who
             CROSS JOIN whole
              JOIN clinic_workinghours AS hours ON hours.resource_id = who.id AND hours.site_id = who.site_id
             -- Its weekday's dates, from a day before to a day after: no clock is further from UTC.
             CROSS JOIN LATERAL (SELECT (whole.first AT TIME ZONE 'UTC')::date - 1 AS first) AS eve
             CROSS JOIN LATERAL GENERATE_SERIES(
                       eve.first + (weekday + 8 - EXTRACT(ISODOW FROM eve.first)::int) %% 7 * INTERVAL '1 day',
                       (whole.last AT TIME ZONE 'UTC') + INTERVAL '1 day', INTERVAL '7 days'
                   ) AS day
             -- The last minute of a day means its end.
             CROSS JOIN LATERAL (
                   SELECT CASE WHEN closes >= TIME '23:59' THEN day + INTERVAL '1 day' ELSE day + closes END AS closing
                   ) AS shut
              JOIN clock AS before ON before.site_id = who.site_id
                                  AND day + opens >= before.wall_from AND day + opens < before.wall_until
              JOIN clock AS after ON after.site_id = who.site_id
                                 AND closing >= after.wall_from AND closing < after.wall_until
             WHERE (valid_from_on IS NULL OR valid_from_on <= day)
               AND (valid_until_on IS NULL OR valid_until_on >= day)) AS spans
     WHERE opens_at < closes_at  -- 02:30 to 03:00 is nothing on a day that jumps from 02:00 to 03:00
     GROUP BY site_id, id
), free AS (
    SELECT opened.site_id, opened.id,
           opened.spans
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM clinic_closure
                          WHERE (resource_id = opened.id OR clinic_closure.site_id = opened.site_id)
                            AND starts_at < whole.last AND ends_at > whole.first), '{}')
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM procedures_reservation
                          WHERE resource_id = opened.id AND lane = 0 AND released_at IS NULL
                            AND ends_at > whole.first AND starts_at < whole.last
                            AND ends_at > %(earliest)s::timestamptz  -- says no more, but the planner can estimate it
                            AND appointment_id <> ALL (ARRAY(SELECT id FROM gone))), '{}') AS spans
      FROM opened CROSS JOIN whole
), allowed AS MATERIALIZED (
    SELECT candidate.site_id, need_id, candidate.id,
           RANGE_AGG(TSTZRANGE(LOWER(span) - after, UPPER(span) - until, '[]'))
             * TSTZMULTIRANGE(TSTZRANGE(
                   %(first)s::timestamptz,
                   LEAST(%(last)s::timestamptz,
                         (privileged_until_on + 1 - clock.ahead) AT TIME ZONE 'UTC' - INTERVAL '1 microsecond'),
                   '[]'
               )) AS starts
      FROM candidate
      JOIN free ON free.id = candidate.id AND free.site_id = candidate.site_id
     CROSS JOIN LATERAL UNNEST(free.spans) AS span
 LEFT JOIN clock ON clock.site_id = candidate.site_id
                AND privileged_until_on + 1 >= clock.wall_from AND privileged_until_on + 1 < clock.wall_until
     WHERE privileged AND UPPER(span) - LOWER(span) >= until - after
       AND (privileged_until_on + 1 - clock.ahead) AT TIME ZONE 'UTC' > %(first)s::timestamptz IS NOT FALSE
     GROUP BY candidate.site_id, need_id, candidate.id, privileged_until_on, clock.ahead
), together AS (
    SELECT site_id,
           RANGE_INTERSECT_AGG(starts)
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at - %(lasts)s::interval, ends_at, '()'))
                           FROM procedures_appointment
                          WHERE patient_id = %(patient)s::bigint
                            AND status NOT IN ('requested', 'no_show', 'cancelled', 'entered_in_error')
                            AND id <> ALL (ARRAY(SELECT id FROM gone))
                            -- In the words of the exclusion constraint, whose index answers it.
                            AND TSTZRANGE(starts_at, ends_at, '[)')
                                && TSTZRANGE(%(first)s::timestamptz,
                                             %(last)s::timestamptz + %(lasts)s::interval, '[)')), '{}') AS starts
      FROM (SELECT site_id, need_id, RANGE_AGG(starts) AS starts FROM allowed GROUP BY site_id, need_id) AS either
     GROUP BY site_id
    HAVING COUNT(*) = (SELECT COUNT(*) FROM need)
)
SELECT together.site_id, NULL AS need_id, NULL AS starts_after_minutes, NULL AS category, NULL AS after, NULL AS until,
       NULL AS id, NULL AS name, lows, highs
  FROM together
 CROSS JOIN LATERAL (SELECT ARRAY_AGG(CEIL(EXTRACT(EPOCH FROM LOWER(span)))::bigint ORDER BY span) AS lows,
                            ARRAY_AGG(FLOOR(EXTRACT(EPOCH FROM UPPER(span)))::bigint ORDER BY span) AS highs
                       FROM UNNEST(together.starts) AS span) AS counted
 WHERE lows IS NOT NULL
UNION ALL
SELECT candidate.site_id, need.id, starts_after_minutes, category, EXTRACT(EPOCH FROM need.after)::int,
       EXTRACT(EPOCH FROM need.until)::int, candidate.id, candidate.name, lows, highs
  FROM candidate
  JOIN need ON need.id = candidate.need_id
 LEFT JOIN allowed ON allowed.site_id = candidate.site_id AND allowed.need_id = candidate.need_id
                  AND allowed.id = candidate.id
 CROSS JOIN LATERAL (SELECT ARRAY_AGG(CEIL(EXTRACT(EPOCH FROM LOWER(span)))::bigint ORDER BY span) AS lows,
                            ARRAY_AGG(FLOOR(EXTRACT(EPOCH FROM UPPER(span)))::bigint ORDER BY span) AS highs
                       FROM UNNEST(allowed.starts) AS span) AS counted
 WHERE candidate.site_id IN (SELECT site_id FROM together)
 ORDER BY site_id, starts_after_minutes, need_id, name, id
"""


def ask(
    procedure_type: ProcedureType,
    clocks: dict[int, list[Stretch]],
    *,
    first: datetime,
    before: datetime,
    now: datetime,
    chosen: Iterable[int],
    patient: Patient | None,
    replacing: Appointment | None,
) -> dict[int, Offer]:
    """What each of the sites has left, by its number; a site at which some need is never met is missing."""
    hands = [(site_id, stretch) for site_id, stretches in clocks.items() for stretch in stretches]
    rows = prepared.rows(
        FIND,
        {
            "kind": procedure_type.pk,
            "family": procedure_type.family,
            "lasts": f"{procedure_type.total_minutes} minutes",
            "sites": list(clocks),
            "first": first,
            "last": before - timedelta(microseconds=1),
            "earliest": first - LONGEST,
            "now": now,
            "chosen": list(chosen),
            "patient": patient.pk if patient else None,
            "replacing": replacing.pk if replacing else None,
            "clock_sites": [site_id for site_id, _ in hands],
            "walls_from": [EPOCH + timedelta(seconds=stretch.wall_from) for _, stretch in hands],
            "walls_until": [EPOCH + timedelta(seconds=stretch.wall_until) for _, stretch in hands],
            "ahead": [timedelta(seconds=stretch.ahead) for _, stretch in hands],
        },
    )
    offers: dict[int, Offer] = {}
    for site_id, need_id, _, category, after, until, resource_id, name, lows, highs in rows:
        offer = offers.setdefault(site_id, Offer())
        if need_id is None:
            offer.spans = list(zip(lows, highs, strict=True))
        else:
            want = offer.wants.setdefault(need_id, Want(category, after, until))
            want.servers.append(Server(Held(resource_id, name, category), lows or [], highs or []))
    return offers
