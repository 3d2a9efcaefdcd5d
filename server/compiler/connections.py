"""Connections: the selection on a connection, and how it writes a page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from server.compiler.arguments import RunTime
from server.compiler.compiling import SelectedField
from server.compiler.errors import NotCompiledError
from server.compiler.projection import FieldSelection, Rows, object_type

_MAX_INT = 2**31 - 1  # GraphQL's Int

_PAGE_INFO = {
    "hasNextPage": "has_next_page",
    "hasPreviousPage": "has_previous_page",
    "startCursor": "start_cursor",
    "endCursor": "end_cursor",
}


class PageView(msgspec.Struct, frozen=True):
    """A page: its rows, and functions for fields that are rarely selected.

    `page_info` has the attributes of PageInfo; some are awaitable.
    """

    rows: Rows
    cursors: Callable[[], Sequence[str]]
    page_info: object
    count: Callable[[], Awaitable[int]]


class NodesPart(msgspec.Struct, frozen=True):
    """`nodes`."""

    selection: FieldSelection

    @property
    def needs(self) -> frozenset[str]:
        """The columns of the nodes."""
        return self.selection.needs

    async def write(self, view: PageView, run: RunTime) -> object:
        """Return the nodes."""
        return await self.selection.write(view.rows, run)


class EdgesPart:
    """`edges`; a part is the selection on the nodes, a type name, or None for `cursor`."""

    def __init__(self, edges: SelectedField) -> None:
        self._parts: list[FieldSelection | str | None] = []
        fields = edges.fields()
        for field in fields.values():
            if field is None:
                self._parts.append(edges.object_type.name)
            else:
                self._parts.append(None if field.name == "cursor" else field.selection())
        self._make = object_type(tuple(fields))
        selections = [part.needs for part in self._parts if isinstance(part, FieldSelection)]
        self.needs: frozenset[str] = frozenset().union(*selections)

    async def write(self, view: PageView, run: RunTime) -> object:
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


class PageInfoPart:
    """`pageInfo`."""

    needs: frozenset[str] = frozenset()

    def __init__(self, page_info: SelectedField) -> None:
        self._names = {
            name: None if field is None else _PAGE_INFO[field.name]
            for name, field in page_info.fields().items()
        }
        self._type_name = page_info.object_type.name

    async def write(self, view: PageView, _: RunTime) -> object:
        """Return the selected fields of PageInfo."""
        written: dict[str, object] = {}
        for name, attribute in self._names.items():
            value = self._type_name if attribute is None else getattr(view.page_info, attribute)
            written[name] = await value if isinstance(value, Awaitable) else value
        return written


class TotalCountPart(msgspec.Struct, frozen=True):
    """`totalCount`."""

    needs: frozenset[str] = frozenset()

    async def write(self, view: PageView, _: RunTime) -> object:
        """Return the number of rows on all pages.

        Raises NotCompiledError if it exceeds GraphQL's Int.
        """
        count = await view.count()
        if count > _MAX_INT:
            raise NotCompiledError
        return count


class TypeNamePart(msgspec.Struct, frozen=True):
    """`__typename`."""

    name: str
    needs: frozenset[str] = frozenset()

    async def write(self, _: PageView, __: RunTime) -> object:
        """Return the name of the type."""
        return self.name


class ConnectionSelection:
    """The selection on a connection.

    `needs` are the columns of its nodes, `needs_page` is whether the page must be read.
    """

    def __init__(self, connection: SelectedField) -> None:
        self._parts = {
            name: _part(connection, field) for name, field in connection.fields().items()
        }
        self.needs: frozenset[str] = frozenset().union(
            *(part.needs for part in self._parts.values())
        )
        self.needs_page = any(
            isinstance(part, (NodesPart, EdgesPart, PageInfoPart)) for part in self._parts.values()
        )
        self.counts = any(isinstance(part, TotalCountPart) for part in self._parts.values())

    async def write(self, view: PageView, run: RunTime) -> object:
        """Return the connection."""
        return {name: await part.write(view, run) for name, part in self._parts.items()}


def _part(
    connection: SelectedField, field: SelectedField | None
) -> NodesPart | EdgesPart | PageInfoPart | TotalCountPart | TypeNamePart:
    if field is None:
        return TypeNamePart(connection.object_type.name)
    match field.name:
        case "nodes":
            return NodesPart(field.selection())
        case "edges":
            return EdgesPart(field)
        case "pageInfo":
            return PageInfoPart(field)
        case "totalCount":
            return TotalCountPart()
    raise NotCompiledError
