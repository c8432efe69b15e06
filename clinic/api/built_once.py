"""Serializers whose fields are found from the model once a class, and copied as REST framework copies declared ones.

Finding them anew for each of the seven serializers of a booking took a third of its processor time.
"""

from copy import deepcopy
from typing import Any

from rest_framework.fields import Field
from rest_framework.serializers import BaseSerializer

AnyField = Field[Any, Any, Any, Any]

#: The fields of each class, bound to no serializer.
BUILT: dict[type, dict[str, AnyField]] = {}


class BuiltOnce(BaseSerializer[Any]):
    """Stands before `ModelSerializer` among the bases of a class whose fields follow from the class alone."""

    def get_fields(self) -> dict[str, AnyField]:
        if type(self) not in BUILT:
            BUILT[type(self)] = super().get_fields()  # type: ignore[misc]
        return deepcopy(BUILT[type(self)])
