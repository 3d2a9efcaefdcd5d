"""After an upgrade, merge the coins that only an earlier version has merged."""

import structlog

from db.connect.pool import borrow
from db.connect.types import Pool
from db.schema.partitions import Retention
from db.write.coins import count_unmerged, unmerged_tickers
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.remerge import merge_again

_log = structlog.stdlib.get_logger(__name__)

CHUNK_TICKERS = 1_000
"""Coins in one transaction: pages wait for a moment only, and a restart goes on from there."""


async def merge_earlier_coins(pool: Pool, retention: Retention) -> None:
    """Give each coin of an earlier version its asset, its confidence and its excluded values.

    Polls go on meanwhile. Log how far it is.
    """
    async with borrow(pool) as connection:
        total = await count_unmerged(connection)
    merged, after = 0, ""
    while total:
        async with borrow(pool) as connection, write_transaction(connection) as outbox:
            tickers = await unmerged_tickers(connection, after, CHUNK_TICKERS)
            if not tickers:
                break
            await merge_again(outbox, tickers, retention, utc_now())
        merged, after = merged + len(tickers), tickers[-1]
        await _log.ainfo("upgrade.merged", coins=merged, of=total)
