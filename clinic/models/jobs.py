"""What the service does by itself, and how its last runs ended. Instants in UTC."""

from django.db import models
from django.db.models import Q


class Job(models.Model):
    """How the runs of one job ended: one row a job, written over by each run.

    `ended_at`: when the last run came to its end, however. `completed_at`: when one last did all that it should, and
    `counts` what that one did, by name. None: none ever has. `problem`: a code of what the last run met, "" when it
    went well; `problem_since`: since when no run went well.
    """

    class Name(models.TextChoices):
        TICK = "tick"
        MAIL = "mail"
        PROBE = "probe"  # writes, to see whether the database lets anybody write

    name = models.CharField(max_length=10, choices=Name.choices, unique=True)
    ended_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    problem = models.CharField(max_length=500, blank=True)
    problem_since = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                name="job_problem_has_its_time", condition=Q(problem="") | Q(problem_since__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return self.name
