"""Catch-up: reads the events that a subscriber missed, up to the position of its group."""

from collections.abc import Sequence

from db.connect.types import Pool
from db.events import Event, read_event_range, read_events
from server.live.cursor import check_cursor
from server.live.encoder import SharedEvent
from server.live.fair_queue import FairQueue
from server.live.retry import retry
from server.live.subscriber import Subscriber

BATCH = 200
ACQUIRE_SECONDS = 5.0


async def check_retained(pool: Pool, after: int) -> None:
    """Raise CursorExpiredError unless the outbox has all events after `after`."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        check_cursor(after, await read_event_range(connection))


async def catch_up(subscriber: Subscriber, pool: Pool, queue: FairQueue) -> None:
    """Send the subscriber the events after its position, then make it live.

    It waits for a slow subscriber, for its turn in the queue, and for an unavailable database.
    Raises CursorExpiredError when events were purged meanwhile.
    """
    while True:
        await _read_on(subscriber, pool, queue)
        # The group's messages are buffered from now on; another read finds the earlier events.
        subscriber.start_buffering()
        await _read_on(subscriber, pool, queue)
        if subscriber.go_live():
            return


async def _read_on(subscriber: Subscriber, pool: Pool, queue: FairQueue) -> None:
    encoder = subscriber.group.encoder
    while True:
        events = await retry(_read, subscriber, pool)
        for event in events:
            names = subscriber.feed.names_in(event)
            if names:
                shared = SharedEvent(event, names)
                async with queue.turn((subscriber.client,), encoder.cost * len(names)):
                    (messages,) = await retry(encoder.encode, shared, [names])
                await subscriber.put(event.seq, messages)
            subscriber.position = event.seq
        if len(events) < BATCH:
            return


async def _read(subscriber: Subscriber, pool: Pool) -> Sequence[Event]:
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        check_cursor(subscriber.position, await read_event_range(connection))
        return await read_events(
            connection, subscriber.position, BATCH, subscriber.feed.topic.kinds
        )
