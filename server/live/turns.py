"""Whose turn it is: updates are written a few at once, and each client gets as much of that as any other."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

TURNS_AT_ONCE = 4
"""They share one thread, a millisecond each: what is short is done while something long goes on."""


class TurnWaiter(NamedTuple):
    """Who waits for a turn: on behalf of which client, and from where to where it reaches on that client's account."""

    begin: float
    end: float
    client: str
    granted: "asyncio.Future[None]"


class Turns:
    """Up to `at_once` turns at once, one of each client.

    Fair queuing: each turn is put on its client's account, and the turn with the lowest account
    comes first. Who asks for much waits behind what it has asked for itself; of two that have asked
    for as much, the cheaper comes first.
    """

    def __init__(self, at_once: int = TURNS_AT_ONCE) -> None:
        self._room = at_once
        self._accounts: dict[str, float] = {}
        self._now = 0.0
        """Where the turn that was granted last begins: nobody saves up turns by not asking for any."""
        self._busy: set[str] = set()
        self._queues: dict[str, deque[TurnWaiter]] = {}
        self._heads: list[tuple[float, int, str]] = []
        """A heap of the clients that wait and are not busy, by their first waiter."""
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, clients: Iterable[str], cost: float) -> AsyncIterator[None]:
        """Wait for a turn on behalf of several clients, and hold it for as long as the context lasts.

        It is put on the account of whichever of them has asked for least.
        """
        waiter = self._ask(clients, cost)
        self._grant()
        try:
            await waiter.granted
        except BaseException:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self._leave(waiter)  # it came just as it was no longer wanted
            raise
        try:
            yield
        finally:
            self._leave(waiter)

    def _ask(self, clients: Iterable[str], cost: float) -> TurnWaiter:
        client = min(clients, key=lambda name: self._accounts.get(name, 0.0))
        begin = max(self._accounts.get(client, 0.0), self._now)
        self._accounts[client] = begin + cost
        waiter = TurnWaiter(begin, begin + cost, client, asyncio.get_running_loop().create_future())
        queue = self._queues.setdefault(client, deque())
        queue.append(waiter)
        if len(queue) == 1:
            self._line_up(client)
        return waiter

    def _line_up(self, client: str) -> None:
        """Let a client's first waiter wait for room, unless another of its turns goes on."""
        queue = self._queues.get(client)
        while queue and queue[0].granted.cancelled():
            queue.popleft()
        if not queue:
            self._queues.pop(client, None)
        elif client not in self._busy:
            heapq.heappush(self._heads, (queue[0].end, next(self._numbers), client))

    def _grant(self) -> None:
        while self._room and self._heads:
            _, _, client = heapq.heappop(self._heads)
            waiter = self._queues[client].popleft()
            if waiter.granted.cancelled():
                self._line_up(client)
                continue
            self._room -= 1
            self._busy.add(client)
            self._now = max(self._now, waiter.begin)
            waiter.granted.set_result(None)

    def _leave(self, waiter: TurnWaiter) -> None:
        self._room += 1
        self._busy.remove(waiter.client)
        self._line_up(waiter.client)
        self._grant()
        if not self._busy and not self._queues:
            # All is done: what is asked for next begins anew.
            self._accounts.clear()
            self._now = 0.0
