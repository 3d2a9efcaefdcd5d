"""Selections convert rows of the database, by column, to objects that msgspec encodes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from server.compiler.arguments import RunTime
from server.compiler.fields import Column, ComputedColumn, Values


class Rows(msgspec.Struct, frozen=True, gc=False):
    """Rows by column."""

    count: int
    columns: Mapping[str, Values]


def rows_of_records(
    names: Sequence[str], records: Sequence[Iterable[object]], skip: int = 0
) -> Rows:
    """Return records as rows; their columns, after the first `skip`, have these names."""
    columns = zip(*records, strict=True) if records else ((),) * (len(names) + skip)
    return Rows(len(records), dict(zip(names, islice(columns, skip, None), strict=True)))


def rows_of_structs(names: Iterable[str], rows: Sequence[object]) -> Rows:
    """Return these attributes of structs as rows."""
    return Rows(len(rows), {name: list(map(attrgetter(name), rows)) for name in names})


class ProjectionPart(Protocol):
    """A part of a selection."""

    @property
    def needs(self) -> frozenset[str]:
        """The columns that it reads."""


class ValuePart(ProjectionPart, Protocol):
    """A part that reads only columns of its row."""

    def values(self, rows: Rows) -> Values:
        """Return its value for each row."""


class RelationPart(ProjectionPart, Protocol):
    """A part that reads further rows."""

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the related rows of all rows at once, and return the value for each."""


class LeafSelection(msgspec.Struct, frozen=True):
    """A column."""

    column: Column

    @property
    def needs(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column.name})

    def values(self, rows: Rows) -> Values:
        """Return the values of the column as in the response."""
        values = rows.columns[self.column.name]
        return values if self.column.convert is None else self.column.convert(values)


class ComputedSelection(msgspec.Struct, frozen=True):
    """A function of columns."""

    computed: ComputedColumn

    @property
    def needs(self) -> frozenset[str]:
        """The columns that the function takes."""
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
        """Return the name of the type for each row."""
        return [self.name] * rows.count


class FieldSelection:
    """The selection on the objects of one type; `needs` are the columns that it reads."""

    def __init__(self, parts: Mapping[str, ValuePart | RelationPart]) -> None:
        self.parts = parts
        self.needs: frozenset[str] = frozenset().union(*(part.needs for part in parts.values()))
        self._parts = [(part, hasattr(part, "read")) for part in parts.values()]
        self._has_relations = any(is_relation for _, is_relation in self._parts)
        self._make = object_type(tuple(parts))

    async def write(self, rows: Rows, run: RunTime) -> list[Any]:
        """Return an object for each row; reads the relations of the rows."""
        if not self._has_relations:
            return self.write_plain(rows)
        values = [
            # `is_relation` distinguishes the two.
            await part.read(rows, run) if is_relation else part.values(rows)  # type: ignore[union-attr]
            for part, is_relation in self._parts
        ]
        return list(map(self._make, *values)) if rows.count else []

    def write_plain(self, rows: Rows) -> list[Any]:
        """Return an object for each row of a selection without relations."""
        if not self._parts:
            return [self._make() for _ in range(rows.count)]
        return list(map(self._make, *(part.values(rows) for part, _ in self._parts)))  # type: ignore[union-attr]  # no relations


def object_type(names: tuple[str, ...]) -> Callable[..., msgspec.Struct]:
    """Return a struct type that takes the values of these names in order and is written as JSON.

    Clients choose the names; as names of fields they could be keywords of Python.
    """
    fields = [(f"f{number}", Any) for number in range(len(names))]
    renamed = {field: name for (field, _), name in zip(fields, names, strict=True)}
    return msgspec.defstruct("Object", fields, rename=renamed, gc=False)
