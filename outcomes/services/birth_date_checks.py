"""Whether the reader of a page is the patient, where a site asks for the birth date first."""

import secrets
from datetime import date, datetime

from clinic import audit
from clinic.refusals import Refusal
from clinic.throttling import forget_tries, one_more_try
from outcomes.models import CheckIn, FollowUp
from procedures.models import Appointment

#: Wrong dates that a link takes within an hour; the right one is not looked at either until it has passed.
MOST_TRIES, TRIES_SECONDS = 5, 3600


def prove_birth_date(about: CheckIn | FollowUp | Appointment, given: date | None, *, now: datetime) -> None:
    """Compare a date with the patient's birth date, in a time that does not tell how much of it was right.

    `about`: what the link is of. All links of a follow-up and of its check-ins share their tries, and so do those of an
    appointment. Raises Refusal "wrong_birth_date", also for None, what is no date; and "too_many_tries" when MOST_TRIES
    of the last hour were wrong, whatever was given. Show both alike.
    """
    if isinstance(about, Appointment):
        name, patient, site, shared = "appointment", about.patient, about.site, f"appointment_{about.pk}"
    else:
        follow_up = about if isinstance(about, FollowUp) else about.follow_up
        name = "follow_up" if follow_up is about else "check_in"
        patient, site, shared = follow_up.patient, follow_up.procedure.site, f"follow_up_{follow_up.pk}"
    key = f"birth_date_{shared}"
    if not one_more_try(key, most=MOST_TRIES, seconds=TRIES_SECONDS):
        raise Refusal("Too many tries. Wait an hour.", code="too_many_tries", field="born_on")
    right = patient.born_on.isoformat()
    if not secrets.compare_digest(given.isoformat() if given else "", right):
        audit.record(f"{name}.birth_date_refused", about, by=None, at=now, site=site, actor="patient")
        raise Refusal("This is not the birth date.", code="wrong_birth_date", field="born_on")
    forget_tries(key)
