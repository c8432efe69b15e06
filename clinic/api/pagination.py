"""Lists come in pages."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class StableCursorPagination(CursorPagination):
    """Pages by cursor: stable while rows are added, and as fast on the last page as on the first.

    A view may name its `ordering`; rows come in order of their numbers otherwise.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    #: How many rows may share what they are ordered by first: all routine entries of a waitlist.
    offset_cutoff = 100_000

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        ordering: tuple[str, ...] = getattr(view, "ordering", ("pk",))
        return ordering

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> "list[Any] | None":
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, ValidationError, ValueError, OverflowError):
            # A cursor is text from outside: it may be cut off, or name a place in a list of another kind.
            detail = exceptions.ErrorDetail("This cursor leads nowhere.", code="invalid")
            raise exceptions.ValidationError({"cursor": [detail]}) from None
