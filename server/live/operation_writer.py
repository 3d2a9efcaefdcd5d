"""Encodes each event once for all subscriptions to the same operation."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.limits.rows import COINS_PER_MESSAGE
from server.live.encoder import SharedEvent, UpdateEncoder
from server.live.fair_queue import FairQueue
from server.live.group import SubscriberGroup
from server.live.retry import retry
from server.live.time_slice import TimeSlice

BACKLOG_EVENTS = 64
BACKLOG_NAMES = 50_000
"""How many names may wait to be encoded for one operation.

The rows of the waiting coins stay in memory: about 1.5 KB each.
"""

NamesByGroup = Mapping[SubscriberGroup, Sequence[str]]


class LaggedUpdate(NamedTuple):
    """How many messages were left out for a group, up to the event `seq`."""

    seq: int
    messages: int


class BacklogEntry:
    """An event to encode, and its names for each group; `written` is done once it is encoded."""

    __slots__ = ("names_by_group", "shared", "written")

    def __init__(self, shared: SharedEvent, names_by_group: NamesByGroup) -> None:
        self.shared = shared
        self.names_by_group = names_by_group
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        """Mark the entry as written."""
        if not self.written.done():
            self.written.set_result(None)


class OperationWriter:
    """Encodes the events of one operation for its groups, one after the other, until `close`.

    `clients` counts the subscriptions of each client. It does not encode events of groups without
    members.
    """

    def __init__(self, encoder: UpdateEncoder, queue: FairQueue) -> None:
        self.encoder = encoder
        self.groups: set[SubscriberGroup] = set()
        self.clients: Counter[str] = Counter()
        self._queue = queue
        self._backlog: deque[BacklogEntry] = deque()
        self._backlog_names = 0
        self._current: BacklogEntry | None = None
        self._lagged: dict[SubscriberGroup, LaggedUpdate] = {}
        self._woken = asyncio.Event()
        self._slice = TimeSlice()
        self._task = asyncio.create_task(self._run())

    def put(
        self, shared: SharedEvent, names_by_group: NamesByGroup
    ) -> "asyncio.Future[None] | None":
        """Add an event to the backlog; leaves out the oldest events above the limits.

        Returns a future that is done once the event is encoded, None if the writer has a backlog.
        """
        entry = BacklogEntry(shared, names_by_group)
        is_up_to_date = self._current is None and not self._backlog
        self._backlog.append(entry)
        self._backlog_names += len(shared.names)
        while len(self._backlog) > BACKLOG_EVENTS or (
            self._backlog_names > BACKLOG_NAMES and len(self._backlog) > 1
        ):
            self._leave_out(self._next())
        self._woken.set()
        return entry.written if is_up_to_date else None

    def close(self) -> None:
        """Stop at once; the current event is not finished."""
        self._task.cancel()
        for entry in (self._current, *self._backlog):
            if entry is not None:
                entry.finish()

    async def _run(self) -> None:
        while True:
            while not self._backlog:
                self._woken.clear()
                await self._woken.wait()
            self._report_lagged()
            self._current = self._next()
            await self._write(self._current)
            self._current.finish()
            self._current = None

    def _next(self) -> BacklogEntry:
        entry = self._backlog.popleft()
        self._backlog_names -= len(entry.shared.names)
        return entry

    async def _write(self, entry: BacklogEntry) -> None:
        count = min(len(entry.shared.names), sum(map(len, entry.names_by_group.values())))
        try:
            async with self._queue.turn(self.clients, self.encoder.cost * count):
                remaining = {
                    group: names for group, names in entry.names_by_group.items() if group.members
                }
                if remaining:
                    await self._encode(entry.shared, remaining)
        except Exception as error:  # noqa: BLE001  (its clients get the error; others continue)
            for group in entry.names_by_group:
                for member in tuple(group.members):
                    member.end(error)

    async def _encode(self, shared: SharedEvent, names_by_group: NamesByGroup) -> None:
        encoded = await retry(self.encoder.encode, shared, list(names_by_group.values()))
        for group, messages in zip(names_by_group, encoded, strict=True):
            for member in tuple(group.members):
                member.offer(shared.event.seq, messages)
                await self._slice.end_if_over()

    def _leave_out(self, entry: BacklogEntry) -> None:
        """Count the messages of an event that is not encoded: the operation is too expensive."""
        for group, names in entry.names_by_group.items():
            messages = -(-len(names) // COINS_PER_MESSAGE)
            before = self._lagged[group].messages if group in self._lagged else 0
            self._lagged[group] = LaggedUpdate(entry.shared.event.seq, before + messages)
        entry.finish()

    def _report_lagged(self) -> None:
        """Report messages that were left out to the members, after the event encoded meanwhile."""
        lagged, self._lagged = self._lagged, {}
        for group, (seq, messages) in lagged.items():
            for member in tuple(group.members):
                member.skip(seq, messages)
