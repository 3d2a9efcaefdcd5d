"""Connections: what is asked of one, and how a page that was read is written as it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from server.compiler.arguments import RunTime
from server.compiler.compiling import CompileRequest
from server.compiler.errors import NotOursError
from server.compiler.projection import FieldSelection, Rows, object_type

_LARGEST = 2**31 - 1  # GraphQL's Int

_ENDS = {
    "hasNextPage": "has_next_page",
    "hasPreviousPage": "has_previous_page",
    "startCursor": "start_cursor",
    "endCursor": "end_cursor",
}


class View(msgspec.Struct, frozen=True):
    """A page: its rows, and how to get what few ask for.

    `ends` has the attributes of PageInfo, some to be awaited.
    """

    rows: Rows
    cursors: Callable[[], Sequence[str]]
    ends: object
    count: Callable[[], Awaitable[int]]


class Nodes(msgspec.Struct, frozen=True):
    """`nodes`."""

    selection: FieldSelection

    @property
    def needs(self) -> frozenset[str]:
        """The columns of the nodes."""
        return self.selection.needs

    async def write(self, view: View, run: RunTime) -> object:
        """Return the nodes."""
        return await self.selection.write(view.rows, run)


class Edges:
    """`edges`; a part is `cursor`, a selection of nodes, or the name of the type."""

    def __init__(self, asked: CompileRequest) -> None:
        self._parts: list[FieldSelection | str | None] = []
        fields = asked.fields()
        for field in fields.values():
            if field is None:
                self._parts.append(asked.type.name)
            else:
                self._parts.append(None if field.name == "cursor" else field.selection())
        self._make = object_type(tuple(fields))
        selections = [part.needs for part in self._parts if isinstance(part, FieldSelection)]
        self.needs: frozenset[str] = frozenset().union(*selections)

    async def write(self, view: View, run: RunTime) -> object:
        """Return the edges."""
        values: list[Sequence[Any]] = []
        for part in self._parts:
            if isinstance(part, FieldSelection):
                values.append(await part.write(view.rows, run))
            else:
                values.append(view.cursors() if part is None else [part] * view.rows.count)
        if not values:
            return [self._make() for _ in range(view.rows.count)]
        return list(map(self._make, *values))


class Ends:
    """`pageInfo`."""

    needs: frozenset[str] = frozenset()

    def __init__(self, asked: CompileRequest) -> None:
        self._names = {
            name: None if field is None else _ENDS[field.name]
            for name, field in asked.fields().items()
        }
        self._type_name = asked.type.name

    async def write(self, view: View, _: RunTime) -> object:
        """Return what is asked of the page's ends."""
        written: dict[str, object] = {}
        for name, attribute in self._names.items():
            value = self._type_name if attribute is None else getattr(view.ends, attribute)
            written[name] = await value if isinstance(value, Awaitable) else value
        return written


class TotalCount(msgspec.Struct, frozen=True):
    """`totalCount`."""

    needs: frozenset[str] = frozenset()

    async def write(self, view: View, _: RunTime) -> object:
        """Return how many rows there are on all pages.

        Raises NotOursError for more than an Int can tell.
        """
        count = await view.count()
        if count > _LARGEST:
            raise NotOursError
        return count


class TypeOf(msgspec.Struct, frozen=True):
    """`__typename`."""

    name: str
    needs: frozenset[str] = frozenset()

    async def write(self, _: View, __: RunTime) -> object:
        """Return the type's name."""
        return self.name


class ConnectionSelection:
    """What is asked of a connection; `needs` are the columns of its nodes, `needs_page` whether it must be read."""

    def __init__(self, asked: CompileRequest) -> None:
        self._parts = {name: _part(asked, field) for name, field in asked.fields().items()}
        self.needs: frozenset[str] = frozenset().union(
            *(part.needs for part in self._parts.values())
        )
        self.needs_page = any(
            isinstance(part, (Nodes, Edges, Ends)) for part in self._parts.values()
        )
        self.counts = any(isinstance(part, TotalCount) for part in self._parts.values())

    async def write(self, view: View, run: RunTime) -> object:
        """Return the connection."""
        return {name: await part.write(view, run) for name, part in self._parts.items()}


def _part(
    asked: CompileRequest, field: CompileRequest | None
) -> Nodes | Edges | Ends | TotalCount | TypeOf:
    if field is None:
        return TypeOf(asked.type.name)
    match field.name:
        case "nodes":
            return Nodes(field.selection())
        case "edges":
            return Edges(field)
        case "pageInfo":
            return Ends(field)
        case "totalCount":
            return TotalCount()
    raise NotOursError
