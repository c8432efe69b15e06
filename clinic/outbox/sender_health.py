"""Whether the mail server takes this clinic's mail at all: what the last e-mails tell of the sender, not of readers.

A password that has expired or an account that is shut refuses everything, and no single row of the outbox says so: each
looks like one more e-mail that is tried again. What is known stands in the row of the job "mail" (clinic.jobs).
"""

import re
from datetime import datetime
from typing import Protocol

from clinic import jobs
from clinic.models import Job

#: The server takes no name and password, or not these.
LOGIN_REFUSED = "login_refused"
#: There is no connection to be had.
UNREACHABLE = "unreachable"
#: So much doubt, with nothing sent in between, and the sender is held to be refused.
ENOUGH = 3
#: Reasons of security or policy (RFC 3463, section 3.8): relaying, a sender who is not authorised, no signature.
POLICY = re.compile(rb"\b5\.7\.\d")
#: HTTP statuses with which a service refuses an account: no such key, not paid, not allowed.
OF_THE_ACCOUNT = (401, 402, 403)


class FailedAttempt(Protocol):
    """What went wrong with an attempt: its code, and how much it says of the sender."""

    @property
    def code(self) -> str: ...
    @property
    def doubt(self) -> int: ...


def doubt_of_reply(who: str, reply: int, said: bytes | str) -> int:
    """How much an SMTP reply says of the sender; `who`: "sender", "recipient" or "message" was refused.

    One reader's server may refuse by policy as well: only several in a row are this clinic's own matter.
    """
    if reply // 100 != 5:
        return 0
    if who == "sender":
        return ENOUGH
    return 1 if POLICY.search(said.encode() if isinstance(said, str) else said) else 0


def doubt_of_service(status: int) -> int:
    """How much the HTTP status of a mail service says of the sender. 429 and 5xx say nothing: they pass."""
    if status in OF_THE_ACCOUNT:
        return ENOUGH
    return 1 if status // 100 == 4 and status not in (408, 429) else 0


class SenderHealth:
    """What one run of the sender learns."""

    def __init__(self) -> None:
        self.doubt = 0
        self.problem = ""  # the code of the last of it
        self.sent = self.connected = False

    def shut(self, problem: str) -> None:
        """There was no connection to be had: LOGIN_REFUSED or UNREACHABLE."""
        self.problem = problem
        self.doubt += ENOUGH if problem == LOGIN_REFUSED else 0

    def tried(self, outcome: str, fault: FailedAttempt | None) -> None:
        """An e-mail was tried. One that was sent shows that the server takes this clinic's mail."""
        self.connected = True
        if outcome == "sent":
            self.sent, self.doubt, self.problem = True, 0, ""
        elif fault is not None and fault.doubt:
            self.doubt += fault.doubt
            self.problem = fault.code

    def note(self, tally: dict[str, int], *, now: datetime) -> None:
        """Write down what is known now; nothing when there was nothing to send."""
        if not (any(tally.values()) or self.problem):
            return
        job = Job.objects.filter(name=Job.Name.MAIL).first()
        doubt, problem = self.doubt, self.problem
        overcome = self.connected and job is not None and job.problem in (LOGIN_REFUSED, UNREACHABLE)
        if job is not None and not self.sent and not overcome:
            doubt += job.counts.get("doubt", 0)
            problem = problem or job.problem
        jobs.record_run(
            Job.Name.MAIL,
            problem=problem,
            counts={**tally, "doubt": min(doubt, ENOUGH)},
            complete=self.sent,
            now=now,
        )


def refused(job: Job) -> bool:
    """Whether the job "mail" says that the mail server does not take this clinic's mail."""
    return bool(job.problem) and job.counts.get("doubt", 0) >= ENOUGH


def unreachable(job: Job) -> bool:
    """Whether the job "mail" says that the mail server was not to be reached the last time."""
    return job.problem == UNREACHABLE
