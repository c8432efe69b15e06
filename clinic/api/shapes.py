"""Serializers whose fields are made once a class and not once a request, which is most of what small answers cost."""

from typing import Any

from rest_framework.fields import Field
from rest_framework.serializers import BaseSerializer

AnyField = Field[Any, Any, Any, Any]

#: The fields of each class as they were made, bound to no serializer: what `twin` copies.
MADE: dict[type, dict[str, AnyField]] = {}


class Shape(BaseSerializer[Any]):
    """Stands before `Serializer` or `ModelSerializer` among the bases of a class whose fields follow from it alone."""

    def get_fields(self) -> dict[str, AnyField]:
        made = MADE.get(type(self))
        if made is None:
            made = MADE[type(self)] = super().get_fields()  # type: ignore[misc]
        return {name: twin(field) for name, field in made.items()}


def twin(field: AnyField) -> AnyField:
    """A copy that can be bound to another serializer: its own parent, all else shared, for nothing else is ever set."""
    copy: AnyField = object.__new__(type(field))
    copy.__dict__.update(field.__dict__)
    for name in ("child", "child_relation"):
        if inner := copy.__dict__.get(name):
            own: Any = twin(inner)
            own.parent = copy
            copy.__dict__[name] = own
    return copy
