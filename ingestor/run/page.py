"""Write one page in one transaction: its listings, coins, history, sweep, counts and events."""

import datetime
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

import structlog

from db.connect.types import Connection
from db.notes import Note, add_notes, merge_notes
from db.source_files import forget_files, save_file_part
from db.write.coins import merge_coins
from db.write.identity.bridges import bridge_arrivals
from db.write.listings import UNREADABLE, KnownListing, known_listings
from db.write.missing_listings import revive_listings
from db.write.new_listings import add_coins, without
from db.write.raw.rejections import RejectedRecord, add_rejections
from db.write.runs import advance_run
from db.write.transaction import Outbox, write_transaction
from ingestor.registry.listings import write_listing_addresses
from ingestor.run.body import BodyWriter, with_body
from ingestor.run.parts import (
    DecodedPart,
    Part,
    PartsResult,
    PartsWriter,
    decode_parts,
    without_unreadable,
)
from ingestor.run.prefetch import prefetch
from ingestor.run.sweep import SweepStep, advance_sweep
from ingestor.sources.records import Page, Rejection, Source

_log = structlog.stdlib.get_logger(__name__)


class PageWriter:
    """Writes one page of a run.

    `connection` holds the source's lock, so no other program writes this source's listings.
    `oldest` is the start of the history. With `accept_missing`, a complete sweep always ends the
    listings that it misses.
    """

    def __init__(
        self,
        connection: Connection,
        source: Source,
        run_id: int,
        page: Page,
        *,
        now: datetime.datetime,
        oldest: datetime.datetime,
        accept_missing: bool = False,
    ) -> None:
        self._connection, self._source, self._run_id = connection, source, run_id
        self._page, self._now, self._oldest, self._accept_missing = (
            with_body(page),
            now,
            oldest,
            accept_missing,
        )
        self._body = BodyWriter(connection, source, run_id, self._page)

    async def write(self, parts: Sequence[Part] | None = None) -> str | None:
        """Write all of the page, or nothing.

        `parts` is the decoded page, if no page with one of its records was written since. Returns
        a sentence if the page ends a sweep that misses so much that no listing was ended. Raises
        RunTakenOverError.
        """
        try:
            if parts is None:
                decoding = decode_parts(self._source, self._page, await self._known())
                async with prefetch(decoding) as stream:
                    return await self._write(stream)
            return await self._write(_iterate(parts))
        except UNREADABLE:
            # PostgreSQL cannot hold a value of the page: reject that record, write the others.
            if parts is None:
                parts = await decode_page(self._connection, self._source, self._page)
            parts = [await without_unreadable(self._connection, part) for part in parts]
            self._body = self._body.again()
            return await self._write(_iterate(parts))

    async def _known(self) -> dict[str, KnownListing]:
        return await _known_listings(self._connection, self._source, self._page)

    async def _write(self, parts: AsyncIterable[Part]) -> str | None:
        async with write_transaction(self._connection) as outbox:
            writer = PartsWriter(
                self._connection,
                self._source,
                self._run_id,
                self._page.fetched_at,
                body=self._body,
                oldest=self._oldest,
            )
            result = await writer.write(parts)
            tickers = await self._write_presence(result)
            if result.changed or result.records.rejections:
                await self._body.add(result.records.sent)
            tickers |= await write_listing_addresses(
                self._connection, self._source.name, result.records.listings, self._now
            )
            step = await self._advance_sweep(result.records)
            coins = await self._write_coins(result, tickers | step.ended_tickers)
            await self._write_report(result)
            await self._add_events(outbox, coins)
        await _log.ainfo(
            "page.written",
            source=self._source.name,
            run=self._run_id,
            group=self._page.group,
            page=self._page.number,
            records=self._record_count(),
            rejected=len(result.records.rejections),
            changed=result.changed,
            coins=len(coins),
        )
        return step.doubt

    async def _write_presence(self, result: PartsResult) -> frozenset[str]:
        """Revive the listings of the page, store its rejections; return the tickers to merge."""
        records = result.records
        present = records.unchanged + [listing.external_id for listing in records.listings]
        revived = await revive_listings(
            self._connection, self._source.name, present, self._page.fetched_at
        )
        await self._add_rejections(records.rejections)
        bridged = await bridge_arrivals(self._connection, self._source.name, records.arrivals)
        return result.tickers | records.former_tickers | revived | bridged

    async def _add_rejections(self, rejections: Sequence[Rejection]) -> None:
        if rejections:
            body = (await self._body.arrive()).id
            await add_rejections(
                self._connection,
                self._run_id,
                self._source.name,
                self._now,
                [
                    RejectedRecord(r.external_id, r.error, r.payload, body, r.offset, r.length)
                    for r in rejections
                ],
            )

    async def _advance_sweep(self, records: DecodedPart) -> SweepStep:
        return await advance_sweep(
            self._connection,
            self._source,
            self._page,
            records.listings,
            self._now,
            accept_missing=self._accept_missing,
        )

    async def _write_coins(self, result: PartsResult, tickers: frozenset[str]) -> list[str]:
        """Merge the coins of the page; return the tickers of those that changed."""
        new_coins = without(result.new_tickers, tickers)
        if not await add_coins(self._connection, new_coins, self._now):
            tickers, new_coins = tickers | new_coins.keys(), {}
        changed = await merge_coins(self._connection, tickers, self._now)
        return sorted([*changed, *new_coins])

    async def _write_report(self, result: PartsResult) -> None:
        """Write the notes, the report of the file and the counts of the run."""
        records = result.records
        notes = _notes(self._page, records, self._oldest)
        await add_notes(self._connection, self._run_id, notes)
        await self._save_file(records)
        processed, failed = self._record_count(), len(records.rejections)
        await advance_run(
            self._connection,
            self._run_id,
            processed=processed,
            failed=failed,
            changed=result.changed,
            unchanged=processed - failed - result.changed,
        )

    async def _save_file(self, records: DecodedPart) -> None:
        """Add the page to the report of its file; delete the reports of files that have gone."""
        if self._page.file is not None:
            await save_file_part(
                self._connection,
                self._source.name,
                self._page.file,
                rejected=len(records.rejections),
                notes=[note for listing in records.listings for note in listing.notes],
                now=self._now,
            )
        if self._page.sweep_groups is not None:
            await forget_files(self._connection, self._source.name, self._page.sweep_groups)

    async def _add_events(self, outbox: Outbox, coins: Sequence[str]) -> None:
        await outbox.add_coins(coins, self._now)
        await outbox.add_run("run_progress", self._run_id, self._now)

    def _record_count(self) -> int:
        return len(self._page.records) + len(self._page.rejections)


async def decode_page(connection: Connection, source: Source, page: Page) -> list[Part]:
    """Decode the records of `page` that differ from the committed listings.

    Other tasks run meanwhile.
    """
    page = with_body(page)
    known = await _known_listings(connection, source, page)
    return [part async for part in decode_parts(source, page, known)]


async def _known_listings(
    connection: Connection, source: Source, page: Page
) -> dict[str, KnownListing]:
    return await known_listings(
        connection, source.name, {record.external_id for record in page.records}
    )


async def _iterate(parts: Sequence[Part]) -> AsyncGenerator[Part, None]:
    for part in parts:
        yield part


def _retention_note(oldest: datetime.datetime, count: int) -> Note:
    text = (
        f"Prices from before {oldest:%Y-%m-%d %H:%M} UTC, "
        "which history does not keep (HISTORY_RETENTION_DAYS)"
    )
    return Note("retention", text, count)


def _notes(page: Page, records: DecodedPart, oldest: datetime.datetime) -> list[Note]:
    """Return the notes on the page's body, on partly unreadable records, and on old prices."""
    side = (note for listing in records.listings for note in listing.notes)
    too_old = sum(
        listing.price_usd is not None and listing.observed_at < oldest
        for listing in records.listings
    )
    return merge_notes([*page.notes, *side, *([_retention_note(oldest, too_old)] * bool(too_old))])
