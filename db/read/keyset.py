"""Pages by keyset: a page begins after the sort value and key of a row, so moves do not matter.

SQL is composed here, once for each variant, from column expressions that are constants of this
package. Input of a client is always a parameter.
"""

import enum
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from db.connect.types import Connection

Row = TypeVar("Row")

MAX_STATEMENTS = 1_024
"""Composed statements in the cache; clients can request more."""

MAX_ROWS = 1_000
"""A page has fewer rows than this."""


class Order(msgspec.Struct, frozen=True):
    """A total order of rows: by the expression `sort`, nulls last, then by `key`, ascending.

    Both together are unique. The types are SQL types; a position holds both values as text. `name`
    identifies the order.
    """

    name: str
    sort: str
    sort_type: str
    key: str
    key_type: str = "text"
    descending: bool = False
    nullable: bool = False


class KeysetPosition(msgspec.Struct, frozen=True, gc=False):
    """The position of a row in an order: its sort value and key, as text from PostgreSQL."""

    sort: str | None
    key: str


class PageSlice(msgspec.Struct, frozen=True):
    """The slice of a result: `limit` rows between two positions, the last ones if `backward`."""

    limit: int
    backward: bool = False
    after: KeysetPosition | None = None
    before: KeysetPosition | None = None


class KeysetPage(msgspec.Struct, Generic[Row], frozen=True):
    """One slice of a result in its order; `more` says that the limit has cut it."""

    rows: list[Row]
    positions: list[KeysetPosition]
    more: bool


class PageQuery(msgspec.Struct, frozen=True):
    """A closed set of column expressions over some tables, and the possible conditions of a filter.

    A condition is the type of its parameter, and an expression with `{}` for the parameter.
    """

    columns: tuple[tuple[str, str], ...]
    tables: str
    conditions: tuple[tuple[str, str], ...] = ()

    def select(self, rest: str) -> str:
        """Return `SELECT <the columns> FROM <the tables> <rest>`."""
        columns = ", ".join(f"{expression} AS {name}" for name, expression in self.columns)
        # Constants of this package.
        return f"SELECT {columns} FROM {self.tables} {rest}"  # noqa: S608

    def narrow(self, names: Collection[str]) -> "PageQuery":
        """Return the query with only these columns, in their order."""
        columns = tuple(column for column in self.columns if column[0] in names)
        return msgspec.structs.replace(self, columns=columns)

    def where(self, places: tuple[int, ...]) -> list[str]:
        """Return the conditions at these places, on the first parameters."""
        return [
            expression.replace("{}", f"${number}::{cast}")
            for number, (cast, expression) in enumerate(
                (self.conditions[place] for place in places), 1
            )
        ]


class FilterParts(msgspec.Struct, frozen=True):
    """A filter as parameters of a statement: the places of its conditions, and their values."""

    places: tuple[int, ...] = ()
    values: tuple[object, ...] = ()


def filter_parts(values: Sequence[object]) -> FilterParts:
    """Return the parts of a filter that has a value, or None, for each condition of a query."""
    pairs = [(place, value) for place, value in enumerate(values) if value is not None]
    return FilterParts(tuple(place for place, _ in pairs), tuple(value for _, value in pairs))


class Bound(enum.Enum):
    """An end of a slice: open, a row with a sort value, or a row with a null."""

    OPEN = enum.auto()
    VALUE = enum.auto()
    NULL = enum.auto()


def _bound(position: KeysetPosition | None) -> Bound:
    if position is None:
        return Bound.OPEN
    return Bound.NULL if position.sort is None else Bound.VALUE


class Variant(msgspec.Struct, frozen=True):
    """What a page's statement depends on; its parameters are of the filter, the limit, the bounds.

    `places` are those of the query's conditions that the filter uses.
    """

    query: PageQuery
    order: Order
    places: tuple[int, ...] = ()
    after: Bound = Bound.OPEN
    before: Bound = Bound.OPEN
    backward: bool = False


def _parameters(variant: Variant) -> dict[str, str]:
    """Return the placeholder, with its type, of each parameter that is not of the filter."""
    names = ["limit"]
    for side, bound in (("after", variant.after), ("before", variant.before)):
        names += {
            Bound.OPEN: [],
            Bound.VALUE: [f"{side}_sort", f"{side}_key"],
            Bound.NULL: [f"{side}_key"],
        }[bound]
    first = len(variant.places) + 1
    types = {"sort": variant.order.sort_type, "key": variant.order.key_type}
    return {
        name: f"${number}::bigint"
        if name == "limit"
        else f"${number}::text::{types[name.split('_')[1]]}"
        for number, name in enumerate(names, first)
    }


def _valued(variant: Variant, placeholders: dict[str, str]) -> list[str]:
    """Return the conditions on rows that have a sort value.

    The range on `sort` alone allows an index scan.
    """
    sort, key = variant.order.sort, variant.order.key
    beyond, short = ("<", ">") if variant.order.descending else (">", "<")
    conditions = []
    if variant.after is Bound.VALUE:
        value, row = placeholders["after_sort"], placeholders["after_key"]
        conditions.append(
            f"{sort} {beyond}= {value} AND ({sort} {beyond} {value} OR {key} > {row})"
        )
    if variant.before is Bound.VALUE:
        value, row = placeholders["before_sort"], placeholders["before_key"]
        conditions.append(f"{sort} {short}= {value} AND ({sort} {short} {value} OR {key} < {row})")
    return conditions


def _nulls(variant: Variant, placeholders: dict[str, str]) -> list[str]:
    """Return the conditions on rows without a sort value."""
    conditions = [f"{variant.order.sort} IS NULL"]
    if variant.after is Bound.NULL:
        conditions.append(f"{variant.order.key} > {placeholders['after_key']}")
    if variant.before is Bound.NULL:
        conditions.append(f"{variant.order.key} < {placeholders['before_key']}")
    return conditions


def _segments(variant: Variant, placeholders: dict[str, str]) -> list[list[str]]:
    """Return the conditions of each part of the slice: rows with a value, then nulls."""
    if variant.after is variant.before is Bound.OPEN:
        return [[]]
    segments = []
    if variant.after is not Bound.NULL:
        open_ended = variant.order.nullable and Bound.VALUE not in (variant.after, variant.before)
        conditions = [f"{variant.order.sort} IS NOT NULL"] if open_ended else []
        segments.append(conditions + _valued(variant, placeholders))
    if variant.order.nullable and variant.before is not Bound.VALUE:
        segments.append(_nulls(variant, placeholders))
    return segments


@functools.lru_cache(maxsize=MAX_STATEMENTS)
def page_statement(variant: Variant) -> str:
    """Return the statement of a variant: sort value, key, the query's columns; near end first."""
    query, order = variant.query, variant.order
    placeholders = _parameters(variant)
    direction = "DESC" if order.descending != variant.backward else "ASC"
    nulls = (" NULLS FIRST" if variant.backward else " NULLS LAST") if order.nullable else ""
    key_direction = "DESC" if variant.backward else "ASC"
    columns = "".join(f", {expression} AS {name}" for name, expression in query.columns)
    # The plan is generic for all limits: the constant makes the planner expect few rows, and use an
    # index.
    limit = placeholders["limit"]
    end = f"ORDER BY page.sort_ {direction}{nulls}, page.key_ {key_direction} LIMIT {limit}"
    parts = []
    for conditions in _segments(variant, placeholders):
        where = " AND ".join(
            f"({condition})" for condition in query.where(variant.places) + conditions
        )
        parts.append(
            # Constants of this package.
            f"SELECT {order.sort} AS sort_, {order.key} AS key_{columns} FROM {query.tables}"  # noqa: S608
            f"{' WHERE ' + where if where else ''}"
            f" ORDER BY {order.sort} {direction}{nulls}, {order.key} {key_direction}"
            f" LIMIT {MAX_ROWS}"
        )
    page = parts[0]
    if len(parts) > 1:
        # The limit bounds each part, so this sorts two pages at most.
        # Constants of this package.
        page = " UNION ALL ".join(f"(SELECT * FROM ({part}) AS page {end})" for part in parts)  # noqa: S608
    names = "".join(f", {name}" for name, _ in query.columns)
    # Constants of this package.
    return f"SELECT sort_::text, key_::text{names} FROM ({page}) AS page {end}"  # noqa: S608


@functools.lru_cache(maxsize=MAX_STATEMENTS)
def count_statement(query: PageQuery, places: tuple[int, ...]) -> str:
    """Return the statement that counts the rows of a filter."""
    where = " AND ".join(f"({condition})" for condition in query.where(places))
    # Constants of this package.
    return f"SELECT count(*) FROM {query.tables}{' WHERE ' + where if where else ''}"  # noqa: S608


def _arguments(part: PageSlice) -> list[object]:
    arguments: list[object] = [part.limit + 1]
    for position in (part.after, part.before):
        if position is not None:
            arguments += [position.key] if position.sort is None else [position.sort, position.key]
    return arguments


class Records(msgspec.Struct, frozen=True):
    """The records of a slice; the first two columns are positions, `more` is as in KeysetPage."""

    records: list[Any]
    more: bool


async def fetch_slice(
    connection: Connection, query: PageQuery, order: Order, part: PageSlice, filters: FilterParts
) -> Records:
    """Return a slice as records: sort value and key as text, then the query's columns.

    Raises ValueError for a limit of MAX_ROWS or more.
    """
    if part.limit >= MAX_ROWS:
        raise ValueError(f"a page has fewer than {MAX_ROWS} rows, not {part.limit}")
    variant = Variant(
        query, order, filters.places, _bound(part.after), _bound(part.before), part.backward
    )
    if variant.after is Bound.NULL and variant.before is Bound.VALUE:
        return Records([], more=False)  # nulls are last: nothing is between
    records = await connection.fetch(page_statement(variant), *filters.values, *_arguments(part))
    page = records[: part.limit]
    if part.backward:
        page.reverse()
    return Records(page, more=len(records) > part.limit)


async def fetch_page(
    connection: Connection,
    query: PageQuery,
    order: Order,
    part: PageSlice,
    *,
    make: Callable[..., Row],
    filters: FilterParts,
) -> KeysetPage[Row]:
    """Return a slice of the query's rows, each made by `make` from the columns in their order."""
    result = await fetch_slice(connection, query, order, part, filters)
    return KeysetPage(
        rows=[make(*record[2:]) for record in result.records],
        positions=[KeysetPosition(record[0], record[1]) for record in result.records],
        more=result.more,
    )


async def count_rows(connection: Connection, query: PageQuery, filters: FilterParts) -> int:
    """Return the number of the query's rows that match the filter."""
    count: int = await connection.fetchval(count_statement(query, filters.places), *filters.values)
    return count
