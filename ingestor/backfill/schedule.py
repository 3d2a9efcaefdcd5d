"""Backfill the largest coins once they are known, so that a demo begins with a history."""

from collections.abc import Sequence

import anyio
import structlog

from db.connect.pool import borrow, is_lost
from db.connect.types import Connection, Pool
from db.events import CHANNEL
from db.schema.partitions import Retention
from db.write.backfill import past_coins
from ingestor.backfill.job import (
    BackfillRefusedError,
    BudgetSpentError,
    NamedBackfills,
    backfill,
    exclusive_backfill,
    plan_backfill,
)
from ingestor.sources.errors import SourceError
from ingestor.sources.records import Source, SupportsBackfill

_log = structlog.stdlib.get_logger(__name__)

COINS = 100
WINDOWS_DAYS = (3, 1)
"""Providers return some days in steps of hours, and one day in steps of minutes."""


async def backfill_largest_coins(
    pool: Pool, sources: Sequence[Source], retention: Retention
) -> None:
    """Backfill the first COINS coins of the first source that can; stored answers stay."""
    source = next((source for source in sources if isinstance(source, SupportsBackfill)), None)
    if source is None:
        return
    async with borrow(pool) as connection:
        tickers = await _largest_coins(connection, source.name)
        try:
            async with exclusive_backfill(connection, source.name):
                for days in WINDOWS_DAYS:
                    await _fill(connection, source, days, tickers, retention)
        except (SourceError, BudgetSpentError, BackfillRefusedError) as error:
            await _log.awarning("backfill.failed", source=source.name, reason=str(error))


async def _largest_coins(connection: Connection, source: str) -> list[str]:
    """Return the tickers of the largest coins after the source's first page is written."""
    notice = anyio.Event()

    def notify(*_: object) -> None:
        notice.set()

    await connection.add_listener(CHANNEL, notify)
    connection.add_termination_listener(notify)
    try:
        while True:
            notice = anyio.Event()
            coins = await past_coins(connection, source, None)
            if coins:
                return [coin.ticker for coin in coins[:COINS]]
            await notice.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if not is_lost(connection):
                await connection.remove_listener(CHANNEL, notify)
                connection.remove_termination_listener(notify)


async def _fill(
    connection: Connection,
    source: NamedBackfills,
    days: int,
    tickers: Sequence[str],
    retention: Retention,
) -> None:
    plan = await plan_backfill(connection, source, days, tickers=tickers)
    points = 0
    async for step in backfill(connection, source, plan, retention):
        points += step.answer.points
    await _log.ainfo(
        "backfill.finished", source=source.name, days=days, coins=len(plan.coins), points=points
    )
