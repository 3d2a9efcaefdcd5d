"""The history of one source, in three passes; each step of a pass has a snapshot of its own.

1. Payloads, in any order: the point of each, and how many points of each fetch they explain.
2. Fetches with more points than that: which of these points no payload says.
3. Listings, in the order of their ids: content, earlier observations, held points, candles.
"""

import datetime
from collections.abc import Awaitable, Callable

import anyio
import msgspec
from asyncpg.transaction import Transaction

from db.connect.pool import borrow
from db.connect.types import Connection, Pool
from db.verify.differences import Tally
from ingestor.sources.records import Source

CONNECTIONS = 2
"""The database reads for one step while another one is compared."""

OnProgress = Callable[[str, int], None]
"""Called after each step with the source and how many payloads it has read."""


class VerifyBounds(msgspec.Struct, frozen=True):
    """The times that decide what is compared.

    All payloads fetched from `covered_from` on are present; history holds observations from
    `oldest` on, and whole days of candles from `candles_from` on.
    """

    covered_from: datetime.datetime
    oldest: datetime.datetime
    candles_from: datetime.datetime


class HistoryTallies:
    """The tallies of the checks that need payloads or points."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.payloads, self.listings = Tally(limit), Tally(limit)
        self.points, self.held, self.candles = Tally(limit), Tally(limit), Tally(limit)

    def join(self, other: "HistoryTallies") -> None:
        """Add the tallies of another part of the same checks."""
        for name in ("payloads", "listings", "points", "held", "candles"):
            getattr(self, name).join(getattr(other, name))


class HistoryContext(msgspec.Struct, frozen=True):
    """What the passes over one source share."""

    pool: Pool
    source: Source
    bounds: VerifyBounds
    tallies: HistoryTallies
    on_progress: OnProgress

    def key(self, external_id: str) -> str:
        """Return the key of a listing."""
        return f"{self.source.name}:{external_id}"

    async def side_by_side(self, step: Callable[[Connection], Awaitable[bool]]) -> None:
        """Repeat a step on several connections until it returns False."""

        async def repeat() -> None:
            async with borrow(self.pool) as connection:
                while await step(connection):
                    pass

        async with anyio.create_task_group() as group:
            for _ in range(CONNECTIONS):
                group.start_soon(repeat)


def snapshot(connection: Connection) -> Transaction:
    """Return a transaction that reads one state and writes nothing."""
    return connection.transaction(isolation="repeatable_read", readonly=True)
