"""A clinic's years of follow-ups: a hundred and eighty thousand, with a million answers among 1.8 million check-ins."""

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from bench.clinic import Clinic
from clinic.dev.bootstrap import step
from clinic.models import Site, User
from outcomes.models import CheckIn
from patients.models import Patient

#: Follow-ups; each has the ten check-ins of an ablation, all of them past.
SIZE, QUICK = 180_000, 6_000
PLAN = (1, 7, 14, 42, 92, 184, 275, 366, 548, 731)
#: So many of a hundred check-ins were answered, up to LATE days late.
ANSWERED, LATE = 55.6, 9
SITES, PERFORMERS = 4, 8
#: Rows of the tables begin here, beyond those that other sections make.
FIRST = 50_000_000
#: Tables that are written, in order.
TABLES = ("procedures_procedure", "outcomes_followup", "outcomes_checkin", "outcomes_answer")
TABLES += ("outcomes_measurement", "patients_patient")


def grow(clinic: Clinic, number: int) -> None:
    """That many follow-ups, the same each time, written as rows by the database itself.

    Triggers are off meanwhile: neither history nor foreign keys of the rows are looked at. Of a hundred patients twenty
    have no relief; that of the others lasts a Weibull time around eight months.
    """
    (follow_up,) = clinic.follow_ups(1)
    sites = [clinic.site.pk] + [
        Site.objects.create(
            name=f"Reports {place}", time_zone="America/New_York", phone="+1 212 555 0100", smallest_cell=5
        ).pk
        for place in range(1, SITES)
    ]
    performers = [
        User.objects.create_user(f"performer{place}@example.org", "bench").pk for place in range(PERFORMERS)
    ]
    check_in = clinic.check_in(follow_up, due_at=clinic.now - timedelta(days=20))
    check_in.status = CheckIn.Status.MISSED
    check_in.save()
    patient = Patient.objects.all()[0]
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
                   'M47.8' || number %% 10 AS indication,
                   CASE WHEN RANDOM() < 0.2 THEN 0 ELSE 250 * POWER(-LN(1 - RANDOM()), 1 / 1.2) END AS ends
              FROM GENERATE_SERIES(1, %(number)s) AS number
            """,
            {"now": noon(clinic.now), "sites": sites, "performers": performers, "number": number},
        )
        copy(
            cursor,
            "patients_patient",
            patient.pk,
            "(SELECT DISTINCT patient AS id FROM made) AS made",
            {
                "id": "made.id",
                "record_number": "'R' || made.id",
                "unsubscribe_key": "GEN_RANDOM_UUID()",
                "born_on": "DATE '1930-01-01' + (made.id %% 21000)::int",
                "language": "CASE WHEN made.id %% 6 = 0 THEN 'es' ELSE 'en' END",
            },
        )
        copy(
            cursor,
            "procedures_procedure",
            follow_up.procedure_id,
            "made",
            {
                "id": "made.id",
                "appointment_id": "made.id",
                "patient_id": "made.patient",
                "site_id": "made.site",
                "performer_id": "made.performer",
                "performed_at": "made.at",
                "baseline_pain": "made.baseline",
                "indication": "made.indication",
                "recorded_at": "made.at",
            },
        )
        copy(
            cursor,
            "outcomes_followup",
            follow_up.pk,
            "made",
            {
                "id": "made.id",
                "procedure_id": "made.id",
                "patient_id": "made.patient",
                "opened_at": "made.at",
                "judged_at": "made.at",
                "verdict_reason": "''",  # judged by nobody yet: what is counted need not be judged anew
            },
        )
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
        copy(
            cursor,
            "outcomes_checkin",
            check_in.pk,
            "asked AS made",
            {
                "id": "made.id",
                "follow_up_id": "made.follow_up",
                "offset_minutes": "made.day * 1440",
                "opens_at": "made.due",
                "due_at": "made.due",
                "invited_at": "made.due",
                "closes_at": "made.due + INTERVAL '14 days'",
                "status": "CASE WHEN made.answered THEN 'answered' ELSE 'missed' END",
            },
        )
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
    with step("Analyzing the tables"), connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM ANALYZE {table}")


def copy(cursor: object, table: str, like: int, made: str, columns: dict[str, str]) -> None:
    """One row of `table` for each of `made`: as the row `like`, but for these columns."""
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT STRING_AGG('model.' || QUOTE_IDENT(column_name), ', '), STRING_AGG(QUOTE_IDENT(column_name), ', ')"
        "  FROM information_schema.columns WHERE table_name = %s AND column_name <> ALL (%s)",
        [table, list(columns)],
    )
    values, names = cursor.fetchone()  # type: ignore[attr-defined]
    cursor.execute(  # type: ignore[attr-defined]
        f"INSERT INTO {table} ({names}, {', '.join(columns)})"
        f" SELECT {values}, {', '.join(columns.values())} FROM {table} AS model, {made} WHERE model.id = %s",
        [like],
    )


def noon(moment: datetime) -> datetime:
    """Noon in UTC of that day, so that no date turns within the clinic's hours."""
    return moment.astimezone(UTC).replace(hour=15, minute=0, second=0, microsecond=0)
