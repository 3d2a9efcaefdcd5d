"""Payloads from the raw tables through `to_listing` into the scratch tables: read, decoded and written side by side."""

import datetime
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from db.connect.types import Connection
from db.reprocess.job import Job, Progress, complete, set_total
from db.reprocess.payloads import (
    PayloadPosition,
    PayloadRange,
    StoredPayload,
    count_payloads,
    position_of,
    read_payloads,
)
from db.reprocess.staging import stage
from db.write.listings import UNREADABLE, readable_payload
from ingestor.reprocess.decode import (
    ReprocessedPart,
    decode_into,
    keep_greatest,
    slices,
    unreadable,
)
from ingestor.sources.records import Source

BATCH = 5_000
"""Payloads a transaction: some 4 MB, a fifth of a second."""

Advanced = Callable[[str, int], Awaitable[None]]
"""What is told of each batch: the source, and how many payloads it held."""


class PayloadReader:
    """Reads on one connection, writes on another.

    Who writes decides about transactions: ours nest in the caller's.
    """

    def __init__(
        self, reader: Connection, writer: Connection, job: Job, advanced: Advanced
    ) -> None:
        self._reader, self._writer, self._job, self._advanced = reader, writer, job, advanced

    async def read(self, source: Source, progress: Progress) -> None:
        """Stage every payload of `source` that had arrived when the job began, from where an earlier reading ended."""
        behind = await position_of(self._writer, source.name)
        await self._stream(
            source, progress, PayloadRange(self._job.beginning, progress.read_to), behind
        )
        await complete(self._writer, source.name, progress.read_to)

    async def count(self, source: Source, progress: Progress) -> int:
        """Return how many payloads that is."""
        span = PayloadRange(self._job.beginning, progress.read_to)
        total = await count_payloads(
            self._writer, source.name, source.kind, span, rebuilt=progress.rebuilt
        )
        await set_total(self._writer, source.name, total)
        return total

    async def catch_up(self, source: Source, progress: Progress, to: datetime.datetime) -> int:
        """Stage the payloads that have arrived since, up to `to`; return how many."""
        if to <= progress.read_to:
            return 0
        count = await self._stream(
            source,
            progress,
            PayloadRange(self._job.beginning, to, after=progress.read_to),
            PayloadPosition(),
        )
        await complete(self._writer, source.name, to)
        return count

    async def _stream(
        self, source: Source, progress: Progress, span: PayloadRange, behind: PayloadPosition
    ) -> int:
        count = 0
        read_send, read_receive = anyio.create_memory_object_stream[list[StoredPayload]](1)
        decoded_send, decoded_receive = anyio.create_memory_object_stream[ReprocessedPart](1)

        async def read() -> None:
            position = behind
            async with read_send:
                while True:
                    payloads = await read_payloads(
                        self._reader,
                        source.name,
                        source.kind,
                        span,
                        behind=position,
                        rebuilt=progress.rebuilt,
                        limit=BATCH,
                    )
                    if not payloads:
                        return
                    last = payloads[-1]
                    position = PayloadPosition(
                        last.external_id, last.ingested_at, last.content_hash
                    )
                    await read_send.send(payloads)

        # The group within the stream: whoever stops us stops the others before the stream closes
        # under them.
        async with decoded_receive, anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(_decode, source, read_receive, decoded_send)
            async for decoded in decoded_receive:
                await self.keep(source, decoded, rebuilt=progress.rebuilt)
                count += len(decoded.versions)
                await self._advanced(source.name, len(decoded.versions))
        return count

    async def keep(self, source: Source, decoded: ReprocessedPart, *, rebuilt: bool) -> None:
        """Stage a batch and count it, in one transaction."""
        try:
            await self._keep(source, decoded, rebuilt=rebuilt)
        except UNREADABLE:
            # Read by new rules, a payload can hold a value that PostgreSQL cannot.
            await self._keep(
                source, await self._without_unreadable(source, decoded), rebuilt=rebuilt
            )

    async def _keep(self, source: Source, decoded: ReprocessedPart, *, rebuilt: bool) -> None:
        async with self._writer.transaction():
            await stage(
                self._writer,
                source.name,
                decoded.versions,
                list(decoded.listings.values()) if rebuilt else [],
            )

    async def _without_unreadable(
        self, source: Source, decoded: ReprocessedPart
    ) -> ReprocessedPart:
        sound = ReprocessedPart(decoded.payloads, [], {})
        for payload in decoded.payloads:
            one = ReprocessedPart([payload], [], {})
            decode_into(one, source, [payload])
            for fetched_at, listing in one.listings.values():
                error = await readable_payload(self._writer, listing, payload.raw)
                if error is None:
                    keep_greatest(sound.listings, fetched_at, listing)
                else:
                    one.versions[:] = [unreadable(payload, error)]
            sound.versions.extend(one.versions)
        return sound


async def _decode(
    source: Source,
    receive: ObjectReceiveStream[list[StoredPayload]],
    send: ObjectSendStream[ReprocessedPart],
) -> None:
    async with receive, send:
        async for payloads in receive:
            decoded = ReprocessedPart(payloads, [], {})
            for part in slices(payloads):
                decode_into(decoded, source, part)
                await anyio.lowlevel.checkpoint()
            await send.send(decoded)
