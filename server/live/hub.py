"""The hub: what one listener reads from the outbox goes to every subscriber that wants it, written once a group."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from db.connect.types import Pool
from db.events import Event
from server.live.admission import Admission, WordingAdmission
from server.live.catch_up import catch_up, check_kept
from server.live.cursor import CursorExpiredError
from server.live.feed import TOPICS, FeedSubscription
from server.live.lane import Lane
from server.live.listener import Listener
from server.live.subscriber import Subscriber

__all__ = ["CursorExpiredError", "Hub", "Subscriber"]

CONNECTIONS = 10_000
SUBSCRIPTIONS = 10
"""For each connection there may be, however they are spread over those."""
WORDINGS = 500
WORDINGS_PER_CLIENT = 50
"""A page has a handful, and all its visitors the same ones."""


class Hub:
    """Fans the outbox out. `run` until cancelled; `subscribe`, or `open` and `close`, at any time.

    `connections` and `subscriptions` are entered by whoever opens some for a client; in how many
    different words these are, the hub counts itself.
    """

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        *,
        connections: int = CONNECTIONS,
        connections_per_client: int = CONNECTIONS,
        wordings: int = WORDINGS,
        wordings_per_client: int = WORDINGS_PER_CLIENT,
    ) -> None:
        self.connections = Admission("live connections", connections, connections_per_client)
        self.subscriptions = Admission(
            "subscriptions", SUBSCRIPTIONS * connections, SUBSCRIPTIONS * connections_per_client
        )
        self._pool = pool
        admission = WordingAdmission(wordings, wordings_per_client)
        self._lanes = {topic: Lane(topic, admission) for topic in TOPICS}
        self._lane_of_kind = {
            kind: lane for topic, lane in self._lanes.items() for kind in topic.kinds
        }
        self.listener = Listener(dsn, self._publish, self._expire)

    async def run(self) -> None:
        """Follow the outbox until cancelled, across lost connections."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes.values():
                group.create_task(lane.run())
            group.create_task(self.listener.run())

    @property
    def subscriber_count(self) -> int:
        """How many subscriptions are open."""
        return sum(1 for _ in self.subscribers)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return sum(1 for lane in self._lanes.values() for _ in lane.groups)

    async def open(
        self, followed: FeedSubscription, wake: Callable[[], None], client: str = ""
    ) -> Subscriber:
        """Open a subscription of a client, to be closed; `wake` is called whenever there is something to take.

        Raises CursorExpiredError when events after the feed's place are no longer kept, FullError
        where there are subscriptions in too many different words, and what `is_passing` is true of.
        """
        feed = followed.feed
        if feed.place is not None:
            await check_kept(self._pool, feed.place.after)
        lane = self._lanes[feed.topic]
        group = lane.join(followed, client)
        position = lane.begun if feed.place is None else feed.place.after
        subscriber = Subscriber(feed, group, position, wake, self._read_outbox, client=client)
        group.members.add(subscriber)
        if feed.place is not None:
            self._read_outbox(subscriber)
        return subscriber

    def close(self, subscriber: Subscriber) -> None:
        """Close a subscription; once is enough, and twice no harm."""
        if subscriber.closed:
            return
        subscriber.closed = True
        subscriber.stop_reading()
        subscriber.group.members.discard(subscriber)
        self._lanes[subscriber.feed.topic].leave(subscriber.group, subscriber.client)

    @asynccontextmanager
    async def subscribe(
        self, followed: FeedSubscription, wake: Callable[[], None], client: str = ""
    ) -> AsyncIterator[Subscriber]:
        """Open a subscription for as long as the context lasts. Raises what `open` does."""
        subscriber = await self.open(followed, wake, client)
        try:
            yield subscriber
        finally:
            self.close(subscriber)

    def _read_outbox(self, subscriber: Subscriber) -> None:
        subscriber.reading = asyncio.create_task(self._catch_up(subscriber))

    async def _catch_up(self, subscriber: Subscriber) -> None:
        try:
            await catch_up(subscriber, self._pool, self._lanes[subscriber.feed.topic].turns)
        except Exception as error:  # noqa: BLE001  (its client is told why)
            subscriber.reading = None
            subscriber.end(error)

    @property
    def subscribers(self) -> Iterator[Subscriber]:
        """All open subscriptions."""
        for lane in self._lanes.values():
            for group in lane.groups:
                yield from group.members

    async def _publish(self, events: list[Event]) -> None:
        for event in events:
            await self._lane_of_kind[event.kind].add(event)

    def _expire(self, error: CursorExpiredError) -> None:
        for subscriber in tuple(self.subscribers):
            subscriber.end(error)
