"""The hub: one listener reads the outbox; each event is encoded once a group of subscribers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from db.connect.types import Pool
from db.events import Event
from server.live.admission import Admission, OperationAdmission
from server.live.catch_up import catch_up, check_retained
from server.live.cursor import CursorExpiredError
from server.live.feed import TOPICS, FeedSubscription
from server.live.group import GroupMember
from server.live.listener import Listener
from server.live.subscriber import Subscriber
from server.live.topic_worker import TopicWorker

__all__ = ["CursorExpiredError", "Hub", "Subscriber"]

CONNECTIONS = 10_000
SUBSCRIPTIONS = 10
"""The limit for each allowed connection; it is shared by all connections of a client."""
OPERATIONS = 500
OPERATIONS_PER_CLIENT = 50
"""A page subscribes to a few operations, and all its visitors to the same ones."""


class Hub:
    """Passes events to subscribers.

    Call `run` first, then `subscribe`, or `open` and `close`, at any time.

    The caller that opens connections and subscriptions for a client enters them in `connections`
    and `subscriptions`; the hub counts the different operations itself.
    """

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        *,
        connections: int = CONNECTIONS,
        connections_per_client: int = CONNECTIONS,
        operations: int = OPERATIONS,
        operations_per_client: int = OPERATIONS_PER_CLIENT,
    ) -> None:
        self.connections = Admission("live connections", connections, connections_per_client)
        self.subscriptions = Admission(
            "subscriptions", SUBSCRIPTIONS * connections, SUBSCRIPTIONS * connections_per_client
        )
        self._pool = pool
        admission = OperationAdmission(operations, operations_per_client)
        self._workers = {topic: TopicWorker(topic, admission) for topic in TOPICS}
        self._worker_of_kind = {
            kind: worker for topic, worker in self._workers.items() for kind in topic.kinds
        }
        self.listener = Listener(dsn, self._publish, self._expire)

    async def run(self) -> None:
        """Follow the outbox until cancelled; reconnects after a lost connection."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers.values():
                group.create_task(worker.run())
            group.create_task(self.listener.run())

    @property
    def subscriber_count(self) -> int:
        """How many subscriptions are open."""
        return sum(1 for _ in self.subscribers)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return sum(1 for worker in self._workers.values() for _ in worker.groups)

    async def open(
        self, followed: FeedSubscription, wake: Callable[[], None], client: str = ""
    ) -> Subscriber:
        """Open a subscription of a client; `wake` is called when there is a message to take.

        The caller closes it. Raises CursorExpiredError when events after the feed's start were
        purged, FullError above the limit of operations, and temporary errors of the database.
        """
        feed = followed.feed
        if feed.start is not None:
            await check_retained(self._pool, feed.start.after)
        worker = self._workers[feed.topic]
        group = worker.join(followed, client)
        position = worker.position if feed.start is None else feed.start.after
        subscriber = Subscriber(feed, group, position, wake, self._start_catch_up, client=client)
        group.members.add(subscriber)
        if feed.start is not None:
            self._start_catch_up(subscriber)
        return subscriber

    def close(self, subscriber: Subscriber) -> None:
        """Close a subscription; a second call does nothing."""
        if subscriber.closed:
            return
        subscriber.closed = True
        subscriber.stop_catch_up()
        subscriber.group.members.discard(subscriber)
        self._workers[subscriber.feed.topic].leave(subscriber.group, subscriber.client)

    @asynccontextmanager
    async def subscribe(
        self, followed: FeedSubscription, wake: Callable[[], None], client: str = ""
    ) -> AsyncIterator[Subscriber]:
        """Open a subscription for as long as the context lasts. Raises what `open` raises."""
        subscriber = await self.open(followed, wake, client)
        try:
            yield subscriber
        finally:
            self.close(subscriber)

    def _start_catch_up(self, subscriber: Subscriber) -> None:
        subscriber.catch_up_task = asyncio.create_task(self._catch_up(subscriber))

    async def _catch_up(self, subscriber: Subscriber) -> None:
        try:
            await catch_up(subscriber, self._pool, self._workers[subscriber.feed.topic].queue)
        except Exception as error:  # noqa: BLE001  (the client gets the error)
            subscriber.catch_up_task = None
            subscriber.end(error)

    @property
    def subscribers(self) -> Iterator[GroupMember]:
        """All open subscriptions."""
        for worker in self._workers.values():
            for group in worker.groups:
                yield from group.members

    async def _publish(self, events: list[Event]) -> None:
        for event in events:
            await self._worker_of_kind[event.kind].add(event)

    def _expire(self, error: CursorExpiredError) -> None:
        for subscriber in tuple(self.subscribers):
            subscriber.end(error)
