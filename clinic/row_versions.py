"""Which version of something somebody was shown: nothing is saved over what they have not seen.

Whoever saves first gets through, whichever door they use; who saves after them by a page or a tag that is older is
told. Only doors that carry a version ask for the lock here, and each before anything else: no two wait in a ring.
"""

import hashlib
import json
from typing import Any

from django.db import connection, models
from rest_framework.utils.encoders import JSONEncoder

#: In the address of a button beside a row: which version of the row stood there.
SEEN = "seen"


def one_at_a_time(model: type[models.Model], pk: Any) -> None:
    """Wait until nobody else is about to save this row, and keep them waiting until the transaction ends.

    Not the row's own lock: services take theirs in orders of their own, the follow-up before its check-in.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{model._meta.label_lower}:{pk}"]
        )


def digest(shown: Any) -> str:
    """32 hex digits that stand for what was shown: JSON-like values, in any order of their names."""
    text = json.dumps(shown, sort_keys=True, cls=JSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def column_digests(row: models.Model) -> dict[str, str]:
    """A digest of each column of a row as the database has it now, by the column's name; {} when the row is gone.

    Digests, because a page may carry them that does not show every column.
    """
    names = [field.attname for field in row._meta.concrete_fields]
    found = type(row)._base_manager.filter(pk=row.pk).values(*names).first()
    return {name: digest(value)[:12] for name, value in (found or {}).items()}


def seen(row: models.Model) -> str:
    """The version of a row that was read, without reading anything more: what a button beside it carries."""
    return digest(
        {field.attname: digest(getattr(row, field.attname))[:12] for field in row._meta.concrete_fields}
    )


def beside(row: models.Model) -> str:
    """The part of the query of a button beside `row` that says which version of it stood there."""
    return f"{SEEN}={seen(row)}"


def read_before(row: models.Model, *names: str) -> set[str]:
    """Which of these foreign keys the row was given as objects, that need not be looked for once more."""
    fields: dict[str, Any] = {name: row._meta.get_field(name) for name in names}
    return {name for name, field in fields.items() if field.is_cached(row) and getattr(row, name)}
