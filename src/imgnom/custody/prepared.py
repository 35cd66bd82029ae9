"""A question to a store that is composed once and asked often.

Django composes the SQL of a query anew each time, which costs more than the store's answer: of a page of the gallery
it was half of all the work. A `Prepared` composes its query once, with stand-ins where the values go, and then only
hands the values in. It answers with the rows of `values_list`, converted as Django converts them; what it asks is
still said in Django's words, so that a changed model changes it too. Nothing of an answer is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections, router
from django.db.models import Model, QuerySet

type Value = str | int | datetime
type Row = tuple[Any, ...]
type Converters = Mapping[int, tuple[list[Callable[..., Any]], Any]]

# What no query of ours says of itself.
_TEXT = "\x01 a stand-in "
_NUMBER = 30_000  # the smallest integer column of PostgreSQL holds no more than 32,767
_INSTANT = datetime(7777, 7, 7, tzinfo=UTC)


def _stand_in(kind: type[Value], place: int) -> Value:
    if kind is int:
        return _NUMBER + place
    return f"{_TEXT}{place}" if kind is str else _INSTANT + timedelta(days=place)


@dataclass(frozen=True)
class _Composed:
    alias: str
    sql: str
    fixed: tuple[Any, ...]
    places: tuple[tuple[int, int], ...]  # (parameter of the statement, value handed in)
    converters: Converters


def _compose(query: QuerySet[Any, Any], stand_ins: tuple[Value, ...]) -> _Composed:
    alias = query.db
    # A connection of its own, never opened: what is kept must not hold on to that of the thread that came first.
    blank: Any = connections.create_connection(alias)
    compiler: Any = query.query.get_compiler(connection=blank)
    sql, fixed = compiler.as_sql()
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    blank.close()
    shown = [_as_parameter(blank, value) for value in stand_ins]
    places = tuple((where, shown.index(value)) for where, value in enumerate(fixed) if value in shown)
    if {place for _, place in places} != set(range(len(stand_ins))):
        raise TypeError("a value stands nowhere in the composed question")
    return _Composed(alias, sql, tuple(fixed), places, converters)


def _as_parameter(connection: Any, value: Value) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _converted(row: Row, connection: Any, converters: Converters) -> Row:
    values = list(row)
    for place, (steps, column) in converters.items():
        for step in steps:
            values[place] = step(values[place], column, connection)
    return tuple(values)


class Prepared:
    """`build` makes the query, ending in `values_list`, of one stand-in for each of `kinds`."""

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], *kinds: type[Value]) -> None:
        self._build, self._kinds = build, kinds
        self._composed: _Composed | None = None

    def __call__(self, *values: Value) -> list[Row]:
        made = self._composed
        if made is None:
            stand_ins = tuple(_stand_in(kind, place) for place, kind in enumerate(self._kinds))
            made = self._composed = _compose(self._build(*stand_ins), stand_ins)
        connection = connections[made.alias]
        asked = list(made.fixed)
        for where, place in made.places:
            asked[where] = _as_parameter(connection, values[place])
        with connection.cursor() as cursor:
            cursor.execute(made.sql, asked)
            rows = cursor.fetchall()
        return [_converted(row, connection, made.converters) for row in rows] if made.converters else rows

    def first(self, *values: Value) -> Row | None:
        """The first row, of a query that has one at most or says itself that it wants no more."""
        rows = self(*values)
        return rows[0] if rows else None


def columns_of(model: type[Model], prefix: str = "") -> tuple[str, ...]:
    """What `values_list` must name for `as_row` to make the row again; `prefix` leads to it from another model."""
    return tuple(prefix + field.attname for field in model._meta.concrete_fields)


def as_row[M: Model](model: type[M], values: Row, *, only: tuple[str, ...] | None = None) -> M:
    """A row of the model as a query for it would give it; `only` these columns, the others being asked for at need."""
    return model.from_db(router.db_for_read(model), only or columns_of(model), values)
