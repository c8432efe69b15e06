"""The entries of a diary: filled in and changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction

from clinic.refusals import Refusal
from outcomes.models import Answer
from outcomes.services.alerts import raise_red_flags
from outcomes.services.answers import diary_of, lock_check_in, measurements_of, refuse_revoked, store_answer
from outcomes.services.corrections import change_own_answer
from patients.models import Caregiver


@transaction.atomic
def fill_in(
    check_in_id: int,
    entries: Mapping[int, Mapping[str, int]],
    *,
    changes: Mapping[int, Mapping[str, int]] | None = None,
    red_flags: Sequence[str],
    language: str,
    caregiver: Caregiver | None = None,
    now: datetime,
) -> None:
    """The patient fills in entries of the diary that the check-in belongs to. What was filled in before stays.

    `entries`: for each check-in's number, its values as `store_answer` takes them. `changes`: the same of entries that
    are filled in already and whose hour is not over (`change_own_answer`). `red_flags`: codes that were ticked; they
    raise their alert at once, and are stored with the newest of the entries, if there is one.

    `caregiver`: through whose link it came. Raises Refusal as `store_answer` does; "not_in_diary" for a number that is
    no entry of this diary.
    """
    refuse_revoked(caregiver)
    measurements_of({f"red_flag.{code}": 1 for code in red_flags})
    _, check_in = lock_check_in(check_in_id, "procedure__site", "relief_profile")
    written = {entry.pk: entry for entry in diary_of(check_in)}
    for pk, values in (changes or {}).items():
        if pk not in written:
            raise Refusal("This is no entry of this diary.", code="not_in_diary", field="check_in")
        change_own_answer(pk, values=values, caregiver=caregiver, now=now)
    chosen = sorted(entries, key=lambda pk: written[pk].offset_minutes if pk in written else -1)
    for pk in chosen:
        if pk not in written:
            raise Refusal("This is no entry of this diary.", code="not_in_diary", field="check_in")
        flags = {f"red_flag.{code}": 1 for code in red_flags} if pk == chosen[-1] else {}
        store_answer(
            pk,
            values={**entries[pk], **flags},
            channel=Answer.Channel.EMAIL,
            language=language,
            caregiver=caregiver,
            by=None,
            now=now,
        )
    raise_red_flags(check_in, sorted(red_flags), now=now)
