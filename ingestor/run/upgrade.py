"""After an upgrade, bring the data of an earlier version to the present rules, beside the polls.

Each step is a transaction of some coins, so pages wait for a moment only, and a restart goes on
where the last one ended.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

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


Step = Literal["merged", "history_moved", "payloads_moved"]
OnStep = Callable[[Step, int, int], Awaitable[None]]
"""Receives a step, and how many coins or payloads are done of how many."""


async def upgrade_beside_polls(pool: Pool) -> None:
    """Upgrade, and log how far it is and what stays."""
    if left := await upgrade(pool, log_step):
        await _log.awarning(
            "upgrade.history_left",
            points=left,
            reason="their source has no listing of the ticker; they stay in the table "
            "former_price_points",
        )


async def log_step(step: Step, done: int, total: int) -> None:
    """Log how far an upgrade is."""
    await _log.ainfo(f"upgrade.{step}", done=done, of=total)


async def upgrade(pool: Pool, on_step: OnStep) -> int:
    """Merge the coins that only an earlier version has merged, then move their past.

    Returns how many points of history are left, because their source has no listing of the ticker.
    """
    await merge_earlier_coins(pool, on_step)
    left = await move_former_history(pool, on_step)
    await move_former_payloads(pool, on_step)
    return left


async def merge_earlier_coins(pool: Pool, on_step: OnStep) -> None:
    """Give each coin of an earlier version its asset, its confidence and its excluded values."""
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
        await on_step("merged", merged, total)


async def move_former_history(pool: Pool, on_step: OnStep) -> int:
    """Move the history that an earlier version has stored by ticker to the listings.

    Returns how many points stay, because their source has no listing of the ticker.
    """
    async with borrow(pool) as connection:
        total = await count_former(connection)
    moved, after = 0, ""
    while total:
        async with borrow(pool) as connection, write_transaction(connection) as outbox:
            tickers = await former_tickers(connection, after, MOVED_TICKERS)
            if not tickers:
                break
            await move_history(connection, tickers)
            await outbox.add_coins(tickers, utc_now())
        moved, after = moved + len(tickers), tickers[-1]
        await on_step("history_moved", moved, total)
    if not total:
        return 0
    async with borrow(pool) as connection:
        return await drop_former(connection)


async def move_former_payloads(pool: Pool, on_step: OnStep) -> None:
    """Turn the payloads that an earlier version has stored one by one into bodies."""
    async with borrow(pool) as connection:
        spans = await former_spans(connection)
    total, moved = sum(span.payloads for span in spans), 0
    for span in spans:
        async with borrow(pool) as connection, write_transaction(connection):
            moved += await move_payloads(connection, span)
        await on_step("payloads_moved", moved, total)
    if spans:
        async with borrow(pool) as connection:
            await drop_former_payloads(connection)
