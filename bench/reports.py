"""Reports over a million answers: rebuilding what they count, then the procedure and the response report."""

from datetime import UTC, timedelta
from functools import partial

from django.core.cache import cache
from django.db import connection, transaction

from bench.clinic import Clinic, copies
from bench.table import Row, percentiles, rate
from clinic.dev.bootstrap import step
from clinic.models import Site, User
from outcomes import services
from outcomes.models import Answer, CheckIn, FollowUp
from outcomes.reports import Selection, procedure_report, response_report

#: Follow-ups; each has the ten check-ins of an ablation, all of them past.
SIZE, QUICK = 180_000, 6_000
PLAN = (1, 7, 14, 42, 92, 184, 275, 366, 548, 731)
#: So many of a hundred check-ins were answered, up to LATE days late.
ANSWERED, LATE = 55.6, 9
SITES, PERFORMERS = 4, 8
#: Rows of the tables begin here, beyond those that other sections make.
FIRST = 50_000_000


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """Follow-ups per second, then each report's p50 and p95 in milliseconds with its queries."""
    size = QUICK if quick else SIZE
    grow(clinic, size)
    user = User.objects.create_superuser("reports@example.org", "bench")
    with step(f"Rebuilding {size:,} summaries"):
        judge = partial(services.judge_again, everything=True, now=clinic.now)
        rebuilt = rate(FollowUp.objects.count(), lambda: list(judge()))
    vacuum()
    selection = Selection(procedure_type=clinic.kind.code)
    procedure = partial(procedure_report, selection, user=user, now=clinic.now)
    response = partial(response_report, selection, user=user, now=clinic.now)
    rounds, cold = (3, 2) if quick else (40, 10)
    of = f"over {Answer.objects.count():,} answers"
    return [
        Row(f"follow-ups whose summaries are rebuilt, of {size:,}", rebuilt),
        *percentiles(f"procedure report {of}, bands computed", procedure, cold, before=cache.clear),
        *percentiles(f"procedure report {of}, bands kept", procedure, rounds),
        *percentiles(f"response report {of}", response, rounds),
    ]


def grow(clinic: Clinic, number: int) -> None:
    """That many follow-ups, the same each time, written as rows by the database itself.

    Of a hundred patients twenty have no relief; that of the others lasts a Weibull time around eight months.
    """
    (follow_up,) = clinic.follow_ups(1)
    shown = {"time_zone": "America/New_York", "phone": "+1 212 555 0100", "smallest_cell": 5}
    more = [Site.objects.create(name=f"Reports {place}", **shown).pk for place in range(1, SITES)]
    mails = [f"performer{place}@example.org" for place in range(PERFORMERS)]
    who = {
        "sites": [clinic.site.pk, *more],
        "performers": [User.objects.create_user(mail).pk for mail in mails],
    }
    check_in = clinic.check_in(follow_up, due_at=clinic.now - timedelta(days=20))
    check_in.status = CheckIn.Status.MISSED
    check_in.save()
    noon = clinic.now.astimezone(UTC).replace(hour=15, minute=0, second=0, microsecond=0)
    with step(f"Writing {number:,} follow-ups"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SELECT SETSEED(0.5)")
        cursor.execute(
            f"""
            CREATE TEMPORARY TABLE made ON COMMIT DROP AS
            SELECT {FIRST} + number AS id, {FIRST} + number / 3 AS patient, 5 + FLOOR(RANDOM() * 6)::int AS baseline,
                   %(now)s::timestamptz - MAKE_INTERVAL(days => 760 + number / 200, mins => number %% 480) AS at,
                   (%(sites)s::bigint[])[1 + number %% {SITES}] AS site,
                   (%(performers)s::bigint[])[1 + number %% {PERFORMERS}] AS performer,
                   CASE WHEN RANDOM() < 0.2 THEN 0 ELSE 250 * POWER(-LN(1 - RANDOM()), 1 / 1.2) END AS ends
              FROM GENERATE_SERIES(1, %(number)s) AS number
            """,
            who | {"now": noon, "number": number},
        )
        patient = {"id": "made.id", "record_number": "'R' || made.id", "unsubscribe_key": "GEN_RANDOM_UUID()"}
        patient |= {"born_on": "DATE '1930-01-01' + (made.id %% 21000)::int"}
        patient |= {"language": "CASE WHEN made.id %% 6 = 0 THEN 'es' ELSE 'en' END"}
        patients = "(SELECT DISTINCT patient AS id FROM made) AS made"
        copies(cursor, follow_up.patient, patients, patient)
        procedure = {"id": "made.id", "appointment_id": "made.id", "patient_id": "made.patient"}
        procedure |= {"site_id": "made.site", "performer_id": "made.performer", "performed_at": "made.at"}
        procedure |= {"baseline_pain": "made.baseline", "recorded_at": "made.at"}
        copies(cursor, follow_up.procedure, "made", procedure)
        course = {"id": "made.id", "procedure_id": "made.id", "patient_id": "made.patient"}
        # Judged by nobody yet: what is counted need not be judged anew.
        course |= {"opened_at": "made.at", "judged_at": "made.at", "verdict_reason": "''"}
        copies(cursor, follow_up, "made", course)
        cursor.execute(
            f"""
            CREATE TEMPORARY TABLE asked ON COMMIT DROP AS
            SELECT {FIRST} + ROW_NUMBER() OVER () AS id, made.id AS follow_up, day, baseline, day < ends AS good,
                   made.at + MAKE_INTERVAL(days => day) AS due, RANDOM() * 100 < {ANSWERED} AS answered,
                   FLOOR(RANDOM() * {LATE + 1})::int AS late
              FROM made CROSS JOIN UNNEST(%s::int[]) AS day
            """,
            [list(PLAN)],
        )
        question = {"id": "asked.id", "follow_up_id": "asked.follow_up", "offset_minutes": "asked.day * 1440"}
        question |= dict.fromkeys(("opens_at", "due_at", "invited_at"), "asked.due")
        question |= {"closes_at": "asked.due + INTERVAL '14 days'"}
        question |= {"status": "CASE WHEN asked.answered THEN 'answered' ELSE 'missed' END"}
        copies(cursor, check_in, "asked", question)
        cursor.execute(
            "INSERT INTO outcomes_answer (id, check_in_id, channel, language, answered_at, remark, late, version)"
            " SELECT id, id, (ARRAY['email', 'email', 'email', 'phone', 'clinic'])[1 + id % 5], 'en',"
            "        due + MAKE_INTERVAL(days => late), '', false, 1 FROM asked WHERE answered"
        )
        cursor.execute(
            "INSERT INTO outcomes_measurement (answer_id, instrument, version, item, value)"
            " SELECT id, 'nrs', '1', 'now', FLOOR(baseline * CASE WHEN good THEN 0.45 ELSE 0.95 END * RANDOM() ^ 0.2)"
            "   FROM asked WHERE answered"
        )
    vacuum()


def vacuum() -> None:
    with step("Analyzing the tables"), connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
