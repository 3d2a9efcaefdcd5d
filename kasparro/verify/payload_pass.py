"""Payloads, and the points and listings that they made."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence

import anyio.lowlevel

from db.connect.types import Connection
from db.reprocess.payloads import PayloadRange, StoredPayload
from db.verify.differences import Difference
from db.verify.payloads import DamagedBody, PayloadBatches
from db.verify.points import (
    ListingRank,
    PointKey,
    StoredPoint,
    not_thinned,
    points_of_keys,
    read_ranks,
)
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.points import compare_point, is_equal, missing_point
from kasparro.verify.versions import DecodedPayload, DecodedPayloads, decode_payloads

BATCH = 10_000
"""Payloads of a snapshot: some 20 MB decoded, a quarter of a second."""
_PER_TURN = 500


class PayloadPass:
    """Compares the payloads of one source and period with the points and the listings."""

    def __init__(self, context: HistoryContext, span: PayloadRange) -> None:
        self._context, self._source = context, context.source
        self._batches = PayloadBatches(self._source.name, self._source.kind, span, BATCH)
        self._turn = anyio.Lock()
        self._known: dict[str, ListingRank] = {}
        self.explained: Counter[datetime.datetime] = Counter()
        """How many points of each fetch the payloads have made."""

    async def run(self) -> None:
        """Compare all payloads."""
        await self._context.side_by_side(self._check_next)

    async def _check_next(self, connection: Connection) -> bool:
        transaction = snapshot(connection)
        async with self._turn:
            await transaction.start()
            checked = await self._batches.read_next(connection)
        if checked is not None:
            self._report_damaged(checked.damaged)
            await self._check(connection, checked.payloads)
            self._context.on_progress(self._source.name, len(checked.payloads))
        await transaction.commit()
        return checked is not None

    def _report_damaged(self, damaged: Sequence[DamagedBody]) -> None:
        self._context.tallies.payloads.add(
            Difference(
                f"{self._source.name} body {one.id} of {one.arrived_at}",
                "body",
                one.error,
                "the bytes that came",
            )
            for one in damaged
        )

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
        missing: dict[PointKey, DecodedPayload] = {}
        for number, one in enumerate(decoded.versions):
            if number % _PER_TURN == 0:
                await anyio.lowlevel.checkpoint()
            self._compare(one, points, missing)
        for key in await not_thinned(connection, missing):
            said = missing[key]
            name = self._context.key(said.listing.external_id)
            self._context.tallies.points.add([missing_point(name, said)])

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

    def _compare(
        self,
        one: DecodedPayload,
        points: Mapping[PointKey, StoredPoint],
        missing: dict[PointKey, DecodedPayload],
    ) -> None:
        external_id = one.listing.external_id
        rank = self._known.get(external_id)
        if rank is None:
            return
        tally = self._context.tallies.points
        point = points.get((rank.id, one.listing.observed_at))
        if point is None:
            if one.listing.observed_at >= self._context.bounds.oldest:
                missing[rank.id, one.listing.observed_at] = one
            return
        if point.fetched_at == one.fetched_at:
            tally.rows += 1
            self.explained[one.fetched_at] += 1
        if not is_equal(point, one.listing):
            tally.add(compare_point(self._context.key(external_id), point, one))
