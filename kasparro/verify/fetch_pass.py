"""Points that no payload says, found by counting the points of each fetch."""

import datetime
from collections import Counter

from db.connect.pool import borrow
from db.connect.types import Connection
from db.reprocess.job import BEGINNING
from db.reprocess.payloads import PayloadRange
from db.verify.payloads import END, PayloadBatches, payloads_fetched_at
from db.verify.points import StoredPoint, count_by_fetch, points_of_fetch
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.payload_pass import BATCH
from kasparro.verify.points import surplus_point
from kasparro.verify.versions import decode_payloads

_Key = tuple[str, datetime.datetime]
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
        unsaid: dict[_Key, StoredPoint] = {}
        for at in doubtful[:MAX_FETCHES]:
            async with snapshot(connection):
                unsaid |= await self._unsaid(connection, at)
        await self._drop_said_before(connection, unsaid)
        self._context.tallies.points.add(
            surplus_point(self._context.key(external_id), point)
            for (external_id, _), point in unsaid.items()
        )
        left = doubtful[MAX_FETCHES:]
        surplus = sum(max(0, counts[at] - explained[at]) for at in left)
        self._context.tallies.points.differences += surplus

    async def _unsaid(
        self, connection: Connection, at: datetime.datetime
    ) -> dict[_Key, StoredPoint]:
        """Return the points of a fetch that no payload of it says."""
        source = self._source
        points = await points_of_fetch(connection, source.name, at)
        ids = {external_id for external_id, _ in points}
        payloads = await payloads_fetched_at(connection, source.name, at, ids)
        decoded = await decode_payloads(source, payloads)
        said = {(one.listing.external_id, one.listing.observed_at) for one in decoded.versions}
        return {
            (external_id, point.at): point
            for external_id, point in points
            if (external_id, point.at) not in said
        }

    async def _drop_said_before(
        self, connection: Connection, unsaid: dict[_Key, StoredPoint]
    ) -> None:
        """Remove the points that an earlier payload says.

        A record that arrives again late is not in the index of its body, but its point has the time
        of that fetch.
        """
        everything = PayloadRange(BEGINNING, END)
        batches = PayloadBatches(self._source.name, self._source.kind, everything, BATCH)
        while unsaid:
            async with snapshot(connection):
                checked = await batches.read_next(connection)
            if checked is None:
                break
            ids = {external_id for external_id, _ in unsaid}
            payloads = [one for one in checked.payloads if one.external_id in ids]
            for one in (await decode_payloads(self._source, payloads)).versions:
                unsaid.pop((one.listing.external_id, one.listing.observed_at), None)
