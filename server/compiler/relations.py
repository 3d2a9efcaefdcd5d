"""Relations: one statement reads a relation for all rows of a list, like the loaders.

Most are compiled from their declaration in the schema's types. The others are in COMPILED.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
from graphql import get_named_type, get_nullable_type, is_leaf_type, is_list_type

from db.read.candle_json import UNQUOTED, candle_texts
from db.read.candles import history_of
from db.read.series import Owner, join_key
from server.compiler.arguments import RunTime
from server.compiler.compiling import SelectedField
from server.compiler.connections import ConnectionSelection, PageView
from server.compiler.errors import NotCompiledError
from server.compiler.fields import Values
from server.compiler.json_columns import NestedListPart, split
from server.compiler.projection import (
    LeafSelection,
    RelationPart,
    Rows,
    TypeName,
    ValuePart,
    rows_of_records,
    rows_of_structs,
)
from server.graphql.execution.loaders import NarrowQuery, Relation
from server.graphql.relay.rejections import RejectionsValue
from server.graphql.types.fields import NestedList, declaration_of
from server.graphql.types.history import HistoryValue, candle_span
from server.graphql.types.run import REJECTION_COUNTS, REJECTIONS


def _unique(values: Values) -> list[Any]:
    return list(dict.fromkeys(values))


class DeclaredRelation:
    """A relation, compiled from its declaration; subclasses differ in the result."""

    def __init__(self, field: SelectedField, relation: Relation[Any]) -> None:
        condition = relation.condition
        self.needs = frozenset({*relation.columns, *(() if condition is None else (condition,))})
        self._field = field
        self._relation = relation

    def _keys(self, rows: Rows) -> Sequence[Any]:
        """Return the key of each row, None if its condition is false."""
        columns = [rows.columns[name] for name in self._relation.columns]
        keys: Sequence[Any] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        if self._relation.condition is None:
            return keys
        conditions = rows.columns[self._relation.condition]
        return [key if holds else None for key, holds in zip(keys, conditions, strict=True)]

    async def _found(self, keys: Sequence[Any], run: RunTime) -> Mapping[Any, Any]:
        unique_keys = [key for key in dict.fromkeys(keys) if key is not None]
        return await self._relation.read(run.connection, unique_keys) if unique_keys else {}


class LeafRelation(DeclaredRelation):
    """A scalar value for each key."""

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the values of all keys."""
        keys = self._keys(rows)
        found = await self._found(keys, run)
        return [found[key] if key in found else self._relation.missing() for key in keys]


class ObjectRelation(DeclaredRelation):
    """An object, or null, for each key."""

    def __init__(self, field: SelectedField, relation: Relation[Any]) -> None:
        super().__init__(field, relation)
        self._selection = field.selection()

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the objects of all keys."""
        keys = self._keys(rows)
        found = await self._found(keys, run)
        written = await self._selection.write(
            rows_of_structs(self._selection.needs, list(found.values())), run
        )
        objects: dict[Hashable, object] = dict(zip(found, written, strict=True))
        return [objects.get(key) for key in keys]


class ListRelation(DeclaredRelation):
    """A list of objects for each key."""

    def __init__(self, field: SelectedField, relation: Relation[Any]) -> None:
        super().__init__(field, relation)
        self._selection = field.selection()

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the objects of all keys."""
        keys = self._keys(rows)
        found = await self._found(keys, run)
        lists = [found.get(key, ()) for key in keys]
        flat: list[Any] = list(chain.from_iterable(lists))
        written = await self._selection.write(rows_of_structs(self._selection.needs, flat), run)
        return split(written, map(len, lists))


class NarrowRelation(DeclaredRelation):
    """Objects with only the selected columns, and the key."""

    def __init__(
        self, field: SelectedField, relation: Relation[Any], narrow: NarrowQuery, *, is_list: bool
    ) -> None:
        super().__init__(field, relation)
        (column,) = relation.columns
        self._key = narrow.key or column
        self._selection = field.selection()
        query = narrow.query.narrow(self._selection.needs | {self._key})
        self._names = [name for name, _ in query.columns]
        self._statement = narrow.statement(query)
        self._parameters = narrow.parameters
        self._is_list = is_list

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the objects of all keys."""
        keys = self._keys(rows)
        unique_keys = [key for key in dict.fromkeys(keys) if key is not None]
        if not unique_keys:
            return [self._relation.missing() for _ in keys]
        records = await run.connection.fetch(self._statement, unique_keys, *self._parameters)
        found = rows_of_records(self._names, records)
        pairs = zip(found.columns[self._key], await self._selection.write(found, run), strict=True)
        if not self._is_list:
            objects = dict(pairs)
            return [objects.get(key) for key in keys]
        lists: defaultdict[object, list[object]] = defaultdict(list)
        for key, value in pairs:
            lists[key].append(value)
        return [lists.get(key, ()) for key in keys]


class CandlesRelation:
    """The candles of coins or listings: PostgreSQL writes the JSON."""

    def __init__(self, field: SelectedField, owner: Owner) -> None:
        self._owner = owner
        self.needs = frozenset(_KEYS[owner])
        self._request = field.argument()
        self._columns, self._pieces = _candle_pieces(field)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the candles of all keys."""
        keys = _texts_of_keys(rows, self._owner)
        if not keys:
            return []
        span = candle_span(self._request.of(run), run.now)
        texts = await candle_texts(
            run.connection, _unique(keys), span, self._columns, self._pieces, owner=self._owner
        )
        return [msgspec.Raw(f"[{texts.get(key, '')}]".encode()) for key in keys]


_KEYS: Mapping[Owner, tuple[str, ...]] = {
    "coin": ("ticker",),
    "listing": ("source", "external_id"),
}


def _texts_of_keys(rows: Rows, owner: Owner) -> list[str]:
    """Return the keys of the rows as `db.read.series` names them."""
    columns: list[Any] = [rows.columns[name] for name in _KEYS[owner]]
    return [join_key(key) for key in zip(*columns, strict=True)]


def _candle_pieces(field: SelectedField) -> tuple[tuple[str, ...], list[str]]:
    """Return the columns of a candle and the text before, between and after them."""
    columns: list[str] = []
    pieces, piece = [], "{"
    for number, (name, part) in enumerate(field.selection().parts.items()):
        piece += f'{"," * (number > 0)}"{name}":'
        if isinstance(part, TypeName):
            piece += f'"{part.name}"'
        elif isinstance(part, LeafSelection):
            quote = '"' * (part.column.name not in UNQUOTED)
            columns.append(part.column.name)
            pieces.append(piece + quote)
            piece = quote
        else:
            raise NotCompiledError
    return tuple(columns), [*pieces, piece + "}"]


class HistoryRelation:
    """The history of coins or listings."""

    def __init__(self, field: SelectedField, owner: Owner) -> None:
        self._owner = owner
        self.needs = frozenset(_KEYS[owner])
        self._part = field.argument()
        self._connection = ConnectionSelection(field)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read a page of points of each key."""
        keys = _texts_of_keys(rows, self._owner)
        if not keys:
            return []
        part = self._part.of(run)
        found = await history_of(run.connection, _unique(keys), part, self._owner)
        return [await self._write(HistoryValue(found[key], part), run) for key in keys]

    async def _write(self, page: HistoryValue, run: RunTime) -> object:
        rows = rows_of_structs(self._connection.needs, page.nodes)
        view = PageView(
            rows, lambda: [edge.cursor for edge in page.edges], page.page_info, _no_count
        )
        return await self._connection.write(view, run)


async def _no_count() -> int:
    raise NotCompiledError


class RejectionsRelation:
    """Run.rejections."""

    needs = frozenset({"id"})

    def __init__(self, field: SelectedField) -> None:
        self._request = field.argument()
        self._connection = ConnectionSelection(field)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read a page of rejections of each run, and their number if it is selected."""
        numbers: Any = rows.columns["id"]
        if not numbers:
            return []
        unique, request = _unique(numbers), self._request.of(run)
        found = await REJECTIONS.read(run.connection, unique, request)
        counts: Mapping[int, int] = {}
        if self._connection.counts:
            counts = await REJECTION_COUNTS.read(run.connection, unique)
        written = []
        for number in numbers:
            count = functools.partial(_count, counts.get(number, 0))
            page = RejectionsValue(found.get(number, []), request, count)
            written.append(await self._write(page, run))
        return written

    async def _write(self, page: RejectionsValue, run: RunTime) -> object:
        view = PageView(
            rows_of_structs(self._connection.needs, page.nodes),
            lambda: [edge.cursor for edge in page.edges],
            page.page_info,
            lambda: page.total_count,
        )
        return await self._connection.write(view, run)


async def _count(number: int) -> int:
    return number


COMPILED: Mapping[str, Callable[[SelectedField], ValuePart | RelationPart]] = {
    "Coin.history": functools.partial(HistoryRelation, owner="coin"),
    "Coin.candles": functools.partial(CandlesRelation, owner="coin"),
    "Listing.history": functools.partial(HistoryRelation, owner="listing"),
    "Listing.candles": functools.partial(CandlesRelation, owner="listing"),
    "Run.rejections": RejectionsRelation,
}
"""Fields that the compiler does not read by their declaration."""


def relation_part(type_name: str, field: SelectedField) -> ValuePart | RelationPart | None:
    """Return the part of a field that reads more than columns of its row, else None."""
    make = COMPILED.get(f"{type_name}.{field.name}")
    if make is not None:
        return make(field)
    source = declaration_of(field.definition).source
    if isinstance(source, NestedList):
        return NestedListPart(field, source)
    return _declared_part(field, source) if isinstance(source, Relation) else None


def _declared_part(field: SelectedField, relation: Relation[Any]) -> RelationPart:
    is_list = is_list_type(get_nullable_type(field.definition.type))
    if relation.narrow is not None:
        return NarrowRelation(field, relation, relation.narrow, is_list=is_list)
    if is_list:
        return ListRelation(field, relation)
    if is_leaf_type(get_named_type(field.definition.type)):
        return LeafRelation(field, relation)
    return ObjectRelation(field, relation)
