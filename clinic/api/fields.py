"""What inputs and answers are made of. Strict: a number is a number, and a name that nobody asked for is refused."""

import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.db import models
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.fields import Field, empty
from rest_framework.parsers import JSONParser

from clinic.models import User
from clinic.timezones import NoSuchTime, instant

#: A day and at least hours and minutes. A day alone is no instant, though Python would read it as midnight.
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
#: Years in which the clinic's calendar is kept; outside, a time is a slip of the keyboard.
YEARS = range(1900, 2200)
#: Of what may be said once, and was said more often.
GIVEN_TWICE = ErrorDetail("Give it once.", code="given_twice")
#: The largest number of a row that PostgreSQL keeps.
MOST = 2**63 - 1


#: So deep may the objects and lists of a body lie in one another. Nothing that is asked for lies deeper than four.
DEEPEST = 20


class Json(JSONParser):
    """JSON, and a refusal instead of a fault for what no answer could repeat: half characters, endless nesting.

    A name twice in one object is refused, code "given_twice": the framework would take the last.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            text = stream.read().decode((parser_context or {}).get("encoding", "utf-8"))
            data = json.loads(text, parse_constant=no_number, object_pairs_hook=once)
            json.dumps(data, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half of a surrogate pair, which is no character.") from None
        except (ValueError, LookupError) as exc:
            raise ParseError(f"JSON parse error - {exc}") from None
        if deeper_than(DEEPEST, data):
            raise ParseError("The JSON is nested too deeply.")
        return data


def no_number(word: str) -> None:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(f"{word} is no number")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values. Raises ValidationError for a name that stands there twice."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise serializers.ValidationError({name: [GIVEN_TWICE]})
        made[name] = value
    return made


def deeper_than(most: int, data: Any) -> bool:
    """Whether objects and lists lie more than `most` deep in one another."""
    level = [data]
    for _ in range(most + 1):
        level = [
            inner
            for branch in level
            if isinstance(branch, dict | list)
            for inner in (branch.values() if isinstance(branch, dict) else branch)
        ]
        if not level:
            return False
    return True


AnyField = Field[Any, Any, Any, Any]

#: The fields of each class of BuiltOnce, bound to no serializer.
BUILT: dict[type, dict[str, AnyField]] = {}


class BuiltOnce(serializers.BaseSerializer[Any]):
    """Stands before `ModelSerializer` among the bases of a class whose fields follow from the class alone.

    They are found from the model once a class, and copied as REST framework copies declared ones: finding them anew for
    each serializer of a booking took a third of its processor time.
    """

    def get_fields(self) -> dict[str, AnyField]:
        if type(self) not in BUILT:
            BUILT[type(self)] = super().get_fields()  # type: ignore[misc]  # ModelSerializer's
        return deepcopy(BUILT[type(self)])


M = TypeVar("M", bound=models.Model)


class ColumnsSerializer(serializers.ModelSerializer[M]):
    """Shows columns as they are. JSON knows their types: fields are made for the description alone."""

    def to_representation(self, instance: M) -> dict[str, Any]:
        if self._declared_fields:  # a subclass shows more than columns
            return super().to_representation(instance)
        return {name: getattr(instance, name) for name in self.Meta.fields}


class Input(BuiltOnce, serializers.Serializer[Any]):
    """The inputs of one request. A name that is not among them is refused, code "unknown_field", not passed over."""

    def to_internal_value(self, data: Any) -> Any:
        faults = self.amiss(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as exc:
            detail: Any = exc.detail
            raise serializers.ValidationError({**detail, **faults}) from None
        if faults:
            raise serializers.ValidationError(faults)
        return values

    def amiss(self, data: Mapping[Any, Any]) -> dict[str, list[ErrorDetail]]:
        """What the framework would let pass: names that nobody asked for, and numbers where words belong."""
        asked = {name: field for name, field in self.fields.items() if not field.read_only}
        faults = {}
        for name, value in data.items():
            if name not in asked:
                faults[str(name)] = [ErrorDetail("There is no such input.", code="unknown_field")]
            elif isinstance(asked[name], serializers.CharField) and not isinstance(value, str | None):
                faults[name] = [ErrorDetail("Not a valid string.", code="invalid")]
        return faults


class NothingInput(Input):
    """An action that needs no inputs, and takes none."""


class Query(Input):
    """What may stand behind the question mark of a list's address. Of several, all must hold."""

    #: input → lookup, for what narrows a list by one comparison.
    lookups: Mapping[str, str] = {}

    cursor = serializers.CharField(required=False, help_text="From `next` or `previous` of another page.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="50 unless told."
    )

    def narrow(self, rows: Any) -> Any:
        """Those of `rows` that were asked for; `validated_data` says what was."""
        asked = self.validated_data
        lookups = {name: lookup for name, lookup in self.lookups.items() if name in asked}
        return rows.filter(
            **{
                f"{lookup}__in" if isinstance(asked[name], list) else lookup: asked[name]
                for name, lookup in lookups.items()
            }
        )


Q = TypeVar("Q", bound=Input)


def read_query(shape: type[Q], said: QueryDict, **context: Any) -> Q:
    """What stands behind the question mark, read by `shape`. Raises ValidationError by field.

    Only what is a list in `shape` may be repeated; the views refuse the rest before (`refuse_repeated`).
    """
    fields = shape(context=context).fields
    lists = {name for name, field in fields.items() if isinstance(field, serializers.ListField)}
    query = shape(
        data={name: said.getlist(name) if name in lists else said[name] for name in said}, context=context
    )
    query.is_valid(raise_exception=True)
    return query


def refuse_repeated(shape: type[Input] | None, said: QueryDict) -> None:
    """Raise ValidationError, code "given_twice", for what stands behind the question mark twice and is no list."""
    repeated = {name for name, values in said.lists() if len(values) > 1}
    if repeated and shape is not None:
        repeated -= {
            name for name, field in shape().fields.items() if isinstance(field, serializers.ListField)
        }
    if repeated:
        raise serializers.ValidationError({name: [GIVEN_TWICE] for name in sorted(repeated)})


class ChoicesQuery(serializers.ListField):
    """One or several of some words, in a list's query: `?status=booked&status=confirmed` is either of the two."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        help_text = f"{kwargs.pop('help_text', '')} May be repeated: any of them.".strip()
        if "default" not in kwargs:
            kwargs["required"] = False
        super().__init__(child=serializers.ChoiceField(choices), help_text=help_text, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        return [self.child.run_validation(value) for value in data]


class YesNoQuery(serializers.BooleanField):
    """`true` or `false` in a query, and nothing else: not `yes`, not 1, not `off`."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class NumberQuery(serializers.IntegerField):
    """The number of a row, in a list's query."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MOST, required=False, **kwargs)


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["me"]}]})
class PersonQuery(NumberQuery):
    """The number of a member of staff, in a list's query; `me` stands for who asks."""

    def run_validation(self, data: Any = empty) -> Any:
        return self.context["request"].user.pk if data == "me" else super().run_validation(data)


class InstantField(serializers.DateTimeField):
    """An instant with its offset from UTC. Written out in UTC."""

    default_error_messages = {
        "invalid": "Write the day and the time, as in 2027-01-15T09:00:00-05:00.",
        "out_of_range": "This is not a time in the years 1900 to 2199.",
        "offset_required": "Add the offset from UTC, as in 2027-01-15T09:00:00-05:00.",
    }

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not INSTANT.match(value):
            self.fail("invalid", format="ISO 8601")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.year not in YEARS:
            self.fail("out_of_range")
        if value.tzinfo is None:
            return self.without_offset(value)
        return value.astimezone(UTC)

    def without_offset(self, value: datetime) -> datetime:
        self.fail("offset_required")


class SiteTimeField(InstantField):
    """An instant. With an offset it is taken as it is; without one it is what the clock on the site's wall shows.

    The context's `zone` is that of the site; where only the other inputs say which site, there is none, and `at_site`
    resolves the time afterwards. Written out in UTC.
    """

    default_error_messages = {"no_such_time": "{fault}"}

    def without_offset(self, value: datetime) -> datetime:
        if zone := self.context.get("zone"):
            try:
                return instant(value, zone)
            except NoSuchTime as exc:
                self.fail("no_such_time", fault=exc)
        return value


class LocalTimeField(serializers.CharField):
    """An instant of the row as a client shows it: wall time at the row's site with its offset.

    Named after the instant, `starts_at_local`; `site`: where the row says at which site.
    """

    def __init__(self, *, site: str = "site", source: str = "*") -> None:
        self.site = attrgetter(site)
        super().__init__(source=source, read_only=True)

    def to_representation(self, row: Any) -> str:
        value: datetime = getattr(row, str(self.field_name).removesuffix("_local"))
        return value.astimezone(self.site(row).zone).isoformat()


@extend_schema_field({"type": "string", "examples": ["10:00"]})
class WallTimeField(serializers.TimeField):
    """A time of day on the wall clock of the row's site, as hours and minutes: no zone, so no instant."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", **kwargs)


def at_site(value: datetime, zone: ZoneInfo, *, field: str) -> datetime:
    """The UTC instant of what a SiteTimeField read; of a wall time that occurs twice, the first.

    Raises ValidationError, code "no_such_time", for a wall time that the clocks jump over.
    """
    if value.tzinfo:
        return value
    try:
        return instant(value, zone)
    except NoSuchTime as exc:
        raise serializers.ValidationError({field: [ErrorDetail(str(exc), code="no_such_time")]}) from None


@extend_schema_field({"type": "integer", "minimum": 1})
class VisibleField(serializers.PrimaryKeyRelatedField[Any]):
    """The number of a row that the user may see. Another site's row does not exist for them: code "does_not_exist"."""

    default_error_messages = {
        "does_not_exist": "There is no number {pk_value} that you may see.",
        "incorrect_type": "This is a whole number.",
    }

    def find(self, pk: int, user: User) -> Iterable[models.Model]:
        """The row with that number, if the user may see it."""
        rows: Any = self.get_queryset()
        found: models.QuerySet[Any] = rows.visible_to(user).filter(pk=pk)
        return found

    def to_internal_value(self, data: Any) -> models.Model:
        if type(data) is not int:
            self.fail("incorrect_type", pk_value=data)
        found = list(self.find(data, self.context["request"].user)) if 0 < data <= MOST else []
        if not found:
            self.fail("does_not_exist", pk_value=data)
        return found[0]


@extend_schema_field({"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 20})
class VisibleManyField(serializers.ListField):
    """The numbers of up to 20 rows that the user may see, looked up at once; a number given twice counts once."""

    default_error_messages = {"does_not_exist": "There is no number {missing} that you may see."}

    def __init__(self, queryset: "models.QuerySet[Any]", **kwargs: Any) -> None:
        self.queryset = queryset
        super().__init__(child=WholeNumberField(min_value=1, max_value=MOST), max_length=20, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > 20:
            self.fail("max_length", max_length=20)  # before looking any of them up
        wanted = super().to_internal_value(data)
        rows: Any = self.queryset.all()
        found = list(rows.visible_to(self.context["request"].user).filter(pk__in=wanted))
        missing = set(wanted) - {row.pk for row in found}
        if missing:
            self.fail("does_not_exist", missing=", ".join(map(str, sorted(missing))))
        return found

    def to_representation(self, data: Iterable[Any]) -> list[Any]:
        return [row.pk for row in data]


class YesNoField(serializers.BooleanField):
    """JSON's true or false: not "yes", not 1."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction: not "7", not 7.0, not true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data
