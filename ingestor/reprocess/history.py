"""Rebuild the history of listings: most of it before the write lock is taken, the rest under it.

Pages only add points and widen candles. The rows written before the lock are old, so pages rarely
need them. If one does, the rebuild rolls back: a page that waits for us holds the write lock.
"""

import datetime
from collections.abc import Iterator, Sequence

import anyio
import asyncpg
import structlog

from db.connect.locks import blocks_others, set_lock_timeout, take_write_lock, try_write_lock
from db.connect.types import Connection
from db.reprocess.candles import (
    analyze_buckets,
    find_all_buckets,
    find_buckets,
    rebuild_candles,
    report_candles,
)
from db.reprocess.changes import Change
from db.reprocess.points import (
    HistoryBounds,
    analyze_points,
    compare_points,
    place_points,
    report_points,
    start_comparison,
)

_log = structlog.stdlib.get_logger(__name__)

SLICE = 2_000
"""Listings compared and written at once; between two slices we check whether a page waits."""
ATTEMPTS = 3
LOCK_TIMEOUT_SECONDS = 0.2
"""Less than PostgreSQL's deadlock_timeout: in a deadlock the rebuild gives way, never a page."""
LOCK_WAIT_SECONDS = 30.0
LOCK_POLL_SECONDS = 0.01
OPEN_CANDLE_AGE = datetime.timedelta(hours=1)
"""Pages may still widen candles that ended less long ago: these wait for the write lock."""
_END = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class _PageWaitsError(Exception):
    """A page waits for a row that we have written."""


class HistoryRebuild:
    """The rebuild of the points and candles of listings, within the caller's transaction.

    With `all_candles`, also candles whose points do not change are compared.
    """

    def __init__(
        self,
        connection: Connection,
        bounds: HistoryBounds,
        now: datetime.datetime,
        *,
        all_candles: bool = False,
    ) -> None:
        self._connection, self._bounds = connection, bounds
        self._all_candles = all_candles
        self._ended_by = now - OPEN_CANDLE_AGE
        self._listings: Sequence[int] = ()
        self._changes: list[Change] = []
        self.seen: set[int] = set()
        """The listings computed so far."""

    async def compute(self, listings: Sequence[int]) -> None:
        """Compute the changes of `listings` from all payloads that are read."""
        self._listings = listings
        self.seen.update(listings)
        await start_comparison(self._connection)
        for part in _slices(listings):
            await compare_points(self._connection, part, self._bounds)
        await analyze_points(self._connection)
        await find_buckets(self._connection)
        if self._all_candles:
            for part in _slices(listings):
                await find_all_buckets(self._connection, part, self._bounds.oldest)
            await analyze_buckets(self._connection)
        self._changes += await report_points(self._connection)

    async def place_and_lock(self) -> None:
        """Write the changes, then take the write lock; after ATTEMPTS failures, vice versa."""
        for _ in range(ATTEMPTS):
            try:
                async with self._connection.transaction():
                    await set_lock_timeout(self._connection, LOCK_TIMEOUT_SECONDS)
                    changes = await self._place_early()
                    await self._lock()
                    await set_lock_timeout(self._connection, 0)
            except (
                _PageWaitsError,
                asyncpg.LockNotAvailableError,
                asyncpg.DeadlockDetectedError,
            ) as error:
                await _log.ainfo("reprocess.gave_way", reason=type(error).__name__)
            else:
                self._changes += changes
                return
        await take_write_lock(self._connection)
        await self.place()
        await self._candles(self._listings, self._ended_by)

    async def place(self) -> None:
        """Write the computed points under the write lock."""
        if self._listings:
            await place_points(self._connection, self._listings)

    async def finish(self) -> list[Change]:
        """Rebuild the remaining candles under the write lock, and return all changes."""
        await self._candles(sorted(self.seen), _END)
        return self._changes

    async def _place_early(self) -> list[Change]:
        for listings in _slices(self._listings):
            await place_points(self._connection, listings)
            await self._check_waiting_pages()
        for listings in _slices(self._listings):
            if not await rebuild_candles(self._connection, listings, self._ended_by):
                raise _PageWaitsError
            await self._check_waiting_pages()
        return await report_candles(self._connection, self._ended_by)

    async def _candles(self, listings: Sequence[int], ended_by: datetime.datetime) -> None:
        for part in _slices(listings):
            if not await rebuild_candles(self._connection, part, ended_by):
                raise RuntimeError("a candle was written without the write lock")
        self._changes += await report_candles(self._connection, ended_by)

    async def _lock(self) -> None:
        with anyio.move_on_after(LOCK_WAIT_SECONDS):
            while not await try_write_lock(self._connection):
                await self._check_waiting_pages()
                await anyio.sleep(LOCK_POLL_SECONDS)
            return
        raise _PageWaitsError

    async def _check_waiting_pages(self) -> None:
        if await blocks_others(self._connection):
            raise _PageWaitsError


def _slices(listings: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(listings), SLICE):
        yield listings[start : start + SLICE]
