"""Rows by their numbers, as far as `visible_to` shows them to a user, by SQL that is written and planned once.

What an input of the API names is looked up at every request, and writing the same query anew costs several times what
asking it does. `visible_to` stays the one place that says who sees what: it is asked for its query with a stand-in for
the user, and of a user it may ask no more than the number and `sees_all_sites` (clinic/tests/test_visible.py).
"""

from collections.abc import Iterable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import models

from clinic import prepared
from clinic.models import User

M = TypeVar("M", bound=models.Model)

#: Stand for the user's number and the row's while a statement is written.
WHO, ROW = 2**62 + 1, 2**62 + 2
#: What is written already, by the query that it was written for and by `sees_all_sites`.
WRITTEN: "WeakKeyDictionary[models.QuerySet[Any], dict[bool, str]]" = WeakKeyDictionary()


def rows(queryset: "models.QuerySet[M]", pks: Iterable[int], *, user: User) -> list[M]:
    """Those of the queryset's rows with these numbers that `user` may see, each once, in the queryset's order.

    `queryset` is one that lives as long as the program: a field's own.
    """
    statements = WRITTEN.setdefault(queryset, {})
    if user.sees_all_sites not in statements:
        statements[user.sees_all_sites] = write(queryset, User(pk=WHO, is_superuser=user.sees_all_sites))
    values = {"who": user.pk, "rows": list(pks)}
    found = [
        prepared.made(queryset.model, columns)
        for columns in prepared.rows(statements[user.sees_all_sites], values)
    ]
    models.prefetch_related_objects(found, *queryset._prefetch_related_lookups)  # type: ignore[attr-defined]
    return found


def write(queryset: "models.QuerySet[Any]", stand_in: User) -> str:
    """The query of `visible_to`, with its numbers by name and nothing else that could differ from user to user."""
    visible: Any = queryset.all()
    query = visible.visible_to(stand_in).filter(pk=ROW).query
    if query.select_related or query.annotations or not query.default_cols:
        raise TypeError(
            "A query of whole rows of one table is needed; what belongs to them can be prefetched."
        )
    sql, params = query.sql_with_params()
    # Compared with one of several numbers, as with one: `= ANY (…)`.
    names = {WHO: "%(who)s::bigint", ROW: "ANY (%(rows)s::bigint[])"}
    return str(sql % tuple(names[param] for param in params))
