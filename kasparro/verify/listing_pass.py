"""Listings: their content, their earlier observations, their held points and their candles."""

from collections.abc import Sequence

import anyio.lowlevel

from db.connect.types import Connection
from db.verify.candles import compare_candles
from db.verify.differences import Difference
from db.verify.payloads import slices_of_bodies
from db.verify.slices import PointPrice, StoredListing, read_listings, read_prices
from kasparro.verify.history import HistoryContext, snapshot
from kasparro.verify.listings import compare_before, compare_listing
from kasparro.verify.points import compare_held
from kasparro.verify.versions import UnreadablePayload, decode_payload

LISTINGS = 1_000
"""Listings of a snapshot, whose points are read one series after another."""


class ListingPass:
    """Compares the listings of one source with their payloads and their history."""

    def __init__(self, context: HistoryContext) -> None:
        self._context, self._source = context, context.source
        self._turn = anyio.Lock()
        self._after: str | None = ""

    async def run(self) -> None:
        """Compare all listings."""
        await self._context.side_by_side(self._check_next)

    async def _check_next(self, connection: Connection) -> bool:
        transaction = snapshot(connection)
        async with self._turn:
            if self._after is None:
                return False
            await transaction.start()
            listings = await read_listings(
                connection, self._source.name, self._source.kind, self._after, LISTINGS
            )
            self._after = listings[-1].external_id if len(listings) == LISTINGS else None
        await self._check(connection, listings)
        await transaction.commit()
        return True

    async def _check(self, connection: Connection, listings: Sequence[StoredListing]) -> None:
        tallies, bounds = self._context.tallies, self._context.bounds
        tallies.listings.rows += len(listings)
        for listing in listings:
            self._compare_content(listing)
            key = self._context.key(listing.external_id)
            tallies.listings.add(compare_before(key, listing, bounds.oldest))
        await self._compare_places(connection, listings)
        by_id = {listing.id: listing for listing in listings}
        async for points in read_prices(connection, list(by_id)):
            await anyio.lowlevel.checkpoint()
            self._compare_held(by_id[points[0].listing], points)
        await compare_candles(
            connection, tallies.candles, list(by_id), bounds.candles_from, limit=tallies.limit
        )

    async def _compare_places(
        self, connection: Connection, listings: Sequence[StoredListing]
    ) -> None:
        """Look each listing up in its body, if that has not expired."""
        bodies = {one.place.body for one in listings if one.place is not None}
        slices = await slices_of_bodies(connection, bodies)
        for listing in listings:
            place = listing.place
            if place is None or place.body not in slices:
                continue
            found = slices[place.body].get(
                (listing.external_id, place.body_offset, place.body_length)
            )
            if found != listing.content_hash:
                where = f"body {place.body}, {place.body_length} bytes at {place.body_offset}"
                told = "no record" if found is None else f"hash {found.hex()}"
                self._context.tallies.payloads.add(
                    [
                        Difference(
                            self._context.key(listing.external_id),
                            where,
                            told,
                            f"hash {listing.content_hash.hex()}",
                        )
                    ]
                )

    def _compare_content(self, listing: StoredListing) -> None:
        key = self._context.key(listing.external_id)
        if listing.payload is None:
            missing = Difference(key, "payload", None, f"hash {listing.content_hash.hex()}")
            self._context.tallies.payloads.add([missing])
            return
        said = decode_payload(self._source, listing.payload)
        if isinstance(said, UnreadablePayload):
            unreadable = Difference(key, "newest payload", said.error, "a readable record")
            self._context.tallies.payloads.add([unreadable])
        else:
            self._context.tallies.listings.add(compare_listing(key, listing, said))

    def _compare_held(self, listing: StoredListing, points: Sequence[PointPrice]) -> None:
        tallies = self._context.tallies
        tallies.held.rows += len(points)
        is_whole = (
            self._source.kind == "api" and listing.first_seen_at >= self._context.bounds.oldest
        )
        key = self._context.key(listing.external_id)
        tallies.held.add(compare_held(key, points, is_whole=is_whole))
