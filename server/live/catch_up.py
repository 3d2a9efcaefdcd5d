"""Reading for one subscriber what it missed, up to where its group is."""

from collections.abc import Sequence

from db.connect.types import Pool
from db.events import Event, read_event_range, read_events
from server.live.cursor import check_cursor
from server.live.encoder import Commit
from server.live.retry import persist
from server.live.subscriber import Subscriber
from server.live.turns import Turns

BATCH = 200
ACQUIRE_SECONDS = 5.0


async def check_kept(pool: Pool, after: int) -> None:
    """Raise CursorExpiredError unless all events after the sequence number `after` are kept."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        check_cursor(after, await read_event_range(connection))


async def catch_up(subscriber: Subscriber, pool: Pool, turns: Turns) -> None:
    """Tell the subscriber of the events after its position, as fast as it takes them and has turns, and make it live.

    A database that is away or slow only delays. Raises CursorExpiredError when events were purged
    meanwhile.
    """
    while True:
        await _read_on(subscriber, pool, turns)
        # Whatever the group is told of from here on is held; one more look finds what came before.
        subscriber.hold()
        await _read_on(subscriber, pool, turns)
        if subscriber.go_live():
            return


async def _read_on(subscriber: Subscriber, pool: Pool, turns: Turns) -> None:
    encoder = subscriber.group.wording.encoder
    while True:
        events = await persist(_read, subscriber, pool)
        for event in events:
            names = subscriber.feed.names(event)
            if names:
                commit = Commit(event, names)
                async with turns.turn((subscriber.client,), encoder.cost * len(names)):
                    (messages,) = await persist(encoder.encode, commit, [names])
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
