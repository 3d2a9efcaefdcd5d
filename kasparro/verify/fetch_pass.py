"""Points that no payload says, found by counting the points of each fetch."""

import datetime
from collections import Counter
from collections.abc import Sequence

from db.connect.pool import borrow
from db.connect.types import Connection
from db.verify.payloads import ReadPayloads, payloads_fetched_at, payloads_fetched_before
from db.verify.points import StoredPoint, count_by_fetch, points_of_fetch
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.points import surplus_point
from kasparro.verify.versions import decode_payloads

MAX_FETCHES = 1_000
"""Fetches whose points are looked for one by one; of further ones they are counted only."""
_FEW = 50
"""Points whose listings' payloads are all read at once."""


class FetchPass:
    """Finds the points of one source that no payload says."""

    def __init__(self, context: HistoryContext) -> None:
        self._context, self._source = context, context.source

    async def run(self, explained: Counter[datetime.datetime]) -> None:
        """Look at the fetches that have another number of points than the payloads explain."""
        async with borrow(self._context.pool) as connection:
            await self._check_fetches(connection, explained)

    async def _check_fetches(
        self, connection: Connection, explained: Counter[datetime.datetime]
    ) -> None:
        covered_from = self._context.bounds.covered_from
        async with snapshot(connection):
            counts = await count_by_fetch(connection, self._source.name, covered_from)
        doubtful = sorted(at for at, count in counts.items() if count != explained[at])
        for at in doubtful[:MAX_FETCHES]:
            async with snapshot(connection):
                await self._check_fetch(connection, at)
        left = doubtful[MAX_FETCHES:]
        surplus = sum(max(0, counts[at] - explained[at]) for at in left)
        self._context.tallies.points.differences += surplus

    async def _check_fetch(self, connection: Connection, at: datetime.datetime) -> None:
        """Find the points of a fetch that no payload says."""
        left = await points_of_fetch(connection, self._source.name, at)
        left = await self._without_said(connection, payloads_fetched_at, at, left)
        for start in range(0, len(left), _FEW):
            few = left[start : start + _FEW]
            self._context.tallies.points.add(
                surplus_point(self._context.key(external_id), point)
                for external_id, point in await self._without_said(
                    connection, payloads_fetched_before, at, few
                )
            )

    async def _without_said(
        self,
        connection: Connection,
        read: ReadPayloads,
        at: datetime.datetime,
        points: Sequence[tuple[str, StoredPoint]],
    ) -> list[tuple[str, StoredPoint]]:
        source, ids = self._source, {external_id for external_id, _ in points}
        payloads = await read(connection, source.name, source.kind, at, ids)
        decoded = await decode_payloads(source, payloads)
        said = {(one.listing.external_id, one.listing.observed_at) for one in decoded.versions}
        return [
            (external_id, point)
            for external_id, point in points
            if (external_id, point.at) not in said
        ]
