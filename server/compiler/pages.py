"""The root connections: coins, listings and runs, by keyset."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import strawberry

from db.coin_pages import COINS, coin_conditions
from db.keyset import Order, Page, PageQuery, Position, Slice, Wanted, count_rows, fetch_slice
from db.listing_pages import LISTING_ORDER, LISTINGS, listing_conditions
from db.run_pages import NEWEST_FIRST, RUNS, run_conditions
from server.compiler.arguments import Run
from server.compiler.compiling import Asked
from server.compiler.connections import ConnectionSelection, View
from server.compiler.projection import rows_of_records
from server.graphql.arguments import checked_slice
from server.graphql.connections import PageEnds
from server.graphql.cursors import encode_cursors
from server.graphql.filters import (
    CoinFilterInput,
    CoinOrder,
    ListingFilterInput,
    RunFilterInput,
    coin_filter,
    coin_order,
    listing_filter,
    run_filter,
)

_UNSET: Any = strawberry.UNSET


class PageWanted(NamedTuple):
    """A page of a root connection; not `told` where its filter changes with the time, and no event tells of it."""

    order: Order
    part: Slice
    filters: Wanted
    told: bool = True


class Connected:
    """coins, listings and runs."""

    def __init__(self, asked: Asked, query: PageQuery, wanted: Callable[..., PageWanted]) -> None:
        self._wanted = asked.argument(wanted)
        self._connection = ConnectionSelection(asked)
        self._query = query.narrow(self._connection.needs)
        self._ends = query.narrow(())
        self._names = [name for name, _ in self._query.columns]

    async def read(self, run: Run) -> object:
        """Read the page, what lies beside it and how many there are, each only where it is asked for."""
        order, part, filters, _ = self._wanted.of(run)
        connection = run.connection

        async def exists(beside: Slice) -> bool:
            return (await fetch_slice(connection, self._ends, order, beside, filters)).more

        async def count() -> int:
            return await count_rows(connection, self._ends, filters)

        def cursors() -> Sequence[str]:
            return encode_cursors((order.name, record[0], record[1]) for record in records)

        records: list[Any] = []
        more = False
        if self._connection.needs_page:
            found = await fetch_slice(connection, self._query, order, part, filters)
            records, more = found.records, found.more
        outer = [Position(record[0], record[1]) for record in (records[:1] + records[-1:])]
        ends = PageEnds(Page([], outer, more), part, order, exists)
        view = View(rows_of_records(self._names, records, skip=2), cursors, ends, count)
        return await self._connection.write(view, run)


def _coins(
    *,
    filter: CoinFilterInput | None = _UNSET,  # noqa: A002 - the schema's name
    order_by: CoinOrder | None = _UNSET,
    first: int | None = _UNSET,
    after: str | None = _UNSET,
    last: int | None = _UNSET,
    before: str | None = _UNSET,
) -> PageWanted:
    wanted, order = coin_filter(filter), coin_order(order_by)
    part = checked_slice(order, first, after, last, before)
    return PageWanted(order, part, coin_conditions(wanted), told=wanted.is_stale is None)


def _listings(
    *,
    filter: ListingFilterInput | None = _UNSET,  # noqa: A002 - the schema's name
    first: int | None = _UNSET,
    after: str | None = _UNSET,
    last: int | None = _UNSET,
    before: str | None = _UNSET,
) -> PageWanted:
    part = checked_slice(LISTING_ORDER, first, after, last, before)
    return PageWanted(LISTING_ORDER, part, listing_conditions(listing_filter(filter)))


def _runs(
    *,
    filter: RunFilterInput | None = _UNSET,  # noqa: A002 - the schema's name
    first: int | None = _UNSET,
    after: str | None = _UNSET,
    last: int | None = _UNSET,
    before: str | None = _UNSET,
) -> PageWanted:
    part = checked_slice(NEWEST_FIRST, first, after, last, before)
    return PageWanted(NEWEST_FIRST, part, run_conditions(run_filter(filter)))


def coins(asked: Asked) -> Connected:
    """Return the field `coins`."""
    return Connected(asked, COINS, _coins)


def listings(asked: Asked) -> Connected:
    """Return the field `listings`."""
    return Connected(asked, LISTINGS, _listings)


def runs(asked: Asked) -> Connected:
    """Return the field `runs`."""
    return Connected(asked, RUNS, _runs)
