"""The limit on operations that run at once: in total and of each client, over all transports.

An operation without a free slot waits. Waiting clients get free slots in turn, and no client can
hold all slots, so a client that sends much waits for itself.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from server.live.admission import FullError

WAIT_SECONDS = 5.0
"""How long an operation waits for a slot."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of the bodies of waiting operations."""
MAX_WAITING_BYTES_PER_CLIENT = 16 * 1024 * 1024


class _SlotWaiter(NamedTuple):
    client: str
    size: int
    future: "asyncio.Future[None]"
    deadline: float


class _ClientQueue:
    """The waiting operations of one client."""

    def __init__(self) -> None:
        self.waiters: deque[_SlotWaiter] = deque()
        self.size = 0


class ConcurrencyLimit:
    """`total` slots, at most `per_client` of one client, and limits on the waiting operations."""

    def __init__(self, total: int, per_client: int, waiting: int, waiting_per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._max_waiting = waiting
        self._max_waiting_per_client = waiting_per_client
        self._used = 0
        self._used_by: dict[str, int] = {}
        self._queues: dict[str, _ClientQueue] = {}
        """By client, in the order of their turns."""
        self._waiting = 0
        self._waiting_bytes = 0
        self._by_deadline: deque[_SlotWaiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def used(self) -> int:
        """How many operations run."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many operations wait."""
        return self._waiting

    def slot(self, client: str, size: int) -> "ConcurrencySlot":
        """Return a context that holds a slot: `async with limit.slot(client, size)`.

        Entering it raises FullError.
        """
        return ConcurrencySlot(self, client, size)

    def try_acquire(self, client: str) -> bool:
        """Take a slot, to be released; return False where the operation has to `wait`."""
        # A slot is free only while each waiting client has as many as it may have.
        if self._used >= self._total or self._used_by.get(client, 0) >= self._per_client:
            return False
        self._used += 1
        self._used_by[client] = self._used_by.get(client, 0) + 1
        return True

    def release(self, client: str) -> None:
        """Release a slot; the next operation gets it."""
        self._used -= 1
        remaining = self._used_by[client] - 1
        if remaining:
            self._used_by[client] = remaining
        else:
            del self._used_by[client]
        if self._queues:
            self._grant()

    async def wait(self, client: str, size: int) -> None:
        """Wait for a slot, to be released; `size` is the number of bytes of the operation.

        Raises FullError.
        """
        waiter = self._enqueue(client, size)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.cancelled():
                self._remove(waiter)
            elif waiter.future.exception() is None:
                self.release(client)  # granted while the task was being cancelled
            raise

    def _enqueue(self, client: str, size: int) -> _SlotWaiter:
        queue = self._queues.get(client) or _ClientQueue()
        if (
            self._waiting >= self._max_waiting
            or self._waiting_bytes + size > MAX_WAITING_BYTES
            or len(queue.waiters) >= self._max_waiting_per_client
            or queue.size + size > MAX_WAITING_BYTES_PER_CLIENT
        ):
            raise FullError("Too many requests are being worked on; try again in a moment")
        loop = asyncio.get_running_loop()
        waiter = _SlotWaiter(client, size, loop.create_future(), loop.time() + WAIT_SECONDS)
        self._queues[client] = queue
        queue.waiters.append(waiter)
        self._count(queue, size, 1)
        while self._by_deadline and self._by_deadline[0].future.done():
            self._by_deadline.popleft()
        self._by_deadline.append(waiter)
        if self._timer is None:
            self._timer = loop.call_at(waiter.deadline, self._expire)
        return waiter

    def _count(self, queue: _ClientQueue, size: int, number: int) -> None:
        queue.size += size
        self._waiting_bytes += size
        self._waiting += number

    def _grant(self) -> None:
        """Grant the free slots to waiting operations, one client after the other."""
        while self._used < self._total:
            client = next(
                (name for name in self._queues if self._used_by.get(name, 0) < self._per_client),
                None,
            )
            if client is None:
                return
            queue = self._queues.pop(client)
            waiter = queue.waiters.popleft()
            self._count(queue, -waiter.size, -1)
            if queue.waiters:
                self._queues[client] = queue  # now the last one
            if not waiter.future.done() and self.try_acquire(client):
                waiter.future.set_result(None)

    def _remove(self, waiter: _SlotWaiter) -> None:
        queue = self._queues.get(waiter.client)
        if queue is not None and waiter in queue.waiters:
            queue.waiters.remove(waiter)
            self._count(queue, -waiter.size, -1)
            if not queue.waiters:
                del self._queues[waiter.client]

    def _expire(self) -> None:
        """Refuse operations that waited too long.

        All share one timer: a timer for each would double the cost of waiting.
        """
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._by_deadline and (
            self._by_deadline[0].future.done() or self._by_deadline[0].deadline <= loop.time()
        ):
            waiter = self._by_deadline.popleft()
            if not waiter.future.done():
                self._remove(waiter)
                waiter.future.set_exception(
                    FullError("No operation ended in time for this one; try again in a moment")
                )
        if self._by_deadline:
            self._timer = loop.call_at(self._by_deadline[0].deadline, self._expire)


class ConcurrencySlot:
    """Holds a slot for as long as the context lasts."""

    def __init__(self, limit: ConcurrencyLimit, client: str, size: int) -> None:
        self._limit = limit
        self._client = client
        self._size = size

    async def __aenter__(self) -> None:
        if not self._limit.try_acquire(self._client):
            await self._limit.wait(self._client, self._size)

    async def __aexit__(self, *_: object) -> None:
        self._limit.release(self._client)
