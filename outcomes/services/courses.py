"""The course of a follow-up: what is stored of it, as plain values for the verdict.

Read in a few queries for any number of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.db.models.functions import Coalesce

from outcomes.models import Answer, CheckIn, FollowUp, Measurement
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import CHANGE, ENDED_ON, MEDICINE, PEG, TOOK_MEDICINE, WORN_OFF
from outcomes.questions import PAIN_NOW as PAIN
from outcomes.relief import Course, Reading
from outcomes.schedule import DAY
from procedures.models import ImplantedDevice, Laterality, ReliefProfile

SATISFIED = "satisfaction.satisfied"
#: The figures of an answer that verdicts and reports need.
KEYS = (PAIN, TOOK_MEDICINE, MEDICINE, WORN_OFF, ENDED_ON, CHANGE, SATISFIED, *PEG)
#: The instrument and item on which baseline and answers are compared: the pain now, 0–10.
PAIN_NOW = {"instrument": "nrs", "version": "1", "item": "now"}
#: A course that another procedure ended.
BY_ANOTHER = (FollowUp.Closed.REPEATED, FollowUp.Closed.OTHER_TREATMENT)
#: When an anesthetic is expected to have worn off, in minutes, for a profile made before tests had to say so: that of
#: the catalogue's blocks, 2 to 12 hours (docs/catalogue.md; unconfirmed).
OFFSETS_OF_A_TEST = (2 * 60, 12 * 60)


class CheckInReading(NamedTuple):
    """One check-in as it stands. `answered_at` is None, `channel` "" and `values` empty when nothing came back.

    `values` by "instrument.item", those of KEYS alone; what a correction has replaced is not among them.
    """

    kind: str
    offset_minutes: int
    status: str
    answered_at: datetime | None
    late: bool
    channel: str
    values: Mapping[str, int]


class PainScore(NamedTuple):
    """A pain now, 0–10, when it was felt (`felt_at`), and what was said with it: see `outcomes.relief.Reading`."""

    moment: datetime
    score: int
    worn_off: bool = False
    reported: bool = False
    ended_on: int | None = None


class Ending(NamedTuple):
    """What is known of a follow-up besides its answers. `useless`: a device was taken out because it did not help
    enough.

    `pain_before`: the pain before the treatment that ended the course, when it was named and what it was, 0–10; None
    without one, or when nobody asked. `blurred`: of an ongoing effect, from when until when another treatment of the
    same region may have helped as well; what was felt then is left out.
    """

    useless: bool = False
    pain_before: tuple[datetime, int] | None = None
    blurred: Sequence[tuple[datetime, datetime]] = ()


#: Of a course that runs, or whose end tells nothing.
RUNS = Ending()


def check_ins_of_courses(follow_ups: Collection[int]) -> dict[int, list[CheckInReading]]:
    """The check-ins of each of these follow-ups, in order; two queries for any number of them."""
    items = Q()
    for key in KEYS:
        instrument, _, item = key.partition(".")
        items |= Q(instrument=instrument, item=item)
    given: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for answer, instrument, item, value in Measurement.objects.filter(
        items, answer__check_in__follow_up__in=follow_ups
    ).values_list("answer", "instrument", "item", "value"):
        given[answer][f"{instrument}.{item}"] = value
    rows: dict[int, list[CheckInReading]] = {pk: [] for pk in follow_ups}
    columns = (
        "follow_up",
        "kind",
        "offset_minutes",
        "status",
        "answer",
        "answer__answered_at",
        "answer__late",
    )
    found = CheckIn.objects.filter(follow_up__in=follow_ups).order_by("follow_up", "offset_minutes", "pk")
    for follow_up, kind, offset, status, answer, answered_at, late, channel in found.values_list(
        *columns, "answer__channel"
    ):
        values = given.get(answer, {})
        rows[follow_up].append(
            CheckInReading(kind, offset, status, answered_at, bool(late), channel or "", values)
        )
    return rows


def fetched_check_ins(follow_up: FollowUp) -> list[CheckInReading]:
    """The same of one follow-up whose `check_ins__answer__measurements` are fetched; asks the database for nothing."""
    rows = []
    for check_in in follow_up.check_ins.all():
        answer: Answer | None = getattr(check_in, "answer", None)
        given = (
            {
                f"{measurement.instrument}.{measurement.item}": measurement.value
                for measurement in answer.measurements.all()
            }
            if answer
            else {}
        )
        rows.append(
            CheckInReading(
                check_in.kind,
                check_in.offset_minutes,
                check_in.status,
                answer.answered_at if answer else None,
                answer.late if answer else False,
                answer.channel if answer else "",
                {key: given[key] for key in KEYS if key in given},
            )
        )
    return rows


def window_of_test(profile: ReliefProfile) -> tuple[int, int]:
    """The first and the last minute of the time in which the effect of a test is expected to end."""
    if not profile.window_until_minutes:
        return OFFSETS_OF_A_TEST
    return profile.window_from_minutes or 0, profile.window_until_minutes


def in_minutes(follow_up: FollowUp) -> bool:
    """Whether the course is counted in minutes: a test, whose anesthetic wears off within hours."""
    return follow_up.judged_as == JudgedAs.TEST


def position(moment: datetime, performed_at: datetime, *, zone: ZoneInfo, minutes: bool) -> int:
    """Where `moment` lies after the procedure: minutes, or calendar days on the clock in `zone`."""
    if minutes:
        return max(0, int((moment - performed_at) / timedelta(minutes=1)))
    return (moment.astimezone(zone).date() - performed_at.astimezone(zone).date()).days


def felt_at(check_in: CheckIn, answer: Answer, performed_at: datetime) -> datetime:
    """When the pain of an answer was felt: when it was written down, or, for a late entry of a diary, at its hour."""
    if answer.late:
        return performed_at + timedelta(minutes=check_in.offset_minutes)
    return answer.answered_at


def course_of(follow_up: FollowUp) -> Course:
    """The stored facts of a follow-up as plain values, for `outcomes.relief`.

    Wants `procedure__site`, `relief_profile` and `check_in_profile` selected; reads the answers itself.
    """
    return courses_of([follow_up])[follow_up.pk]


def courses_of(follow_ups: Collection[FollowUp]) -> dict[int, Course]:
    """The same for several follow-ups, by their numbers; a few queries for any number of them."""
    rows, how = check_ins_of_courses([up.pk for up in follow_ups]), endings(follow_ups)
    return {up.pk: course_from_rows(up, rows[up.pk], how[up.pk]) for up in follow_ups}


def course_from_rows(
    follow_up: FollowUp, rows: Sequence[CheckInReading], ending: Ending, *, by_day: bool = False
) -> Course:
    """The same from what has been read already. `by_day`: in days, whatever the follow-up is judged as."""
    performed_at, short = follow_up.procedure.performed_at, follow_up.short_check_ins
    felt = sorted(
        (
            (
                performed_at + timedelta(minutes=row.offset_minutes) if row.late else row.answered_at,
                row.offset_minutes,
                row,
            )
            for row in rows
            if row.answered_at and PAIN in row.values
        ),
        key=lambda score: score[:2],
    )
    return course_from(
        follow_up,
        scores=[
            PainScore(
                moment,
                row.values[PAIN],
                worn_off=row.values.get(WORN_OFF) == 1,
                reported=row.kind == CheckIn.Kind.REPORT,
                ended_on=row.values.get(ENDED_ON),
            )
            for moment, _, row in felt
        ],
        silent=[row.offset_minutes for row in rows if tells_silence(row, short)],
        ending=ending,
        by_day=by_day,
    )


def tells_silence(row: CheckInReading, short: Collection[int]) -> bool:
    """Whether nobody answered where an answer was to be expected. Whoever leaves a confirmation unanswered is called;
    and a short check-in, by its minutes, has another close by: two of them in a fortnight are no silence."""
    missed = row.status == CheckIn.Status.MISSED and row.kind == CheckIn.Kind.PLANNED
    return missed and row.offset_minutes not in short


def endings(follow_ups: Collection[FollowUp]) -> dict[int, Ending]:
    """What else than answers tells of each of these courses; three queries at most."""
    explanted = [up for up in follow_ups if up.closed_reason == FollowUp.Closed.EXPLANTED]
    useless: set[int] = set()
    if explanted:
        useless = set(
            ImplantedDevice.objects.standing()
            .filter(
                procedure__in=[follow_up.procedure_id for follow_up in explanted],
                explanted_reason=ImplantedDevice.Explanted.NO_EFFECT,
            )
            .values_list("procedure", flat=True)
        )
    pain = pain_at_the_end([up for up in follow_ups if up.closed_reason in BY_ANOTHER])
    others = other_treatments([up for up in follow_ups if up.relief_profile.ongoing])
    return {
        up.pk: Ending(
            useless=up.procedure_id in useless,
            pain_before=pain.get(up.pk),
            blurred=[
                (then, then + timedelta(days=other.relief_profile.window_until_days))
                for other in others.get(up.pk, ())
                if (then := other.procedure.performed_at)
            ],
        )
        for up in follow_ups
    }


def other_treatments(ongoing: Collection[FollowUp]) -> dict[int, list[FollowUp]]:
    """The other treatments of the same region and side within the window of each of these courses, whose effect is
    ongoing, in order of time; one query, or none."""
    known = [follow_up for follow_up in ongoing if follow_up.procedure.region and follow_up.seeks_relief]
    if not known:
        return {}
    rows = list(
        FollowUp.objects.seeking_relief()
        .filter(
            patient__in={follow_up.patient_id for follow_up in known},
            procedure__region__in={follow_up.procedure.region for follow_up in known},
            relief_profile__ongoing=False,
        )
        .exclude(closed_reason=FollowUp.Closed.VOIDED)
        .select_related("procedure__procedure_type", "relief_profile")
        .order_by("procedure__performed_at", "pk")
    )
    return {follow_up.pk: [other for other in rows if treats_within(other, follow_up)] for follow_up in known}


def treats_within(later: FollowUp, earlier: FollowUp) -> bool:
    """Whether `later` is another treatment of the region and side of `earlier`, within its window."""
    this, other = earlier.procedure, later.procedure
    within = timedelta(days=earlier.relief_profile.window_until_days)
    return (
        later.patient_id == earlier.patient_id
        and other.region == this.region
        and other.procedure_type.family != this.procedure_type.family
        and same_side(other.laterality, this.laterality)
        and this.performed_at < other.performed_at < this.performed_at + within
        and (earlier.closed_at is None or other.performed_at < earlier.closed_at)
    )


def same_side(first: str, other: str) -> bool:
    """Whether two sides overlap: both sides and no side overlap with either."""
    return first == other or {Laterality.LEFT.value, Laterality.RIGHT.value} != {first, other}


def pain_at_the_end(ended: Collection[FollowUp]) -> dict[int, tuple[datetime, int]]:
    """The pain before the treatment that ended each of these courses: when it was named, and what it was, 0–10; without
    those whom nobody asked. One query, or none."""
    if not ended:
        return {}
    named = FollowUp.objects.filter(
        pk__in=[follow_up.pk for follow_up in ended], ended_by__procedure__baseline_pain__isnull=False
    ).values_list(
        "pk",
        Coalesce("ended_by__procedure__baseline_taken_at", "ended_by__procedure__performed_at"),
        "ended_by__procedure__baseline_pain",
    )
    return {pk: (taken_at, pain) for pk, taken_at, pain in named}


def ended_at(follow_up: FollowUp, *, minutes: bool) -> int:
    """Where a course that has ended did so, in its unit. The day of an explant ends with the course, at midnight: that
    instant is the next day's."""
    procedure = follow_up.procedure
    assert follow_up.closed_at
    explanted = follow_up.closed_reason == FollowUp.Closed.EXPLANTED
    return position(
        follow_up.closed_at - timedelta(microseconds=1 if explanted else 0),
        procedure.performed_at,
        zone=procedure.site.zone,
        minutes=minutes,
    )


def course_from(
    follow_up: FollowUp,
    *,
    scores: Iterable[PainScore],
    silent: Iterable[int],
    ending: Ending = RUNS,
    by_day: bool = False,
) -> Course:
    """A course of what has been read already: asks the database for nothing, so that many can be charted at once.

    `scores`: of two at one instant the later one in the list counts. `silent`: minutes after the procedure of the
    check-ins that nobody answered, in order. `ending`: what else tells of relief; a chart does not need it. What was
    felt before the procedure, or after the course had ended, is left out, and so are silence after its end, and a pain
    before the next treatment that was noted before the first. Wants `procedure__site` and `relief_profile` selected.
    """
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    zone, minutes = procedure.site.zone, in_minutes(follow_up) and not by_day
    felt = [(score, False) for score in scores]
    if ending.pain_before:
        felt.append((PainScore(*ending.pain_before), True))
    readings = [
        Reading(
            position(reading.moment, procedure.performed_at, zone=zone, minutes=minutes),
            reading.score,
            worn_off=reading.worn_off,
            before_treatment=before,
            reported=reading.reported,
            ended_on=reading.ended_on,
        )
        for reading, before in sorted(felt, key=lambda each: each[0].moment)
        if procedure.performed_at <= reading.moment
        and (follow_up.closed_at is None or reading.moment <= follow_up.closed_at)
        and not any(begins < reading.moment < ends for begins, ends in ending.blurred)
    ]
    if minutes:
        evaluate_after, window = 0, window_of_test(profile)
    else:
        evaluate_after = profile.evaluate_after_days
        window = (profile.window_from_days, profile.window_until_days)
    ended = ended_at(follow_up, minutes=minutes) if follow_up.closed_at else None
    positions = [offset if minutes else offset // DAY for offset in silent]
    return Course(
        baseline=procedure.baseline_pain,
        readings=readings,
        silent=[at for at in positions if ended is None or at <= ended],
        evaluate_after=evaluate_after,
        window_from=window[0],
        window_until=window[1],
        success_percent=profile.percent_for(procedure.intent),
        unit="minute" if minutes else "day",
        ongoing=profile.ongoing and not minutes,
        ended=ended is not None,
        confounded=(
            follow_up.confounded_by_id is not None
            and follow_up.confounded_by_id != follow_up.ended_by_id
            and not follow_up.not_confounded_reason
        ),
        other_treatment=(
            follow_up.closed_reason == FollowUp.Closed.OTHER_TREATMENT and not follow_up.not_confounded_reason
        ),
        repeated_at=ended if follow_up.closed_reason == FollowUp.Closed.REPEATED else None,
        useless_at=ended if ending.useless else None,
    )
