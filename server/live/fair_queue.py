"""Fair queuing: a few updates are encoded at once, and each client gets an equal share."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

CONCURRENT_TURNS = 4
"""They share one thread in slices of a millisecond, so short work does not wait for long work."""


class TurnWaiter(NamedTuple):
    """A turn that a client waits for; `begin` and `end` are virtual times of that client."""

    begin: float
    end: float
    client: str
    granted: "asyncio.Future[None]"


class FairQueue:
    """Up to `concurrent` turns at once, one of each client.

    Each client has a virtual time, which its turns advance by their cost. The turn with the
    earliest virtual end is next, so a client with many requests waits for its own earlier
    turns, and of two equal clients the one with the cheaper turn comes first.
    """

    def __init__(self, concurrent: int = CONCURRENT_TURNS) -> None:
        self._free = concurrent
        self._virtual_times: dict[str, float] = {}
        self._now = 0.0
        """The virtual begin of the last granted turn: idle clients do not save up turns."""
        self._busy: set[str] = set()
        self._queues: dict[str, deque[TurnWaiter]] = {}
        self._heads: list[tuple[float, int, str]] = []
        """A heap of the waiting clients that are not busy, by their first waiter."""
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, clients: Iterable[str], cost: float) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the context lasts.

        The client with the earliest virtual time pays the cost for all.
        """
        waiter = self._enqueue(clients, cost)
        self._grant()
        try:
            await waiter.granted
        except BaseException:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self._release(waiter)  # granted while the task was being cancelled
            raise
        try:
            yield
        finally:
            self._release(waiter)

    def _enqueue(self, clients: Iterable[str], cost: float) -> TurnWaiter:
        client = min(clients, key=lambda name: self._virtual_times.get(name, 0.0))
        begin = max(self._virtual_times.get(client, 0.0), self._now)
        self._virtual_times[client] = begin + cost
        waiter = TurnWaiter(begin, begin + cost, client, asyncio.get_running_loop().create_future())
        queue = self._queues.setdefault(client, deque())
        queue.append(waiter)
        if len(queue) == 1:
            self._push_head(client)
        return waiter

    def _push_head(self, client: str) -> None:
        """Add a client's first waiter to the heap, unless the client has a turn."""
        queue = self._queues.get(client)
        while queue and queue[0].granted.cancelled():
            queue.popleft()
        if not queue:
            self._queues.pop(client, None)
        elif client not in self._busy:
            heapq.heappush(self._heads, (queue[0].end, next(self._numbers), client))

    def _grant(self) -> None:
        while self._free and self._heads:
            _, _, client = heapq.heappop(self._heads)
            waiter = self._queues[client].popleft()
            if waiter.granted.cancelled():
                self._push_head(client)
                continue
            self._free -= 1
            self._busy.add(client)
            self._now = max(self._now, waiter.begin)
            waiter.granted.set_result(None)

    def _release(self, waiter: TurnWaiter) -> None:
        self._free += 1
        self._busy.remove(waiter.client)
        self._push_head(waiter.client)
        self._grant()
        if not self._busy and not self._queues:
            # The queue is empty: virtual time starts again.
            self._virtual_times.clear()
            self._now = 0.0
