"""The newest value of each market, and which have changed: what is written is bounded."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ingestor.streams.records import Frame, Tick

MAX_MARKETS = 100_000


class MarketKey(NamedTuple):
    """A market: the venue, and its symbol there."""

    venue: str
    symbol: str


class _VenueTicks(NamedTuple):
    """The ticks of one venue by symbol: newest, changed since the last `take`, with volumes."""

    newest: dict[str, Tick]
    changed: dict[str, Tick]
    volumes: dict[str, Tick]


class Conflation:
    """Keeps one tick a market however many arrive; `take` returns those that changed.

    A tick that is older than the one kept is counted and not kept: it arrived late. A tick without
    volumes gets the newest ones of its market, which may come with a late tick.
    """

    def __init__(self, max_markets: int = MAX_MARKETS) -> None:
        self._venues: dict[str, _VenueTicks] = {}
        self._max_markets = max_markets
        self._markets = 0
        self.ticks = 0
        """Ticks that were added."""
        self.late = 0
        """Ticks older than the one kept."""
        self.refused = 0
        """Ticks of markets beyond the most."""

    def __len__(self) -> int:
        return self._markets

    @property
    def changed(self) -> int:
        """Markets that changed since the last `take`."""
        return sum(len(ticks.changed) for ticks in self._venues.values())

    def add_frame(self, frame: Frame) -> None:
        """Keep the ticks of a frame."""
        self._add(frame.venue, frame.ticks)

    def add(self, venue: str, tick: Tick) -> None:
        """Keep a tick, unless it is late or its market is one too many."""
        self._add(venue, (tick,))

    def _add(self, venue: str, ticks: Sequence[Tick]) -> None:
        kept = self._venues.setdefault(venue, _VenueTicks({}, {}, {}))
        self.ticks += len(ticks)
        for tick in ticks:
            newest = kept.newest.get(tick.symbol)
            if newest is None:
                if self._markets >= self._max_markets:
                    self.refused += 1
                    continue
                self._markets += 1
            elif tick.observed_ns <= newest.observed_ns and _is_older(tick, newest):
                self.late += 1
                _take_volumes(kept, tick, newest)
                continue
            _keep(kept, tick)

    def take(self) -> dict[MarketKey, Tick]:
        """Return the newest tick of each market that changed since the last call."""
        taken = {}
        for venue, ticks in self._venues.items():
            taken.update({MarketKey(venue, name): tick for name, tick in ticks.changed.items()})
            ticks.changed.clear()
        return taken

    def put_back(self, changed: dict[MarketKey, Tick]) -> None:
        """Return ticks that could not be written; a newer one of the same market stays."""
        for key, tick in changed.items():
            self._venues[key.venue].changed.setdefault(key.symbol, tick)

    def is_newest(self, venue: str, tick: Tick) -> bool:
        """Return whether a tick that was added is the one that its market keeps."""
        ticks = self._venues.get(venue)
        kept = None if ticks is None else ticks.newest.get(tick.symbol)
        if kept is None:
            return False
        return kept is tick or (kept.observed_ns, kept.price) == (tick.observed_ns, tick.price)

    def newest(self) -> Iterator[tuple[MarketKey, Tick]]:
        """Yield the newest tick of every market."""
        for venue, ticks in self._venues.items():
            for symbol, tick in ticks.newest.items():
                yield MarketKey(venue, symbol), tick


def _keep(kept: _VenueTicks, tick: Tick) -> None:
    """Keep a tick that is not late, with the newest volumes of its market."""
    symbol = tick.symbol
    volumes = kept.volumes.get(symbol)
    if tick.volume_24h_base is None:
        if volumes is not None:
            tick = _with_volumes(tick, volumes)
    elif volumes is None or tick.observed_ns >= volumes.observed_ns:
        kept.volumes[symbol] = tick
    kept.newest[symbol] = kept.changed[symbol] = tick


def _take_volumes(kept: _VenueTicks, late: Tick, newest: Tick) -> None:
    """Give a market the volumes of a late tick, if they are newer than those it has."""
    volumes = kept.volumes.get(late.symbol)
    if late.volume_24h_base is None:
        return
    if volumes is None or late.observed_ns >= volumes.observed_ns:
        kept.volumes[late.symbol] = late
        tick = _with_volumes(newest, late)
        kept.newest[late.symbol] = kept.changed[late.symbol] = tick


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
