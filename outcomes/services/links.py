"""Secret addresses: of check-ins, at which they are answered, and of follow-ups, at which the pain is reported."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from clinic.links import new_token, token_hash
from outcomes.models import CheckIn, FollowUp, Link
from outcomes.models.follow_ups import JudgedAs
from outcomes.services.answers import GRACE, diary_of, is_being_answered
from patients.models import Caregiver
from patients.unsubscribe import token_of


def issue_link(of: CheckIn | FollowUp, *, now: datetime) -> str:
    """Make a new secret address for the check-in or the follow-up and return its token, which is kept nowhere.

    256 random bits, URL-safe. Earlier links of the same go on working: their e-mails may be under way.
    """
    token = new_token()
    issue_links([of], tokens=[token], now=now)
    return token


def issue_links(
    things: Sequence[CheckIn | FollowUp],
    *,
    tokens: Sequence[str],
    caregivers: Mapping[int, Caregiver] | None = None,
    now: datetime,
) -> None:
    """The same for several check-ins and follow-ups, in one statement, with these fresh tokens, in their order.

    `caregivers`: to whom they are e-mailed in the place of which patient, by the patient's number.
    """
    links = []
    for thing, token in zip(things, tokens, strict=True):
        follow_up = thing.follow_up if isinstance(thing, CheckIn) else thing
        caregiver = (caregivers or {}).get(follow_up.patient_id)
        links.append(
            Link(
                check_in=thing if isinstance(thing, CheckIn) else None,
                follow_up=thing if isinstance(thing, FollowUp) else None,
                token_hash=token_hash(token),
                created_at=now,
                stop_key=(caregiver or follow_up.patient).unsubscribe_key,
                caregiver=caregiver,
            )
        )
    Link.objects.bulk_create(links)


#: One e-mail asks at most so many check-ins under one address.
MOST_TOGETHER = 20
#: The token of one check-in of several: that of all of them, with its place, from 1 on.
TOGETHER = re.compile(r"([\w-]{43})\.(?:[1-9]|1\d|20)")


def tokens_together(number: int) -> list[str]:
    """Fresh tokens for so many check-ins of one e-mail, which has one button for all of them."""
    token = new_token()
    return [token] if number == 1 else [f"{token}.{place}" for place in range(1, number + 1)]


def token_of_all(token: str) -> str:
    """The token that leads to all check-ins of the e-mail, by that of one; itself where there is but one."""
    found = TOGETHER.fullmatch(token)
    return found[1] if found else token


def next_of_several(token: str, *, now: datetime) -> tuple[str, CheckIn] | None:
    """Which check-in comes next, and its token, of those that one e-mail asked together; None when that one was alone.

    `token`: of one of them, which is left out, or of all. The first that can still be answered; given the token of all,
    and nothing left to answer, one that was answered, so that a second look shows thanks.
    """
    places = {
        token_hash(name): name
        for name in (f"{token_of_all(token)}.{place}" for place in range(1, MOST_TOGETHER + 1))
        if name != token
    }
    links = Link.objects.filter(token_hash__in=places, revoked_at=None).select_related(
        "check_in__follow_up__procedure__site", "caregiver"
    )
    found = sorted(
        (int(name.rpartition(".")[2]), name, link.check_in)
        for link in links
        if link.check_in and link.is_readers and (name := places[link.token_hash])
    )
    left = [(name, check_in) for _place, name, check_in in found if check_in.open_at(now)]
    if left or token_of_all(token) != token:
        return left[0] if left else None
    answered = [
        (name, check_in) for _place, name, check_in in found if check_in.status == CheckIn.Status.ANSWERED
    ]
    return answered[0] if answered else None


def open_link(token: str, *, now: datetime) -> CheckIn | None:
    """The check-in behind a token; None when the token is no check-in's or revoked, or its check-in is void or past, or
    the caregiver to whom it was sent is asked no longer. `opened_by` says whose link it is.

    An answered check-in is returned until it closes, so that a second look shows the same thanks. Who has begun may
    go on for GRACE after the last touch. The link of a diary's entry opens until the last entry closes.
    """
    link = (
        Link.objects.filter(token_hash=token_hash(token), revoked_at=None, check_in__isnull=False)
        .select_related("check_in__answer", "check_in__draft", "caregiver")
        .first()
    )
    check_in = link.check_in if link and link.is_readers else None
    if link is None or check_in is None or check_in.status == CheckIn.Status.VOIDED:
        return None
    check_in.opened_by = link.caregiver
    # Two statements: one over all ten tables takes longer to plan and to read than both.
    check_in.follow_up = FollowUp.objects.select_related(
        "patient", "relief_profile", "check_in_profile", "procedure__site", "procedure__procedure_type"
    ).get(pk=check_in.follow_up_id)
    entries = diary_of(check_in)
    if entries:
        return check_in if now < max(entry.closes_at for entry in entries) else None
    if check_in.status == CheckIn.Status.ANSWERED:
        until = max(check_in.closes_at, check_in.answer.answered_at + GRACE)
        return check_in if now < until else None
    if check_in.status in CheckIn.OPEN and now < check_in.closes_at:
        return check_in
    return check_in if is_being_answered(check_in, now) else None


def void_links(follow_ups: Sequence[int], *, patients_only: bool = False, now: datetime) -> int:
    """Let everything that was e-mailed about these follow-ups, by number, open nothing any more; how many links.
    `patients_only`: without what was e-mailed to caregivers.

    Looked up by numbers: a join reads the whole table where the database does not know yet how large it is.
    """
    check_ins = CheckIn.objects.filter(follow_up__in=follow_ups).values_list("pk", flat=True)
    standing = Link.objects.filter(revoked_at=None, **({"caregiver": None} if patients_only else {}))
    return standing.filter(check_in__in=list(check_ins)).update(revoked_at=now) + standing.filter(
        follow_up__in=follow_ups
    ).update(revoked_at=now)


def stop_token(token: str) -> str:
    """The token with which the reader of an e-mail stops e-mail to the address that it went to, by that of any of its
    links, whether it still opens or not; "" for an unknown one."""
    link = (
        Link.objects.filter(token_hash__in=[token_hash(token), token_hash(f"{token}.1")])
        .select_related("check_in__follow_up__patient", "follow_up__patient")
        .first()
    )
    if link is None:
        return ""
    follow_up = link.check_in.follow_up if link.check_in else link.follow_up
    assert follow_up
    return token_of(link.stop_key or follow_up.patient.unsubscribe_key)


def takes_reports(follow_up: FollowUp) -> bool:
    """Whether the patient can say of this course that the pain is back: it runs, and is no test, which is over within
    hours, and no upkeep, beside which the device's own course runs. Wants `procedure__procedure_type` selected."""
    return follow_up.closed_at is None and follow_up.judged_as not in (JudgedAs.TEST, JudgedAs.UPKEEP)


def open_report_link(token: str) -> FollowUp | None:
    """The follow-up of which the patient can say, behind a token, that the pain is back; None when the token is unknown
    or revoked, or the course takes no reports (any more).

    The token of a check-in opens it as well, long after the check-in has closed: the page that thanks for an answer has
    no other, and must not make one when it is only looked at.
    """
    links = Link.objects.filter(token_hash=token_hash(token), revoked_at=None).select_related("caregiver")
    link = links.order_by().first()
    if link is None or not link.is_readers:
        return None
    rows = FollowUp.objects.select_related(
        "patient", "relief_profile", "check_in_profile", "procedure__site", "procedure__procedure_type"
    )
    follow_up = (
        rows.get(check_ins=link.check_in_id) if link.check_in_id else rows.get(pk=link.follow_up_id or 0)
    )
    follow_up.opened_by = link.caregiver
    return follow_up if takes_reports(follow_up) else None
