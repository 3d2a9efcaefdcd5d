"""The rebuild put in place: one transaction, under the write lock, so that readers see the old state or the new one."""

import datetime
from collections.abc import Mapping, Sequence

import msgspec

from db.coins import merge_coins
from db.events import add_coins_event
from db.listings import readable_payload
from db.locks import take_write_lock
from db.partitions import Retention
from db.reprocess import Job, Payload, Progress, Rejected, analyze, read_rejected
from db.reprocess_changes import Change
from db.reprocess_history import rebuild_candles, rebuild_points
from db.reprocess_listings import (
    compare_coins,
    remember_coins,
    rewrite_listings,
    settle_rejections,
    tickers_to_merge,
)
from db.types import Connection
from ingestor.records import Source, content_hash
from ingestor.reprocess.decode import Decoded, decode_into, keep_greatest
from ingestor.reprocess.reading import Reading


class Placing(msgspec.Struct, frozen=True):
    """What is needed to put a rebuild in place; `run_ids` is empty where nothing is to stay."""

    connection: Connection
    job: Job
    sources: Sequence[Source]
    progress: Mapping[str, Progress]
    retention: Retention
    run_ids: Mapping[str, int]

    async def retry_rejected(self, reading: Reading) -> None:
        """Stage the rejected records that can be read now; the others stay what they are."""
        for source in self._rebuilt():
            readable = Decoded([], [], {})
            for record in await read_rejected(self.connection, source.name, self.job.since):
                await self._retry(source, record, readable)
            if readable.versions:
                await reading.keep(source, readable, rebuilt=True)

    async def _retry(self, source: Source, record: Rejected, readable: Decoded) -> None:
        digest = content_hash(record.payload)
        payload = Payload(record.external_id, record.rejected_at, digest, record.payload, record.id)
        one = Decoded([payload], [], {})
        decode_into(one, source, [payload])
        for arrived_at, listing in one.listings.values():
            if await readable_payload(self.connection, listing) is None:
                readable.payloads.append(payload)
                readable.versions.extend(one.versions)
                keep_greatest(readable.listings, arrived_at, listing)

    async def place(self, reading: Reading, now: datetime.datetime) -> list[Change]:
        """Catch up with the last payloads, then rewrite whatever differs. The caller's transaction holds it all."""
        await self.retry_rejected(reading)
        await take_write_lock(self.connection)
        for source in self.sources:
            await reading.catch_up(source, self.progress[source.name])
        await analyze(self.connection)
        changes = await rewrite_listings(self.connection, now)
        for source in self._rebuilt():
            changes += await settle_rejections(
                self.connection, source.name, source.kind, self.run_ids.get(source.name), now
            )
        tickers = await tickers_to_merge(self.connection)
        await remember_coins(self.connection, tickers)
        merged = await merge_coins(self.connection, tickers, now)
        changes += await compare_coins(self.connection)
        covered_from = self.retention.oldest_raw(self.job.started_at)
        changes += await rebuild_points(
            self.connection,
            tickers,
            covered_from=max(covered_from, self.job.since or covered_from),
            oldest=self.retention.oldest_history(now),
        )
        changes += await rebuild_candles(self.connection, tickers)
        await add_coins_event(self.connection, merged.changed, now)
        return changes

    def _rebuilt(self) -> list[Source]:
        return [source for source in self.sources if self.progress[source.name].rebuilt]
