"""Words as they are looked for: without capitals, accents or apostrophes, so that "obrien" and "concepcion" find
O’Brien and Concepción."""

from typing import Any

from django.db.models import CharField, Func, Lookup, TextField

#: Marks that stand above or below a letter, once NFD has taken them off it, and what is used as an apostrophe.
PLAIN = r"UPPER(REGEXP_REPLACE(NORMALIZE({}, NFD), '[\u0300-\u036f''’ʼ`´]', '', 'g'))"


class Plain(Func):
    """The words of a column as they are looked for; immutable, so that an index can be made of it."""

    template = PLAIN.format("%(expressions)s")
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
        return f"{PLAIN.format(column)} LIKE '%%' || {PLAIN.format('%s')} || '%%'", (*params, typed)
