"""Whether a question may still go out, looked at the last moment."""

from datetime import datetime

from outcomes.models import CheckIn
from patients.models import Reader

#: Nobody is to be telephoned either.
NO_CALL = frozenset({"deceased", "merged", "opted_out"})


def why_not_to_ask(check_in: CheckIn, reader: Reader, *, now: datetime) -> str:
    """The code of the reason why an e-mail that is queued must not go out any more; "" when it may.

    `reader`: who is asked, the patient or a caregiver in the patient's place.

    Looked at when the e-mail is sent, because minutes or days may lie between.
    """
    if check_in.status == CheckIn.Status.ANSWERED:
        return "answered"
    if check_in.status == CheckIn.Status.VOIDED:
        return "voided"
    if check_in.status not in CheckIn.OPEN or now >= check_in.closes_at:
        return "closed"
    if check_in.follow_up.procedure.site.emails_paused:
        return "paused"
    return reader.why_no_email
