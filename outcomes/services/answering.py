"""Taking answers, through whichever door they come."""

from datetime import datetime

from django.db import transaction

from clinic import audit
from clinic.links import new_token, token_hash
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import Answer, CheckIn, FollowUp, Link, Measurement
from outcomes.services.judging import PAIN_NOW, judge
from patients import services as patients
from procedures.services.performing import check_score


def issue_link(check_in: CheckIn, *, now: datetime) -> str:
    """Make a new secret address for the check-in and return its token, which is kept nowhere.

    256 random bits, URL-safe. Earlier links of the check-in go on working: their e-mails may be under way.
    """
    (token,) = issue_links([check_in], now=now)
    return token


def issue_links(check_ins: list[CheckIn], *, now: datetime) -> list[str]:
    """The same for several check-ins, in one statement; the tokens in the order of the check-ins."""
    tokens = [new_token() for _ in check_ins]
    Link.objects.bulk_create(
        Link(check_in=check_in, token_hash=token_hash(token), created_at=now)
        for check_in, token in zip(check_ins, tokens, strict=True)
    )
    return tokens


def open_link(token: str, *, now: datetime) -> CheckIn | None:
    """The check-in behind a token; None when the token is unknown or revoked, or its check-in is void or past.

    An answered check-in is returned until it closes, so that a second look shows the same thanks.
    """
    link = (
        Link.objects.filter(token_hash=token_hash(token), revoked_at=None)
        .select_related("check_in__follow_up__patient", "check_in__follow_up__procedure__site")
        .first()
    )
    if link is None:
        return None
    check_in = link.check_in
    shown = (*CheckIn.OPEN, CheckIn.Status.ANSWERED)
    return check_in if check_in.status in shown and now < check_in.closes_at else None


@transaction.atomic
def answer(
    check_in_id: int, *, score: int, channel: str, language: str, by: User | None, now: datetime
) -> Answer:
    """Store the answer to a check-in and judge its follow-up again. `score`: the pain now, 0–10.

    A second answer changes nothing and returns the first. Raises Refusal "score_out_of_range" for anything but a
    whole number from 0 to 10, and "closed" when the check-in is not open at `now`.
    """
    check_score(score, field="score")
    if score is None:
        raise Refusal(
            "A pain score is a whole number from 0 to 10.", code="score_out_of_range", field="score"
        )
    # The follow-up is locked before its check-in, as every service does: no two wait for each other in a ring.
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site")
        .get(check_ins=check_in_id)
    )
    check_in = CheckIn.objects.select_for_update().get(pk=check_in_id)
    first = Answer.objects.filter(check_in=check_in).first()
    if first:
        return first
    if not check_in.open_at(now):
        raise Refusal("This check-in is closed.", code="closed", field="check_in")
    given = Answer.objects.create(
        check_in=check_in, channel=channel, language=language, answered_at=now, recorded_by=by
    )
    Measurement.objects.create(answer=given, value=score, **PAIN_NOW)
    check_in.status = CheckIn.Status.ANSWERED
    check_in.save(update_fields=["status"])
    audit.record(
        "check_in.answered",
        check_in,
        by=by,
        at=now,
        site=follow_up.procedure.site,
        actor="" if by else "patient",
    )
    judge(follow_up.pk, now=now)
    return given


def stop_emails(check_in: CheckIn, *, now: datetime) -> None:
    """The patient asks, on a check-in's page, for no more e-mails. A second time changes nothing."""
    patients.opt_out(check_in.follow_up.patient_id, by=None, now=now)
