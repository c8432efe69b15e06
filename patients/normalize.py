"""Words and numbers as they are looked for: "obrien", "concepcion", "dang" and "lukasz" find O’Brien, Concepción, Đặng
and Łukasz; a phone number is its digits; a record number counts without case, spaces and leading noughts."""

from typing import Any

from django.db.models import CharField, Func, Lookup, TextField

#: A function of the database, made by a migration: PostgreSQL's `unaccent` in a form of which an index can be made.
WORDS = "PLAIN_WORDS({})"
DIGITS = "REGEXP_REPLACE({}, '[^0-9]', '', 'g')"


class PlainWords(Func):
    """The words of a column as they are looked for."""

    template = WORDS.format("%(expressions)s")
    arity = 1
    output_field = TextField()


class Digits(Func):
    """The digits of a phone number, however it is written."""

    template = DIGITS.format("%(expressions)s")
    arity = 1
    output_field = TextField()


class NumberKey(Func):
    """A record number as it is compared; the same as `patients.record_numbers.number_key`."""

    template = r"REGEXP_REPLACE(UPPER(REGEXP_REPLACE(%(expressions)s, '\s', '', 'g')), '^([^0-9]*)0+(?=[0-9])', '\1')"
    arity = 1
    output_field = TextField()


@CharField.register_lookup
class Plainly(Lookup):
    """`family_name__plainly="concep"`: the column has these letters somewhere, however they are written."""

    lookup_name = "plainly"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        typed = connection.ops.prep_for_like_query(self.rhs)
        return f"{WORDS.format(column)} LIKE '%%' || {WORDS.format('%s')} || '%%'", (*params, typed)


@CharField.register_lookup
class HasDigits(Lookup):
    """`phone__has_digits="5550147"`: these digits follow each other somewhere in the number."""

    lookup_name = "has_digits"
    prepare_rhs = False
    end = " || '%%'"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{DIGITS.format(column)} LIKE '%%' || %s{self.end}", (*params, self.rhs)


@CharField.register_lookup
class EndsInDigits(HasDigits):
    """`phone__ends_in_digits="0147"`: the number ends in these digits."""

    lookup_name = "ends_in_digits"
    end = ""
