"""The history of coins, rebuilt: worked out and written before the write lock is taken, and finished under it.

Pages only ever add points and widen candles. What is written ahead are older rows, so hardly ever
does a page meet one; where it does, it is let go first: a page that waits for us holds the write
lock that we wait for.
"""

import datetime
from collections.abc import Iterator, Sequence

import anyio
import asyncpg
import structlog

from db.connect.locks import holds_up_others, set_lock_timeout, take_write_lock, try_write_lock
from db.connect.types import Connection
from db.reprocess.candles import find_buckets, rebuild_candles, report_candles
from db.reprocess.changes import Change
from db.reprocess.expected import Reach, expect_points
from db.reprocess.job import BEGINNING
from db.reprocess.points import compare_points, place_points, report_points

_log = structlog.stdlib.get_logger(__name__)

SLICE = 2_000
"""Tickers written in one go; between two of them we look whether a page waits for us."""
ATTEMPTS = 3
LOCK_TIMEOUT_SECONDS = 0.2
"""Less than PostgreSQL's deadlock_timeout: of two that wait for each other we give way, never a page."""
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.01
OPEN = datetime.timedelta(hours=1)
"""Candles that ended less long ago may still be widened by any page: they wait for the write lock."""
_END = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class _HeldUpError(Exception):
    """A page wants a row that we have written."""


class HistoryRebuild:
    """The rebuild of the points and candles of coins, within the caller's transaction."""

    def __init__(self, connection: Connection, reach: Reach, now: datetime.datetime) -> None:
        self._connection, self._reach = connection, reach
        self._ended_by = now - OPEN
        self._tickers: Sequence[str] = ()
        self._seen: set[str] = set()
        self._changes: list[Change] = []

    async def work_out(self, tickers: Sequence[str], after: datetime.datetime = BEGINNING) -> None:
        """Note what must change of `tickers`, by payloads that arrived after `after`."""
        self._tickers = tickers
        self._seen.update(tickers)
        if tickers:
            await expect_points(self._connection, tickers, self._reach, after)
            await compare_points(self._connection, tickers, after)
            await find_buckets(self._connection)
            self._changes += await report_points(self._connection)

    async def place_and_lock(self) -> None:
        """Write what was worked out, then take the write lock; where pages will not let us, the other way round."""
        for _ in range(ATTEMPTS):
            try:
                async with self._connection.transaction():
                    await set_lock_timeout(self._connection, LOCK_TIMEOUT_SECONDS)
                    changes = await self._place_ahead()
                    await self._lock()
                    await set_lock_timeout(self._connection, 0)
            except (
                _HeldUpError,
                asyncpg.LockNotAvailableError,
                asyncpg.DeadlockDetectedError,
            ) as error:
                await _log.ainfo("reprocess.gave_way", reason=type(error).__name__)
            else:
                self._changes += changes
                return
        await take_write_lock(self._connection)
        await self.place()
        await self._candles(self._tickers, self._ended_by)

    async def place(self) -> None:
        """Write the points that were worked out; the write lock is held."""
        if self._tickers:
            await place_points(self._connection, self._tickers)

    async def finish(self) -> list[Change]:
        """Roll up the candles that are left, and return all that has changed; the write lock is held."""
        await self._candles(sorted(self._seen), _END)
        return self._changes

    async def _place_ahead(self) -> list[Change]:
        for tickers in _slices(self._tickers):
            await place_points(self._connection, tickers)
            await self._let_go()
        for tickers in _slices(self._tickers):
            if not await rebuild_candles(self._connection, tickers, self._ended_by):
                raise _HeldUpError
            await self._let_go()
        return await report_candles(self._connection, self._ended_by)

    async def _candles(self, tickers: Sequence[str], ended_by: datetime.datetime) -> None:
        for part in _slices(tickers):
            if not await rebuild_candles(self._connection, part, ended_by):
                raise RuntimeError("a candle was written without the write lock")
        self._changes += await report_candles(self._connection, ended_by)

    async def _lock(self) -> None:
        with anyio.move_on_after(PATIENCE_SECONDS):
            while not await try_write_lock(self._connection):
                await self._let_go()
                await anyio.sleep(LOOK_SECONDS)
            return
        raise _HeldUpError

    async def _let_go(self) -> None:
        if await holds_up_others(self._connection):
            raise _HeldUpError


def _slices(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tickers), SLICE):
        yield tickers[start : start + SLICE]
