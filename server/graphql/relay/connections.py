"""Connections in the shape of Relay's specification, over the keyset pages of `db`."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import strawberry

from db.connect.types import Connection as DatabaseConnection
from db.read.keyset import (
    FilterParts,
    KeysetPage,
    KeysetPosition,
    Order,
    PageQuery,
    PageSlice,
    count_rows,
    fetch_page,
)
from server.graphql.relay.cursors import encode_cursor

Node = TypeVar("Node")
Row = TypeVar("Row")


@strawberry.type(description="The position of a page in a list.")
class PageInfo:
    """Its value is a `KeysetPageInfo`, or an object with the same attributes."""

    has_next_page: bool = strawberry.field(description="Whether there are nodes after this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether there are nodes before this page."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first edge; null on an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last edge; null on an empty page."
    )


@strawberry.type(description="One entry of a page.")
class Edge(Generic[Node]):
    """Its value is an `EdgeValue`."""

    cursor: str = strawberry.field(description="The position of the node, for `after` or `before`.")
    node: Node = strawberry.field(description="The node.")


@strawberry.type(description="One page of a list, and the total count.")
class Connection(Generic[Node]):
    """Its value is a `PageValue`, or an object with the same attributes."""

    edges: list[Edge[Node]] = strawberry.field(
        description="The nodes of the page, each with its cursor."
    )
    nodes: list[Node] = strawberry.field(description="The nodes of the page.")
    page_info: PageInfo = strawberry.field(description="The position of the page in the list.")
    total_count: int = strawberry.field(
        description="The number of nodes on all pages. It is counted only if requested."
    )


class EdgeValue(NamedTuple):
    """An edge at run time."""

    cursor: str
    node: Any


class KeysetPageInfo:
    """The values of PageInfo for a keyset page.

    Whether rows exist beyond the side that was not read costs a statement, so `exists` is called
    only if that is selected.
    """

    def __init__(
        self,
        page: KeysetPage[Any],
        requested: PageSlice,
        order: Order,
        exists: Callable[[PageSlice], Awaitable[bool]],
    ) -> None:
        self._page = page
        self._requested = requested
        self._order = order
        self._exists = exists

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first row."""
        return self._cursor(0)

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last row."""
        return self._cursor(-1)

    @property
    def has_next_page(self) -> bool | Awaitable[bool]:
        """Whether anything comes after the last row."""
        if self._page.more and not self._requested.backward:
            return True
        if self._requested.before is None:
            return False
        return self._exists(PageSlice(limit=0, after=self._position(-1)))

    @property
    def has_previous_page(self) -> bool | Awaitable[bool]:
        """Whether anything comes before the first row."""
        if self._page.more and self._requested.backward:
            return True
        if self._requested.after is None:
            return False
        return self._exists(PageSlice(limit=0, backward=True, before=self._position(0)))

    def _position(self, index: int) -> KeysetPosition | None:
        # All rows are beyond an empty page.
        return self._page.positions[index] if self._page.positions else None

    def _cursor(self, index: int) -> str | None:
        position = self._position(index)
        return None if position is None else encode_cursor(self._order, position)


class PageValue(Generic[Row]):
    """A connection at run time: a page that was read, and functions that read the rest."""

    def __init__(
        self,
        page: KeysetPage[Row],
        order: Order,
        page_info: KeysetPageInfo,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self.nodes = page.rows
        self.page_info = page_info
        self._page = page
        self._order = order
        self._count = count

    @property
    def edges(self) -> list[EdgeValue]:
        """The rows with their cursors."""
        return [
            EdgeValue(encode_cursor(self._order, position), row)
            for position, row in zip(self._page.positions, self._page.rows, strict=True)
        ]

    @property
    def total_count(self) -> Awaitable[int]:
        """How many rows there are on all pages."""
        return self._count()


class PageRequest(NamedTuple):
    """Which page of a root connection is requested.

    It is not `cacheable` where the filter's result changes with the time, without an event.
    """

    filter: Any
    order: Order
    slice: PageSlice
    cacheable: bool = True


class RootConnection(msgspec.Struct, frozen=True):
    """A connection of Query: resolver and compiler both read it by this declaration.

    The parameters of `arguments` are the field's. Both use `query` with the `conditions` that a
    filter makes; `make` makes the resolver's rows of the columns.
    """

    arguments: Callable[..., PageRequest]
    query: PageQuery
    make: Callable[..., Any]
    conditions: Callable[[Any], FilterParts]

    async def resolve(
        self, call: Callable[..., Awaitable[Any]], request: PageRequest
    ) -> PageValue[Any]:
        """Read a page; `call` calls a function of `db` with a connection."""

        async def exists(beyond: PageSlice) -> bool:
            page: KeysetPage[Any] = await call(self._read, request._replace(slice=beyond))
            return page.more

        async def count() -> int:
            number: int = await call(self._count, request)
            return number

        page: KeysetPage[Any] = await call(self._read, request)
        page_info = KeysetPageInfo(page, request.slice, request.order, exists)
        return PageValue(page, request.order, page_info, count)

    async def _read(self, connection: DatabaseConnection, request: PageRequest) -> KeysetPage[Any]:
        conditions = self.conditions(request.filter)
        return await fetch_page(
            connection, self.query, request.order, request.slice, make=self.make, filters=conditions
        )

    async def _count(self, connection: DatabaseConnection, request: PageRequest) -> int:
        return await count_rows(connection, self.query, self.conditions(request.filter))
