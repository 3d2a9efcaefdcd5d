"""One page into the database: decode what changed, write it, merge its tickers, tell the world; one transaction."""

import datetime
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from typing import Self

import anyio.lowlevel
import msgspec
import structlog

from db.coins import merge_coins
from db.events import add_coins_event, add_run_event, notify_events
from db.history import PastPrice, backfill_prices, record_prices
from db.listings import (
    UNREADABLE,
    EncodedListings,
    KnownListing,
    ListingsWritten,
    encode_listings,
    known_listings,
    readable_payload,
    revive,
    write_listings,
)
from db.locks import take_write_lock
from db.notes import Note, add_notes, gathered
from db.rejections import add_rejections
from db.runs import advance_run
from db.source_files import forget_files, save_file_part
from db.types import Connection
from ingestor.ahead import ahead
from ingestor.code import digest
from ingestor.records import Listing, Page, Record, RecordError, Rejection, Source
from ingestor.sweep import advance_sweep

_log = structlog.stdlib.get_logger(__name__)

_AT_ONCE = 25
"""Records that are decoded before others have their turn: what PostgreSQL is sent meanwhile goes out turn by turn."""
_PART = 2_500
"""Records that go to PostgreSQL in one statement; it writes them while the next ones are decoded."""


class Decoded(msgspec.Struct, frozen=True):
    """Records told apart: listings of records that changed, rejections, external ids that did not change.

    `left` are the tickers that listings have left for another: their source renamed the symbol. `any_new` tells whether
    some record is of a listing that was not known.
    """

    listings: list[Listing]
    rejections: list[Rejection]
    unchanged: list[str]
    left: frozenset[str]
    any_new: bool

    def joined(self, after: Self) -> "Decoded":
        """Return these records and those after them as one."""
        return Decoded(
            self.listings + after.listings,
            self.rejections + after.rejections,
            self.unchanged + after.unchanged,
            self.left | after.left,
            any_new=self.any_new or after.any_new,
        )


class _Writing(msgspec.Struct, frozen=True):
    """What a page is written for: its run, the present, where history begins, whether any sweep is believed."""

    run_id: int
    now: datetime.datetime
    oldest: datetime.datetime
    believe: bool


Part = tuple[Decoded, EncodedListings]
"""Some of a page's records, and their listings ready to be written."""


async def write_page(
    connection: Connection,
    source: Source,
    run_id: int,
    page: Page,
    *,
    now: datetime.datetime,
    oldest: datetime.datetime,
    believe: bool = False,
    parts: Sequence[Part] | None = None,
) -> str | None:
    """Write everything that `page` says, or nothing; what was observed before `oldest` is no history.

    Returns a sentence where the page ends a sweep that lacks so much that no listing was ended; `believe` ends them.
    `parts` is the page decoded already, where no page was written since that holds one of its records.
    `connection` holds the source's lock, so nobody else writes this source's listings. Raises RunTakenOverError.
    """
    writing = _Writing(run_id, now, oldest, believe)
    try:
        if parts is None:
            async with ahead(_decode(source, page, await _known(connection, source, page))) as reading:
                return await _write(connection, source, page, reading, writing)
        return await _write(connection, source, page, _each(parts), writing)
    except UNREADABLE:
        # The page holds a value that PostgreSQL cannot: find it, keep its bytes, and do not let it cost the others.
        if parts is None:
            parts = await decode_page(connection, source, page)
        parts = [await _without_unreadable(connection, part) for part in parts]
        return await _write(connection, source, page, _each(parts), writing)


async def decode_page(connection: Connection, source: Source, page: Page) -> list[Part]:
    """Decode the records that `page` changes, of what is committed now. Other tasks go on meanwhile."""
    return [part async for part in _decode(source, page, await _known(connection, source, page))]


async def _known(connection: Connection, source: Source, page: Page) -> dict[str, KnownListing]:
    return await known_listings(connection, source.name, {record.external_id for record in page.records})


async def _each(parts: Sequence[Part]) -> AsyncGenerator[Part, None]:
    for part in parts:
        yield part


async def _decode(source: Source, page: Page, known: Mapping[str, KnownListing]) -> AsyncGenerator[Part, None]:
    """Yield the records as they change what is known, the page's rejections with the first; one part at least."""
    rejections = list(page.rejections)
    # Which of two records of one listing counts is for one statement to say.
    several = len({record.external_id for record in page.records}) < len(page.records)
    size = max(1, len(page.records)) if several else _PART
    for start in range(0, max(1, len(page.records)), size):
        records: list[Record] = []
        listings, unchanged, left, any_new = [], [], set(), False
        for number, record in enumerate(page.records[start : start + size]):
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            before = known.get(record.external_id)
            if before is not None and before.content_hash == record.content_hash:
                unchanged.append(record.external_id)
                continue
            try:
                listing = source.to_listing(record, page.fetched_at)
            except RecordError as error:
                rejections.append(Rejection(external_id=record.external_id, error=str(error), payload=record.raw))
                continue
            records.append(record)
            listings.append(listing)
            if before is None:
                any_new = True
            elif before.ticker != listing.ticker:
                left.add(before.ticker)
        encoded = encode_listings(listings, (record.raw for record in records))
        yield Decoded(listings, rejections, unchanged, frozenset(left), any_new), encoded
        rejections = []


async def _without_unreadable(connection: Connection, part: Part) -> Part:
    decoded, encoded = part
    listings, payloads, rejections = [], [], list(decoded.rejections)
    for listing, text in zip(decoded.listings, encoded.payloads, strict=True):
        payload = text.encode()
        error = await readable_payload(connection, listing, payload)
        if error is None:
            listings.append(listing)
            payloads.append(payload)
        else:
            rejections.append(Rejection(external_id=listing.external_id, error=error, payload=payload))
    readable = msgspec.structs.replace(decoded, listings=listings, rejections=rejections)
    return readable, encode_listings(listings, payloads)


async def _write(
    connection: Connection,
    source: Source,
    page: Page,
    parts: AsyncIterable[Part],
    writing: _Writing,
) -> str | None:
    now, run_id = writing.now, writing.run_id
    async with connection.transaction():
        await take_write_lock(connection)
        decoded, written = await _write_parts(connection, source, run_id, page.fetched_at, parts)
        changed, tickers = written.changed, written.tickers | decoded.left
        present = decoded.unchanged + [listing.external_id for listing in decoded.listings]
        tickers |= await revive(connection, source.name, present, page.fetched_at)
        await add_rejections(
            connection, run_id, source.name, now, [(r.external_id, r.error, r.payload) for r in decoded.rejections]
        )
        step = await advance_sweep(connection, source, page, decoded.listings, now, believe=writing.believe)
        tickers |= step.ended
        coins = await merge_coins(connection, tickers, now)
        await _record_history(connection, source, decoded, coins.repriced, writing.oldest)
        processed = len(page.records) + len(page.rejections)
        failed = len(decoded.rejections)
        await add_notes(connection, run_id, _notes(page, decoded))
        await _save_file(connection, source.name, page, decoded, now)
        await advance_run(
            connection,
            run_id,
            processed=processed,
            failed=failed,
            changed=changed,
            unchanged=processed - failed - changed,
        )
        await add_coins_event(connection, coins.changed, now)
        await add_run_event(connection, "run_progress", run_id, now)
        await notify_events(connection)
    await _log.ainfo(
        "page.written",
        source=source.name,
        run=run_id,
        group=page.group,
        page=page.number,
        records=processed,
        rejected=failed,
        changed=changed,
        coins=len(coins.changed),
    )
    return step.doubt


async def _write_parts(
    connection: Connection, source: Source, run_id: int, fetched_at: datetime.datetime, parts: AsyncIterable[Part]
) -> tuple[Decoded, ListingsWritten]:
    """Write the listings of a page part by part; return the whole page and what all of it did."""
    whole = Decoded([], [], [], frozenset(), any_new=False)
    changed, tickers = 0, frozenset[str]()
    async for part, encoded in parts:
        written = await write_listings(
            connection,
            source.name,
            source.kind,
            encoded,
            run_id=run_id,
            fetched_at=fetched_at,
            code=digest(type(source)),
            any_new=part.any_new,
        )
        changed += written.changed
        tickers |= written.tickers
        whole = whole.joined(part)
    return whole, ListingsWritten(changed, tickers)


async def _record_history(
    connection: Connection,
    source: Source,
    decoded: Decoded,
    repriced: Mapping[str, datetime.datetime],
    oldest: datetime.datetime,
) -> None:
    """Add the new prices to the coins' history; a file's rows are history themselves, each at its own time."""
    await record_prices(connection, repriced, oldest)
    if source.kind == "file":
        past = [
            PastPrice(
                external_id=listing.external_id,
                at=listing.observed_at,
                price_usd=listing.price_usd,
                market_cap_usd=listing.market_cap_usd,
                volume_24h_usd=listing.volume_24h_usd,
            )
            for listing in decoded.listings
            # What the coins have just taken on is recorded already.
            if listing.price_usd is not None and listing.observed_at != repriced.get(listing.ticker)
        ]
        if past:
            await backfill_prices(connection, source.name, past, oldest)


async def _save_file(connection: Connection, source: str, page: Page, decoded: Decoded, now: datetime.datetime) -> None:
    """Add a page to the report of its file, and forget the reports of files that have gone."""
    if page.file is not None:
        notes = [note for listing in decoded.listings for note in listing.notes]
        await save_file_part(connection, source, page.file, rejected=len(decoded.rejections), notes=notes, now=now)
    if page.sweep_groups is not None:
        await forget_files(connection, source, page.sweep_groups)


def _notes(page: Page, decoded: Decoded) -> list[Note]:
    """Return what a page has to tell: of its body, and of records whose side figures could not be read."""
    return gathered([*page.notes, *(note for listing in decoded.listings for note in listing.notes)])
