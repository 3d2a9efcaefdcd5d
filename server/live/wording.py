"""Subscriptions in the same words: each event is written once for them, in turn with those in other words."""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from server.limits.rows import COINS_PER_MESSAGE
from server.live.encoder import Commit, UpdateEncoder
from server.live.group import Group
from server.live.pace import Pace
from server.live.retry import persist
from server.live.turns import Turns

BACKLOG_EVENTS = 64
BACKLOG_NAMES = 50_000
"""What may wait to be written in the same words.

The rows of its coins are held as long: some 1.5 KB each.
"""

Wants = Mapping[Group, Sequence[str]]


class LaggedUpdate(NamedTuple):
    """How many messages were left out for a group, up to the event `seq`."""

    seq: int
    messages: int


class Pending:
    """An event that is to be written, and what each group wants of it; `told` is done once all have been told."""

    __slots__ = ("commit", "told", "wants")

    def __init__(self, commit: Commit, wants: Wants) -> None:
        self.commit = commit
        self.wants = wants
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        """Say that nothing is left to do."""
        if not self.told.done():
            self.told.set_result(None)


class Wording:
    """Writes one event after the other for its groups, from its first group's coming to `close`.

    `clients` counts the subscriptions of each client. An event that nobody is left for is not
    written.
    """

    def __init__(self, words: Hashable, encoder: UpdateEncoder, turns: Turns) -> None:
        self.words = words
        self.encoder = encoder
        self.groups: set[Group] = set()
        self.clients: Counter[str] = Counter()
        self._turns = turns
        self._backlog: deque[Pending] = deque()
        self._names = 0
        self._writing: Pending | None = None
        self._left_out: dict[Group, LaggedUpdate] = {}
        self._woken = asyncio.Event()
        self._pace = Pace()
        self._task = asyncio.create_task(self._run())

    def put(self, commit: Commit, wants: Wants) -> "asyncio.Future[None] | None":
        """Take in an event; return what is done once it is told, None where others are to be told before it."""
        pending = Pending(commit, wants)
        in_step = self._writing is None and not self._backlog
        self._backlog.append(pending)
        self._names += len(commit.asked)
        while len(self._backlog) > BACKLOG_EVENTS or (
            self._names > BACKLOG_NAMES and len(self._backlog) > 1
        ):
            self._leave_out(self._next())
        self._woken.set()
        return pending.told if in_step else None

    def close(self) -> None:
        """Write no more, not even what is being written."""
        self._task.cancel()
        for pending in (self._writing, *self._backlog):
            if pending is not None:
                pending.finish()

    async def _run(self) -> None:
        while True:
            while not self._backlog:
                self._woken.clear()
                await self._woken.wait()
            self._tell_of_what_is_left_out()
            self._writing = self._next()
            await self._write(self._writing)
            self._writing.finish()
            self._writing = None

    def _next(self) -> Pending:
        pending = self._backlog.popleft()
        self._names -= len(pending.commit.asked)
        return pending

    async def _write(self, pending: Pending) -> None:
        count = min(len(pending.commit.asked), sum(map(len, pending.wants.values())))
        try:
            async with self._turns.turn(self.clients, self.encoder.cost * count):
                wants = {group: names for group, names in pending.wants.items() if group.members}
                if wants:
                    await self._tell(pending.commit, wants)
        except Exception as error:  # noqa: BLE001  (their clients are told why; all others go on)
            for group in pending.wants:
                for member in tuple(group.members):
                    member.end(error)

    async def _tell(self, commit: Commit, wants: Wants) -> None:
        found = await persist(self.encoder.encode, commit, list(wants.values()))
        for group, messages in zip(wants, found, strict=True):
            for member in tuple(group.members):
                member.offer(commit.event.seq, messages)
                await self._pace.rest()

    def _leave_out(self, pending: Pending) -> None:
        """Remember what is not written: in these words it is too much for the rate at which it changes."""
        for group, names in pending.wants.items():
            messages = -(-len(names) // COINS_PER_MESSAGE)
            before = self._left_out[group].messages if group in self._left_out else 0
            self._left_out[group] = LaggedUpdate(pending.commit.event.seq, before + messages)
        pending.finish()

    def _tell_of_what_is_left_out(self) -> None:
        """Tell the members in its order: after what was being written meanwhile."""
        left_out, self._left_out = self._left_out, {}
        for group, (seq, messages) in left_out.items():
            for member in tuple(group.members):
                member.miss(seq, messages)
