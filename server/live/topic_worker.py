"""The worker of a topic: it passes the events to the operations, one after the other."""

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from db.events import Event
from server.live.admission import OperationAdmission
from server.live.encoder import SharedEvent
from server.live.fair_queue import FairQueue
from server.live.feed import FeedSubscription, Topic, names_of
from server.live.group import SubscriberGroup
from server.live.operation_writer import NamesByGroup, OperationWriter

QUEUE_LIMIT = 64
"""Events that may wait here; with more, the listener stops reading from the outbox."""

WAIT_SECONDS = 0.5
"""How long the next event waits for operations that are up to date; it never waits for others."""


class TopicWorker:
    """Passes each event to all operations that follow a name in it, and waits briefly for them.

    Each topic has its own worker: thousands of coins do not delay the progress of a run.
    """

    def __init__(self, topic: Topic, admission: OperationAdmission) -> None:
        self.topic = topic
        self.position = 0
        """The newest event passed to groups: a later subscriber does not get it from its group."""
        self.queue = FairQueue()
        self._admission = admission
        self._events: asyncio.Queue[Event] = asyncio.Queue(QUEUE_LIMIT)
        self._operations: dict[Hashable, OperationWriter] = {}
        self._groups: dict[Hashable, SubscriberGroup] = {}
        self._of_all_names: dict[SubscriberGroup, None] = {}
        self._by_name: dict[str, dict[SubscriberGroup, None]] = {}

    @property
    def groups(self) -> Iterable[SubscriberGroup]:
        """All groups that have members."""
        return self._groups.values()

    async def add(self, event: Event) -> None:
        """Queue an event; waits while the queue is full."""
        await self._events.put(event)

    def join(self, followed: FeedSubscription, client: str) -> SubscriberGroup:
        """Return the group for one more subscription. Raises FullError for too many operations."""
        operation = self._operation(followed, client)
        key, names = followed.operation_key, followed.feed.names
        group = self._groups.get((key, names))
        if group is None:
            group = SubscriberGroup(key, names, operation.encoder)
            self._groups[group.key] = group
            operation.groups.add(group)
            if names is None:
                self._of_all_names[group] = None
            for name in names or ():
                self._by_name.setdefault(name, {})[group] = None
        return group

    def _operation(self, followed: FeedSubscription, client: str) -> OperationWriter:
        """Return the operation, with one more subscription of the client. Raises FullError."""
        key = followed.operation_key
        operation = self._operations.get(key)
        if operation is None or client not in operation.clients:
            self._admission.enter(client, is_new=operation is None)
        if operation is None:
            operation = OperationWriter(followed.make_encoder(), self.queue)
            self._operations[key] = operation
        operation.clients[client] += 1
        return operation

    def leave(self, group: SubscriberGroup, client: str) -> None:
        """Remove a member; removes the group with its last member, then the operation."""
        operation = self._operations[group.operation_key]
        if not group.members:
            self._remove(group, operation)
        if not operation.groups:
            operation.close()
            del self._operations[group.operation_key]
        operation.clients[client] -= 1
        if not operation.clients[client]:
            del operation.clients[client]
            self._admission.leave(client, was_last=not operation.groups)

    def _remove(self, group: SubscriberGroup, operation: OperationWriter) -> None:
        del self._groups[group.key]
        operation.groups.remove(group)
        self._of_all_names.pop(group, None)
        for name in group.names or ():
            of_name = self._by_name[name]
            del of_name[group]
            if not of_name:
                del self._by_name[name]

    async def run(self) -> None:
        """Pass on one event after the other, until cancelled."""
        while True:
            await self._pass_on(await self._events.get())

    async def _pass_on(self, event: Event) -> None:
        self.position = event.seq
        names = names_of(event)
        by_operation: defaultdict[OperationWriter, dict[SubscriberGroup, Sequence[str]]]
        by_operation = defaultdict(dict)
        for group, followed in self._names_by_group(names).items():
            by_operation[self._operations[group.operation_key]][group] = followed
        shared = SharedEvent(
            event,
            names if self._of_all_names else [name for name in names if name in self._by_name],
        )
        # The queue serves a client's requests in their order, so cheap operations go first.
        pending = [
            operation.put(shared, by_operation[operation])
            for operation in sorted(by_operation, key=lambda one: one.encoder.cost)
        ]
        up_to_date = [written for written in pending if written is not None]
        if up_to_date:
            await asyncio.wait(up_to_date, timeout=WAIT_SECONDS)

    def _names_by_group(self, names: Sequence[str]) -> NamesByGroup:
        """Return the names that each group follows, without visiting groups that follow none."""
        found: dict[SubscriberGroup, list[str]] = {}
        for name in names:
            for group in self._by_name.get(name, ()):
                found.setdefault(group, []).append(name)
        return {**dict.fromkeys(self._of_all_names, names), **found} if names else {}
