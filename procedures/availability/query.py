"""The one statement that knows when everything which an appointment needs is free, at each of the sites."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from clinic import prepared_statements
from patients.models import Patient
from procedures.availability.clock_changes import EPOCH, OffsetPeriod
from procedures.availability.offers import Offer
from procedures.availability.resource_choice import HeldResource, ResourceNeed, Server
from procedures.models import Appointment, ProcedureType

#: No set-up is longer: the column's greatest number of minutes.
LONGEST = timedelta(minutes=32767)

#: Every bound of a start is closed, so that spans can be cut and joined without asking which ends belong to them; only
#: then are they counted in whole seconds. Wall times become instants by the clocks that are handed in, see `clock`.
SLOTS_QUERY = """
SELECT * FROM (
WITH need AS MATERIALIZED (  -- what the procedure type asks for, and over which part of the appointment
    SELECT requirement.id, category_id, category.name AS category, needs_privilege, starts_after_minutes,
           (starts_after_minutes - setup_minutes) * INTERVAL '1 minute' AS after,
           (starts_after_minutes + lasts_minutes + turnover_minutes) * INTERVAL '1 minute' AS until
      FROM procedures_resourcerequirement AS requirement
      JOIN clinic_resourcecategory AS category ON category.id = category_id
     WHERE procedure_type_id = %(kind)s::bigint
), whole AS MATERIALIZED (  -- the span in which anything can matter
    SELECT %(first)s::timestamptz + MIN(after) AS first, %(last)s::timestamptz + MAX(until) AS last FROM need
), clock AS MATERIALIZED (  -- how the sites' wall clocks go
    SELECT * FROM UNNEST(
        %(clock_sites)s::bigint[], %(walls_from)s::timestamp[], %(walls_until)s::timestamp[], %(ahead)s::interval[]
    ) AS clock (site_id, wall_from, wall_until, ahead)
), gone AS MATERIALIZED (  -- appointments that stand in nobody's way
    SELECT id FROM procedures_appointment WHERE status = 'held' AND held_until <= %(now)s::timestamptz
 UNION ALL
    SELECT %(replacing)s::bigint WHERE %(replacing)s::bigint IS NOT NULL
), candidate AS MATERIALIZED (  -- every resource that could serve a need at a site
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
), opened AS (  -- when each of them works there, as instants
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
), free AS (  -- less what is closed, and what it is held for
    SELECT opened.site_id, opened.id,
           opened.spans
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM clinic_closure
                          WHERE (resource_id = opened.id OR clinic_closure.site_id = opened.site_id)
                            AND starts_at < whole.last AND ends_at > whole.first), '{}')
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM procedures_reservation
                          WHERE resource_id = opened.id AND released_at IS NULL
                            AND ends_at > whole.first AND starts_at < whole.last
                            AND ends_at > %(earliest)s::timestamptz  -- says no more, but the planner can estimate it
                            AND appointment_id <> ALL (ARRAY(SELECT id FROM gone))), '{}') AS spans
      FROM opened CROSS JOIN whole
), allowed AS MATERIALIZED (  -- the starts for which it would be free as long as the need lasts
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
), together AS (  -- the starts at which every need has somebody, and the patient is free
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
                                             %(last)s::timestamptz + %(lasts)s::interval, '[)')), '{}')
             -- The patient is at the site from start to end, also while nothing is reserved.
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at - %(lasts)s::interval, ends_at, '()'))
                           FROM clinic_closure
                          WHERE clinic_closure.site_id = either.site_id
                            AND starts_at < %(last)s::timestamptz + %(lasts)s::interval
                            AND ends_at > %(first)s::timestamptz), '{}') AS starts
      FROM (SELECT site_id, need_id, RANGE_AGG(starts) AS starts FROM allowed GROUP BY site_id, need_id) AS either
     GROUP BY site_id
    HAVING COUNT(*) = (SELECT COUNT(*) FROM need)
)
-- One row a site with the starts that are left, then one a candidate with those that it allows.
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
) AS found
 ORDER BY site_id, starts_after_minutes, need_id, name, id
"""


def query_sites(
    procedure_type: ProcedureType,
    clocks: dict[int, list[OffsetPeriod]],
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
    asked = {
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
    }
    offers: dict[int, Offer] = {}
    for (
        site_id,
        need_id,
        _,
        category,
        after,
        until,
        resource_id,
        name,
        lows,
        highs,
    ) in prepared_statements.fetch_all(SLOTS_QUERY, asked):
        offer = offers.setdefault(site_id, Offer())
        if need_id is None:
            offer.spans = list(zip(lows, highs, strict=True))
        else:
            want = offer.wants.setdefault(need_id, ResourceNeed(category, after, until))
            want.servers.append(Server(HeldResource(resource_id, name, category), lows or [], highs or []))
    return offers
