"""A pool of connections for single statements that only read, without a reset between borrowers.

asyncpg's pool sends `RESET ALL` and more whenever a connection comes back, and starts a task for
it: as much work as reading a page of coins. The borrowers here leave no transaction, setting or
cursor behind.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from db.connect.types import OwnConnection

WAIT_SECONDS = 5.0
"""How long a borrower waits for a connection."""

Open = Callable[[], Awaitable[OwnConnection]]


class ReaderWaiter(NamedTuple):
    """A borrower that waits for a connection, with its deadline by the loop's clock."""

    future: "asyncio.Future[OwnConnection | None]"
    deadline: float


class Readers:
    """Up to `size` connections, opened by `open_one` when needed; `lend` raises its errors."""

    def __init__(self, open_one: Open, size: int) -> None:
        self._open_one = open_one
        self._places = size
        self._free: list[OwnConnection] = []
        self._waiting: deque[ReaderWaiter] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._is_closed = False

    def lend(self, deadline: float | None = None) -> "ReaderLease":
        """Lend a connection: `async with readers.lend() as connection`.

        Its statements end by the deadline, an instant of `time.perf_counter`. A connection whose
        statement failed or was cancelled is closed, because its state is unknown. Raises
        TimeoutError if all connections stay in use.
        """
        return ReaderLease(self, deadline)

    async def take(self) -> OwnConnection:
        """Take a connection, to be given back."""
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            self._places += 1
        if self._places > 0:
            self._places -= 1
            return await self._open()
        return await self._next() or await self._open()

    def give_back(self, connection: OwnConnection) -> None:
        """Take a connection back."""
        if self._is_closed:
            connection.terminate()
        self._pass_on(None if connection.is_closed() else connection)

    async def close(self) -> None:
        """Close the free connections now, and the others when they are given back."""
        self._is_closed = True
        while self._free:
            await self._free.pop().close()

    def terminate(self) -> None:
        """Drop the free connections without a message to the server."""
        self._is_closed = True
        while self._free:
            self._free.pop().terminate()

    async def _next(self) -> OwnConnection | None:
        """Return the next connection given back, or None if the place of a closed one is free."""
        loop = asyncio.get_running_loop()
        waiter = ReaderWaiter(loop.create_future(), loop.time() + WAIT_SECONDS)
        self._waiting.append(waiter)
        if self._alarm is None:
            self._alarm = loop.call_at(waiter.deadline, self._expire)
        try:
            return await waiter.future
        except BaseException:
            if (
                waiter.future.done()
                and not waiter.future.cancelled()
                and waiter.future.exception() is None
            ):
                self._pass_on(waiter.future.result())  # it became free just as its borrower gave up
            raise

    def _expire(self) -> None:
        """Reject borrowers at their deadline; one timer serves all, as timers are expensive."""
        self._alarm = None
        loop = asyncio.get_running_loop()
        while self._waiting and (
            self._waiting[0].future.done() or self._waiting[0].deadline <= loop.time()
        ):
            waiter = self._waiting.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(TimeoutError("all connections stay in use"))
        if self._waiting:
            self._alarm = loop.call_at(self._waiting[0].deadline, self._expire)

    async def _open(self) -> OwnConnection:
        """Open a connection in a place that is already reserved."""
        try:
            return await self._open_one()
        except BaseException:
            self._pass_on(None)
            raise

    def _pass_on(self, connection: OwnConnection | None) -> None:
        """Pass a connection, or a free place, to the borrower that has waited longest."""
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_result(connection)
                return
        if connection is None:
            self._places += 1
        else:
            self._free.append(connection)


class ReaderLease:
    """A connection for the duration of the context."""

    def __init__(self, readers: Readers, deadline: float | None) -> None:
        self._readers = readers
        self._deadline = deadline
        self._connection: OwnConnection | None = None

    async def __aenter__(self) -> OwnConnection:
        self._connection = await self._readers.take()
        self._connection.set_deadline(self._deadline)
        return self._connection

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._connection is not None:
            if error is not None:
                self._connection.terminate()
            self._readers.give_back(self._connection)
