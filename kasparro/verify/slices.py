"""Check the history of one source: slice by slice, each in a snapshot of its own."""

import datetime
from collections.abc import Callable, Sequence

import anyio.lowlevel
import msgspec

from db.connect.pool import borrow
from db.connect.types import Connection, Pool
from db.verify.candles import compare_candles
from db.verify.differences import Difference, Tally
from db.verify.slices import ListingSlice, StoredListing, StoredPoint, read_points, read_slice
from ingestor.sources.records import Source
from kasparro.verify.listings import compare_listing
from kasparro.verify.points import PointBounds, compare_held, compare_points
from kasparro.verify.versions import DecodedPayloads, decode_payloads

SLICE_PAYLOADS = 10_000
"""Payloads of a slice: some 20 MB decoded, a quarter of a second."""


CONNECTIONS = 2
"""The database reads a slice while another one is decoded."""

OnProgress = Callable[[str, int], None]
"""Called after each slice with the source and its number of payloads."""


class VerifyBounds(msgspec.Struct, frozen=True):
    """From when on payloads are complete, points are kept, and candles are compared."""

    points: PointBounds
    candles_from: datetime.datetime


class HistoryTallies:
    """The tallies of the checks that need payloads or points."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.payloads, self.listings = Tally(limit), Tally(limit)
        self.points, self.held, self.candles = Tally(limit), Tally(limit), Tally(limit)

    def join(self, other: "HistoryTallies") -> None:
        """Add the tallies of another part of the same checks."""
        for name in ("payloads", "listings", "points", "held", "candles"):
            getattr(self, name).join(getattr(other, name))


class HistoryCheck:
    """Checks all listings of one source, with their payloads, points and candles."""

    def __init__(
        self,
        pool: Pool,
        source: Source,
        bounds: VerifyBounds,
        tallies: HistoryTallies,
        on_progress: OnProgress,
    ) -> None:
        self._pool, self._source, self._bounds = pool, source, bounds
        self._tallies, self._on_progress = tallies, on_progress
        self._turn = anyio.Lock()
        self._after: str | None = ""

    async def run(self) -> None:
        """Check slice after slice; one is read while another is compared."""
        async with anyio.create_task_group() as group:
            for _ in range(CONNECTIONS):
                group.start_soon(self._work)

    async def _work(self) -> None:
        async with borrow(self._pool) as connection:
            while await self._check_next(connection):
                pass

    async def _check_next(self, connection: Connection) -> bool:
        """Check the next slice in one snapshot; return False if there is none."""
        source = self._source
        async with self._turn:
            if self._after is None:
                return False
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            part = await read_slice(
                connection, source.name, source.kind, self._after, SLICE_PAYLOADS
            )
            self._after = part.last
        await self._check(connection, part)
        await transaction.commit()
        self._on_progress(source.name, len(part.payloads))
        return True

    async def _check(self, connection: Connection, part: ListingSlice) -> None:
        tallies = self._tallies
        decoded = await decode_payloads(self._source, part.payloads)
        tallies.payloads.rows += len(part.payloads)
        tallies.payloads.add(_compare_payloads(self._source.name, part, decoded))
        tallies.listings.rows += len(part.listings)
        for listing in part.listings:
            if versions := decoded.versions.get(listing.external_id):
                tallies.listings.add(compare_listing(self._key(listing), listing, versions))
        await self._check_points(connection, part, decoded)
        await compare_candles(
            connection,
            tallies.candles,
            [listing.id for listing in part.listings],
            self._bounds.candles_from,
            limit=tallies.limit,
        )

    async def _check_points(
        self, connection: Connection, part: ListingSlice, decoded: DecodedPayloads
    ) -> None:
        left = {listing.id: listing for listing in part.listings}
        async for points in read_points(connection, list(left)):
            await anyio.lowlevel.checkpoint()
            listing = left.pop(points[0].listing)
            self._compare_points(listing, points, decoded)
        for listing in left.values():
            self._compare_points(listing, [], decoded)

    def _compare_points(
        self, listing: StoredListing, points: Sequence[StoredPoint], decoded: DecodedPayloads
    ) -> None:
        key, bounds, tallies = self._key(listing), self._bounds.points, self._tallies
        tallies.points.rows += len(points)
        tallies.held.rows += len(points)
        versions = decoded.versions.get(listing.external_id, [])
        tallies.points.add(compare_points(key, points, versions, bounds))
        is_whole = self._source.kind == "api" and listing.first_seen_at >= bounds.oldest
        tallies.held.add(compare_held(key, points, is_whole=is_whole))

    def _key(self, listing: StoredListing) -> str:
        return f"{self._source.name}:{listing.external_id}"


def _compare_payloads(
    source: str, part: ListingSlice, decoded: DecodedPayloads
) -> Sequence[Difference]:
    """Return listings without their payload, payloads without a listing, and unreadable ones."""
    known = {listing.external_id for listing in part.listings}
    unreadable = {(one.payload.external_id, one.payload.content_hash) for one in decoded.unreadable}
    found = [
        Difference(f"{source}:{one.external_id}", "payload", None, f"hash {one.content_hash.hex()}")
        for one in part.listings
        if (one.external_id, one.content_hash) not in unreadable
        # The last version is nearly always the present one.
        and not any(
            version.listing.content_hash == one.content_hash
            for version in reversed(decoded.versions.get(one.external_id, []))
        )
    ]
    found += [
        Difference(f"{source}:{external_id}", "listing", None, "one of its payloads")
        for external_id in decoded.versions
        if external_id not in known
    ]
    found += [
        Difference(
            f"{source}:{one.payload.external_id} {one.payload.ingested_at}",
            "payload",
            one.error,
            "a readable record",
        )
        for one in decoded.unreadable
    ]
    return found
