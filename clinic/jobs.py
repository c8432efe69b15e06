"""How the runs of what the service does by itself ended: each run writes it down."""

from datetime import datetime

from django.db import DatabaseError, transaction

from clinic.models import Job


@transaction.atomic
def record_run(
    name: str,
    *,
    problem: str = "",
    counts: dict[str, int] | None = None,
    complete: bool = True,
    now: datetime,
) -> None:
    """A run of the job has ended at `now`. `problem`: the code of what it met, "" when it went well.

    `counts`: what it did, by name; None leaves what stands. Not `complete`: `completed_at` stays as well.
    """
    Job.objects.get_or_create(name=name)
    job = Job.objects.select_for_update().get(name=name)
    job.ended_at = now
    if complete:
        job.completed_at = now
    if counts is not None:
        job.counts = counts
    job.problem_since = (job.problem_since or now) if problem else None
    job.problem = problem[:500]
    job.save()


def write_failure(*, now: datetime) -> str:
    """The kind of fault with which the database refuses to write a row, "DiskFull" for example; "" when it writes."""
    try:
        record_run(Job.Name.PROBE, now=now)
    except DatabaseError as exc:
        return fault_name(exc)
    return ""


def fault_name(fault: BaseException) -> str:
    """A fault's name: that of PostgreSQL where it has one, such as "LockNotAvailable"."""
    if isinstance(fault, DatabaseError) and fault.__cause__ is not None:
        return type(fault.__cause__).__name__
    if isinstance(fault, BaseExceptionGroup):
        return ", ".join(dict.fromkeys(fault_name(exception) for exception in fault.exceptions))
    return type(fault).__name__
