"""Write a rebuild in one transaction: readers see the old state or the new one.

Most of the history is written before the write lock is taken, which is held from where pages could
interfere.
"""

import datetime
from collections.abc import Mapping, Sequence

import msgspec

from db.connect.types import Connection
from db.reprocess.changes import Change, merge_changes
from db.reprocess.job import Job, Progress, newest_arrival, read_by_other_code, save_readers
from db.reprocess.listings import (
    compare_coins,
    rewrite_listings,
    rewrite_tickers,
    save_coins,
    tickers_to_merge,
)
from db.reprocess.newest import restore_payloads
from db.reprocess.payloads import StoredPayload, StoredRejection, read_rejected
from db.reprocess.points import HistoryBounds, listings_of_history, listings_since
from db.reprocess.rejections import settle_rejections
from db.reprocess.staging import analyze
from db.schema.partitions import Retention
from db.write.coins import merge_coins
from db.write.listings import readable_payload
from db.write.transaction import Outbox
from ingestor.reprocess.decode import ReprocessedPart, decode_into, keep_newest
from ingestor.reprocess.history import HistoryRebuild
from ingestor.reprocess.reading import PayloadReader
from ingestor.run.code_digest import digest
from ingestor.sources.records import Source, content_hash


class ListingReplacement(msgspec.Struct, frozen=True):
    """The inputs of placing a rebuild; `sources` are rebuilt, a dry run has no `run_ids`.

    With `full`, the whole history of the sources is compared, whatever code has read it.
    """

    outbox: Outbox
    job: Job
    sources: Sequence[Source]
    progress: Mapping[str, Progress]
    retention: Retention
    run_ids: Mapping[str, int]
    full: bool = False

    @property
    def connection(self) -> Connection:
        """The connection of the transaction that writes the rebuild."""
        return self.outbox.connection

    async def place(self, reading: PayloadReader, now: datetime.datetime) -> list[Change]:
        """Write all differences and return them, counted.

        The caller's transaction contains them, and holds the write lock afterwards.
        """
        await self._retry_rejected(reading)
        await analyze(self.connection)
        covered_from = max(self.retention.oldest_raw(self.job.started_at), self.job.beginning)
        history = HistoryRebuild(
            self.connection,
            HistoryBounds(covered_from, self.retention.oldest_history(now)),
            now,
            all_candles=self.full,
        )
        seen_to = max(progress.read_to for progress in self.progress.values())
        await history.compute(await self._changed_listings())
        await history.place_and_lock()
        await self._catch_up(reading)
        changes = await rewrite_listings(self.connection, now)
        for source in self.sources:
            changes += await settle_rejections(
                self.connection, source.name, source.kind, self.run_ids.get(source.name), now
            )
            await restore_payloads(self.connection, source.name, source.kind)
        bridged = await rewrite_tickers(self.connection)
        tickers = sorted(bridged.union(await tickers_to_merge(self.connection)))
        await save_coins(self.connection, tickers)
        changed = await merge_coins(self.connection, tickers, now)
        changes += await compare_coins(self.connection)
        # What arrived meanwhile, and listings that are new, or differ though the same code read.
        late = {*await listings_since(self.connection, seen_to)}
        late |= {*await self._changed_listings()} - history.seen
        await history.compute(sorted(late))
        await history.place()
        changes += await history.finish()
        await save_readers(self.connection, self._codes(), self.job.beginning)
        await self.outbox.add_coins(changed, now)
        return merge_changes(changes)

    async def _catch_up(self, reading: PayloadReader) -> None:
        to = await newest_arrival(self.connection)
        for source in self.sources:
            await reading.catch_up(source, self.progress[source.name], to)

    async def _changed_listings(self) -> list[int]:
        if self.full:
            others = [source.name for source in self.sources]
        else:
            others = await read_by_other_code(self.connection, self._codes())
        return await listings_of_history(self.connection, others)

    async def _retry_rejected(self, reading: PayloadReader) -> None:
        """Stage the rejected records that are readable now."""
        for source in self.sources:
            readable = ReprocessedPart([], [], {})
            for record in await read_rejected(self.connection, source.name, self.job.beginning):
                await self._retry(source, record, readable)
            if readable.versions:
                await reading.keep(source, readable)

    async def _retry(
        self, source: Source, record: StoredRejection, readable: ReprocessedPart
    ) -> None:
        payload_hash = content_hash(record.payload)
        payload = StoredPayload(
            record.external_id,
            record.arrived_at,
            payload_hash,
            record.fetched_at,
            record.payload,
            record.id,
            record.place,
        )
        one = ReprocessedPart([payload], [], {})
        decode_into(one, source, [payload])
        for staged in one.listings.values():
            if await readable_payload(self.connection, staged.listing, payload.raw) is None:
                readable.payloads.append(payload)
                readable.versions.extend(one.versions)
                keep_newest(readable.listings, staged)

    def _codes(self) -> dict[str, bytes]:
        return {source.name: digest(type(source)) for source in self.sources}
