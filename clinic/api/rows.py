"""The shape of the API's views: rows that the user may see, read by the framework, written by services."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, Query, read_query, refuse_repeated
from clinic.api.once import Once
from clinic.api.permissions import Needed
from clinic.models import User


class NeverKept(Once):
    """No browser and no proxy keeps what these views answer: it is about somebody. A POST can be sent again.

    What stands more than once behind the question mark, and is no list, is refused, code "given_twice".
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        listed = getattr(self, "action", None) == "list"
        super().initial(request, *args, **kwargs)
        refuse_repeated(getattr(self, "query_class", None) if listed else None, request.query_params)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class Rows(NeverKept, viewsets.GenericViewSet[Any]):
    """Rows of one model. Views declare `queryset`, `serializer_class`, `permissions_needed`; lists a `query_class`.

    `may_refuse` names by action what beside the usual refusals the schema should announce: {"book": [409]}.
    """

    lookup_value_converter = "int"
    query_class: type[Query] = Query
    permissions_needed: Mapping[str, Needed] = {}
    may_refuse: dict[str, list[int]] = {}

    @property
    def user(self) -> User:
        """Who is asking. Holds has seen to it that they are signed in."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    def filter_queryset(self, queryset: Any) -> Any:
        """For lists: what the query asks for; refuses, code "unknown_field", what it cannot ask for."""
        if self.action != "list":
            return queryset
        query = read_query(self.query_class, self.request.query_params, **self.get_serializer_context())
        return query.narrow(queryset)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": timezone.now()}

    def inputs(self, shape: type[Input], **kwargs: Any) -> Any:
        """The request's body, read by `shape`. Raises ValidationError by field."""
        form = shape(data=self.request.data, context=self.get_serializer_context(), **kwargs)
        form.is_valid(raise_exception=True)
        return form.validated_data

    def shown(self, pk: int, *, status: int = 200) -> Response:
        """The row with the number `pk` as this view shows it."""
        return self.show(self.get_queryset().get(pk=pk), status=status)

    def show(self, row: Any, *, status: int = 200) -> Response:
        """`row`, with all that belongs to it at hand, as this view shows it."""
        return Response(self.get_serializer(row).data, status=status)


class VisibleRows(Rows):
    """Rows that belong to sites: what `visible_to` keeps from the user is 404, as if it did not exist."""

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.user)
