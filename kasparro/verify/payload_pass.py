"""Payloads and the points that they made: each payload has its point, each point its payload."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence

import anyio.lowlevel

from db.connect.pool import borrow
from db.connect.types import Connection
from db.reprocess.payloads import StoredPayload
from db.verify.differences import Difference
from db.verify.payloads import (
    PayloadBatches,
    ReadPayloads,
    payloads_fetched_at,
    payloads_fetched_before,
)
from db.verify.points import (
    ListingRank,
    PointKey,
    StoredPoint,
    count_by_fetch,
    points_of_fetch,
    points_of_keys,
    read_ranks,
)
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.points import compare_point, missing_point, surplus_point
from kasparro.verify.versions import DecodedPayload, DecodedPayloads, decode_payloads

BATCH = 10_000
"""Payloads of a snapshot: some 20 MB decoded, a quarter of a second."""
MAX_FETCHES = 1_000
"""Fetches whose points are looked for one by one; of further ones they are counted only."""
_FEW = 50
"""Points whose listings' payloads are all read at once."""
_PER_TURN = 500


class PayloadPass:
    """Compares the payloads of one source with the points and the listings."""

    def __init__(self, context: HistoryContext) -> None:
        self._context, self._source = context, context.source
        self._batches = PayloadBatches(self._source.name, self._source.kind, BATCH)
        self._turn = anyio.Lock()
        self._known: dict[str, ListingRank] = {}
        self._explained: Counter[datetime.datetime] = Counter()

    async def run(self) -> None:
        """Compare all payloads, then look for points that none of them says."""
        await self._context.side_by_side(self._check_next)
        async with borrow(self._context.pool) as connection:
            await self._check_fetches(connection)

    async def _check_next(self, connection: Connection) -> bool:
        transaction = snapshot(connection)
        async with self._turn:
            await transaction.start()
            payloads = await self._batches.read_next(connection)
        if payloads:
            await self._check(connection, payloads)
        await transaction.commit()
        self._context.on_progress(self._source.name, len(payloads))
        return bool(payloads)

    async def _check(self, connection: Connection, payloads: Sequence[StoredPayload]) -> None:
        decoded = await decode_payloads(self._source, payloads)
        tally = self._context.tallies.payloads
        tally.rows += len(payloads)
        tally.add(
            Difference(
                f"{self._context.key(one.payload.external_id)} {one.payload.ingested_at}",
                "payload",
                one.error,
                "a readable record",
            )
            for one in decoded.unreadable
        )
        await self._check_versions(connection, decoded)
        keys = [
            (self._known[one.listing.external_id].id, one.listing.observed_at)
            for one in decoded.versions
            if one.listing.external_id in self._known
        ]
        points = await points_of_keys(connection, keys)
        for number, one in enumerate(decoded.versions):
            if number % _PER_TURN == 0:
                await anyio.lowlevel.checkpoint()
            self._compare(one, points)
        self._explain(decoded.versions, points)

    async def _check_versions(self, connection: Connection, decoded: DecodedPayloads) -> None:
        """Find payloads without a listing, and such as should be their listing's content."""
        source, known = self._source.name, self._known
        newest: dict[str, DecodedPayload] = {}
        for one in decoded.versions:
            best = newest.get(one.listing.external_id)
            if best is None or one.rank > best.rank:
                newest[one.listing.external_id] = one
        # What is known of a listing may be from an earlier snapshot.
        unsure = [
            external_id
            for external_id, one in newest.items()
            if external_id not in known or one.rank > known[external_id].rank
        ]
        known.update(await read_ranks(connection, source, unsure))
        for external_id in unsure:
            key, rank, one = (
                self._context.key(external_id),
                known.get(external_id),
                newest[external_id],
            )
            if rank is None:
                found = Difference(key, "listing", None, "what its payloads say")
                self._context.tallies.payloads.add([found])
            elif one.rank > rank.rank:
                self._context.tallies.listings.add(
                    [
                        Difference(
                            key,
                            "content_hash",
                            f"{rank.content_hash.hex()} of {rank.observed_at}",
                            f"{one.listing.content_hash.hex()} of {one.listing.observed_at}",
                        )
                    ]
                )

    def _compare(self, one: DecodedPayload, points: Mapping[PointKey, StoredPoint]) -> None:
        rank = self._known.get(one.listing.external_id)
        if rank is None:
            return
        tally, key = self._context.tallies.points, self._context.key(one.listing.external_id)
        point = points.get((rank.id, one.listing.observed_at))
        if point is None:
            if one.listing.observed_at >= self._context.bounds.oldest:
                tally.add([missing_point(key, one)])
            return
        tally.add(compare_point(key, point, one))

    def _explain(
        self, versions: Sequence[DecodedPayload], points: Mapping[PointKey, StoredPoint]
    ) -> None:
        """Count each point that one of the payloads made."""
        made = {
            (key, one.fetched_at)
            for one in versions
            if (rank := self._known.get(one.listing.external_id)) is not None
            and (point := points.get(key := (rank.id, one.listing.observed_at))) is not None
            and point.fetched_at == one.fetched_at
        }
        self._context.tallies.points.rows += len(made)
        self._explained.update(fetched_at for _, fetched_at in made)

    async def _check_fetches(self, connection: Connection) -> None:
        """Find the fetches that have made more points than the payloads explain."""
        covered_from = self._context.bounds.covered_from
        async with snapshot(connection):
            counts = await count_by_fetch(connection, self._source.name, covered_from)
        doubtful = sorted(at for at, count in counts.items() if count != self._explained[at])
        for at in doubtful[:MAX_FETCHES]:
            async with snapshot(connection):
                await self._check_fetch(connection, at)
        left = doubtful[MAX_FETCHES:]
        surplus = sum(max(0, counts[at] - self._explained[at]) for at in left)
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
