"""Answers that staff write down for a patient: from a telephone call, in the clinic, from paper."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import Alert, Answer, CheckIn, ContactAttempt, Measurement
from outcomes.paper_form_codes import read_code
from outcomes.services.alerts import raise_red_flags
from outcomes.services.answers import lock_check_in, plain_remark, store_answer, stored_values
from patients.models import AnsweredBy


@transaction.atomic
def record_answer(
    check_in_id: int,
    *,
    values: Mapping[str, int],
    remark: str = "",
    channel: str,
    language: str,
    answered_by: str = AnsweredBy.PATIENT,
    by: User,
    now: datetime,
) -> Answer:
    """Store what the patient said or wrote, on their behalf. `values` by "instrument.item": {"nrs.now": 7}.
    `answered_by`: the patient, or a caregiver in their place.

    An answer by phone also records a call that reached the patient. The same answer again changes nothing and returns
    the first; a remark that the first lacked is added to it.

    Raises Refusal as `store_answer` does, "answered_already" when another answer stands, and "other_remark" (field
    "remark") when the same one stands with another remark.
    """
    _, check_in = lock_check_in(check_in_id)
    stands: Answer | None = getattr(check_in, "answer", None)
    if stands is not None:
        said = values_of(stands), stands.channel, stands.answered_by
        if said == (stored_values(values), channel, answered_by):
            return with_remark(stands, plain_remark(remark), by=by, now=now)
        raise Refusal(
            "This check-in has been answered already; that answer stands.",
            code="answered_already",
            field="check_in",
        )
    given = store_answer(
        check_in_id,
        values=values,
        remark=remark,
        channel=channel,
        language=language,
        answered_by=answered_by,
        by=by,
        now=now,
    )
    if channel == Answer.Channel.PHONE:
        ContactAttempt.objects.create(
            check_in=check_in,
            kind=ContactAttempt.Kind.CALL,
            outcome=ContactAttempt.Outcome.REACHED,
            at=now,
            by=by,
        )
    return given


def with_remark(stands: Answer, remark: str, *, by: User, now: datetime) -> Answer:
    """The answer that stands, its check-in locked by the caller, with a remark that is new; "" says nothing."""
    if remark and not stands.remark:
        stands.remark = remark
        stands.save(update_fields=["remark"])
        site = stands.check_in.follow_up.procedure.site
        audit.record("check_in.remark_added", stands.check_in, by=by, at=now, site=site)
    elif remark and remark != stands.remark:
        raise Refusal(
            "This answer is written down already, with another remark, and that one stands.",
            code="other_remark",
            field="remark",
        )
    return stands


@transaction.atomic
def report_red_flags(check_in_id: int, *, codes: Collection[str], by: User, now: datetime) -> Alert | None:
    """Raise the alert of red flags that the patient said yes to, before the answer is whole; None for no codes.

    Who must hang up for an ambulance has no time for a pain score. Recording the answer afterwards raises nothing
    twice. Where an answer stands already, given meanwhile by the patient, the yes counts as well.

    Raises Refusal "unknown_item" for a code that the procedure does not ask for, "closed" when the check-in has no
    answer and takes none at `now`.
    """
    follow_up, check_in = lock_check_in(check_in_id)
    known = set(follow_up.procedure.procedure_type.red_flags.values_list("code", flat=True))
    for code in codes:
        if code not in known:
            raise Refusal("This is not asked here.", code="unknown_item", field=f"red_flag.{code}")
    if check_in.status != CheckIn.Status.ANSWERED and not check_in.open_at(now):
        raise Refusal("This check-in is closed.", code="closed", field="check_in")
    if codes:
        audit.record("check_in.red_flags", check_in, by=by, at=now, site=follow_up.procedure.site)
    return raise_red_flags(check_in, sorted(codes), now=now)


def find_by_code(code: str, *, by: User, now: datetime) -> CheckIn:
    """The check-in of the paper form with that code, among those that `by` may see.

    Raises Refusal "unknown_code", which does not tell a mistyped code from another site's, and "closed" when the
    check-in takes no answers at `now`.
    """
    number = read_code(code)
    found = CheckIn.objects.visible_to(by).filter(pk=number).first() if number else None
    if found is None:
        raise Refusal(
            "No form has this code. Please look at it again, digit by digit.",
            code="unknown_code",
            field="code",
        )
    if found.status != CheckIn.Status.ANSWERED and not found.open_at(now):
        raise Refusal(
            "The check-in of this form is closed: its answers cannot be taken any more.",
            code="closed",
            field="code",
        )
    return found


def values_of(given: Answer) -> dict[str, int]:
    """The figures of an answer that count, by "instrument.item"."""
    return {
        f"{measurement.instrument}.{measurement.item}": measurement.value
        for measurement in Measurement.objects.filter(answer=given)
    }
