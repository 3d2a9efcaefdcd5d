"""After an upgrade, bring the data of an earlier version to the present rules, beside the polls.

Each step is a transaction of some coins, so pages wait for a moment only, and a restart goes on
where the last one ended.
"""

import structlog

from db.connect.pool import borrow
from db.connect.types import Pool
from db.write.coins import count_unmerged, unmerged_tickers
from db.write.former.history import (
    count_former,
    drop_former,
    former_tickers,
    move_history,
)
from db.write.former.payloads import drop_former_payloads, former_spans, move_payloads
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.remerge import merge_again

_log = structlog.stdlib.get_logger(__name__)

CHUNK_TICKERS = 1_000
"""Coins merged in one transaction."""
MOVED_TICKERS = 50
"""Coins whose history is moved in one transaction, of up to 90 days."""


async def upgrade(pool: Pool) -> None:
    """Merge the coins that only an earlier version has merged, then move their past."""
    await merge_earlier_coins(pool)
    await move_former_history(pool)
    await move_former_payloads(pool)


async def move_former_payloads(pool: Pool) -> None:
    """Turn the payloads that an earlier version has stored one by one into bodies, and log it."""
    async with borrow(pool) as connection:
        spans = await former_spans(connection)
    total, moved = sum(span.payloads for span in spans), 0
    for span in spans:
        async with borrow(pool) as connection, write_transaction(connection):
            moved += await move_payloads(connection, span)
        await _log.ainfo("upgrade.payloads_moved", payloads=moved, of=total)
    if spans:
        async with borrow(pool) as connection:
            await drop_former_payloads(connection)


async def merge_earlier_coins(pool: Pool) -> None:
    """Give each coin of an earlier version its asset, its confidence and its excluded values.

    Log how far it is.
    """
    async with borrow(pool) as connection:
        total = await count_unmerged(connection)
    merged, after = 0, ""
    while total:
        async with borrow(pool) as connection, write_transaction(connection) as outbox:
            tickers = await unmerged_tickers(connection, after, CHUNK_TICKERS)
            if not tickers:
                break
            await merge_again(outbox, tickers, utc_now())
        merged, after = merged + len(tickers), tickers[-1]
        await _log.ainfo("upgrade.merged", coins=merged, of=total)


async def move_former_history(pool: Pool) -> None:
    """Move the history that an earlier version has stored by ticker to the listings.

    Log how far it is, and what stays because its source has no listing of the ticker.
    """
    async with borrow(pool) as connection:
        total = await count_former(connection)
    moved, points, after = 0, 0, ""
    while total:
        async with borrow(pool) as connection, write_transaction(connection) as outbox:
            tickers = await former_tickers(connection, after, MOVED_TICKERS)
            if not tickers:
                break
            points += await move_history(connection, tickers)
            await outbox.add_coins(tickers, utc_now())
        moved, after = moved + len(tickers), tickers[-1]
        await _log.ainfo("upgrade.history_moved", coins=moved, of=total, points=points)
    if total:
        async with borrow(pool) as connection:
            left = await drop_former(connection)
        if left:
            await _log.awarning(
                "upgrade.history_left",
                points=left,
                reason="their source has no listing of the ticker; they stay in the table "
                "former_price_points",
            )
