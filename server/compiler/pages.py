"""The root connections: coins, listings and runs, by keyset."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import strawberry

from db.read.coins import COINS, coin_conditions
from db.read.keyset import (
    FilterParts,
    KeysetPage,
    KeysetPosition,
    Order,
    PageQuery,
    PageSlice,
    count_rows,
    fetch_slice,
)
from db.read.listings import LISTING_ORDER, LISTINGS, listing_conditions
from db.read.runs import NEWEST_FIRST, RUNS, run_conditions
from server.compiler.arguments import RunTime
from server.compiler.compiling import CompileRequest
from server.compiler.connections import ConnectionSelection, View
from server.compiler.projection import rows_of_records
from server.graphql.relay.connections import PageEnds
from server.graphql.relay.cursors import encode_cursors
from server.graphql.types.arguments import checked_slice
from server.graphql.types.filters import (
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


class PageRequest(NamedTuple):
    """A page of a root connection; not `told` where its filter changes with the time, and no event tells of it."""

    order: Order
    part: PageSlice
    filters: FilterParts
    told: bool = True


class ConnectionRoot:
    """coins, listings and runs."""

    def __init__(
        self, asked: CompileRequest, query: PageQuery, wanted: Callable[..., PageRequest]
    ) -> None:
        self._wanted = asked.argument(wanted)
        self._connection = ConnectionSelection(asked)
        self._query = query.narrow(self._connection.needs)
        self._ends = query.narrow(())
        self._names = [name for name, _ in self._query.columns]

    async def read(self, run: RunTime) -> object:
        """Read the page, what lies beside it and how many there are, each only where it is asked for."""
        order, part, filters, _ = self._wanted.of(run)
        connection = run.connection

        async def exists(beside: PageSlice) -> bool:
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
        outer = [KeysetPosition(record[0], record[1]) for record in (records[:1] + records[-1:])]
        ends = PageEnds(KeysetPage([], outer, more), part, order, exists)
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
) -> PageRequest:
    wanted, order = coin_filter(filter), coin_order(order_by)
    part = checked_slice(order, first, after, last, before)
    return PageRequest(order, part, coin_conditions(wanted), told=wanted.is_stale is None)


def _listings(
    *,
    filter: ListingFilterInput | None = _UNSET,  # noqa: A002 - the schema's name
    first: int | None = _UNSET,
    after: str | None = _UNSET,
    last: int | None = _UNSET,
    before: str | None = _UNSET,
) -> PageRequest:
    part = checked_slice(LISTING_ORDER, first, after, last, before)
    return PageRequest(LISTING_ORDER, part, listing_conditions(listing_filter(filter)))


def _runs(
    *,
    filter: RunFilterInput | None = _UNSET,  # noqa: A002 - the schema's name
    first: int | None = _UNSET,
    after: str | None = _UNSET,
    last: int | None = _UNSET,
    before: str | None = _UNSET,
) -> PageRequest:
    part = checked_slice(NEWEST_FIRST, first, after, last, before)
    return PageRequest(NEWEST_FIRST, part, run_conditions(run_filter(filter)))


def coins(asked: CompileRequest) -> ConnectionRoot:
    """Return the field `coins`."""
    return ConnectionRoot(asked, COINS, _coins)


def listings(asked: CompileRequest) -> ConnectionRoot:
    """Return the field `listings`."""
    return ConnectionRoot(asked, LISTINGS, _listings)


def runs(asked: CompileRequest) -> ConnectionRoot:
    """Return the field `runs`."""
    return ConnectionRoot(asked, RUNS, _runs)
