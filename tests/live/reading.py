"""A reader of a hub without any protocol around it, and what it is told in the plainest words."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from server.live.encoder import SharedEvent
from server.live.feed import COINS, RUNS, Feed, FeedPosition, FeedSubscription, Topic
from server.live.hub import Hub
from server.live.message import Message
from server.live.subscriber import Subscriber

__all__ = ["COINS", "RUNS", "PlainEncoder", "Reader", "Told", "follow", "reading"]

TIMEOUT_SECONDS = 30


class Told(msgspec.Struct, frozen=True):
    """What a message says: the event, what of it was wanted, and how many were left out before."""

    seq: int
    kind: str
    names: list[str]
    lagged: int


class PlainEncoder:
    """Writes `Told`; counts how often it was asked to."""

    def __init__(self, cost: int = 1) -> None:
        self.cost = cost
        self.written: list[tuple[int, int]] = []

    async def encode(
        self, commit: SharedEvent, wants: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        self.written.append((commit.event.seq, len(wants)))
        return [[_message(commit, names)] for names in wants]


def _message(commit: SharedEvent, names: Sequence[str]) -> Message:
    body = msgspec.json.encode(Told(commit.event.seq, commit.event.kind, list(names), 0))
    return Message(commit.event.seq, body, (len(body) - 2,))


def follow(
    topic: Topic,
    after: int | None = None,
    wanted: frozenset[str] | None = None,
    encoder: PlainEncoder | None = None,
) -> FeedSubscription:
    """Return what `Hub.open` wants; subscribers of one encoder share its words."""
    used = encoder or PlainEncoder()
    return FeedSubscription(
        Feed(topic, wanted, None if after is None else FeedPosition(after, None)),
        id(used),
        lambda: used,
    )


class Reader:
    """Takes what a subscriber has, when it has any."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.subscriber: Subscriber

    async def next(self) -> Told:
        """Return what comes next. Raises why it ended."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (body := self.subscriber.take()) is None:
                if self.subscriber.error is not None:
                    raise self.subscriber.error
                self.woken.clear()
                await self.woken.wait()
        return msgspec.json.decode(body, type=Told)

    async def take(self, count: int) -> list[Told]:
        """Return what comes next."""
        return [await self.next() for _ in range(count)]


@asynccontextmanager
async def reading(
    hub: Hub,
    topic: Topic,
    after: int | None = None,
    *,
    wanted: frozenset[str] | None = None,
    encoder: PlainEncoder | None = None,
    client: str | None = None,
) -> AsyncIterator[Reader]:
    """Subscribe for as long as the context lasts, as a client of its own unless one is named."""
    reader = Reader()
    followed = follow(topic, after, wanted, encoder)
    async with hub.subscribe(
        followed, reader.woken.set, client or str(id(reader))
    ) as reader.subscriber:
        yield reader
