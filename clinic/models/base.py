"""What models of every app share: their history, and the span of their rows."""

from typing import TypeVar

import pghistory
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary
from django.db import models
from django.db.models import F, Func

#: The half-open span [starts_at, ends_at) of a row, as PostgreSQL sees it: back-to-back is legal.
DURING = Func(
    F("starts_at"), F("ends_at"), RangeBoundary(), function="TSTZRANGE", output_field=DateTimeRangeField()
)


M = TypeVar("M", bound=type[models.Model])


def keep_history(model: M) -> M:
    """Have the database keep every insert, update and delete of the model's rows, whoever makes it and however."""
    tracked: M = pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())(
        model
    )
    return tracked
