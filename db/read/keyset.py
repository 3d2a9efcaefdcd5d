"""Pages by keyset: where a page begins is a value and a key of its last row, so that it stays right while rows move.

SQL is composed here, once for each variant, from the column expressions that the modules of this
package hold in their own constants; what a client sent is always a parameter.
"""

import enum
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from db.connect.types import Connection

Row = TypeVar("Row")

KEPT_STATEMENTS = 1_024
"""Statements that are kept once they were composed; clients can ask for more."""

MOST_ROWS = 1_000
"""A page may have fewer rows than this."""


class Order(msgspec.Struct, frozen=True):
    """A total order of rows: by the expression `sort`, nulls last either way, then by `key`, rising.

    Both together are unique. The types are SQL's; a position carries both values as text. `name`
    tells orders apart.
    """

    name: str
    sort: str
    sort_type: str
    key: str
    key_type: str = "text"
    descending: bool = False
    nullable: bool = False


class KeysetPosition(msgspec.Struct, frozen=True, gc=False):
    """Where one row stands in an order: its sort value and its key, as PostgreSQL writes them."""

    sort: str | None
    key: str


class PageSlice(msgspec.Struct, frozen=True):
    """Which rows are wanted: `limit` of those between two positions, from the back where `backward`."""

    limit: int
    backward: bool = False
    after: KeysetPosition | None = None
    before: KeysetPosition | None = None


class KeysetPage(msgspec.Struct, Generic[Row], frozen=True):
    """One slice of a result in its order; `more` tells that it was cut at the limit."""

    rows: list[Row]
    positions: list[KeysetPosition]
    more: bool


class PageQuery(msgspec.Struct, frozen=True):
    """A closed table of column expressions over some tables, and the conditions that a filter can put on their rows.

    A condition is the cast of its parameter and an expression with `{}` where that stands.
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
        """Return the query with these of its columns only, in their order there."""
        kept = tuple(column for column in self.columns if column[0] in names)
        return msgspec.structs.replace(self, columns=kept)

    def where(self, filtered: tuple[int, ...]) -> list[str]:
        """Return the conditions with these places, on the first parameters."""
        return [
            expression.replace("{}", f"${number}::{cast}")
            for number, (cast, expression) in enumerate(
                (self.conditions[place] for place in filtered), 1
            )
        ]


class PageParts(msgspec.Struct, frozen=True):
    """A filter as a statement takes it: the places of the conditions that it makes, and their values."""

    filtered: tuple[int, ...] = ()
    values: tuple[object, ...] = ()


def wanted_of(values: Sequence[object]) -> PageParts:
    """Return what a filter with a value, or None, for each condition of a query wants."""
    given = [(place, value) for place, value in enumerate(values) if value is not None]
    return PageParts(tuple(place for place, _ in given), tuple(value for _, value in given))


class Bound(enum.Enum):
    """What a slice's end is: open, a row with a sort value, or a row among the nulls."""

    OPEN = enum.auto()
    VALUE = enum.auto()
    NULL = enum.auto()


def _bound(position: KeysetPosition | None) -> Bound:
    if position is None:
        return Bound.OPEN
    return Bound.NULL if position.sort is None else Bound.VALUE


class Variant(msgspec.Struct, frozen=True):
    """Everything that a page's statement depends on; its parameters are the filter's, the limit, then the bounds'.

    `filtered` are the places of the query's conditions that the filter makes.
    """

    query: PageQuery
    order: Order
    filtered: tuple[int, ...] = ()
    after: Bound = Bound.OPEN
    before: Bound = Bound.OPEN
    backward: bool = False


def _parameters(variant: Variant) -> dict[str, str]:
    """Return the placeholder, cast to its type, of each parameter that the variant has beyond the filter's."""
    names = ["limit"]
    for side, bound in (("after", variant.after), ("before", variant.before)):
        names += {
            Bound.OPEN: [],
            Bound.VALUE: [f"{side}_sort", f"{side}_key"],
            Bound.NULL: [f"{side}_key"],
        }[bound]
    first = len(variant.filtered) + 1
    types = {"sort": variant.order.sort_type, "key": variant.order.key_type}
    return {
        name: f"${number}::bigint"
        if name == "limit"
        else f"${number}::text::{types[name.split('_')[1]]}"
        for number, name in enumerate(names, first)
    }


def _valued(variant: Variant, given: dict[str, str]) -> list[str]:
    """Return the conditions on rows that have a sort value.

    The range on `sort` alone lets an index begin there.
    """
    sort, key = variant.order.sort, variant.order.key
    beyond, short = ("<", ">") if variant.order.descending else (">", "<")
    conditions = []
    if variant.after is Bound.VALUE:
        value, row = given["after_sort"], given["after_key"]
        conditions.append(
            f"{sort} {beyond}= {value} AND ({sort} {beyond} {value} OR {key} > {row})"
        )
    if variant.before is Bound.VALUE:
        value, row = given["before_sort"], given["before_key"]
        conditions.append(f"{sort} {short}= {value} AND ({sort} {short} {value} OR {key} < {row})")
    return conditions


def _nulls(variant: Variant, given: dict[str, str]) -> list[str]:
    """Return the conditions on rows without a sort value."""
    conditions = [f"{variant.order.sort} IS NULL"]
    if variant.after is Bound.NULL:
        conditions.append(f"{variant.order.key} > {given['after_key']}")
    if variant.before is Bound.NULL:
        conditions.append(f"{variant.order.key} < {given['before_key']}")
    return conditions


def _segments(variant: Variant, given: dict[str, str]) -> list[list[str]]:
    """Return the conditions of each part of the order that the slice touches: rows with a value, then nulls."""
    if variant.after is variant.before is Bound.OPEN:
        return [[]]
    segments = []
    if variant.after is not Bound.NULL:
        open_ended = variant.order.nullable and Bound.VALUE not in (variant.after, variant.before)
        known = [f"{variant.order.sort} IS NOT NULL"] if open_ended else []
        segments.append(known + _valued(variant, given))
    if variant.order.nullable and variant.before is not Bound.VALUE:
        segments.append(_nulls(variant, given))
    return segments


@functools.lru_cache(maxsize=KEPT_STATEMENTS)
def page_statement(variant: Variant) -> str:
    """Return the statement of a variant: sort value, key, then the query's columns; its rows come from the near end."""
    query, order = variant.query, variant.order
    given = _parameters(variant)
    direction = "DESC" if order.descending != variant.backward else "ASC"
    nulls = (" NULLS FIRST" if variant.backward else " NULLS LAST") if order.nullable else ""
    key_direction = "DESC" if variant.backward else "ASC"
    columns = "".join(f", {expression} AS {name}" for name, expression in query.columns)
    # A statement is planned for every limit at once; the number tells that few rows are wanted, and
    # an index worth it.
    end = (
        f"ORDER BY page.sort_ {direction}{nulls}, page.key_ {key_direction} LIMIT {given['limit']}"
    )
    parts = []
    for conditions in _segments(variant, given):
        where = " AND ".join(
            f"({condition})" for condition in query.where(variant.filtered) + conditions
        )
        parts.append(
            # Constants of this package.
            f"SELECT {order.sort} AS sort_, {order.key} AS key_{columns} FROM {query.tables}"  # noqa: S608
            f"{' WHERE ' + where if where else ''}"
            f" ORDER BY {order.sort} {direction}{nulls}, {order.key} {key_direction} LIMIT {MOST_ROWS}"
        )
    page = parts[0]
    if len(parts) > 1:
        # Each part is bounded by the limit, so that this sorts two pages at most.
        # Constants of this package.
        page = " UNION ALL ".join(f"(SELECT * FROM ({part}) AS page {end})" for part in parts)  # noqa: S608
    names = "".join(f", {name}" for name, _ in query.columns)
    # Constants of this package.
    return f"SELECT sort_::text, key_::text{names} FROM ({page}) AS page {end}"  # noqa: S608


@functools.lru_cache(maxsize=KEPT_STATEMENTS)
def count_statement(query: PageQuery, filtered: tuple[int, ...]) -> str:
    """Return the statement that counts the rows a filter wants."""
    where = " AND ".join(f"({condition})" for condition in query.where(filtered))
    # Constants of this package.
    return f"SELECT count(*) FROM {query.tables}{' WHERE ' + where if where else ''}"  # noqa: S608


def _arguments(wanted: PageSlice) -> list[object]:
    arguments: list[object] = [wanted.limit + 1]
    for position in (wanted.after, wanted.before):
        if position is not None:
            arguments += [position.key] if position.sort is None else [position.sort, position.key]
    return arguments


class Records(msgspec.Struct, frozen=True):
    """The records of a slice in its order, each with its position in the first two columns; `more` is as in Page."""

    records: list[Any]
    more: bool


async def fetch_slice(
    connection: Connection, query: PageQuery, order: Order, wanted: PageSlice, filters: PageParts
) -> Records:
    """Return a slice of the query's rows as records: sort value and key as text, then the query's columns."""
    if wanted.limit >= MOST_ROWS:
        raise ValueError(f"a page has fewer than {MOST_ROWS} rows, not {wanted.limit}")
    variant = Variant(
        query, order, filters.filtered, _bound(wanted.after), _bound(wanted.before), wanted.backward
    )
    if variant.after is Bound.NULL and variant.before is Bound.VALUE:
        return Records([], more=False)  # nulls come last, so that nothing lies between
    records = await connection.fetch(page_statement(variant), *filters.values, *_arguments(wanted))
    kept = records[: wanted.limit]
    if wanted.backward:
        kept.reverse()
    return Records(kept, more=len(records) > wanted.limit)


async def fetch_page(
    connection: Connection,
    query: PageQuery,
    order: Order,
    wanted: PageSlice,
    *,
    make: Callable[..., Row],
    filters: PageParts,
) -> KeysetPage[Row]:
    """Return a slice of the query's rows, each made by `make` from the columns in their order."""
    found = await fetch_slice(connection, query, order, wanted, filters)
    return KeysetPage(
        rows=[make(*record[2:]) for record in found.records],
        positions=[KeysetPosition(record[0], record[1]) for record in found.records],
        more=found.more,
    )


async def count_rows(connection: Connection, query: PageQuery, filters: PageParts) -> int:
    """Return how many of the query's rows the filter wants."""
    count: int = await connection.fetchval(
        count_statement(query, filters.filtered), *filters.values
    )
    return count
