"""What a subscription follows: a topic, the names that are wanted of it, and where to begin."""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from db.events import Event
from server.live.encoder import UpdateEncoder


class Topic(msgspec.Struct, frozen=True):
    """Events of some kinds. A `complete` one leaves nothing out, however slow a subscriber is."""

    kinds: frozenset[str]
    complete: bool


RUNS = Topic(frozenset({"run_started", "run_progress", "run_finished"}), complete=True)
COINS = Topic(frozenset({"coins_changed"}), complete=False)
TOPICS = (RUNS, COINS)


class FeedPosition(NamedTuple):
    """Where a subscriber stands: after the event `seq`, or within it, after its coin `ticker`."""

    seq: int
    ticker: str | None

    @property
    def after(self) -> int:
        """The sequence number from which the outbox is read on."""
        return self.seq if self.ticker is None else self.seq - 1


def names_of(event: Event) -> Sequence[str]:
    """Return what an event is about, in order: tickers, or the source of a run."""
    if event.run is not None:
        return (event.run["source"],)
    return sorted(event.tickers or ())


class Feed(msgspec.Struct, frozen=True):
    """What one subscription follows; `wanted` of None is everything, `place` of None is from now on.

    graphql-core asks of a subscription's resolver something that can be iterated over. It never is:
    the hub follows it.
    """

    topic: Topic
    wanted: frozenset[str] | None
    place: FeedPosition | None

    def names(self, event: Event) -> list[str]:
        """Return what of an event is wanted and not yet seen."""
        names = [name for name in names_of(event) if self.wanted is None or name in self.wanted]
        if self.place is not None and self.place.seq == event.seq and self.place.ticker is not None:
            names = [name for name in names if name > self.place.ticker]
        return names

    def __aiter__(self) -> AsyncIterator[NoReturn]:
        raise TypeError("a feed is followed by the hub")


class FeedSubscription(msgspec.Struct, frozen=True):
    """A feed, the words that it was asked for in, and how to write updates in them: equal words share an encoder."""

    feed: Feed
    words: Hashable
    make_encoder: Callable[[], UpdateEncoder]
