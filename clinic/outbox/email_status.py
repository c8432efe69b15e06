"""What becomes of an e-mail's row: queued, claimed, marked, put back."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from clinic import audit
from clinic.models import OutgoingEmail, Site, User

#: After so many tries an e-mail is failed and waits for a person.
TRIES = 5
#: How long to wait after the first, second … failed try.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120)]
#: A claim older than this belongs to a sender that died; another takes over. Much longer than one attempt can take,
#: which is a few times EMAIL_TIMEOUT.
CLAIM_LASTS = timedelta(minutes=15)


def queue(
    key: str,
    *,
    template: str,
    context: dict[str, Any],
    to: str,
    site: Site,
    now: datetime,
    not_before: datetime | None = None,
    due_at: datetime | None = None,
    first: bool = False,
) -> OutgoingEmail | None:
    """Put an e-mail into the outbox, in the caller's transaction; None when `key` is there already.

    One that was skipped never went out: it is queued again when there is reason to send it after all.

    `due_at`: when the reason for it fell due, where that was not just now; what the tick finds says so.

    `first`: nothing can stand under `key` yet, so that none is looked for.

    `template` is the dotted path of a function that takes `context` as keyword arguments plus `now` and returns a
    Message, a Skip or a Wait. It is called when the e-mail is sent: the last moment to look whether it still should be.
    """
    email = OutgoingEmail(
        key=key,
        template=template,
        context=context,
        to=to,
        site=site,
        created_at=now,
        not_before=not_before or now,
        due_at=due_at or not_before or now,
    )
    if first:
        email.save(force_insert=True)
        return email
    (queued,) = queue_all([email])
    return queued if queued.message_id == email.message_id else None


def queue_all(emails: Sequence[OutgoingEmail]) -> list[OutgoingEmail]:
    """Put new rows into the outbox, in the caller's transaction; the rows that stand there under their keys, in order.

    As `queue`: one that is there already stays, unless it was skipped; then it is queued again.
    """
    OutgoingEmail.objects.bulk_create(emails, ignore_conflicts=True)
    there = {row.key: row for row in OutgoingEmail.objects.filter(key__in=[email.key for email in emails])}
    for email in emails:
        row = there[email.key]
        if row.message_id != email.message_id and row.status == OutgoingEmail.Status.SKIPPED:
            row.status, row.problem, row.attempts = OutgoingEmail.Status.QUEUED, "", 0
            for name in ("template", "context", "to", "site_id", "not_before", "due_at", "message_id"):
                setattr(row, name, getattr(email, name))
            row.save()
    return [there[email.key] for email in emails]


#: One statement, so that a claim is one round trip and two senders never take the same row. Whether a claim is
#: abandoned is a question about processes, not about the clinic's time: the database's own clock answers it.
CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT id, attempts, not_before FROM clinic_outgoingemail
         WHERE status IN ('queued', 'sending')
           AND CASE status WHEN 'queued' THEN not_before <= %(now)s
                           ELSE claimed_at <= statement_timestamp() - %(lasts)s END
           AND (%(key)s::text IS NULL OR key = %(key)s)
           AND (%(doubtful_until)s::timestamptz IS NULL OR coalesce(due_at, not_before) > %(doubtful_until)s)
         ORDER BY not_before, id
         LIMIT %(limit)s
           FOR UPDATE SKIP LOCKED
    ), oldest AS (SELECT id, attempts FROM due ORDER BY not_before, id LIMIT 1)
    UPDATE clinic_outgoingemail
       SET status = 'sending', claimed_at = statement_timestamp(), attempts = attempts + 1
     WHERE id IN (
        SELECT due.id FROM due CROSS JOIN oldest
         WHERE due.id = oldest.id OR (due.attempts = 0 AND oldest.attempts = 0)
     )
 RETURNING *
"""


def claim(
    *, now: datetime, key: str | None = None, limit: int = 1, doubtful_until: datetime | None = None
) -> list[OutgoingEmail]:
    """Take the right to send up to `limit` e-mails that are due at `now`, the oldest first; empty when none is.

    `key` given: only the one with that key. `doubtful_until`: none that fell due until then (`clinic.restores`).

    Due are queued ones whose time has come and those whose sender claimed them longer than CLAIM_LASTS ago. Several
    are taken together only when none was tried before. One that was is taken alone: should it be what kills its
    senders, it takes no other with it.
    """
    values = {"now": now, "lasts": CLAIM_LASTS, "key": key, "limit": limit, "doubtful_until": doubtful_until}
    return sorted(OutgoingEmail.objects.raw(CLAIM, values), key=lambda email: (email.not_before, email.pk))


#: By hand as well, because it runs once an e-mail while the next one waits.
MARK = """
    UPDATE clinic_outgoingemail
       SET status = %(status)s, sent_at = %(sent_at)s, problem = %(problem)s, provider_id = %(provider_id)s
     WHERE id = %(id)s AND status = 'sending' AND claimed_at = %(claimed_at)s
"""


def mark(
    email: OutgoingEmail,
    status: str,
    *,
    sent_at: datetime | None = None,
    problem: str = "",
    provider_id: str = "",
) -> None:
    """Write down how an e-mail ended, if this sender still holds the claim. `provider_id`: a service's name for it."""
    values = {"status": status, "sent_at": sent_at, "problem": problem, "provider_id": provider_id[:200]}
    with connection.cursor() as cursor:
        cursor.execute(MARK, values | {"id": email.pk, "claimed_at": email.claimed_at})


def readdress(email: OutgoingEmail, to: str) -> None:
    """Send it to another address than that for which it was queued: the patient's has changed since."""
    email.to = to
    held([email]).update(to=to)


def give_up(email: OutgoingEmail, problem: str) -> str:
    """Leave it to a person, who finds it among the failed ones in the admin; "failed"."""
    mark(email, "failed", problem=problem)
    return "failed"


def put_back(email: OutgoingEmail, problem: str, *, now: datetime) -> str:
    """Queue it again for later, or give it up after TRIES; "put_back" or "failed"."""
    if email.attempts >= TRIES:
        return give_up(email, problem)
    held([email]).update(status="queued", not_before=now + PAUSES[email.attempts - 1], problem=problem)
    return "put_back"


def wait(email: OutgoingEmail, until: datetime, reason: str) -> str:
    """Queue it again for `until` as if nobody had tried it; "put_back"."""
    held([email]).update(status="queued", not_before=until, problem=reason, attempts=F("attempts") - 1)
    return "put_back"


def held(emails: Sequence[OutgoingEmail]) -> QuerySet[OutgoingEmail]:
    """Those of one claim's e-mails, which all have the same `claimed_at`, that nobody has taken over."""
    return OutgoingEmail.objects.filter(
        pk__in=[email.pk for email in emails],
        status=OutgoingEmail.Status.SENDING,
        claimed_at__in={email.claimed_at for email in emails},
    )


def release(emails: Sequence[OutgoingEmail]) -> None:
    """Queue e-mails of one claim again as if they had never been claimed, due as before."""
    if emails:
        held(emails).update(status="queued", attempts=F("attempts") - 1)


@transaction.atomic
def renew(emails: Sequence[OutgoingEmail]) -> list[OutgoingEmail]:
    """Claim e-mails of one claim anew, so that it lasts from now; those that this sender still holds."""
    still = [email.pk for email in held(emails).select_for_update()]
    OutgoingEmail.objects.filter(pk__in=still).update(claimed_at=Now())
    again = OutgoingEmail.objects.filter(pk__in=still).select_related("site__logo")
    return list(again.order_by("not_before", "pk"))


@transaction.atomic
def retry(email_ids: Collection[int], *, by: User, now: datetime) -> int:
    """Queue failed e-mails again, due at once and with all their tries before them; how many.

    Those among `email_ids` that have not failed are left as they are.
    """
    failed = list(
        OutgoingEmail.objects.select_for_update(of=("self",))
        .select_related("site")
        .filter(pk__in=email_ids, status=OutgoingEmail.Status.FAILED)
        .order_by("pk")
    )
    OutgoingEmail.objects.filter(pk__in=[email.pk for email in failed]).update(
        status=OutgoingEmail.Status.QUEUED, attempts=0, not_before=now, due_at=now, problem=""
    )
    for email in failed:
        audit.record("email.queued_again", email, by=by, at=now, site=email.site)
    return len(failed)
