"""The transaction of every writer: the write lock, the changes, their events, and one notification.

Nothing else in the product adds events, so no event is committed without its notification.
"""

import contextlib
import datetime
from collections.abc import AsyncIterator, Sequence

from db.connect.locks import take_write_lock
from db.connect.types import Connection
from db.events import RunEventKind, add_coins_event, add_run_event, notify_events


class Outbox:
    """Adds the events of one transaction on `connection`, which holds the write lock by then."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.used = False

    async def add_run(self, kind: RunEventKind, run_id: int, now: datetime.datetime) -> None:
        """Add an event with the run as it is at this point of the transaction."""
        self.used = True
        await add_run_event(self.connection, kind, run_id, now)

    async def add_coins(self, tickers: Sequence[str], now: datetime.datetime) -> None:
        """Add the event for the coins that this transaction changed, if any."""
        if tickers:
            self.used = True
            await add_coins_event(self.connection, tickers, now)


@contextlib.asynccontextmanager
async def write_transaction(connection: Connection, *, lock: bool = True) -> AsyncIterator[Outbox]:
    """Open a transaction under the write lock; at its end, notify if it has added an event.

    With `lock=False` the block takes the write lock itself, before its first event.
    """
    async with connection.transaction():
        if lock:
            await take_write_lock(connection)
        outbox = Outbox(connection)
        yield outbox
        if outbox.used:
            await notify_events(connection)
