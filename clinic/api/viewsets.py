"""The shape of the API's views: rows that the user may see, read by the framework, written by services."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.etags import UNSAFE, refuse_unless_read, tag_of
from clinic.api.fields import Input, Query, read_query, refuse_repeated
from clinic.api.idempotency import REPLAYED, IdempotentAPIView
from clinic.api.permissions import Needed
from clinic.models import User
from clinic.row_versions import one_at_a_time


class NoStoreAPIView(IdempotentAPIView):
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


class VisibleRowsViewSet(NoStoreAPIView, viewsets.GenericViewSet[Any]):
    """Rows of one model. Views declare `queryset`, `serializer_class`, `permissions_needed`; lists a `query_class`.

    `may_refuse` names by action what beside the usual refusals the schema should announce: {"book": [409]}.
    `detail_serializer_class` is for a row on its own, where that shows more than a list does: its ETag is of that.
    """

    lookup_value_converter = "int"
    detail_serializer_class: Any = None
    query_class: type[Query] = Query
    permissions_needed: Mapping[str, Needed] = {}
    may_refuse: dict[str, list[int]] = {}

    @property
    def user(self) -> User:
        """Who is asking. Holds has seen to it that they are signed in."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    # Which version was read.

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whatever changes a row looks at its version and acts in one transaction, one after the other."""
        super().initial(request, *args, **kwargs)
        if self.lookup_field in self.kwargs and request.method in UNSAFE:
            name = request.method.lower()
            if handler := getattr(self, name, None):  # else 405
                setattr(self, name, transaction.atomic(handler))

    def get_object(self) -> Any:
        """The row of the address; if it is to be changed, only for who has read it as it stands."""
        if self.request.method not in UNSAFE:
            return super().get_object()
        super().get_object()  # what may not be seen does not exist, whatever it says
        one_at_a_time(self.get_queryset().model, self.kwargs[self.lookup_field])
        row = super().get_object()
        if not self.done_before(self.request):  # else it had been read, and is only answered anew
            refuse_unless_read(self.request, tag_of(self.told(row)))
        return row

    def told(self, row: Any) -> Mapping[str, Any]:
        """The row as its own address shows it."""
        shown: Mapping[str, Any] = self.serializer_of_one()(row, context=self.get_serializer_context()).data
        return shown

    def serializer_of_one(self) -> Any:
        """What shows a row on its own."""
        return self.detail_serializer_class or self.serializer_class

    def get_serializer_class(self) -> Any:
        return self.serializer_class if self.action == "list" else self.serializer_of_one()

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the ETag of the row that is in the answer; without where it is sent again, and may be older."""
        response = super().finalize_response(*args, **kwargs)
        data, listed = getattr(response, "data", None), self.action == "list"
        new = response.status_code in (200, 201) and REPLAYED not in response.headers
        if new and isinstance(data, Mapping) and not listed:
            response.headers.setdefault("ETag", tag_of(data))
        return response

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


class VisibleRows(VisibleRowsViewSet):
    """Rows that belong to sites: what `visible_to` keeps from the user is 404, as if it did not exist."""

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.user)
