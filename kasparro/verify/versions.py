"""What payloads say, by the sources' own decoders."""

import datetime
from collections.abc import Sequence
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
    def word(self) -> tuple[datetime.datetime, int]:
        """The order of the words for one time: the greatest counts."""
        return self.fetched_at, self.tie

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
    """Decoded payloads, and those that cannot be read."""

    versions: list[DecodedPayload]
    unreadable: list[UnreadablePayload]


def decode_payload(source: Source, payload: StoredPayload) -> DecodedPayload | UnreadablePayload:
    """Return what a payload says, or why it cannot be read."""
    record = Record(payload.external_id, payload.raw, payload.content_hash)
    try:
        return DecodedPayload(payload.fetched_at, source.to_listing(record, payload.fetched_at))
    except RecordError as error:
        return UnreadablePayload(payload, str(error))


async def decode_payloads(source: Source, payloads: Sequence[StoredPayload]) -> DecodedPayloads:
    """Decode payloads; the event loop reads from its sockets meanwhile."""
    decoded = DecodedPayloads([], [])
    for start in range(0, len(payloads), _PER_TURN):
        await anyio.lowlevel.checkpoint()
        for payload in payloads[start : start + _PER_TURN]:
            one = decode_payload(source, payload)
            if isinstance(one, DecodedPayload):
                decoded.versions.append(one)
            else:
                decoded.unreadable.append(one)
    return decoded
