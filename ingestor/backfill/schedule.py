"""The past of the largest coins: asked for once they are known, so that a demo does not begin without any history."""

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
    exclusively,
    plan,
)
from ingestor.sources.errors import SourceError
from ingestor.sources.records import Source, SupportsBackfill

_log = structlog.stdlib.get_logger(__name__)

COINS = 100
WINDOWS_DAYS = (3, 1)
"""A provider tells some days in steps of hours, which all charts begin with, and one day in steps of minutes."""


async def fill_past(pool: Pool, sources: Sequence[Source], retention: Retention) -> None:
    """Fill the history of the first COINS coins of a source that can tell it, and end; what is answered stays."""
    source = next((source for source in sources if isinstance(source, SupportsBackfill)), None)
    if source is None:
        return
    async with borrow(pool) as connection:
        tickers = await _known(connection, source.name)
        try:
            async with exclusively(connection, source.name):
                for days in WINDOWS_DAYS:
                    await _fill(connection, source, days, tickers, retention)
        except (SourceError, BudgetSpentError, BackfillRefusedError) as error:
            await _log.awarning("past.not_filled", source=source.name, reason=str(error))


async def _known(connection: Connection, source: str) -> list[str]:
    """Return the tickers of the largest coins, as soon as the source's first page is written."""
    written = anyio.Event()

    def tell(*_: object) -> None:
        written.set()

    await connection.add_listener(CHANNEL, tell)
    connection.add_termination_listener(tell)
    try:
        while True:
            written = anyio.Event()
            coins = await past_coins(connection, source, None)
            if coins:
                return [coin.ticker for coin in coins[:COINS]]
            await written.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if not is_lost(connection):
                await connection.remove_listener(CHANNEL, tell)
                connection.remove_termination_listener(tell)


async def _fill(
    connection: Connection,
    source: NamedBackfills,
    days: int,
    tickers: Sequence[str],
    retention: Retention,
) -> None:
    wanted = await plan(connection, source, days, tickers=tickers)
    points = 0
    async for step in backfill(connection, source, wanted, retention):
        points += step.answer.points
    await _log.ainfo(
        "past.filled", source=source.name, days=days, coins=len(wanted.coins), points=points
    )
