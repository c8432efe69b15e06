"""The numbers of three reports, computed once more by SQL of its own from what was asked and answered: it reads neither
the summaries nor the statements of the reports."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from clinic.tests.factories import MONDAY
from outcomes.models import CheckIn, CourseSummary, FollowUp
from outcomes.reports import Selection, overview_report, procedure_report, response_report
from outcomes.tests.factories import answered_course, treat_again
from procedures.tests.factories import World

#: One row for each follow-up and planned day of judgement: its state, by check-ins, answers and procedures.
EACH = """
WITH course AS (
  SELECT f.id, p.baseline_pain AS before, p.performed_at::date AS day_zero, f.closed_at::date AS ended,
         f.closed_reason, second.baseline_pain AS then
    FROM outcomes_followup f
    JOIN procedures_procedure p ON p.id = f.procedure_id
    LEFT JOIN outcomes_followup g ON g.id = f.ended_by_id
    LEFT JOIN procedures_procedure second ON second.id = g.procedure_id
   WHERE f.closed_reason <> 'voided' AND f.id = ANY(%(counted)s)
), asked AS (
  SELECT c.follow_up_id, c.offset_minutes / 1440 AS day, c.status, c.due_at, m.value AS score
    FROM outcomes_checkin c
    LEFT JOIN outcomes_answer a ON a.check_in_id = c.id
    LEFT JOIN outcomes_measurement m ON m.answer_id = a.id AND m.instrument = 'nrs' AND m.item = 'now'
   WHERE c.kind = 'planned' AND c.offset_minutes >= 1440
)
"""


@pytest.fixture
def mixed(world: World) -> World:
    """Answered, silent, treated again, without a baseline, entered in error."""
    world.site.smallest_cell = 1
    world.site.save()
    answered_course(world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
    answered_course(world, {42: 7, 92: 8, 184: None})
    answered_course(world, {42: 2, 92: 7, 184: 8})
    answered_course(world, {42: 2, 92: 2}, baseline=None)
    treat_again(world, answered_course(world, {42: 2, 92: 2}), after=113, pain=7)
    treat_again(world, answered_course(world, {42: 2, 92: None}), after=113, pain=3)
    treat_again(world, answered_course(world, {42: 2}), after=71, pain=None)
    return world


def rows(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(EACH + statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def counted() -> list[int]:
    """The follow-ups that the reports are to count."""
    left_out = CourseSummary.objects.filter(voided=True).values("pk")
    return list(FollowUp.objects.exclude(pk__in=left_out).values_list("pk", flat=True))


def test_the_procedure_report(mixed: World) -> None:
    now = mixed.at(MONDAY + timedelta(days=900), 9)
    report = procedure_report(Selection(), user=mixed.physician, now=now)
    values = {"counted": counted()}
    ((treated, evaluable),) = rows("SELECT COUNT(*), COUNT(*) FILTER (WHERE before > 0) FROM course", values)
    assert (report.funnel.treated, report.funnel.evaluable) == (treated, evaluable) == (7, 6)
    found = {
        day: tuple(numbers)
        for day, *numbers in rows(
            """
            SELECT day, COUNT(*),
                   COUNT(*) FILTER (WHERE before_end),
                   COUNT(*) FILTER (WHERE before_end AND status = 'answered'),
                   COUNT(*) FILTER (WHERE before_end AND status = 'answered' AND 2 * score <= before),
                   COUNT(*) FILTER (WHERE NOT before_end AND 2 * "then" <= before),
                   COUNT(*) FILTER (WHERE NOT before_end AND 2 * "then" > before),
                   COUNT(*) FILTER (WHERE NOT before_end AND "then" IS NULL)
              FROM (SELECT *, ended IS NULL OR day_zero + day < ended AS before_end
                      FROM course JOIN asked ON asked.follow_up_id = course.id
                     WHERE before > 0) AS each
             GROUP BY day
            """,
            values,
        )
    }
    assert len(found) > 5
    shown = {
        point.at: (
            *(point.fifty.due, point.fifty.asked, point.fifty.answered, point.fifty.count),
            *(point.groups[f"again_{name}"] for name in ("in_relief", "out_of_relief", "not_asked")),
        )
        for point in report.points
    }
    for day in (42, 92, 184, 275, 366):
        assert shown[day] == found[day], day
    assert sum(count or 0 for count in shown[184][4:]) == 3


def test_the_response_report(mixed: World) -> None:
    report = response_report(Selection(), user=mixed.physician, now=mixed.now)
    found = rows(
        """
        SELECT 'day ' || day, COUNT(*), COUNT(score)
          FROM course JOIN asked ON asked.follow_up_id = course.id
         WHERE status IN ('answered', 'missed')
         GROUP BY day
        """,
        {"counted": counted()},
    )
    shown = {(line.label, line.due, line.answered) for line in report.days if line.label != "day 0"}
    assert shown == set(found)


def test_the_overview(mixed: World) -> None:
    last = CheckIn.objects.filter(status=CheckIn.Status.ANSWERED).latest("due_at")
    now = last.due_at + timedelta(days=1)
    (site,) = overview_report(user=mixed.physician, now=now).sites
    values = {"counted": [], "now": now, "site": mixed.site.pk}
    alerts = rows(
        """
        SELECT kind, COUNT(*) FROM outcomes_alert
         WHERE site_id = %(site)s AND resolved_at IS NULL AND raised_at <= %(now)s
         GROUP BY kind
        """,
        values,
    )
    assert site.open_alerts == dict(alerts)
    ((due, answered),) = rows(
        """
        SELECT COUNT(*), COUNT(*) FILTER (WHERE c.status = 'answered')
          FROM outcomes_checkin c
          JOIN outcomes_followup f ON f.id = c.follow_up_id
          JOIN procedures_procedure p ON p.id = f.procedure_id AND p.site_id = %(site)s
          LEFT JOIN outcomes_answer a ON a.check_in_id = c.id
         WHERE c.kind = 'planned'
           AND (c.status = 'missed' AND c.closes_at > %(now)s - INTERVAL '30 days' AND c.closes_at <= %(now)s
                OR c.status = 'answered' AND a.answered_at > %(now)s - INTERVAL '30 days' AND a.answered_at <= %(now)s)
        """,
        values,
    )
    assert site.response
    assert (site.response.of, site.response.count) == (due, answered)
    assert due
