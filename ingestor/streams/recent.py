"""The ticks of late: what two connections, or a venue's repeated state, send twice counts once."""

from ingestor.streams.records import Tick

Identity = tuple[object, ...]


class RecentTicks:
    """Remembers the last ticks of all symbols, up to `most`, and the newest of each symbol."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: dict[Identity, None] = {}
        self._last: dict[str, Identity] = {}

    def is_new(self, tick: Tick) -> bool:
        """Return whether a tick was not seen before, and remember it."""
        identity = _identity(tick)
        if identity in self._recent or self._last.get(tick.symbol) == identity:
            return False
        self._recent[identity] = None
        self._last[tick.symbol] = identity
        if len(self._recent) > self._most:
            del self._recent[next(iter(self._recent))]
        return True


def _identity(tick: Tick) -> Identity:
    """Return what two equal observations share: the venue's number, or everything."""
    if tick.sequence is not None:
        return (tick.symbol, tick.sequence)
    # Two different values may have the same time.
    return (tick.symbol, tick.observed_ns, tick.price, tick.size, tick.volume_24h_base)
