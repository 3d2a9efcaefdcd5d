"""Places: how many operations run at once, of all clients and of each, over all transports.

An operation for which there is no place waits for its turn. Clients take turns, so one that asks
for much waits for itself; each has a few places, so it never has them all.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from server.live.admission import FullError

WAIT_SECONDS = 5.0
"""How long an operation waits for a place."""
MOST_WAITING_BYTES = 64 * 1024 * 1024
"""Of the operations that wait, as they were sent."""
MOST_WAITING_BYTES_PER_CLIENT = 16 * 1024 * 1024


class _SlotWaiter(NamedTuple):
    client: str
    size: int
    future: "asyncio.Future[None]"
    deadline: float


class _Queue:
    """What waits of one client."""

    def __init__(self) -> None:
        self.waiters: deque[_SlotWaiter] = deque()
        self.size = 0


class ConcurrencyLimit:
    """`total` places, `per_client` of them for one client at most; so many operations may wait, and of one client."""

    def __init__(self, total: int, per_client: int, waiting: int, waiting_per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._most_waiting = waiting
        self._most_waiting_per_client = waiting_per_client
        self._taken = 0
        self._taken_by: dict[str, int] = {}
        self._queues: dict[str, _Queue] = {}
        """By client, in the order of their turns."""
        self._waiting = 0
        self._waiting_bytes = 0
        self._arrived: deque[_SlotWaiter] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def taken(self) -> int:
        """How many operations run."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many operations wait."""
        return self._waiting

    def hold(self, client: str, size: int) -> "ConcurrencySlot":
        """Have a place for as long as the context lasts: `async with places.hold(client, size)`.

        Raises FullError.
        """
        return ConcurrencySlot(self, client, size)

    def take(self, client: str) -> bool:
        """Take a place, to be left; return False where the operation has to `wait`."""
        # A place is free only while each client that waits has all of its own.
        if self._taken >= self._total or self._taken_by.get(client, 0) >= self._per_client:
            return False
        self._taken += 1
        self._taken_by[client] = self._taken_by.get(client, 0) + 1
        return True

    def leave(self, client: str) -> None:
        """Leave a place, and let the next run."""
        self._taken -= 1
        left = self._taken_by[client] - 1
        if left:
            self._taken_by[client] = left
        else:
            del self._taken_by[client]
        if self._queues:
            self._let_in()

    async def wait(self, client: str, size: int) -> None:
        """Wait for a place, to be left; `size` is how many bytes the operation has.

        Raises FullError.
        """
        waiter = self._join(client, size)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.cancelled():
                self._forget(waiter)
            elif waiter.future.exception() is None:
                self.leave(client)  # the place came just as its client gave up
            raise

    def _join(self, client: str, size: int) -> _SlotWaiter:
        queue = self._queues.get(client) or _Queue()
        if (
            self._waiting >= self._most_waiting
            or self._waiting_bytes + size > MOST_WAITING_BYTES
            or len(queue.waiters) >= self._most_waiting_per_client
            or queue.size + size > MOST_WAITING_BYTES_PER_CLIENT
        ):
            raise FullError("Too many requests are being worked on; try again in a moment")
        loop = asyncio.get_running_loop()
        waiter = _SlotWaiter(client, size, loop.create_future(), loop.time() + WAIT_SECONDS)
        self._queues[client] = queue
        queue.waiters.append(waiter)
        self._count(queue, size, 1)
        while self._arrived and self._arrived[0].future.done():
            self._arrived.popleft()
        self._arrived.append(waiter)
        if self._alarm is None:
            self._alarm = loop.call_at(waiter.deadline, self._expire)
        return waiter

    def _count(self, queue: _Queue, size: int, number: int) -> None:
        queue.size += size
        self._waiting_bytes += size
        self._waiting += number

    def _let_in(self) -> None:
        """Give the free places to those who wait, a client after the other."""
        while self._taken < self._total:
            client = next(
                (name for name in self._queues if self._taken_by.get(name, 0) < self._per_client),
                None,
            )
            if client is None:
                return
            queue = self._queues.pop(client)
            waiter = queue.waiters.popleft()
            self._count(queue, -waiter.size, -1)
            if queue.waiters:
                self._queues[client] = queue  # as the last one
            if not waiter.future.done() and self.take(client):
                waiter.future.set_result(None)

    def _forget(self, waiter: _SlotWaiter) -> None:
        queue = self._queues.get(waiter.client)
        if queue is not None and waiter in queue.waiters:
            queue.waiters.remove(waiter)
            self._count(queue, -waiter.size, -1)
            if not queue.waiters:
                del self._queues[waiter.client]

    def _expire(self) -> None:
        """Turn away who has waited too long; one alarm is set for all, since a timer costs as much as the rest here."""
        self._alarm = None
        loop = asyncio.get_running_loop()
        while self._arrived and (
            self._arrived[0].future.done() or self._arrived[0].deadline <= loop.time()
        ):
            waiter = self._arrived.popleft()
            if not waiter.future.done():
                self._forget(waiter)
                waiter.future.set_exception(
                    FullError("No operation ended in time for this one; try again in a moment")
                )
        if self._arrived:
            self._alarm = loop.call_at(self._arrived[0].deadline, self._expire)


class ConcurrencySlot:
    """One of them, for as long as the context lasts."""

    def __init__(self, places: ConcurrencyLimit, client: str, size: int) -> None:
        self._places = places
        self._client = client
        self._size = size

    async def __aenter__(self) -> None:
        if not self._places.take(self._client):
            await self._places.wait(self._client, self._size)

    async def __aexit__(self, *_: object) -> None:
        self._places.leave(self._client)
