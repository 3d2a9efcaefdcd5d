"""Points that no payload says, found by counting the points of each fetch."""

import datetime
from collections import Counter

from db.connect.pool import borrow
from db.connect.types import Connection
from db.verify.payloads import payloads_fetched_at
from db.verify.points import count_by_fetch, points_of_fetch
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.points import surplus_point
from kasparro.verify.versions import decode_payloads

MAX_FETCHES = 1_000
"""Fetches whose points are looked for one by one; of further ones they are counted only."""


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
        source = self._source
        points = await points_of_fetch(connection, source.name, at)
        ids = {external_id for external_id, _ in points}
        payloads = await payloads_fetched_at(connection, source.name, at, ids)
        decoded = await decode_payloads(source, payloads)
        said = {(one.listing.external_id, one.listing.observed_at) for one in decoded.versions}
        self._context.tallies.points.add(
            surplus_point(self._context.key(external_id), point)
            for external_id, point in points
            if (external_id, point.at) not in said
        )
