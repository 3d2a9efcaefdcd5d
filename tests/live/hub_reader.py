"""A reader of a hub without a protocol, and plain messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from server.live.encoder import SharedEvent
from server.live.feed import COINS, RUNS, Feed, FeedPosition, FeedSubscription, Topic
from server.live.hub import Hub
from server.live.message import Message
from server.live.subscriber import Subscriber

__all__ = ["COINS", "RUNS", "PlainEncoder", "Reader", "ReceivedUpdate", "follow", "reading"]

TIMEOUT_SECONDS = 30


class ReceivedUpdate(msgspec.Struct, frozen=True):
    """A plain message: the event, its names, and how many messages were left out before."""

    seq: int
    kind: str
    names: list[str]
    lagged: int


class PlainEncoder:
    """Encodes `ReceivedUpdate`; `written` has the event and the number of groups of each call."""

    def __init__(self, cost: int = 1) -> None:
        self.cost = cost
        self.written: list[tuple[int, int]] = []

    async def encode(
        self, commit: SharedEvent, name_lists: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        self.written.append((commit.event.seq, len(name_lists)))
        return [[_message(commit, names)] for names in name_lists]


def _message(commit: SharedEvent, names: Sequence[str]) -> Message:
    body = msgspec.json.encode(ReceivedUpdate(commit.event.seq, commit.event.kind, list(names), 0))
    return Message(commit.event.seq, body, (len(body) - 2,))


def follow(
    topic: Topic,
    after: int | None = None,
    names: frozenset[str] | None = None,
    encoder: PlainEncoder | None = None,
) -> FeedSubscription:
    """Return the subscription for `Hub.open`; equal encoders are one operation."""
    used = encoder or PlainEncoder()
    return FeedSubscription(
        Feed(topic, names, None if after is None else FeedPosition(after, None)),
        id(used),
        lambda: used,
    )


class Reader:
    """Takes the messages of a subscriber."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.subscriber: Subscriber

    async def next(self) -> ReceivedUpdate:
        """Return the next message. Raises the error that ended the subscription."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (body := self.subscriber.take()) is None:
                if self.subscriber.error is not None:
                    raise self.subscriber.error
                self.woken.clear()
                await self.woken.wait()
        return msgspec.json.decode(body, type=ReceivedUpdate)

    async def take(self, count: int) -> list[ReceivedUpdate]:
        """Return the next messages."""
        return [await self.next() for _ in range(count)]


@asynccontextmanager
async def reading(
    hub: Hub,
    topic: Topic,
    after: int | None = None,
    *,
    names: frozenset[str] | None = None,
    encoder: PlainEncoder | None = None,
    client: str | None = None,
) -> AsyncIterator[Reader]:
    """Subscribe for as long as the context lasts, by default as a separate client."""
    reader = Reader()
    followed = follow(topic, after, names, encoder)
    async with hub.subscribe(
        followed, reader.woken.set, client or str(id(reader))
    ) as reader.subscriber:
        yield reader
