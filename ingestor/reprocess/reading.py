"""Pass payloads through `to_listing` into the scratch tables: read, decode, write at once."""

import datetime
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from db.connect.types import Connection
from db.reprocess.job import Job, Progress, complete, set_total
from db.reprocess.payloads import (
    LastBody,
    PayloadBatch,
    PayloadRange,
    batches,
    count_payloads,
    find_bodies,
    position_of,
    read_expired,
    read_payloads,
)
from db.reprocess.staging import stage
from db.write.listings import UNREADABLE, readable_payload
from ingestor.reprocess.decode import (
    ReprocessedPart,
    decode_into,
    keep_newest,
    slices,
    unreadable,
)
from ingestor.sources.records import Source

BATCH = 5_000
"""Payloads a transaction: some 4 MB, a fifth of a second."""

OnBatch = Callable[[str, int], Awaitable[None]]
"""Called after each batch with the source and its number of payloads."""


class PayloadReader:
    """Reads on one connection and writes on another.

    The transactions of the writes nest in the caller's.
    """

    def __init__(self, reader: Connection, writer: Connection, job: Job, on_batch: OnBatch) -> None:
        self._reader, self._writer, self._job, self._on_batch = reader, writer, job, on_batch

    async def read(self, source: Source, progress: Progress) -> None:
        """Stage the payloads of `source` that arrived before the job started."""
        start = await position_of(self._writer, source.name)
        span = PayloadRange(self._job.beginning, progress.read_to)
        await self._stream(source, span, start, with_expired=start is None)
        await complete(self._writer, source.name, progress.read_to)

    async def count(self, source: Source, progress: Progress) -> int:
        """Save and return how many payloads `read` has to read."""
        span = PayloadRange(self._job.beginning, progress.read_to)
        total = await count_payloads(self._writer, source.name, source.kind, span)
        await set_total(self._writer, source.name, total)
        return total

    async def catch_up(self, source: Source, progress: Progress, to: datetime.datetime) -> int:
        """Stage the payloads that have arrived since, up to `to`; return how many."""
        if to <= progress.read_to:
            return 0
        count = await self._stream(
            source,
            PayloadRange(self._job.beginning, to, after=progress.read_to),
            None,
        )
        await complete(self._writer, source.name, to)
        return count

    async def _stream(
        self,
        source: Source,
        span: PayloadRange,
        start: LastBody | None,
        *,
        with_expired: bool = False,
    ) -> int:
        count = 0
        read_send, read_receive = anyio.create_memory_object_stream[PayloadBatch](1)
        decoded_send, decoded_receive = anyio.create_memory_object_stream[ReprocessedPart](1)

        async def read() -> None:
            async with read_send:
                after = ""
                while with_expired and (
                    expired := await read_expired(
                        self._reader, source.name, source.kind, span, after=after, limit=BATCH
                    )
                ):
                    after = expired[-1].external_id
                    await read_send.send(PayloadBatch(expired, None))
                found = await find_bodies(self._reader, source.name, span, start)
                for bodies in batches(found, BATCH):
                    last = LastBody(bodies[-1].arrived_at, bodies[-1].id)
                    payloads = await read_payloads(self._reader, bodies)
                    while len(payloads) > BATCH:
                        await read_send.send(PayloadBatch(payloads[:BATCH], None))
                        del payloads[:BATCH]
                    await read_send.send(PayloadBatch(payloads, last))

        # The task group is inside: the other tasks stop before the stream closes.
        async with decoded_receive, anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(_decode, source, read_receive, decoded_send)
            async for part in decoded_receive:
                await self.keep(source, part)
                count += len(part.versions)
                await self._on_batch(source.name, len(part.versions))
        return count

    async def keep(self, source: Source, part: ReprocessedPart) -> None:
        """Stage a batch and count it, in one transaction."""
        try:
            await self._keep(source, part)
        except UNREADABLE:
            # New rules may decode a value that PostgreSQL cannot store.
            await self._keep(source, await self._without_unreadable(source, part))

    async def _keep(self, source: Source, part: ReprocessedPart) -> None:
        async with self._writer.transaction():
            await stage(
                self._writer,
                source.name,
                part.versions,
                list(part.listings.values()),
                part.position,
            )

    async def _without_unreadable(self, source: Source, part: ReprocessedPart) -> ReprocessedPart:
        readable = ReprocessedPart(part.payloads, [], {}, part.position)
        for payload in part.payloads:
            one = ReprocessedPart([payload], [], {})
            decode_into(one, source, [payload])
            for staged in one.listings.values():
                error = await readable_payload(self._writer, staged.listing, payload.raw)
                if error is None:
                    keep_newest(readable.listings, staged)
                else:
                    one.versions[:] = [unreadable(payload, error)]
            readable.versions.extend(one.versions)
        return readable


async def _decode(
    source: Source,
    receive: ObjectReceiveStream[PayloadBatch],
    send: ObjectSendStream[ReprocessedPart],
) -> None:
    async with receive, send:
        async for batch in receive:
            part = ReprocessedPart(batch.payloads, [], {}, batch.position)
            for few in slices(batch.payloads):
                decode_into(part, source, few)
                await anyio.lowlevel.checkpoint()
            await send.send(part)
