"""Feeds: what a subscription follows, and the position where it starts."""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from db.events import Event
from server.live.encoder import UpdateEncoder


class Topic(msgspec.Struct, frozen=True):
    """Events of some kinds; a `complete` one leaves out no message for a slow subscriber."""

    kinds: frozenset[str]
    complete: bool


RUNS = Topic(frozenset({"run_started", "run_progress", "run_finished"}), complete=True)
COINS = Topic(frozenset({"coins_changed"}), complete=False)
TOPICS = (RUNS, COINS)


class FeedPosition(NamedTuple):
    """A position in the outbox: after the event `seq`, or within it after the coin `ticker`."""

    seq: int
    ticker: str | None

    @property
    def after(self) -> int:
        """The sequence number after which the outbox is read."""
        return self.seq if self.ticker is None else self.seq - 1


def names_of(event: Event) -> Sequence[str]:
    """Return the names in an event, sorted: tickers, or the source of a run."""
    if event.run is not None:
        return (event.run["source"],)
    return sorted(event.tickers or ())


class Feed(msgspec.Struct, frozen=True):
    """What one subscription follows.

    `names` of None means all names, `start` of None means from now on. graphql-core requires that
    a subscription's resolver returns an async iterator; nothing iterates over it.
    """

    topic: Topic
    names: frozenset[str] | None
    start: FeedPosition | None

    def names_in(self, event: Event) -> list[str]:
        """Return the names in an event that this feed follows and that come after its start."""
        found = [name for name in names_of(event) if self.names is None or name in self.names]
        if self.start is not None and self.start.seq == event.seq and self.start.ticker is not None:
            found = [name for name in found if name > self.start.ticker]
        return found

    def __aiter__(self) -> AsyncIterator[NoReturn]:
        raise TypeError("a feed is followed by the hub")


class FeedSubscription(msgspec.Struct, frozen=True):
    """A feed and its operation: subscriptions with an equal `operation_key` share an encoder."""

    feed: Feed
    operation_key: Hashable
    make_encoder: Callable[[], UpdateEncoder]
