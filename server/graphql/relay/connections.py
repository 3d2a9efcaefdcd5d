"""Connections: pages as Relay's specification shapes them, over the keyset pages of `db`."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import strawberry

from db.read.keyset import KeysetPage, KeysetPosition, Order, PageSlice
from server.graphql.relay.cursors import encode_cursor

Node = TypeVar("Node")
Row = TypeVar("Row")


@strawberry.type(description="Where a page stands among the rest.")
class PageInfo:
    """Its value is a `PageEnds` or a `ForwardEnds`."""

    has_next_page: bool = strawberry.field(description="Whether anything comes after this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether anything comes before this page."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first edge; null on an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last edge; null on an empty page."
    )


@strawberry.type(description="One place of a page.")
class Edge(Generic[Node]):
    """Its value is an `EdgeValue`."""

    cursor: str = strawberry.field(
        description="Where the node stands; give it as `after` or `before`."
    )
    node: Node = strawberry.field(description="What stands there.")


@strawberry.type(description="One page, and how many there are in all.")
class Connection(Generic[Node]):
    """Its value is a `PageValue`, or anything with the same attributes."""

    edges: list[Edge[Node]] = strawberry.field(
        description="The nodes of the page, each with its cursor."
    )
    nodes: list[Node] = strawberry.field(description="The nodes of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page stands among the rest.")
    total_count: int = strawberry.field(
        description="How many there are on all pages. Counted only where it is asked for."
    )


class EdgeValue(NamedTuple):
    """An edge at run time."""

    cursor: str
    node: Any


class PageEnds:
    """What PageInfo tells; to look beyond the side that was not read costs a statement, so only when asked."""

    def __init__(
        self,
        page: KeysetPage[Any],
        wanted: PageSlice,
        order: Order,
        exists: Callable[[PageSlice], Awaitable[bool]],
    ) -> None:
        self._page = page
        self._wanted = wanted
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
        if self._page.more and not self._wanted.backward:
            return True
        if self._wanted.before is None:
            return False
        return self._exists(PageSlice(limit=0, after=self._end(-1)))

    @property
    def has_previous_page(self) -> bool | Awaitable[bool]:
        """Whether anything comes before the first row."""
        if self._page.more and self._wanted.backward:
            return True
        if self._wanted.after is None:
            return False
        return self._exists(PageSlice(limit=0, backward=True, before=self._end(0)))

    def _end(self, index: int) -> KeysetPosition | None:
        # Beside an empty page lies everything that there is.
        return self._page.positions[index] if self._page.positions else None

    def _cursor(self, index: int) -> str | None:
        end = self._end(index)
        return None if end is None else encode_cursor(self._order, end)


class PageValue(Generic[Row]):
    """A connection at run time: a page that was read, and how to read what is asked beyond it."""

    def __init__(
        self,
        page: KeysetPage[Row],
        order: Order,
        ends: PageEnds,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self.nodes = page.rows
        self.page_info = ends
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


async def read_connection(
    order: Order,
    wanted: PageSlice,
    read: Callable[[PageSlice], Awaitable[KeysetPage[Row]]],
    count: Callable[[], Awaitable[int]],
) -> PageValue[Row]:
    """Read a page with `read` and return it as a connection's value."""

    async def exists(part: PageSlice) -> bool:
        return (await read(part)).more

    page = await read(wanted)
    return PageValue(page, order, PageEnds(page, wanted, order, exists), count)
