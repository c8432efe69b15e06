"""Reports over a million answers: rebuilding what they count, judging courses again, the reports, and exports."""

import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.core.cache import cache
from django.db import connection
from django.db.models import OuterRef, QuerySet
from django.test.utils import CaptureQueriesContext
from psycopg import ClientCursor

from bench import courses
from bench.clinic import Clinic
from bench.table import Row, rate
from clinic.dev.bootstrap import step
from clinic.models import User
from outcomes import services
from outcomes.exports import TABLES
from outcomes.models import Answer, CourseSummary, Export, FollowUp, Measurement
from outcomes.relief import judge as judge_course
from outcomes.reports import Selection, procedure_report, response_report
from outcomes.services.judgement import courses_of


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """Follow-ups and verdicts per second, then each report's p50 and p95 in milliseconds with its queries."""
    size = courses.QUICK if quick else courses.SIZE
    courses.grow(clinic, size)
    user = User.objects.create_superuser("reports@example.org", "bench")
    with step(f"Rebuilding {FollowUp.objects.count():,} summaries"):
        rebuilt = rate(
            FollowUp.objects.count(), lambda: list(services.judge_again(everything=True, now=clinic.now))
        )
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {CourseSummary._meta.db_table}")
    rows = [
        Row(f"follow-ups whose summaries are rebuilt, of {size:,}", rebuilt),
        *verdicts(clinic.now, quick),
    ]
    answers = Answer.objects.count()
    selection = Selection(procedure_type=clinic.kind.code)

    def procedure() -> object:
        return procedure_report(selection, user=user, now=clinic.now)

    def response() -> object:
        return response_report(selection, user=user, now=clinic.now)

    rounds, cold = (3, 2) if quick else (40, 10)
    of = f"over {answers:,} answers"
    rows += timed(f"procedure report {of}, bands computed", procedure, cold, before=cache.clear)
    rows += timed(f"procedure report {of}, bands kept", procedure, rounds)
    rows += timed(f"response report {of}", response, rounds)
    return rows + exports(clinic, user, quick)


def exports(clinic: Clinic, user: User, quick: bool) -> list[Row]:
    """Rows a second of two exports as they are kept, beside COPY of the columns that they are made from.

    Of the last hundred days' follow-ups, or of the last ten: each day has two hundred.
    """
    latest = courses.noon(clinic.now).date() - timedelta(days=760)
    selection = Selection(
        performed_from=latest - timedelta(days=10 if quick else 100), performed_until=latest
    )
    rows = []
    for kind in ("follow_ups", "check_ins"):
        found = TABLES[kind].rows(selection, user).values_list(*TABLES[kind].lookups())
        number = found.count()
        for deidentified in (False, True):
            export = Export.objects.create(
                kind=kind,
                selection=selection.query(),
                deidentified=deidentified,
                requested_by=user,
                requested_at=clinic.now,
                rows_total=number,
                expires_at=clinic.now + timedelta(days=7),
            )
            manner = "de-identified, " if deidentified else ""
            with step(f"Exporting {number:,} {kind}, {manner}and copying them"):
                ours = rate(number, lambda pk=export.pk: services.make_export(pk, now=clinic.now))  # type: ignore[misc]
                bare = rate(number, lambda found=found: copied(found))  # type: ignore[misc]
            rows.append(Row(f"rows of {kind} exported, {manner}of {number:,}", ours, bare, bare_what="COPY"))
    return rows


def copied(found: QuerySet[Any]) -> int:
    """The bytes of what an export's rows are made from, as COPY writes them."""
    if found.model is not FollowUp:
        figures = Measurement.objects.filter(answer=OuterRef("answer")).values("value")
        found = found.annotate(measured=ArraySubquery(figures))
    sql, params = found.order_by("pk").query.sql_with_params()
    whole = f"COPY ({sql}) TO STDOUT (FORMAT csv)"
    with ClientCursor(connection.connection) as cursor, cursor.copy(whole, params) as copy:
        return sum(len(block) for block in copy)


def verdicts(now: datetime, quick: bool) -> list[Row]:
    """How many courses are judged in a second: their reading, the bare mathematics, and the whole service."""
    number = 200 if quick else 2_000
    wanted = list(
        FollowUp.objects.filter(pk__gt=courses.FIRST)
        .select_related("procedure__site", "relief_profile")
        .order_by("pk")[:number]
    )
    with step(f"Judging {number:,} courses"):
        reading = rate(number, lambda: courses_of(wanted))
        known = list(courses_of(wanted).values())
        pure = rate(number, lambda: [judge_course(course) for course in known])
        service = rate(number, lambda: [services.judge(one.pk, now=now) for one in wanted])
    return [
        Row("courses read from the database, all in one go", reading),
        Row("verdicts of courses that are read already", pure),
        Row("follow-ups judged by the service, one transaction each", service),
    ]


def timed(
    what: str, work: Callable[[], object], rounds: int, *, before: Callable[[], object] = lambda: None
) -> list[Row]:
    """The p50 and p95 of `work` in milliseconds, over `rounds` after one that does not count, and its queries."""
    taken = []
    with step(f"Making the {what}"):
        before()
        with CaptureQueriesContext(connection) as captured:  # slows what it counts: this round does not count
            work()
        for _ in range(rounds):
            before()
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
    p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    return [
        Row(f"{what}, p50, {len(captured)} queries", statistics.median(taken), unit=" ms"),
        Row(f"{what}, p95", p95, unit=" ms"),
    ]
