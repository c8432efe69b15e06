"""Taking answers, through whichever door they come: their figures and words are checked, stored and judged."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.diary_result import late_after
from outcomes.instruments import latest
from outcomes.models import Answer, CheckIn, Draft, FollowUp, Measurement
from outcomes.questions import ENDED_ON, PAIN_NOW, WORN_OFF
from outcomes.schedule import diary
from outcomes.services.alerts import raise_red_flags
from outcomes.services.courses import position
from outcomes.services.judgement import update_verdict
from patients.models import AnsweredBy, Caregiver
from procedures.models import RedFlag

#: Who has begun may go on for so long after the last touch, although the check-in has closed (a choice, unconfirmed).
GRACE = timedelta(minutes=30)
#: Characters of a remark.
MOST_REMARK = 2000
#: Control characters except the line's end, and what turns the direction of the text around it.
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
#: What is asked that no instrument's file holds: the version, the items, None for any red flag's code, and the values.
#: The day in ENDED_ON is checked by itself.
OWN = {
    "red_flag": ("1", None, (0, 1)),
    "diary": ("1", ("took_medicine",), (0, 1)),
    "relief": ("1", ("worn_off",), (0, 1, 2)),
}


@transaction.atomic
def store_answer(
    check_in_id: int,
    *,
    values: Mapping[str, int],
    remark: str = "",
    channel: str,
    language: str,
    answered_by: str = AnsweredBy.PATIENT,
    caregiver: Caregiver | None = None,
    by: User | None,
    now: datetime,
) -> Answer:
    """Store the answer to a check-in and judge its follow-up again.

    `caregiver`: through whose link it came, or None. `answered_by`: who said it, where staff write it down; by a
    caregiver's link, a caregiver. Both count alike for the verdict, and are told apart wherever they are shown.

    `values` by "instrument.item", whole numbers on each item's own scale: "nrs.now", "peg.pain", "pgic.change",
    "red_flag.fever_chills" and "diary.took_medicine" (0 no, 1 yes), "relief.worn_off" (2 not sure as well),
    "relief.ended_on" (since which day the pain is back, in days after the procedure on the site's calendar; not kept
    where relief has not worn off). "nrs.now" must be among them. A red flag that is answered with yes raises its alert,
    unless the draft did so already. `remark` is stored without control characters.

    A second answer changes nothing and returns the first; a yes that only the second holds raises its alert.

    Raises Refusal, with the key as its field:
        "unknown_item" for a key that nobody asks, "score_out_of_range" for anything but a whole number that the item
        can have, "revoked" for a caregiver who answers no longer, "before_procedure" and "in_the_future" for a day
        before the procedure or after today, "item_missing" without the pain now, "remark_too_long" (field "remark") for
        more than MOST_REMARK characters, "closed" (field "check_in") when the check-in is not open at `now` and no
        patient is in the middle of answering it.
    """
    values = stored_values(values)
    rows = measurements_of(values)
    if PAIN_NOW not in values:
        raise Refusal("Please answer this question.", code="item_missing", field=PAIN_NOW)
    text = plain_remark(remark)
    refuse_revoked(caregiver)
    follow_up, check_in = lock_check_in(check_in_id, "procedure__site", "relief_profile")
    first: Answer | None = getattr(check_in, "answer", None)
    if first:
        raise_red_flags(check_in, sorted(said_yes(values) - yes_of(first)), now=now)
        return first
    if not takes_answers(check_in, now):
        raise Refusal("This check-in is closed.", code="closed", field="check_in")
    refuse_future(values, follow_up, at=now)
    given = Answer.objects.create(
        check_in=check_in,
        channel=channel,
        language=language,
        answered_at=now,
        recorded_by=by,
        **said_by(answered_by, caregiver, follow_up),
        remark=text,
        late=is_late(check_in, now),
    )
    for row in rows:
        row.answer = given
    Measurement.objects.bulk_create(rows)
    check_in.status = CheckIn.Status.ANSWERED
    check_in.save(update_fields=["status"])
    draft: Draft | None = getattr(check_in, "draft", None)
    fresh = said_yes(values) - said_yes(draft.values if draft else {})
    if draft:
        draft.delete()
    audit.record(
        "check_in.answered",
        check_in,
        by=by,
        at=now,
        site=follow_up.procedure.site,
        actor=actor_of(by, caregiver),
    )
    if fresh:
        raise_red_flags(check_in, sorted(fresh), now=now)
    update_verdict(follow_up.pk, now=now)
    return given


@transaction.atomic
def save_step(
    check_in_id: int,
    *,
    values: Mapping[str, int],
    asked: Collection[str] = (),
    remark: str | None,
    step: int | None,
    caregiver: Caregiver | None = None,
    now: datetime,
) -> None:
    """Keep what the patient has filled in so far; a red flag that is answered with yes raises its alert at once.

    `values` by "instrument.item" are added to those kept before, of which those in `asked` are dropped: the keys of all
    that was asked on the page, so that what was unticked is not kept. `remark` None leaves the remark as it is. `step`:
    how many steps are done now; None when this one is not. After the answer was sent nothing changes, but a yes that it
    does not hold is heard all the same.

    `caregiver`: through whose link it came. Raises Refusal as `store_answer` does, except "item_missing".
    """
    refuse_revoked(caregiver)
    rows = {f"{row.instrument}.{row.item}": row.value for row in measurements_of(values)}
    text = None if remark is None else plain_remark(remark)
    _, check_in = lock_check_in(check_in_id)
    if check_in.status == CheckIn.Status.ANSWERED:
        raise_red_flags(check_in, sorted(said_yes(rows) - yes_of(check_in.answer)), now=now)
        return
    if not takes_answers(check_in, now):
        raise Refusal("This check-in is closed.", code="closed", field="check_in")
    refuse_future(rows, check_in.follow_up, at=now)
    draft: Draft = getattr(check_in, "draft", None) or Draft(check_in=check_in, started_at=now)
    fresh = said_yes(rows) - said_yes(draft.values)
    draft.values = {key: value for key, value in draft.values.items() if key not in asked} | rows
    draft.remark = draft.remark if text is None else text
    draft.step = max(draft.step, step or 0)
    draft.updated_at = now
    draft.save()
    if fresh:
        raise_red_flags(check_in, sorted(fresh), now=now)


def lock_check_in(check_in_id: int, *related: str) -> tuple[FollowUp, CheckIn]:
    """The check-in and its follow-up, locked; `related`: what of the follow-up is read along.

    The follow-up comes before its check-in, as in every service: no two wait for each other in a ring.
    """
    follow_ups = FollowUp.objects.select_for_update(of=("self",)).order_by()
    follow_up = (follow_ups.select_related(*related) if related else follow_ups).get(check_ins=check_in_id)
    check_in = (
        CheckIn.objects.select_for_update(of=("self",)).select_related("draft", "answer").get(pk=check_in_id)
    )
    check_in.follow_up = follow_up
    return follow_up, check_in


def takes_answers(check_in: CheckIn, now: datetime) -> bool:
    """Whether an answer is taken now: the check-in is open, or was when the patient began."""
    return check_in.open_at(now) or (check_in.opens_at <= now and is_being_answered(check_in, now))


def is_being_answered(check_in: CheckIn, now: datetime) -> bool:
    """Whether the patient is in the middle of answering: touched not longer than GRACE ago, and never answered."""
    draft: Draft | None = getattr(check_in, "draft", None)
    closed = (CheckIn.Status.ANSWERED, CheckIn.Status.VOIDED)
    return draft is not None and check_in.status not in closed and now < draft.updated_at + GRACE


def refuse_revoked(caregiver: Caregiver | None) -> None:
    """Lock the caregiver whose link was used until the answer is stored; Refusal "revoked" for one who answers no
    longer. An answer and a revocation at the same time see each other.

    Comes before all other locks: a revocation locks the caregiver, then the check-ins.
    """
    if caregiver is None:
        return
    stands = Caregiver.objects.select_for_update(of=("self",), no_key=True).filter(pk=caregiver.pk).first()
    if stands is None or not stands.is_asked:
        raise Refusal("This link opens nothing any more.", code="revoked", field="check_in")
    if stands.unsubscribe_key != caregiver.unsubscribe_key:  # another address by now
        raise Refusal("This link opens nothing any more.", code="revoked", field="check_in")


def said_by(answered_by: str, caregiver: Caregiver | None, follow_up: FollowUp) -> dict[str, Any]:
    """The columns that say who answered: the caregiver of a link, or, where staff say so, whoever answers for the
    patient now, if anybody is on record."""
    if answered_by not in AnsweredBy.values:
        raise Refusal("Say who answered.", code="unknown_person", field="answered_by")
    if caregiver is None and answered_by == AnsweredBy.CAREGIVER:
        standing = Caregiver.objects.standing().filter(patient=follow_up.patient_id).first()
        return {"answered_by": AnsweredBy.CAREGIVER, "caregiver": standing}
    return {"answered_by": AnsweredBy.CAREGIVER if caregiver else AnsweredBy.PATIENT, "caregiver": caregiver}


def actor_of(by: User | None, caregiver: Caregiver | None) -> str:
    """Who did it, for the trail, where no member of staff did."""
    return "" if by else "caregiver" if caregiver else "patient"


def yes_of(given: Answer) -> set[str]:
    """The codes of the red flags that an answer says yes to."""
    flags = Measurement.objects.filter(answer=given, instrument="red_flag", value=1)
    return set(flags.values_list("item", flat=True))


def said_yes(values: Mapping[str, int]) -> set[str]:
    """The codes of the red flags that were answered with yes."""
    return {
        key.partition(".")[2] for key, value in values.items() if key.startswith("red_flag.") and value == 1
    }


def is_late(check_in: CheckIn, now: datetime) -> bool:
    """Whether what is written now for an entry of a diary comes well after its hour."""
    hours = [entry.offset_minutes for entry in diary_of(check_in)]
    if not hours:
        return False
    after = now - check_in.follow_up.procedure.performed_at
    return after > timedelta(minutes=late_after(hours, check_in.offset_minutes))


def diary_of(check_in: CheckIn) -> list[CheckIn]:
    """All entries of the diary that the check-in belongs to, by their hours; [] when it belongs to none.

    A diary is what a follow-up asks by the hour on the day; one link serves all of it. It stays as it was planned on
    that day: a later version of the profile changes no diary. Wants `follow_up__relief_profile` selected.
    """
    follow_up = check_in.follow_up
    profile = follow_up.relief_profile
    hours = diary(days=profile.check_in_days, minutes=profile.check_in_minutes)
    if check_in.kind != CheckIn.Kind.PLANNED or check_in.offset_minutes not in hours:
        return []
    entries = follow_up.check_ins.exclude(status=CheckIn.Status.VOIDED).filter(
        kind=CheckIn.Kind.PLANNED, offset_minutes__in=hours
    )
    found = list(
        entries.order_by("offset_minutes").select_related("answer").prefetch_related("answer__measurements")
    )
    for entry in found:
        entry.follow_up = follow_up
    return found


def plain_remark(remark: str) -> str:
    """The remark without control characters and without room at its ends.

    Raises Refusal "remark_too_long" for more than MOST_REMARK characters.
    """
    text = CONTROL.sub("", remark.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")).strip()
    if len(text) > MOST_REMARK:
        raise Refusal(
            f"A remark has at most {MOST_REMARK} characters.", code="remark_too_long", field="remark"
        )
    return text


def stored_values(values: Mapping[str, int]) -> dict[str, int]:
    """The figures as they are stored: without the day since which the pain is back where relief has not worn off."""
    return {key: value for key, value in values.items() if key != ENDED_ON or values.get(WORN_OFF) != 0}


def measurements_of(values: Mapping[str, int]) -> list[Measurement]:
    """The figures as rows that are not saved and have no answer yet, each with its instrument's newest version.

    Raises Refusal, with the key as its field: "unknown_item" for a key that nobody asks, "score_out_of_range" for
    anything but a whole number that the item can have, "before_procedure" for a day before the procedure.
    """
    rows = []
    flags = {key.partition(".")[2] for key in values if key.startswith("red_flag.")}
    known = set(RedFlag.objects.filter(code__in=flags).values_list("code", flat=True)) if flags else set()
    for key, value in values.items():
        name, _, item = key.partition(".")
        if key == ENDED_ON:
            version = day_checked(value)
        elif name in OWN:
            version, items, possible = OWN[name]
            if item not in (known if items is None else items):
                raise Refusal(f"There is no question “{key}”.", code="unknown_item", field=key)
            if type(value) is not int or value not in possible:
                codes = " or ".join(map(str, possible))
                raise Refusal(f"An answer here is {codes}.", code="score_out_of_range", field=key)
        else:
            version = checked(key, name, item, value)
        rows.append(Measurement(instrument=name, version=version, item=item, value=value))
    return rows


def day_checked(value: int) -> str:
    """The version of the question since which day the pain is back, which can have that value. Raises as
    `measurements_of` does."""
    if type(value) is not int:
        raise Refusal(
            "A day is a whole number of days after the procedure.", code="score_out_of_range", field=ENDED_ON
        )
    if value < 0:
        raise Refusal("This day lies before the procedure.", code="before_procedure", field=ENDED_ON)
    return "1"


def checked(key: str, name: str, item: str, value: int) -> str:
    """The version of an instrument whose item can have that value. Raises as `measurements_of` does."""
    try:
        instrument = latest(name)
        instrument.check_given({item: value})
    except Refusal as refusal:
        unknown = refusal.code in ("unknown_instrument", "unknown_item")
        code = "unknown_item" if unknown else "score_out_of_range"
        raise Refusal(" ".join(refusal.messages), code=code, field=key) from None
    return instrument.version


def refuse_future(values: Mapping[str, int], follow_up: FollowUp, *, at: datetime) -> None:
    """Raise Refusal "in_the_future" for a day, since which the pain is back, that lies after `at` on the calendar of
    the site."""
    if ENDED_ON not in values:
        return
    procedure = follow_up.procedure
    if values[ENDED_ON] > position(at, procedure.performed_at, zone=procedure.site.zone, minutes=False):
        raise Refusal("This day is still to come.", code="in_the_future", field=ENDED_ON)
