"""A lane: the events of one topic on their way to its groups, one after the other."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from weakref import WeakValueDictionary

from db.events import Event
from server.live.encoder import Commit, Encoder
from server.live.feed import Topic, names_of
from server.live.group import Group
from server.live.message import Message
from server.live.pace import Pace
from server.live.patience import persist

WAITING_LIMIT = 64
"""Events that may wait here; beyond, the listener stops reading: the outbox keeps them."""

Wants = Mapping[Group, Sequence[str]]


class Lane:
    """Writes each event once for all groups that asked for it in the same words, and tells their members.

    Each topic has a lane of its own: coins by the thousand do not hold up a run's progress.
    """

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.begun = 0
        """The newest event that groups are told of: who joins later reads it in the outbox, or does without."""
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING_LIMIT)
        self._encoders: WeakValueDictionary[Hashable, Encoder] = WeakValueDictionary()
        self._groups: dict[Hashable, Group] = {}
        self._of_all: dict[Group, None] = {}
        self._by_name: dict[str, dict[Group, None]] = {}
        self._pace = Pace()

    @property
    def groups(self) -> Iterable[Group]:
        """All groups that have members."""
        return self._groups.values()

    async def add(self, event: Event) -> None:
        """Take in an event, as soon as there is room."""
        await self._waiting.put(event)

    def join(self, words: Hashable, wanted: frozenset[str] | None, make_encoder: Callable[[], Encoder]) -> Group:
        """Return the group of those who want these names, in these words."""
        key = words, wanted
        group = self._groups.get(key)
        if group is None:
            encoder = self._encoders.get(words)
            if encoder is None:
                encoder = self._encoders[words] = make_encoder()
            group = self._groups[key] = Group(key, wanted, encoder)
            if wanted is None:
                self._of_all[group] = None
            for name in wanted or ():
                self._by_name.setdefault(name, {})[group] = None
        return group

    def leave(self, group: Group) -> None:
        """Forget a group once it has no member left."""
        if group.members or self._groups.get(group.key) is not group:
            return
        del self._groups[group.key]
        self._of_all.pop(group, None)
        for name in group.wanted or ():
            of_name = self._by_name[name]
            del of_name[group]
            if not of_name:
                del self._by_name[name]

    async def run(self) -> None:
        """Tell the groups of one event after the other, until cancelled."""
        while True:
            await self._pass_on(await self._waiting.get())

    async def _pass_on(self, event: Event) -> None:
        self.begun = event.seq
        names = names_of(event)
        wants = self._wants(names)
        if wants:
            asked = names if self._of_all else [name for name in names if name in self._by_name]
            await self._tell(Commit(event, asked), wants)

    def _wants(self, names: Sequence[str]) -> Wants:
        """Return what of some names each group wants, without a look at those that want none of them."""
        found: dict[Group, list[str]] = {}
        for name in names:
            for group in self._by_name.get(name, ()):
                found.setdefault(group, []).append(name)
        return {**dict.fromkeys(self._of_all, names), **found} if names else {}

    async def _tell(self, commit: Commit, wants: Wants) -> None:
        alike: defaultdict[Encoder, list[Group]] = defaultdict(list)
        for group in wants:
            alike[group.encoder].append(group)
        for encoder, groups in alike.items():
            try:
                found = await persist(encoder.encode, commit, [wants[group] for group in groups])
            except Exception as error:  # noqa: BLE001  (their clients are told why; all others go on)
                for group in groups:
                    for member in tuple(group.members):
                        member.end(error)
            else:
                await self._deliver(commit.event.seq, zip(groups, found, strict=True))

    async def _deliver(self, seq: int, found: Iterable[tuple[Group, Sequence[Message]]]) -> None:
        for group, messages in found:
            for member in tuple(group.members):
                member.offer(seq, messages)
                await self._pace.rest()
