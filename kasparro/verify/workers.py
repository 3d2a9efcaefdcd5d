"""Worker processes that decode payloads: it is most of the work, and Python uses one core."""

import asyncio
import datetime
from collections import Counter
from typing import NamedTuple

import anyio.to_process
import msgspec

from common.settings import Settings
from db.connect.pool import create_pool
from db.reprocess.payloads import PayloadRange
from ingestor.run.startup import close_sources
from ingestor.sources import create_sources
from kasparro.verify.history import (
    CONNECTIONS,
    HistoryContext,
    HistoryTallies,
    VerifyBounds,
)
from kasparro.verify.payload_pass import PayloadPass


class PayloadTask(NamedTuple):
    """What a worker process needs to check the payloads of one source and period."""

    dsn: str
    settings: Settings
    source: str
    bounds: VerifyBounds
    span: PayloadRange
    limit: int


class PayloadsChecked(NamedTuple):
    """What a worker found: its tallies, and how many points of each fetch it explains."""

    tallies: HistoryTallies
    explained: Counter[datetime.datetime]


class DecodingProcesses(msgspec.Struct, frozen=True):
    """The number of worker processes, and what they start from."""

    count: int
    dsn: str
    settings: Settings

    async def check(
        self, source: str, bounds: VerifyBounds, span: PayloadRange, limit: int
    ) -> PayloadsChecked:
        """Check the payloads of a source and period in a process of its own.

        The process ends if the caller is cancelled.
        """
        task = PayloadTask(self.dsn, self.settings, source, bounds, span, limit)
        return await anyio.to_process.run_sync(run_task, task, cancellable=True)


def run_task(task: PayloadTask) -> PayloadsChecked:
    """Check the payloads of a task; this is what a worker process runs."""
    return asyncio.run(_run(task))


async def _run(task: PayloadTask) -> PayloadsChecked:
    sources = create_sources(task.settings)
    try:
        [source] = [one for one in sources if one.name == task.source]
        async with await create_pool(
            task.dsn, application_name="kasparro verify", max_size=CONNECTIONS
        ) as pool:
            tallies = HistoryTallies(task.limit)
            context = HistoryContext(pool, source, task.bounds, tallies, lambda *_: None)
            payloads = PayloadPass(context, task.span)
            await payloads.run()
            return PayloadsChecked(tallies, payloads.explained)
    finally:
        await close_sources(sources)
