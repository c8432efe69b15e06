"""Finding a time: every minute at which a procedure could begin, from one statement over multiranges.

For each requirement of the procedure type, a resource is free in (working hours − closures − what it is held for). A
free stretch, shrunk by how long the resource is needed and shifted back by when, is where the appointment could begin
as far as that resource goes; the union over a category's resources and the intersection over the requirements, less
the patient's own appointments, is where it can. The grid then picks the starts that a clerk would name.
"""

from dataclasses import dataclass
from datetime import datetime

#: More starts than this are never returned at once: nobody reads them.
MOST = 500


@dataclass(frozen=True, order=True)
class Slot:
    """A time at which an appointment can begin, as a UTC instant, and the number of the site."""

    starts_at: datetime
    site_id: int


#: Starts that a clock on the wall shows a second time, an hour or half an hour later, are left out: "01:30" on the day
#: on which clocks fall back names the first. Wall times that a clock jumps over are never reached, because the series
#: runs over instants.
FIND = """
WITH wanted AS (
    SELECT requirement.id, category_id,
           starts_after_minutes * INTERVAL '1 minute' AS after,
           lasts_minutes * INTERVAL '1 minute' AS lasts
      FROM procedures_resourcerequirement AS requirement
     WHERE procedure_type_id = %(kind)s
), place AS (
    SELECT id AS site_id, time_zone FROM clinic_site WHERE id = ANY (%(sites)s::bigint[])
), candidate AS (
    SELECT DISTINCT place.site_id, place.time_zone, wanted.id AS wanted_id, wanted.after, wanted.lasts, resource.id
      FROM place
     CROSS JOIN wanted
      JOIN clinic_resource_categories AS serves ON serves.resourcecategory_id = wanted.category_id
      JOIN clinic_resource AS resource ON resource.id = serves.resource_id AND resource.active
     WHERE resource.id = ANY (%(chosen)s::bigint[])
        OR NOT EXISTS (
               SELECT FROM clinic_resource_categories AS other
                WHERE other.resourcecategory_id = wanted.category_id
                  AND other.resource_id = ANY (%(chosen)s::bigint[])
           )
), opened AS (
    SELECT who.site_id, who.id,
           RANGE_AGG(TSTZRANGE(
               (day + hours.opens) AT TIME ZONE who.time_zone,
               CASE WHEN hours.closes >= TIME '23:59' THEN (day + 1)::timestamp ELSE day + hours.closes END
                   AT TIME ZONE who.time_zone
           )) AS spans
      FROM (SELECT DISTINCT site_id, time_zone, id FROM candidate) AS who
      JOIN clinic_workinghours AS hours ON hours.resource_id = who.id AND hours.site_id = who.site_id
     CROSS JOIN LATERAL (
               SELECT day::date FROM GENERATE_SERIES(
                   (%(from)s AT TIME ZONE who.time_zone)::date::timestamp,
                   (%(until)s AT TIME ZONE who.time_zone)::date + 1, INTERVAL '1 day'
               ) AS day
           ) AS days
     WHERE hours.weekday = EXTRACT(ISODOW FROM day) - 1
       AND (hours.valid_from_on IS NULL OR hours.valid_from_on <= day)
       AND (hours.valid_until_on IS NULL OR hours.valid_until_on >= day)
     GROUP BY who.site_id, who.id
), free AS (
    SELECT opened.site_id, opened.id,
           opened.spans
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM clinic_closure
                          WHERE (resource_id = opened.id OR clinic_closure.site_id = opened.site_id)
                            AND starts_at < %(beyond)s AND ends_at > %(from)s), '{}')
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at, ends_at)) FROM procedures_reservation
                          WHERE resource_id = opened.id AND released_at IS NULL
                            AND TSTZRANGE(starts_at, ends_at) && TSTZRANGE(%(from)s, %(beyond)s)), '{}') AS spans
      FROM opened
), begin_of AS (
    SELECT candidate.site_id, candidate.wanted_id,
           RANGE_AGG(TSTZRANGE(LOWER(span) - candidate.after, UPPER(span) - candidate.lasts - candidate.after, '[]'))
               AS starts
      FROM candidate
      JOIN free ON free.id = candidate.id AND free.site_id = candidate.site_id
     CROSS JOIN LATERAL UNNEST(free.spans) AS span
     WHERE UPPER(span) - LOWER(span) >= candidate.lasts
     GROUP BY candidate.site_id, candidate.wanted_id
), together AS (
    SELECT site_id,
           RANGE_INTERSECT_AGG(starts) * TSTZMULTIRANGE(TSTZRANGE(%(from)s, %(until)s))
             - COALESCE((SELECT RANGE_AGG(TSTZRANGE(starts_at - %(lasts)s, ends_at, '()'))
                           FROM procedures_appointment
                          WHERE patient_id = %(patient)s::bigint AND status = ANY (%(live)s)
                            AND TSTZRANGE(starts_at, ends_at) && TSTZRANGE(%(from)s, %(beyond)s)), '{}') AS starts
      FROM begin_of
     GROUP BY site_id
    HAVING COUNT(*) = (SELECT COUNT(*) FROM wanted)
), start AS (
    SELECT place.site_id, place.time_zone, at
      FROM together
      JOIN place ON place.site_id = together.site_id
     CROSS JOIN LATERAL UNNEST(together.starts) AS span
     CROSS JOIN LATERAL GENERATE_SERIES(
               DATE_BIN(%(grid)s, LOWER(span), TIMESTAMPTZ '2000-01-01 00:00+00'), UPPER(span), %(grid)s
           ) AS at
     WHERE at <@ span
)
SELECT at, site_id FROM start
 WHERE NOT EXISTS (
           SELECT FROM (VALUES (INTERVAL '1 hour'), (INTERVAL '30 minutes')) AS back (by)
            WHERE (at - back.by) AT TIME ZONE time_zone = at AT TIME ZONE time_zone
       )
 ORDER BY at, site_id
 LIMIT %(most)s
"""
