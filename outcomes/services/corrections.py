"""Correcting an answer: what was written down stays, and a new version counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import Answer, AnswerCorrection, CheckIn, Measurement
from outcomes.questions import PAIN_NOW
from outcomes.services.alerts import raise_red_flags
from outcomes.services.answers import (
    diary_of,
    lock_check_in,
    measurements_of,
    plain_remark,
    refuse_future,
    refuse_revoked,
    said_yes,
    stored_values,
)
from outcomes.services.judgement import update_verdict
from outcomes.services.staff_answers import values_of
from patients.models import Caregiver

#: As much of a reason as is kept.
REASON_LENGTH = 500


@transaction.atomic
def correct_answer(
    answer_id: int, *, values: Mapping[str, int], reason: str, by: User | None, now: datetime
) -> Answer:
    """Put other figures in the place of an answer's, and judge its follow-up again.

    `values`: the whole of what counts from now on, by "instrument.item"; a figure that is not among them is taken
    out. All figures are written anew, so that each version stands on its own; those before stay as superseded.
    A red flag that becomes a yes raises its alert; one that becomes a no takes none back: who has the alert does. `by`
    None: the patient changed it.

    Raises Refusal "reason_required"; "reason_too_long"; "item_missing", "unknown_item", "score_out_of_range",
    "before_procedure" and "in_the_future" (of a day after the answer's) with the item as field; "nothing_changed".
    """
    values, reason = stored_values(values), reason.strip()
    if not reason:
        raise Refusal("Say why it is corrected.", code="reason_required", field="reason")
    if len(reason) > REASON_LENGTH:
        raise Refusal(
            f"Say it in at most {REASON_LENGTH} characters.", code="reason_too_long", field="reason"
        )
    follow_up, check_in = lock_check_in(Answer.objects.values_list("check_in", flat=True).get(pk=answer_id))
    given = Answer.objects.select_for_update(of=("self",)).get(pk=answer_id)
    stands = {
        f"{measurement.instrument}.{measurement.item}": measurement
        for measurement in Measurement.objects.filter(answer=given)
    }
    before = {name: measurement.value for name, measurement in stands.items()}
    rows = measurements_of({name: value for name, value in values.items() if before.get(name) != value})
    if PAIN_NOW not in values:
        raise Refusal("Please answer this question.", code="item_missing", field=PAIN_NOW)
    refuse_future(values, follow_up, at=given.answered_at)
    if before == values:
        raise Refusal("These are the figures that stand.", code="nothing_changed", field="values")
    for name in before.keys() & values.keys():
        if before[name] == values[name]:
            measurement = stands[name]
            rows.append(
                Measurement(
                    instrument=measurement.instrument,
                    version=measurement.version,
                    item=measurement.item,
                    value=measurement.value,
                )
            )
    for row in rows:
        row.answer = given
    last = given.corrections.order_by("-version").first()
    # Versions are told apart by when they were replaced: never twice at one instant.
    at = max(now, last.at + timedelta(microseconds=1)) if last else now
    given.version += 1
    given.save(update_fields=["version"])
    AnswerCorrection.objects.create(answer=given, version=given.version, at=at, by=by, reason=reason)
    Measurement.objects.filter(pk__in=[stand.pk for stand in stands.values()]).update(superseded_at=at)
    Measurement.objects.bulk_create(rows)
    audit.record(
        "answer.corrected",
        given,
        by=by,
        at=now,
        site=follow_up.procedure.site,
        actor="" if by else "patient",
        reason=f"version {given.version}",
    )
    raise_red_flags(check_in, sorted(said_yes(values) - said_yes(before)), now=now)
    update_verdict(follow_up.pk, now=now)
    return given


#: Why an answer that a patient changes is corrected.
BY_THE_PATIENT = "changed by the patient"


@transaction.atomic
def change_own_answer(
    check_in_id: int,
    *,
    values: Mapping[str, int],
    remark: str | None = None,
    caregiver: Caregiver | None = None,
    now: datetime,
) -> Answer:
    """The patient puts other figures in the place of what they answered, as a new version.

    `values` by "instrument.item": what counts from now on of all that the page asks. `remark` None leaves the remark as
    it is. The same figures change nothing.

    `caregiver`: through whose link it came; what somebody else answered they cannot change.

    Raises Refusal "closed" (field "check_in") unless `why_not_to_change` says "", "revoked" as `answer` does, and as
    `correct_answer` does.
    """
    refuse_revoked(caregiver)
    text = None if remark is None else plain_remark(remark)
    _, check_in = lock_check_in(check_in_id)
    check_in.opened_by = caregiver
    if why_not_to_change(check_in, now=now):
        raise Refusal("This answer cannot be changed any more.", code="closed", field="check_in")
    given: Answer = check_in.answer
    if text is not None and text != given.remark:
        given.remark = text
        given.save(update_fields=["remark"])
    if stored_values(values) == values_of(given):
        return given
    return correct_answer(given.pk, values=values, reason=BY_THE_PATIENT, by=None, now=now)


def why_not_to_change(check_in: CheckIn, *, now: datetime) -> str:
    """The code of the reason why the patient cannot change what they answered; "" while they can.

    "not_answered"; "closed": the check-in has closed, or of a diary's entry its hour is over; "not_yours": the patient
    answered, and this is their caregiver's page, or the other way round.
    """
    if check_in.status != CheckIn.Status.ANSWERED:
        return "not_answered"
    if check_in.kind == CheckIn.Kind.REPORT:
        return "closed"
    if check_in.answer.by_caregiver != (check_in.opened_by is not None):
        return "not_yours"
    return "" if now < changeable_until(check_in) else "closed"


def changeable_until(check_in: CheckIn, entries: Sequence[CheckIn] | None = None) -> datetime:
    """Until when the patient can change what they answered: until it closes; an entry of a diary until the next planned
    hour opens, the last one for as long as the gap before it. `entries`: of its diary, where they are known."""
    entries = diary_of(check_in) if entries is None else entries
    if not entries:
        return check_in.closes_at
    at = next(place for place, entry in enumerate(entries) if entry.pk == check_in.pk)
    if at + 1 < len(entries):
        return entries[at + 1].opens_at
    gap = entries[at].opens_at - entries[at - 1].opens_at if at else timedelta(hours=1)
    return entries[at].opens_at + gap


@dataclass(frozen=True)
class Version:
    """One version of an answer: its figures by "instrument.item". The first has no reason."""

    number: int
    at: datetime
    by: User | None
    reason: str
    values: dict[str, int]


def versions_of(given: Answer) -> list[Version]:
    """Every version of an answer, the first at the top; in two queries."""
    corrections = list(given.corrections.select_related("by").order_by("version"))
    figures = list(Measurement.every.filter(answer=given).order_by("id"))
    replaced: list[datetime | None] = [*(correction.at for correction in corrections), None]
    told: list[tuple[int, datetime, User | None, str]] = [
        (1, given.answered_at, given.recorded_by, ""),
        *(
            (correction.version, correction.at, correction.by, correction.reason)
            for correction in corrections
        ),
    ]
    return [
        Version(
            *facts,
            values={
                f"{figure.instrument}.{figure.item}": figure.value
                for figure in figures
                if figure.superseded_at == until
            },
        )
        for facts, until in zip(told, replaced, strict=True)
    ]
