"""Correcting an answer: what was written down stays, and a new version counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import Answer, AnswerCorrection, Measurement
from outcomes.questions import PAIN_NOW
from outcomes.services.alerting import raise_red_flags
from outcomes.services.answering import locked
from outcomes.services.figures import kept, measurements_of, refuse_future, said_yes
from outcomes.services.judging import judge

#: As much of a reason as is kept.
REASON_LENGTH = 500


@transaction.atomic
def correct_answer(
    answer_id: int, *, values: Mapping[str, int], reason: str, by: User, now: datetime
) -> Answer:
    """Put other figures in the place of an answer's, and judge its follow-up again.

    `values`: the whole of what counts from now on, by "instrument.item"; a figure that is not among them is taken
    out. All figures are written anew, so that each version stands on its own; those before stay as superseded.
    A red flag that becomes a yes raises its alert; one that becomes a no takes none back: who has the alert does.

    Raises Refusal "reason_required"; "reason_too_long"; "item_missing", "unknown_item", "score_out_of_range",
    "before_procedure" and "in_the_future" (of a day after the answer's) with the item as field; "nothing_changed".
    """
    values, reason = kept(values), reason.strip()
    if not reason:
        raise Refusal("Say why it is corrected.", code="reason_required", field="reason")
    if len(reason) > REASON_LENGTH:
        raise Refusal(
            f"Say it in at most {REASON_LENGTH} characters.", code="reason_too_long", field="reason"
        )
    follow_up, check_in = locked(Answer.objects.values_list("check_in", flat=True).get(pk=answer_id))
    given = Answer.objects.select_for_update(of=("self",)).get(pk=answer_id)
    stands = {f"{one.instrument}.{one.item}": one for one in Measurement.objects.filter(answer=given)}
    before = {name: one.value for name, one in stands.items()}
    rows = measurements_of({name: value for name, value in values.items() if before.get(name) != value})
    if PAIN_NOW not in values:
        raise Refusal("Please answer this question.", code="item_missing", field=PAIN_NOW)
    refuse_future(values, follow_up, at=given.answered_at)
    if before == values:
        raise Refusal("These are the figures that stand.", code="nothing_changed", field="values")
    for name in before.keys() & values.keys():
        if before[name] == values[name]:
            one = stands[name]
            rows.append(
                Measurement(instrument=one.instrument, version=one.version, item=one.item, value=one.value)
            )
    for row in rows:
        row.answer = given
    last = given.corrections.order_by("-version").first()
    # Versions are told apart by when they were replaced: never twice at one instant.
    at = max(now, last.at + timedelta(microseconds=1)) if last else now
    given.version += 1
    given.save(update_fields=["version"])
    AnswerCorrection.objects.create(answer=given, version=given.version, at=at, by=by, reason=reason)
    Measurement.objects.filter(pk__in=[one.pk for one in stands.values()]).update(superseded_at=at)
    Measurement.objects.bulk_create(rows)
    audit.record(
        "answer.corrected",
        given,
        by=by,
        at=now,
        site=follow_up.procedure.site,
        reason=f"version {given.version}",
    )
    raise_red_flags(check_in, sorted(said_yes(values) - said_yes(before)), now=now)
    judge(follow_up.pk, now=now)
    return given


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
    replaced: list[datetime | None] = [*(one.at for one in corrections), None]
    told: list[tuple[int, datetime, User | None, str]] = [
        (1, given.answered_at, given.recorded_by, ""),
        *((one.version, one.at, one.by, one.reason) for one in corrections),
    ]
    return [
        Version(
            *facts,
            values={
                f"{one.instrument}.{one.item}": one.value for one in figures if one.superseded_at == until
            },
        )
        for facts, until in zip(told, replaced, strict=True)
    ]
