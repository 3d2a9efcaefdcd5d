"""The newest value of each market, and which have changed: what is written is bounded."""

from collections.abc import Iterable
from typing import NamedTuple

from ingestor.streams.records import Frame, Tick

MAX_MARKETS = 100_000


class MarketKey(NamedTuple):
    """A market: the venue, and its symbol there."""

    venue: str
    symbol: str


class Conflation:
    """Keeps one tick a market however many arrive; `take` returns those that changed.

    A tick that is older than the one kept is counted and not kept: it arrived late. A tick without
    volumes gets the newest ones of its market, which may come with a late tick.
    """

    def __init__(self, max_markets: int = MAX_MARKETS) -> None:
        self._newest: dict[MarketKey, Tick] = {}
        self._changed: dict[MarketKey, Tick] = {}
        self._volumes: dict[MarketKey, Tick] = {}
        """The newest tick with volumes of each market."""
        self._max_markets = max_markets
        self.ticks = 0
        """Ticks that were added."""
        self.late = 0
        """Ticks older than the one kept."""
        self.refused = 0
        """Ticks of markets beyond the most."""

    def __len__(self) -> int:
        return len(self._newest)

    @property
    def changed(self) -> int:
        """Markets that changed since the last `take`."""
        return len(self._changed)

    def add_frame(self, frame: Frame) -> None:
        """Keep the ticks of a frame."""
        for tick in frame.ticks:
            self.add(frame.venue, tick)

    def add(self, venue: str, tick: Tick) -> None:
        """Keep a tick, unless it is late or the market is one too many."""
        self.ticks += 1
        key = MarketKey(venue, tick.symbol)
        newest = self._newest.get(key)
        if newest is None and len(self._newest) >= self._max_markets:
            self.refused += 1
            return
        is_late = newest is not None and _is_older(tick, newest)
        if tick.volume_24h_base is not None:
            volumes = self._volumes.get(key)
            if volumes is None or tick.observed_ns >= volumes.observed_ns:
                self._volumes[key] = tick
                if is_late and newest is not None:
                    self._keep(key, _with_volumes(newest, tick))
        elif key in self._volumes:
            tick = _with_volumes(tick, self._volumes[key])
        if is_late:
            self.late += 1
        else:
            self._keep(key, tick)

    def _keep(self, key: MarketKey, tick: Tick) -> None:
        self._newest[key] = self._changed[key] = tick

    def take(self) -> dict[MarketKey, Tick]:
        """Return the newest tick of each market that changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def put_back(self, changed: dict[MarketKey, Tick]) -> None:
        """Return ticks that could not be written; a newer one of the same market stays."""
        self._changed = changed | self._changed

    def newest(self) -> Iterable[tuple[MarketKey, Tick]]:
        """Return the newest tick of every market."""
        return self._newest.items()


def _is_older(tick: Tick, newest: Tick) -> bool:
    if tick.observed_ns != newest.observed_ns:
        return tick.observed_ns < newest.observed_ns
    # At equal times the venue's number decides; without one, the later arrival.
    return (
        tick.sequence is not None
        and newest.sequence is not None
        and tick.sequence < newest.sequence
    )


def _with_volumes(tick: Tick, volumes: Tick) -> Tick:
    return Tick(
        tick.symbol,
        tick.price,
        tick.observed_ns,
        tick.size,
        volumes.volume_24h_base,
        volumes.volume_24h_quote,
        tick.sequence,
    )
