"""Connections that only read, one statement at a time: there is nothing to reset between two borrowers.

asyncpg's pool sends `RESET ALL` and more each time that it takes a connection back, and starts a
task for it. That is as much work as reading a page of coins. Whoever borrows here runs single
statements that leave nothing behind: no transaction, no setting, no cursor.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from db.connect.types import OwnConnection

WAIT_SECONDS = 5.0
"""How long a borrower waits for a connection before it is told that there is none."""

Open = Callable[[], Awaitable[OwnConnection]]


class ReaderWaiter(NamedTuple):
    """Who waits for a connection, and until when by the loop's clock."""

    future: "asyncio.Future[OwnConnection | None]"
    deadline: float


class Readers:
    """Up to `size` connections, each opened by `open_one` when it is first needed; `lend` raises whatever that does."""

    def __init__(self, open_one: Open, size: int) -> None:
        self._open_one = open_one
        self._room = size
        self._free: list[OwnConnection] = []
        self._waiting: deque[ReaderWaiter] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._is_closed = False

    def lend(self, deadline: float | None = None) -> "ReaderLease":
        """Lend a connection: `async with readers.lend() as connection`. Raises TimeoutError where all stay in use.

        What is asked of it ends by the deadline, an instant of `time.perf_counter`.

        One whose statement failed, or was broken off, is closed: nobody has to find out what state
        it is in.
        """
        return ReaderLease(self, deadline)

    async def take(self) -> OwnConnection:
        """Take a connection, to be given back."""
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            self._room += 1
        if self._room > 0:
            self._room -= 1
            return await self._opened()
        return await self._next() or await self._opened()

    def give_back(self, connection: OwnConnection) -> None:
        """Take a connection back."""
        if self._is_closed:
            connection.terminate()
        self._pass_on(None if connection.is_closed() else connection)

    async def close(self) -> None:
        """Close what is not in use now, and the rest when it is given back; for the server's end."""
        self._is_closed = True
        while self._free:
            await self._free.pop().close()

    def terminate(self) -> None:
        """Drop what is not in use, without a word to the server."""
        self._is_closed = True
        while self._free:
            self._free.pop().terminate()

    async def _next(self) -> OwnConnection | None:
        """Return the next connection that is given back, or None for the room of one that was closed."""
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
                self._pass_on(waiter.future.result())  # it came just as its borrower gave up
            raise

    def _expire(self) -> None:
        """Turn away who has waited too long; one alarm is set for all, since a timer costs as much as the rest here."""
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

    async def _opened(self) -> OwnConnection:
        """Open a connection in a room that is already taken."""
        try:
            return await self._open_one()
        except BaseException:
            self._pass_on(None)
            raise

    def _pass_on(self, connection: OwnConnection | None) -> None:
        """Hand a connection, or the room for one, to who has waited longest."""
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_result(connection)
                return
        if connection is None:
            self._room += 1
        else:
            self._free.append(connection)


class ReaderLease:
    """A connection for as long as the context lasts."""

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
