"""Decode payloads: versions for history, and the newest listing of each external id."""

import datetime
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from db.reprocess.payloads import LastBody, StoredPayload
from db.reprocess.staging import StagedListing, Version
from ingestor.sources.records import Listing, Record, RecordError, Source

SLICE = 250
"""Payloads decoded at once, about 4 ms; between two slices the event loop serves its sockets."""


class ReprocessedPart(msgspec.Struct, frozen=True):
    """A batch of decoded payloads; `payloads` and `versions` have the same order.

    `position` is the body of the last one, None for rejected records.
    """

    payloads: list[StoredPayload]
    versions: list[Version]
    listings: dict[str, StagedListing]
    position: LastBody | None = None

    @property
    def failed(self) -> int:
        """How many are unreadable."""
        return sum(version.error is not None for version in self.versions)


def slices(payloads: Sequence[StoredPayload]) -> Iterator[Sequence[StoredPayload]]:
    """Yield the payloads in order, SLICE at a time."""
    for start in range(0, len(payloads), SLICE):
        yield payloads[start : start + SLICE]


def decode_into(part: ReprocessedPart, source: Source, payloads: Iterable[StoredPayload]) -> None:
    """Decode `payloads` and add the results to `part`."""
    for payload in payloads:
        record = Record(payload.external_id, payload.raw, payload.content_hash)
        try:
            listing = source.to_listing(record, payload.fetched_at)
        except RecordError as error:
            part.versions.append(unreadable(payload, str(error)))
            continue
        part.versions.append(_version(payload, listing))
        keep_newest(part.listings, StagedListing(payload.fetched_at, listing, payload.place))


def keep_newest(listings: dict[str, StagedListing], staged: StagedListing) -> None:
    """Keep the newest listing of each external id, in the order of db/write/listings.py."""
    external_id = staged.listing.external_id
    best = listings.get(external_id)
    if best is None or _rank(staged) > _rank(best):
        listings[external_id] = staged


def _rank(staged: StagedListing) -> tuple[datetime.datetime, datetime.datetime, bytes]:
    return staged.listing.observed_at, staged.fetched_at, staged.listing.content_hash


def _version(payload: StoredPayload, listing: Listing) -> Version:
    return msgspec.structs.replace(
        unreadable(payload, None),
        ticker=listing.ticker,
        observed_at=listing.observed_at,
        price_usd=listing.price_usd,
        market_cap_usd=listing.market_cap_usd,
        volume_24h_usd=listing.volume_24h_usd,
        has_own_time=listing.has_own_time,
    )


def unreadable(payload: StoredPayload, error: str | None) -> Version:
    """Return the version of an unreadable payload."""
    place = payload.place
    return Version(
        external_id=payload.external_id,
        ingested_at=payload.ingested_at,
        content_hash=payload.content_hash,
        fetched_at=payload.fetched_at,
        ticker=None,
        observed_at=None,
        price_usd=None,
        market_cap_usd=None,
        volume_24h_usd=None,
        error=error,
        rejection_id=payload.rejection_id,
        body=None if place is None else place.body,
        body_offset=None if place is None else place.body_offset,
        body_length=None if place is None else place.body_length,
    )
