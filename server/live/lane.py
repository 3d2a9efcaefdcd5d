"""A lane: the events of one topic on their way to its groups, one after the other."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from db.events import Event
from server.live.admission import WordingAdmission
from server.live.encoder import Commit
from server.live.feed import FeedSubscription, Topic, names_of
from server.live.group import Group
from server.live.turns import Turns
from server.live.wording import Wants, Wording

WAITING_LIMIT = 64
"""Events that may wait here; beyond, the listener stops reading: the outbox keeps them."""

PATIENCE_SECONDS = 0.5
"""How long the next event waits for those that are not behind; who is behind already is not waited for."""


class Lane:
    """Hands each event to all wordings that something of it is wanted in, and waits a while for it to be told.

    Each topic has a lane of its own: coins by the thousand do not hold up a run's progress.
    """

    def __init__(self, topic: Topic, admission: WordingAdmission) -> None:
        self.topic = topic
        self.begun = 0
        """The newest event that groups are told of: who joins later reads it in the outbox, or does without."""
        self.turns = Turns()
        self._admission = admission
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING_LIMIT)
        self._wordings: dict[object, Wording] = {}
        self._groups: dict[object, Group] = {}
        self._of_all: dict[Group, None] = {}
        self._by_name: dict[str, dict[Group, None]] = {}

    @property
    def groups(self) -> Iterable[Group]:
        """All groups that have members."""
        return self._groups.values()

    async def add(self, event: Event) -> None:
        """Take in an event, as soon as there is room."""
        await self._waiting.put(event)

    def join(self, followed: FeedSubscription, client: str) -> Group:
        """Return the group of those who want the same names in the same words, for one member more.

        Raises FullError where there are too many different words.
        """
        wording = self._worded(followed, client)
        key = followed.words, followed.feed.wanted
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, followed.feed.wanted, wording)
            wording.groups.add(group)
            if group.wanted is None:
                self._of_all[group] = None
            for name in group.wanted or ():
                self._by_name.setdefault(name, {})[group] = None
        return group

    def _worded(self, followed: FeedSubscription, client: str) -> Wording:
        """Count a subscription in some words."""
        wording = self._wordings.get(followed.words)
        if wording is None or client not in wording.clients:
            self._admission.enter(client, is_new=wording is None)
        if wording is None:
            wording = Wording(followed.words, followed.make_encoder(), self.turns)
            self._wordings[followed.words] = wording
        wording.clients[client] += 1
        return wording

    def leave(self, group: Group, client: str) -> None:
        """Forget a member; with its last one a group, and with its last group what is written in its words."""
        wording = group.wording
        if not group.members:
            self._forget(group)
        if not wording.groups:
            wording.close()
            del self._wordings[wording.words]
        wording.clients[client] -= 1
        if not wording.clients[client]:
            del wording.clients[client]
            self._admission.leave(client, was_last=not wording.groups)

    def _forget(self, group: Group) -> None:
        del self._groups[group.key]
        group.wording.groups.remove(group)
        self._of_all.pop(group, None)
        for name in group.wanted or ():
            of_name = self._by_name[name]
            del of_name[group]
            if not of_name:
                del self._by_name[name]

    async def run(self) -> None:
        """Hand on one event after the other, until cancelled."""
        while True:
            await self._pass_on(await self._waiting.get())

    async def _pass_on(self, event: Event) -> None:
        self.begun = event.seq
        names = names_of(event)
        wants: defaultdict[Wording, dict[Group, Sequence[str]]] = defaultdict(dict)
        for group, wanted in self._wants(names).items():
            wants[group.wording][group] = wanted
        commit = Commit(
            event, names if self._of_all else [name for name in names if name in self._by_name]
        )
        # A client's turns come in the order in which they are asked for: cheap ones first.
        pending = [
            wording.put(commit, wants[wording])
            for wording in sorted(wants, key=lambda one: one.encoder.cost)
        ]
        in_step = [told for told in pending if told is not None]
        if in_step:
            await asyncio.wait(in_step, timeout=PATIENCE_SECONDS)

    def _wants(self, names: Sequence[str]) -> Wants:
        """Return what of some names each group wants, without a look at those that want none of them."""
        found: dict[Group, list[str]] = {}
        for name in names:
            for group in self._by_name.get(name, ()):
                found.setdefault(group, []).append(name)
        return {**dict.fromkeys(self._of_all, names), **found} if names else {}
