"""The hub: what one listener reads from the outbox goes to every subscriber that wants its kind."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.events import Event, kept_range, read_events
from db.pool import is_passing
from db.types import Pool
from server.live.cursor import CursorExpiredError, check_cursor
from server.live.listener import Listener

__all__ = ["CursorExpiredError", "Hub", "Subscription"]

QUEUE_LIMIT = 256
CATCH_UP_BATCH = 200
RETRY_SECONDS = 0.5
ACQUIRE_SECONDS = 5.0


class Subscription:
    """One subscriber's events in order, each once: first what it missed, then what comes.

    A reader that is too slow for its queue goes back to the outbox where it wants a `complete` stream; otherwise
    what it left waiting is left out and counted. `async for event in subscription` waits for ever; it raises
    CursorExpiredError when the outbox no longer holds what would come next. One reader at a time.
    """

    def __init__(self, pool: Pool, kinds: frozenset[str], after: int | None, *, complete: bool) -> None:
        self.kinds = kinds
        self._pool = pool
        self._complete = complete
        self._position = after or 0
        # Until what was missed is read nothing is queued: the outbox holds it.
        self._queueing = after is None
        self._caught_up = after is None
        self._queue: deque[Event] = deque()
        self._woken = asyncio.Event()
        self._lagged = 0
        self._error: CursorExpiredError | None = None

    def take_lagged(self) -> int:
        """Return how many events were left out before the one yielded last, since the last call."""
        lagged, self._lagged = self._lagged, 0
        return lagged

    def offer(self, event: Event) -> None:
        """Queue an event; a full queue is dropped, so that a slow reader costs no memory."""
        if not self._queueing or event.seq <= self._position:
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self._drop_queue()
        if self._queueing:
            self._queue.append(event)
        self._woken.set()

    def _drop_queue(self) -> None:
        if not self._complete:
            self._lagged += len(self._queue)
        else:
            if self._caught_up:
                # Nothing of these kinds lies before the queue; what was purged there must not count as lost.
                self._position = max(self._position, self._queue[0].seq - 1)
            self._queueing = self._caught_up = False
        self._queue.clear()

    def expire(self, error: CursorExpiredError) -> None:
        """End the subscription with `error` as soon as its queue is read."""
        self._error = error
        self._woken.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            async for event in self._missed():
                yield event
            while self._queue:
                event = self._queue.popleft()
                # The same event may have come from the outbox and through the queue.
                if event.seq > self._position:
                    self._position = event.seq
                    yield event
            if not self._caught_up:
                continue
            if self._error is not None:
                raise self._error
            self._woken.clear()
            await self._woken.wait()

    async def _missed(self) -> AsyncIterator[Event]:
        while not self._caught_up:
            async for event in self._outbox():
                yield event
            # Whatever is published from here on is queued; one more look finds what came before.
            self._queueing = True
            async for event in self._outbox():
                yield event
            # A queue that was dropped meanwhile stands in the outbox, too.
            self._caught_up = self._queueing

    async def _outbox(self) -> AsyncIterator[Event]:
        while True:
            events = await self._read()
            for event in events:
                self._position = event.seq
                yield event
            if len(events) < CATCH_UP_BATCH:
                return

    async def _read(self) -> list[Event]:
        """Read on in the outbox; a database that is away or slow only delays. Raises CursorExpiredError."""
        while True:
            try:
                async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    check_cursor(self._position, await kept_range(connection))
                    return await read_events(connection, self._position, CATCH_UP_BATCH, self.kinds)
            except Exception as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)


class Hub:
    """Fans the outbox out. `run` until cancelled; `subscribe` at any time."""

    def __init__(self, dsn: str, pool: Pool, *, role: str | None = None) -> None:
        self._pool = pool
        self._by_kind: defaultdict[str, set[Subscription]] = defaultdict(set)
        self.listener = Listener(dsn, self._publish, self._expire, role=role)

    async def run(self) -> None:
        """Follow the outbox until cancelled, across lost connections."""
        await self.listener.run()

    @property
    def subscriber_count(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions())

    @asynccontextmanager
    async def subscribe(
        self, kinds: frozenset[str], after: int | None = None, *, complete: bool = False
    ) -> AsyncIterator[Subscription]:
        """Open a subscription to events of `kinds`: those after the sequence number `after`, or those from now on.

        A `complete` one leaves nothing out, however slow its reader is. Raises CursorExpiredError when events after
        `after` are no longer kept, and what `is_passing` is true of.
        """
        if after is not None:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                check_cursor(after, await kept_range(connection))
        subscription = Subscription(self._pool, kinds, after, complete=complete)
        for kind in kinds:
            self._by_kind[kind].add(subscription)
        try:
            yield subscription
        finally:
            for kind in kinds:
                self._by_kind[kind].discard(subscription)

    def _subscriptions(self) -> set[Subscription]:
        return set().union(*self._by_kind.values())

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            for subscription in self._by_kind[event.kind]:
                subscription.offer(event)

    def _expire(self, error: CursorExpiredError) -> None:
        for subscription in self._subscriptions():
            subscription.expire(error)
