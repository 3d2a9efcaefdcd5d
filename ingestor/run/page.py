"""One page into the database: decode what changed, write it, merge its tickers, tell the world; one transaction."""

import datetime
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence

import msgspec
import structlog

from db.connect.locks import take_write_lock
from db.connect.types import Connection
from db.events import add_coins_event, add_run_event, notify_events
from db.notes import Note, add_notes, gathered
from db.source_files import forget_files, save_file_part
from db.write.coins import merge_coins
from db.write.history import PastPrice, backfill_prices, record_prices
from db.write.listings import UNREADABLE, KnownListing, known_listings, revive
from db.write.new_listings import add_coins, without
from db.write.rejections import add_rejections
from db.write.runs import advance_run
from ingestor.run.parts import DecodedPart, Part, decode_parts, without_unreadable, write_parts
from ingestor.run.prefetch import ahead
from ingestor.run.sweep import advance_sweep
from ingestor.sources.records import Page, Source

_log = structlog.stdlib.get_logger(__name__)


class _WriteContext(msgspec.Struct, frozen=True):
    """What a page is written for: its run, the present, where history begins, whether any sweep is believed."""

    run_id: int
    now: datetime.datetime
    oldest: datetime.datetime
    believe: bool


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

    Returns a sentence where the page ends a sweep that lacks so much that no listing was ended;
    `believe` ends them. `parts` is the page decoded already, where no page was written since that
    holds one of its records. `connection` holds the source's lock, so nobody else writes this
    source's listings. Raises RunTakenOverError.
    """
    writing = _WriteContext(run_id, now, oldest, believe)
    try:
        if parts is None:
            async with ahead(
                decode_parts(source, page, await _known(connection, source, page))
            ) as reading:
                return await _write(connection, source, page, reading, writing)
        return await _write(connection, source, page, _each(parts), writing)
    except UNREADABLE:
        # The page holds a value that PostgreSQL cannot: find it, keep its bytes, and do not let it
        # cost the others.
        if parts is None:
            parts = await decode_page(connection, source, page)
        parts = [await without_unreadable(connection, part) for part in parts]
        return await _write(connection, source, page, _each(parts), writing)


async def decode_page(connection: Connection, source: Source, page: Page) -> list[Part]:
    """Decode the records that `page` changes, of what is committed now.

    Other tasks go on meanwhile.
    """
    return [
        part async for part in decode_parts(source, page, await _known(connection, source, page))
    ]


async def _known(connection: Connection, source: Source, page: Page) -> dict[str, KnownListing]:
    return await known_listings(
        connection, source.name, {record.external_id for record in page.records}
    )


async def _each(parts: Sequence[Part]) -> AsyncGenerator[Part, None]:
    for part in parts:
        yield part


async def _write(
    connection: Connection,
    source: Source,
    page: Page,
    parts: AsyncIterable[Part],
    writing: _WriteContext,
) -> str | None:
    now, run_id = writing.now, writing.run_id
    async with connection.transaction():
        await take_write_lock(connection)
        written = await write_parts(connection, source, run_id, page.fetched_at, parts)
        decoded, changed, tickers = (
            written.decoded,
            written.changed,
            written.tickers | written.decoded.left,
        )
        present = decoded.unchanged + [listing.external_id for listing in decoded.listings]
        tickers |= await revive(connection, source.name, present, page.fetched_at)
        await add_rejections(
            connection,
            run_id,
            source.name,
            now,
            [(r.external_id, r.error, r.payload) for r in decoded.rejections],
        )
        step = await advance_sweep(
            connection, source, page, decoded.listings, now, believe=writing.believe
        )
        tickers |= step.ended
        added = without(written.fresh, tickers)
        if not await add_coins(connection, added, now, writing.oldest):
            tickers, added = tickers | added.keys(), {}
        coins = await merge_coins(connection, tickers, now)
        await record_prices(connection, coins.repriced, writing.oldest)
        repriced = {**coins.repriced, **added}
        too_old = await _record_history(connection, source, decoded, repriced, writing.oldest)
        processed = len(page.records) + len(page.rejections)
        failed = len(decoded.rejections)
        await add_notes(connection, run_id, _notes(page, decoded, too_old))
        await _save_file(connection, source.name, page, decoded, now)
        await advance_run(
            connection,
            run_id,
            processed=processed,
            failed=failed,
            changed=changed,
            unchanged=processed - failed - changed,
        )
        changed_coins = sorted([*coins.changed, *added])
        await add_coins_event(connection, changed_coins, now)
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
        coins=len(changed_coins),
    )
    return step.doubt


async def _record_history(
    connection: Connection,
    source: Source,
    decoded: DecodedPart,
    repriced: Mapping[str, datetime.datetime],
    oldest: datetime.datetime,
) -> Note | None:
    """Add a file's rows to the coins' history: each is one of its own time.

    Returns a note on the rows of a file that are too old to be kept.
    """
    if source.kind != "file":
        return None
    priced = [
        (listing, price) for listing in decoded.listings if (price := listing.price_usd) is not None
    ]
    past = [
        PastPrice(
            external_id=listing.external_id,
            at=listing.observed_at,
            price_usd=price,
            market_cap_usd=listing.market_cap_usd,
            volume_24h_usd=listing.volume_24h_usd,
        )
        for listing, price in priced
        # What the coins have just taken on is recorded already.
        if listing.observed_at >= oldest and listing.observed_at != repriced.get(listing.ticker)
    ]
    if past:
        await backfill_prices(connection, source.name, past, oldest)
    too_old = sum(listing.observed_at < oldest for listing, _ in priced)
    if not too_old:
        return None
    text = f"Prices from before {oldest:%Y-%m-%d %H:%M} UTC, which history does not keep (HISTORY_RETENTION_DAYS)"
    return Note("retention", text, too_old)


async def _save_file(
    connection: Connection, source: str, page: Page, decoded: DecodedPart, now: datetime.datetime
) -> None:
    """Add a page to the report of its file, and forget the reports of files that have gone."""
    if page.file is not None:
        notes = [note for listing in decoded.listings for note in listing.notes]
        await save_file_part(
            connection, source, page.file, rejected=len(decoded.rejections), notes=notes, now=now
        )
    if page.sweep_groups is not None:
        await forget_files(connection, source, page.sweep_groups)


def _notes(page: Page, decoded: DecodedPart, too_old: Note | None) -> list[Note]:
    """Return what a page has to tell: of its body, of records in part unreadable, and of history that is too old."""
    side = (note for listing in decoded.listings for note in listing.notes)
    return gathered([*page.notes, *side, *([too_old] if too_old else [])])
