"""What the payloads of a listing say, by the sources' own decoders."""

import datetime
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import anyio.lowlevel
import msgspec

from db.reprocess.payloads import StoredPayload
from db.write.listing_columns import LISTING_COLUMNS
from ingestor.sources.records import Listing, Record, RecordError, Source

_PER_TURN = 100
"""Payloads decoded between two turns of the event loop, about 2 ms."""


class DecodedPayload(msgspec.Struct, frozen=True, gc=False):
    """What one payload says, and when it was fetched."""

    fetched_at: datetime.datetime
    listing: Listing

    @property
    def rank(self) -> tuple[datetime.datetime, datetime.datetime, bytes]:
        """The order of the versions of a listing: the greatest is the present one."""
        return self.listing.observed_at, self.fetched_at, self.listing.content_hash

    @property
    def tie(self) -> int:
        """The first 31 bits of the content hash, which order words of one page."""
        return int.from_bytes(self.listing.content_hash[:4]) >> 1

    @property
    def word(self) -> tuple[datetime.datetime, int, Decimal, Decimal, Decimal]:
        """The order of the words for one time: the greatest counts."""
        price, cap, volume = self.numbers
        none = Decimal(-1)
        return (
            self.fetched_at,
            self.tie,
            Decimal(0) if price is None else price,
            none if cap is None else cap,
            none if volume is None else volume,
        )

    @property
    def numbers(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """Price, cap and volume."""
        one = self.listing
        return one.price_usd, one.market_cap_usd, one.volume_24h_usd

    @property
    def values(self) -> tuple[object, ...]:
        """The values of LISTING_COLUMNS."""
        return tuple([getattr(self.listing, name) for name in LISTING_COLUMNS])


class UnreadablePayload(msgspec.Struct, frozen=True):
    """A payload that the present code cannot read, and why."""

    payload: StoredPayload
    error: str


class DecodedPayloads(msgspec.Struct, frozen=True):
    """The payloads of some listings by external id, and those that cannot be read."""

    versions: dict[str, list[DecodedPayload]]
    unreadable: list[UnreadablePayload]


async def decode_payloads(source: Source, payloads: Iterable[StoredPayload]) -> DecodedPayloads:
    """Decode payloads; the event loop reads from its sockets meanwhile."""
    versions: defaultdict[str, list[DecodedPayload]] = defaultdict(list)
    unreadable = []
    for number, payload in enumerate(payloads):
        if number % _PER_TURN == 0:
            await anyio.lowlevel.checkpoint()
        record = Record(payload.external_id, payload.raw, payload.content_hash)
        try:
            listing = source.to_listing(record, payload.fetched_at)
        except RecordError as error:
            unreadable.append(UnreadablePayload(payload, str(error)))
            continue
        versions[payload.external_id].append(DecodedPayload(payload.fetched_at, listing))
    return DecodedPayloads(dict(versions), unreadable)
