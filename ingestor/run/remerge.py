"""Merge coins for another reason than a page: labels, addresses, an upgrade, deleted listings."""

import datetime
from collections.abc import Collection

from db.connect.clock import database_now
from db.schema.partitions import Retention
from db.write.coins import merge_coins
from db.write.history import record_prices
from db.write.transaction import Outbox


async def merge_again(
    outbox: Outbox, tickers: Collection[str], retention: Retention, now: datetime.datetime
) -> list[str]:
    """Merge the coins, record their new prices and add their event; return those that changed."""
    connection = outbox.connection
    oldest = retention.oldest_history(await database_now(connection))
    coins = await merge_coins(connection, tickers, now)
    await record_prices(connection, coins.repriced, oldest)
    await outbox.add_coins(coins.changed, now)
    return coins.changed
