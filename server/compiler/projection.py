"""Selections: rows of the database in, objects that msgspec writes as JSON out, column by column."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from server.compiler.arguments import RunTime
from server.compiler.fields import Column, ComputedColumn, Values


class Rows(msgspec.Struct, frozen=True, gc=False):
    """Rows, column by column."""

    count: int
    columns: Mapping[str, Values]


def rows_of_records(
    names: Sequence[str], records: Sequence[Iterable[object]], skip: int = 0
) -> Rows:
    """Return records whose columns, after the first `skip`, have these names."""
    columns = zip(*records, strict=True) if records else ((),) * (len(names) + skip)
    return Rows(len(records), dict(zip(names, islice(columns, skip, None), strict=True)))


def rows_of_structs(names: Iterable[str], rows: Sequence[object]) -> Rows:
    """Return these attributes of the rows."""
    return Rows(len(rows), {name: list(map(attrgetter(name), rows)) for name in names})


class ProjectionPart(Protocol):
    """What stands under one name of a selection."""

    @property
    def needs(self) -> frozenset[str]:
        """The columns that it is made of."""


class PlainField(ProjectionPart, Protocol):
    """A part that is made of its row alone."""

    def values(self, rows: Rows) -> Values:
        """Return its value for each row."""


class Link(ProjectionPart, Protocol):
    """A part that has to be read."""

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read what belongs to all of the rows, and return its value for each."""


class LeafSelection(msgspec.Struct, frozen=True):
    """A column."""

    column: Column

    @property
    def needs(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column.name})

    def values(self, rows: Rows) -> Values:
        """Return the column as the response has it."""
        values = rows.columns[self.column.name]
        return values if self.column.convert is None else self.column.convert(values)


class Function(msgspec.Struct, frozen=True):
    """A function of columns."""

    computed: ComputedColumn

    @property
    def needs(self) -> frozenset[str]:
        """What it is a function of."""
        return frozenset(self.computed.columns)

    def values(self, rows: Rows) -> Values:
        """Return its value for each row."""
        return list(
            map(self.computed.value, *(rows.columns[name] for name in self.computed.columns))
        )


class TypeName(msgspec.Struct, frozen=True):
    """`__typename`."""

    name: str
    needs: frozenset[str] = frozenset()

    def values(self, rows: Rows) -> Values:
        """Return the type's name as often as there are rows."""
        return [self.name] * rows.count


class FieldSelection:
    """What is asked of the objects of one type; `needs` are the columns that their rows must have."""

    def __init__(self, parts: Mapping[str, PlainField | Link]) -> None:
        self.parts = parts
        self.needs: frozenset[str] = frozenset().union(*(part.needs for part in parts.values()))
        self._parts = [(part, hasattr(part, "read")) for part in parts.values()]
        self._has_links = any(is_link for _, is_link in self._parts)
        self._make = object_type(tuple(parts))

    async def write(self, rows: Rows, run: RunTime) -> list[Any]:
        """Return an object for each row, and read what belongs to them."""
        if not self._has_links:
            return self.write_plain(rows)
        values = [
            # is_link tells which it is.
            await part.read(rows, run) if is_link else part.values(rows)  # type: ignore[union-attr]
            for part, is_link in self._parts
        ]
        return list(map(self._make, *values)) if rows.count else []

    def write_plain(self, rows: Rows) -> list[Any]:
        """Return an object for each row, where nothing belongs to them."""
        if not self._parts:
            return [self._make() for _ in range(rows.count)]
        return list(map(self._make, *(part.values(rows) for part, _ in self._parts)))  # type: ignore[union-attr]  # there are no links


def object_type(names: tuple[str, ...]) -> Callable[..., msgspec.Struct]:
    """Return a struct that is written as an object with these names, made of their values in order.

    The names are a client's; as fields they could be words of Python.
    """
    fields = [(f"f{number}", Any) for number in range(len(names))]
    renamed = {field: name for (field, _), name in zip(fields, names, strict=True)}
    return msgspec.defstruct("Object", fields, rename=renamed, gc=False)
