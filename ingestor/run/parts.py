"""The parts of a page: some of its records told apart, and their listings ready to be written."""

import datetime
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Self

import anyio.lowlevel
import msgspec

from db.connect.types import Connection
from db.write.listings import (
    EncodedListings,
    KnownListing,
    Listing,
    encode_listings,
    readable_payload,
    write_listings,
)
from db.write.new_listings import EncodedNewListings, copy_listings, encode_new_listings, without
from ingestor.run.code_digest import digest
from ingestor.sources.records import Page, Record, RecordError, Rejection, Source

_AT_ONCE = 25
"""Records that are decoded before others have their turn: what PostgreSQL is sent meanwhile goes out turn by turn."""
_PART = 2_500
"""Records that go to PostgreSQL in one statement; it writes them while the next ones are decoded."""
_COPY_FROM = 100
"""New listings of a part that are worth a COPY, which is three statements more."""


class DecodedPart(msgspec.Struct, frozen=True):
    """Records told apart: listings of records that changed, rejections, external ids that did not change.

    `left` are the tickers that listings have left for another: their source renamed the symbol.
    """

    listings: list[Listing]
    rejections: list[Rejection]
    unchanged: list[str]
    left: frozenset[str]

    def joined(self, after: Self) -> "DecodedPart":
        """Return these records and those after them as one."""
        return DecodedPart(
            self.listings + after.listings,
            self.rejections + after.rejections,
            self.unchanged + after.unchanged,
            self.left | after.left,
        )


class Part(msgspec.Struct, frozen=True):
    """Some of a page's records, and their listings ready to be written.

    The last listings of `decoded`, those of `new_payloads`, are in `new` and were not known; the
    others are in `encoded`. `any_new` tells whether some of these were not known either.
    """

    decoded: DecodedPart
    encoded: EncodedListings
    any_new: bool
    new: EncodedNewListings | None = None
    new_payloads: list[bytes] = []


class PartsWritten(msgspec.Struct, frozen=True):
    """What writing the parts of a page did: the whole page, payloads not seen before, the tickers to merge.

    `fresh` are the tickers that only a listing of this page has, and when that one was observed.
    """

    decoded: DecodedPart
    changed: int
    tickers: frozenset[str]
    fresh: dict[str, datetime.datetime]


class _Changes:
    """What the records of one part change."""

    def __init__(self) -> None:
        self.listings: list[Listing] = []
        self.payloads: list[bytes] = []
        self.new: list[Listing] = []
        self.new_payloads: list[bytes] = []
        self.rejections: list[Rejection] = []
        self.unchanged: list[str] = []
        self.left: set[str] = set()

    def add(self, record: Record, listing: Listing, before: KnownListing | None) -> None:
        if before is None:
            self.new.append(listing)
            self.new_payloads.append(record.raw)
            return
        self.listings.append(listing)
        self.payloads.append(record.raw)
        if before.ticker != listing.ticker:
            self.left.add(before.ticker)

    def part(self, rejections: list[Rejection], *, alone: bool) -> Part:
        """Return the part; its new listings are copied where they are `alone` of their external ids and many."""
        decoded = DecodedPart(
            self.listings + self.new,
            rejections + self.rejections,
            self.unchanged,
            frozenset(self.left),
        )
        if alone and len(self.new) >= _COPY_FROM:
            encoded = encode_listings(self.listings, self.payloads)
            new = encode_new_listings(self.new, self.new_payloads)
            return Part(decoded, encoded, any_new=False, new=new, new_payloads=self.new_payloads)
        encoded = encode_listings(decoded.listings, self.payloads + self.new_payloads)
        return Part(decoded, encoded, any_new=bool(self.new))


async def decode_parts(
    source: Source, page: Page, known: Mapping[str, KnownListing]
) -> AsyncGenerator[Part, None]:
    """Yield the records as they change what is known, the page's rejections with the first; one part at least."""
    rejections = list(page.rejections)
    # Which of two records of one listing counts is for one statement to say.
    alone = len({record.external_id for record in page.records}) == len(page.records)
    size = _PART if alone else max(1, len(page.records))
    for start in range(0, max(1, len(page.records)), size):
        changes = _Changes()
        for number, record in enumerate(page.records[start : start + size]):
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            before = known.get(record.external_id)
            if before is not None and before.content_hash == record.content_hash:
                changes.unchanged.append(record.external_id)
                continue
            try:
                listing = source.to_listing(record, page.fetched_at)
            except RecordError as error:
                changes.rejections.append(
                    Rejection(external_id=record.external_id, error=str(error), payload=record.raw)
                )
                continue
            changes.add(record, listing, before)
        yield changes.part(rejections, alone=alone)
        rejections = []


async def without_unreadable(connection: Connection, part: Part) -> Part:
    """Return a part without what PostgreSQL cannot hold, which is rejected with its bytes and its reason."""
    decoded = part.decoded
    listings, payloads, rejections = [], [], list(decoded.rejections)
    texts = [*(text.encode() for text in part.encoded.payloads), *part.new_payloads]
    for listing, payload in zip(decoded.listings, texts, strict=True):
        error = await readable_payload(connection, listing, payload)
        if error is None:
            listings.append(listing)
            payloads.append(payload)
        else:
            rejections.append(
                Rejection(external_id=listing.external_id, error=error, payload=payload)
            )
    readable = msgspec.structs.replace(decoded, listings=listings, rejections=rejections)
    return Part(
        readable, encode_listings(listings, payloads), any_new=part.any_new or part.new is not None
    )


async def write_parts(
    connection: Connection,
    source: Source,
    run_id: int,
    fetched_at: datetime.datetime,
    parts: AsyncIterable[Part],
) -> PartsWritten:
    """Write the listings of a page part by part.

    The caller's transaction holds the write lock. Raises one of UNREADABLE where PostgreSQL cannot
    hold a value.
    """
    writing = _Writing(connection, source, run_id, fetched_at)
    whole = DecodedPart([], [], [], frozenset())
    async for part in parts:
        await writing.write(part)
        whole = whole.joined(part.decoded)
    # What a later part has written may share the ticker.
    return PartsWritten(
        whole, writing.changed, frozenset(writing.tickers), without(writing.fresh, writing.tickers)
    )


class _Writing:
    """The parts of a page that were written so far."""

    def __init__(
        self, connection: Connection, source: Source, run_id: int, fetched_at: datetime.datetime
    ) -> None:
        self._connection = connection
        self._source = source
        self._run_id = run_id
        self._fetched_at = fetched_at
        self._code = digest(type(source))
        self.changed = 0
        self.tickers: set[str] = set()
        self.fresh: dict[str, datetime.datetime] = {}

    async def write(self, part: Part) -> None:
        await self._upsert(part.encoded, any_new=part.any_new)
        if part.new is None:
            return
        copied = await copy_listings(
            self._connection,
            self._source.name,
            self._source.kind,
            part.new,
            run_id=self._run_id,
            fetched_at=self._fetched_at,
            code=self._code,
        )
        if copied is None:  # a rebuild has written one of them since the page was decoded
            new = part.decoded.listings[-len(part.new_payloads) :]
            await self._upsert(encode_listings(new, part.new_payloads), any_new=True)
            return
        self.changed += len(part.new_payloads)
        self.tickers |= copied.tickers
        self.fresh |= copied.fresh

    async def _upsert(self, listings: EncodedListings, *, any_new: bool) -> None:
        written = await write_listings(
            self._connection,
            self._source.name,
            self._source.kind,
            listings,
            run_id=self._run_id,
            fetched_at=self._fetched_at,
            code=self._code,
            any_new=any_new,
        )
        self.changed += written.changed
        self.tickers |= written.tickers
