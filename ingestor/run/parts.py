"""The parts of a page: decode some of its records, and write the listings that changed."""

import datetime
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
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
from db.write.raw.bodies import Slice
from ingestor.run.body import BodyWriter
from ingestor.sources.records import Page, Record, RecordError, Rejection, Source

_RECORDS_PER_TURN = 25
"""Records decoded between two turns of the event loop, which sends data to PostgreSQL meanwhile."""
_PART_RECORDS = 2_500
"""Records in one statement; PostgreSQL writes them while the next ones are decoded."""
_MIN_COPY = 100
"""New listings of a part from which on COPY is faster; it needs three statements more."""


class DecodedPart(msgspec.Struct, frozen=True):
    """Decoded records: the listings that changed, rejections, and external ids without a change.

    `sent` are the records of the listings, in their order. `former_tickers` are the old tickers of
    listings whose source renamed the symbol; `arrivals` are the external ids of these, and of new
    listings.
    """

    listings: list[Listing]
    sent: list[Record]
    rejections: list[Rejection]
    unchanged: list[str]
    former_tickers: frozenset[str]
    arrivals: frozenset[str] = frozenset()

    def join(self, after: Self) -> "DecodedPart":
        """Return these records and those of `after` as one part."""
        return DecodedPart(
            self.listings + after.listings,
            self.sent + after.sent,
            self.rejections + after.rejections,
            self.unchanged + after.unchanged,
            self.former_tickers | after.former_tickers,
            self.arrivals | after.arrivals,
        )


class Part(msgspec.Struct, frozen=True):
    """Some of a page's records, and their listings ready to be written.

    `new` has the last listings of `records`, which are new; `encoded` has the others. `any_new`
    says whether some of these are new as well; `renamed` are the external ids whose ticker changes.
    """

    records: DecodedPart
    encoded: EncodedListings
    any_new: bool
    renamed: frozenset[str] = frozenset()
    new: EncodedNewListings | None = None


class PartsResult(msgspec.Struct, frozen=True):
    """The result of writing the parts of a page: all its records, new payloads, tickers to merge.

    `new_tickers` are the tickers of a single listing, which this page adds, with the time at which
    it was observed.
    """

    records: DecodedPart
    changed: int
    tickers: frozenset[str]
    new_tickers: dict[str, datetime.datetime]


class _Changes:
    """What the records of one part change."""

    def __init__(self) -> None:
        self.listings: list[Listing] = []
        self.sent: list[Record] = []
        self.new: list[Listing] = []
        self.new_sent: list[Record] = []
        self.rejections: list[Rejection] = []
        self.unchanged: list[str] = []
        self.former_tickers: set[str] = set()
        self.renamed: set[str] = set()

    def add(self, record: Record, listing: Listing, before: KnownListing | None) -> None:
        if before is None:
            self.new.append(listing)
            self.new_sent.append(record)
            return
        self.listings.append(listing)
        self.sent.append(record)
        if before.ticker != listing.ticker:
            self.former_tickers.add(before.ticker)
            self.renamed.add(listing.external_id)

    def part(self, rejections: list[Rejection], *, unique: bool) -> Part:
        """Return the part; many new listings with `unique` external ids are written by COPY."""
        records = DecodedPart(
            self.listings + self.new,
            self.sent + self.new_sent,
            rejections + self.rejections,
            self.unchanged,
            frozenset(self.former_tickers),
            frozenset(self.renamed.union(listing.external_id for listing in self.new)),
        )
        renamed = frozenset(self.renamed)
        if unique and len(self.new) >= _MIN_COPY:
            return Part(
                records,
                _encode(self.listings, self.sent),
                any_new=False,
                renamed=renamed,
                new=encode_new_listings(
                    self.new, [one.raw for one in self.new_sent], _slices(self.new_sent)
                ),
            )
        encoded = _encode(records.listings, records.sent)
        return Part(records, encoded, any_new=bool(self.new), renamed=renamed)


def _slices(records: Sequence[Record]) -> list[Slice]:
    return [(record.offset, record.length) for record in records]


def _encode(listings: Sequence[Listing], sent: Sequence[Record]) -> EncodedListings:
    return encode_listings(listings, [record.raw for record in sent], _slices(sent))


async def decode_parts(
    source: Source, page: Page, known: Mapping[str, KnownListing]
) -> AsyncGenerator[Part, None]:
    """Yield at least one part: records that differ from `known`; the first has all rejections."""
    rejections = list(page.rejections)
    # One statement decides which of two records of one listing counts.
    unique = len({record.external_id for record in page.records}) == len(page.records)
    size = _PART_RECORDS if unique else max(1, len(page.records))
    for start in range(0, max(1, len(page.records)), size):
        changes = _Changes()
        for number, record in enumerate(page.records[start : start + size]):
            if number % _RECORDS_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()
            before = known.get(record.external_id)
            if before is not None and before.content_hash == record.content_hash:
                changes.unchanged.append(record.external_id)
                continue
            try:
                listing = source.to_listing(record, page.fetched_at)
            except RecordError as error:
                changes.rejections.append(_rejected(record, str(error)))
                continue
            changes.add(record, listing, before)
        yield changes.part(rejections, unique=unique)
        rejections = []


async def without_unreadable(connection: Connection, part: Part) -> Part:
    """Return the part with the records that PostgreSQL cannot hold as rejections."""
    records = part.records
    listings: list[Listing] = []
    sent: list[Record] = []
    rejections = list(records.rejections)
    for listing, record in zip(records.listings, records.sent, strict=True):
        error = await readable_payload(connection, listing, record.raw)
        if error is None:
            listings.append(listing)
            sent.append(record)
        else:
            rejections.append(_rejected(record, error))
    readable = msgspec.structs.replace(records, listings=listings, sent=sent, rejections=rejections)
    return Part(
        readable,
        _encode(listings, sent),
        any_new=part.any_new or part.new is not None,
        renamed=part.renamed,
    )


def _rejected(record: Record, error: str) -> Rejection:
    return Rejection(record.external_id, error, record.raw, record.offset, record.length)


class PartsWriter:
    """Writes the listings of a page part by part; the caller's transaction holds the write lock.

    `body` writes what the page came in. The history begins at `oldest`.
    """

    def __init__(
        self,
        connection: Connection,
        source: Source,
        run_id: int,
        fetched_at: datetime.datetime,
        *,
        body: BodyWriter,
        oldest: datetime.datetime,
    ) -> None:
        self._connection = connection
        self._source = source
        self._run_id = run_id
        self._fetched_at = fetched_at
        self._oldest = oldest
        self._body = body
        self._changed = 0
        self._tickers: set[str] = set()
        self._new_tickers: dict[str, datetime.datetime] = {}

    async def write(self, parts: AsyncIterable[Part]) -> PartsResult:
        """Write all parts. Raises one of UNREADABLE if PostgreSQL cannot hold a value."""
        records = DecodedPart([], [], [], [], frozenset())
        async for part in parts:
            await self._write(part)
            records = records.join(part.records)
        # A later part may have written a listing with the same ticker.
        new_tickers = without(self._new_tickers, self._tickers)
        return PartsResult(records, self._changed, frozenset(self._tickers), new_tickers)

    async def _write(self, part: Part) -> None:
        await self._upsert(part.encoded, any_new=part.any_new, renamed=part.renamed)
        if part.new is None:
            return
        copied = await copy_listings(
            self._connection,
            self._source.name,
            self._source.kind,
            part.new,
            run_id=self._run_id,
            fetched_at=self._fetched_at,
            body=await self._body.arrive(),
            oldest=self._oldest,
        )
        if copied is None:  # a rebuild has written one of these since the page was decoded
            count = len(part.new.rows)
            new, sent = part.records.listings[-count:], part.records.sent[-count:]
            await self._upsert(_encode(new, sent), any_new=True)
            return
        self._changed += len(part.new.rows)
        self._tickers |= copied.tickers
        self._new_tickers |= copied.new_tickers

    async def _upsert(
        self,
        listings: EncodedListings,
        *,
        any_new: bool,
        renamed: frozenset[str] = frozenset(),
    ) -> None:
        if not listings.payloads:
            return
        result = await write_listings(
            self._connection,
            self._source.name,
            self._source.kind,
            listings,
            run_id=self._run_id,
            fetched_at=self._fetched_at,
            body=await self._body.arrive(),
            oldest=self._oldest,
            any_new=any_new,
            renamed=renamed,
        )
        self._changed += result.changed
        self._tickers |= result.tickers
