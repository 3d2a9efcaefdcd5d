"""Merge coins for another reason than a page: labels, addresses, an upgrade, deleted listings."""

import datetime
from collections.abc import Collection

from db.write.coins import merge_coins
from db.write.transaction import Outbox


async def merge_again(
    outbox: Outbox, tickers: Collection[str], now: datetime.datetime
) -> list[str]:
    """Merge the coins and add their event; return those that changed."""
    changed = await merge_coins(outbox.connection, tickers, now)
    await outbox.add_coins(changed, now)
    return changed
