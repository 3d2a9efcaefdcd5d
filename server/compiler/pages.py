"""The root connections: assets, coins, listings and runs, by keyset."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from db.read.keyset import (
    FilterParts,
    KeysetPage,
    KeysetPosition,
    Order,
    PageSlice,
    count_rows,
    fetch_slice,
)
from server.compiler.arguments import RunTime
from server.compiler.compiling import SelectedField
from server.compiler.connections import ConnectionSelection, PageView
from server.compiler.projection import rows_of_records
from server.graphql.relay.connections import KeysetPageInfo, PageRequest, RootConnection
from server.graphql.relay.cursors import encode_cursors


class CompiledPageRequest(NamedTuple):
    """A `PageRequest` whose filter is the conditions and values of a statement."""

    order: Order
    slice: PageSlice
    conditions: FilterParts
    cacheable: bool


class ConnectionRoot:
    """assets, coins, listings, markets, runs and streamGaps."""

    def __init__(self, field: SelectedField) -> None:
        declared = field.source(RootConnection)

        def compiled(request: PageRequest) -> CompiledPageRequest:
            conditions = declared.conditions(request.filter)
            return CompiledPageRequest(request.order, request.slice, conditions, request.cacheable)

        self._request = field.argument(compiled)
        self._connection = ConnectionSelection(field)
        self._query = declared.query.narrow(self._connection.needs)
        self._keys_query = declared.query.narrow(())
        self._names = [name for name, _ in self._query.columns]

    async def read(self, run: RunTime) -> object:
        """Read the page, the existence of rows beyond it and their number, each if selected."""
        order, page, conditions, _ = self._request.of(run)
        connection = run.connection

        async def exists(beyond: PageSlice) -> bool:
            found = await fetch_slice(connection, self._keys_query, order, beyond, conditions)
            return found.more

        async def count() -> int:
            return await count_rows(connection, self._keys_query, conditions)

        def cursors() -> Sequence[str]:
            return encode_cursors((order.name, record[0], record[1]) for record in records)

        records: list[Any] = []
        more = False
        if self._connection.needs_page:
            found = await fetch_slice(connection, self._query, order, page, conditions)
            records, more = found.records, found.more
        outer = [KeysetPosition(record[0], record[1]) for record in (records[:1] + records[-1:])]
        page_info = KeysetPageInfo(KeysetPage([], outer, more), page, order, exists)
        view = PageView(rows_of_records(self._names, records, skip=2), cursors, page_info, count)
        return await self._connection.write(view, run)
