"""Courses of the small clinic: how they are asked, answered, called about, alerted, written as a diary and exported."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.tests.factories import DAY, MONDAY
from outcomes import services
from outcomes.exports.columns import MARK
from outcomes.models import AdverseEvent, Alert, Answer, CheckIn, CourseSummary, Export, FollowUp
from outcomes.reports import Selection
from patients.models import Patient
from procedures.models import Procedure, RedFlag, ReliefProfile
from procedures.tests.factories import World

Rows = list[dict[str, str]]
#: Each course that is answered whole is another patient's.
patient_numbers = count(2)
BIRTH_DATE = {"month": "5", "day": "6", "year": "1944"}
WRONG_BIRTH_DATE = {"month": "6", "day": "5", "year": "1944"}
#: As a sacroiliac joint injection: a diary, and days for its use as a treatment.
DIARY_MINUTES = [30, 60, 120, 180, 240, 360, 480, 1440]
TREATMENT_DAYS = [1, 3, 7, 14, 18, 21, 28, 60]
#: Each template of an e-mail, and what can be looked at of it.
PREVIEWED_EMAILS = {
    "outcomes.emails.invitation": {"caregiver", "check-in", "check-ins", "reminder", "reminders"},
    "outcomes.emails.alert": {"alert", "alert-overdue"},
    "procedures.emails.booked": {"booked", "moved"},
    "procedures.emails.cancelled": {"cancelled"},
    "procedures.emails.reminder": {"appointment-reminder"},
}
#: Long enough after the last of these procedures.
AFTER_ALL_COURSES = timedelta(days=7 * 31 + 200)


def red_flag_question(code: str, urgency: str) -> RedFlag:
    """A question about a red flag, which no procedure asks yet."""
    return RedFlag.objects.create(
        code=code,
        question=f"Do you have {code}?",
        question_es=f"¿Tiene {code}?",
        urgency=urgency,
        source="test",
    )


def red_flag(world: World, code: str = "fever_chills", urgency: str = "same_day") -> RedFlag:
    """A red flag that the small clinic's ablation asks for."""
    flag = red_flag_question(code, urgency)
    world.ablation.red_flags.add(flag)
    return flag


def to_call(
    world: World, *, day: int = 14, reason: str = "no_consent", **performed: Any
) -> tuple[CheckIn, datetime]:
    """The check-in of that day after an ablation, to be called since it was due, and the instant of an hour later."""
    procedure: Procedure = world.performed(**performed)
    return wants_call(procedure, day=day, reason=reason)


def wants_call(procedure: Procedure, *, day: int, reason: str = "no_consent") -> tuple[CheckIn, datetime]:
    """The same for a procedure that was performed already."""
    check_in = procedure.follow_up.check_ins.get(offset_minutes=day * 1440)
    check_in.call_at = check_in.due_at
    check_in.not_sent_reason = reason
    check_in.save()
    return check_in, check_in.due_at + timedelta(hours=1)


def insist(client: Client, path: str, data: dict[str, Any], **how: Any) -> Any:
    """Send a form of a patient's page; where something is missing, press the button once more."""
    response = client.post(path, data, **how)
    asked = re.findall(r'name="asked" value="([^"]+)"', response.content.decode())
    return client.post(path, {**data, "asked": asked}, **how) if asked else response


def adverse_event(follow_up: FollowUp, **values: object) -> AdverseEvent:
    """A moderate infection two days after the procedure, not saved."""
    defaults: dict[str, object] = {
        "follow_up": follow_up,
        "term": "infection",
        "onset_on": MONDAY + 2 * DAY,
        "severity": "moderate",
        "serious": False,
        "outcome": "ongoing",
        "relation": "probable",
    }
    return AdverseEvent(**defaults | values)


def recorded_adverse_event(world: World, follow_up: FollowUp, **values: object) -> AdverseEvent:
    """The same, recorded by the nurse on the third day."""
    return services.record_adverse_event(
        adverse_event(follow_up, **values), by=world.nurse, now=world.at(MONDAY + 3 * DAY, 10)
    )


def course_alert(world: World, kind: str, number: int = 2, **values: Any) -> Alert:
    """An alert about another patient's course."""
    patient = world.another_patient(number)
    follow_up = world.performed(patient=patient, day=MONDAY + number * 7 * DAY).follow_up
    alert = services.raise_alert(follow_up, kind, now=world.at(MONDAY, 12))
    assert alert
    Alert.objects.filter(pk=alert.pk).update(**values)
    return alert


def answer_days(follow_up: FollowUp, story: dict[int, int]) -> FollowUp:
    """The check-ins on the days of `story` are answered with its scores."""
    for day, score in story.items():
        row = follow_up.check_ins.get(offset_minutes=day * 1440)
        services.store_answer(
            row.pk, values={"nrs.now": score}, channel="phone", language="en", by=None, now=row.due_at
        )
    return FollowUp.objects.get(pk=follow_up.pk)


def leave_unanswered(follow_up: FollowUp, *days: int) -> datetime:
    """The check-ins on those days are asked, and close without an answer; when the last did."""
    for row in follow_up.check_ins.filter(offset_minutes__in=[day * 1440 for day in days]):
        services.tick(now=row.due_at)
        services.tick(now=row.closes_at)
    return row.closes_at


def alert_kinds(follow_up: FollowUp) -> list[tuple[str, str]]:
    """Every alert of the follow-up: its kind, and how it ended ("" while it is open)."""
    return list(follow_up.alerts.order_by("pk").values_list("kind", "resolution"))


def red_flag_alert(
    world: World, *codes: str, check_in: CheckIn | None = None, now: datetime | None = None
) -> Alert:
    """The alert of a patient who says yes on the day after the procedure."""
    check_in = check_in or world.performed().follow_up.check_ins.get(offset_minutes=1440)
    alert = services.raise_red_flags(check_in, codes, now=now or check_in.due_at)
    assert alert
    return alert


def two_groups(world: World, number: int) -> tuple[Selection, Selection]:
    """As many follow-ups of a physician whose ablations last, and of a nurse's that do not."""
    for _ in range(number):
        answered_course(world, {42: 2, 92: 2, 184: 2, 275: 2, 366: 2})
        brief = answered_course(world, {42: 2, 92: 7, 184: 8})
        CourseSummary.objects.filter(pk=brief.pk).update(performer=world.nurse)
    CourseSummary.objects.filter(performer=None).update(performer=world.physician)
    return Selection(performer=world.physician.pk), Selection(performer=world.nurse.pk)


def export_rows(world: World, kind: str = "follow_ups", *, deidentified: bool = False, **asked: Any) -> Rows:
    """What a physician's export holds."""
    export = services.request_export(
        kind, Selection(**asked), deidentified=deidentified, by=world.physician, now=world.now
    )
    assert export.status == Export.Status.DONE
    return csv_rows(b"".join(services.download(export, by=world.physician, now=world.now)))


def csv_rows(data: bytes) -> Rows:
    """The rows of a CSV file with the mark of its encoding at its beginning."""
    text = data.decode()
    assert text.startswith(MARK)
    return list(csv.DictReader(io.StringIO(text[1:])))


def follow_up_of(procedure: Procedure) -> FollowUp:
    return FollowUp.objects.get(procedure=procedure)


def repeating_follow_up(world: World) -> FollowUp:
    """A course that is asked about on day 1 and 90, and from then on every 180 days."""
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.check_in_days = None, 2, [1, 90]
    profile.check_in_every_days, profile.in_force_from = 180, world.now
    profile.save()
    return follow_up_of(world.performed())


def check_in_of_day(follow_up: FollowUp, day: int) -> CheckIn:
    return follow_up.check_ins.get(offset_minutes=day * 1440)


def performed_follow_up(world: World, **values: Any) -> FollowUp:
    """The course of an ablation that was just performed."""
    found: FollowUp = world.performed(**values).follow_up
    return found


def invitations_sent(now: datetime) -> list[Any]:
    """The e-mails with questions that a tick and the sender bring out at `now`."""
    services.tick(now=now)
    before = len(mail.outbox)
    outbox.send_due(now=now)
    return [message for message in mail.outbox[before:] if "/c/" in str(message.body)]


def cervical_follow_up(world: World, day: date, **values: Any) -> FollowUp:
    """A second course of the same patient, on another region, so that neither ends nor blurs the other."""
    return performed_follow_up(world, day=day, region="cervical", **values)


def diary_profile(world: World, **values: Any) -> ReliefProfile:
    """A newer profile of the ablation, which from now on is also done as a test."""
    world.ablation.purpose = "diagnostic_and_therapeutic"
    world.ablation.save()
    newest = world.ablation.relief_profiles.order_by("-version")[0]
    newest.pk, newest.version, newest.in_force_from = None, newest.version + 1, world.now - timedelta(days=1)
    newest.window_from_minutes, newest.window_until_minutes = 120, 720
    newest.check_in_minutes, newest.check_in_days = DIARY_MINUTES, TREATMENT_DAYS
    newest.diagnostic_percent = 75
    for name, value in values.items():
        setattr(newest, name, value)
    newest.save()
    return newest


def write_diary(
    follow_up: FollowUp, scores: Mapping[int, int], *, late: float = 0, medicine_by: int | None = None
) -> FollowUp:
    """The patient's nurse writes these entries, in this order, each at its minute or so many minutes late."""
    for minutes, score in scores.items():
        check_in = follow_up.check_ins.get(offset_minutes=minutes)
        took = {} if medicine_by is None else {"diary.took_medicine": int(minutes == medicine_by)}
        services.store_answer(
            check_in.pk,
            values={"nrs.now": score, **took},
            channel="clinic",
            language="en",
            by=None,
            now=max(check_in.opens_at, check_in.due_at) + timedelta(minutes=late),
        )
    follow_up.refresh_from_db()
    return follow_up


def answer_until_last(follow_up: FollowUp, scores: Mapping[int, int | None], *, now: datetime) -> FollowUp:
    """The check-ins on the days of `scores` are answered by e-mail; until the last of them every other one is missed
    (so is a day whose score is None). The course is judged at `now`."""
    for check_in in follow_up.check_ins.order_by("offset_minutes"):
        after = check_in.offset_minutes // 1440
        score = scores.get(after)
        if score is not None:
            services.store_answer(
                check_in.pk,
                values={"nrs.now": score},
                channel="email",
                language="en",
                by=None,
                now=check_in.due_at,
            )
        elif after <= max(scores):
            CheckIn.objects.filter(pk=check_in.pk).update(status=CheckIn.Status.MISSED)
    return services.update_verdict(follow_up.pk, now=now)


def next_ablation(world: World, scores: dict[int, int], *, side: str, baseline: int | None = 8) -> FollowUp:
    """One more ablation of the world's patient, eight weeks after the last; until the last score the rest is missed."""
    day = MONDAY + timedelta(days=56 * FollowUp.objects.count())
    follow_up = world.performed(baseline=baseline, day=day, laterality=side).follow_up
    return answer_until_last(follow_up, scores, now=world.now)


def treat_again(world: World, follow_up: FollowUp, *, after: int, pain: int | None) -> None:
    """The patient is treated again so many days after the first time, with this pain before it. What comes of the
    second treatment is left out of the reports."""
    day = follow_up.procedure.performed_at.astimezone(world.site.zone).date() + timedelta(days=after)
    second = world.performed(patient=follow_up.patient, day=day, baseline=pain).follow_up
    CourseSummary.objects.filter(pk=second.pk).update(voided=True)


def answered_course(
    world: World, scores: dict[int, int | None], *, baseline: int | None = 8, **values: object
) -> FollowUp:
    """A patient's own ablation, answered on these days; until the last of them every other day is missed."""
    number = next(patient_numbers)
    patient: Patient = world.another_patient(number)
    day = MONDAY + timedelta(days=7 * (number % 30))
    procedure = world.performed(baseline=baseline, patient=patient, hour=8 + number % 6, day=day, **values)
    return answer_until_last(procedure.follow_up, scores, now=world.now)


def answer_day(follow_up: FollowUp, day: int, pain: int, **values: int) -> Answer:
    """An answer at the check-in of that day, an hour after it was due."""
    check_in = follow_up.check_ins.get(kind="planned", offset_minutes=day * 1440)
    return services.store_answer(
        check_in.pk,
        values={"nrs.now": pain, **{f"relief.{key}": value for key, value in values.items()}},
        channel=Answer.Channel.EMAIL,
        language="en",
        by=None,
        now=check_in.due_at + timedelta(hours=1),
    )


def loss_interval(follow_up: FollowUp) -> tuple[int | None, int | None]:
    follow_up.summary.refresh_from_db()
    return follow_up.summary.lost_after, follow_up.summary.lost_until


def day_as_sent(day: int) -> str:
    """A day after the procedure as a browser's date field sends it."""
    return (MONDAY + timedelta(days=day)).isoformat()
