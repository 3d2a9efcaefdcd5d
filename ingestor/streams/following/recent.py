"""The ticks of late: what two connections, or a venue's repeated state, send twice counts once."""

from ingestor.streams.records import Tick

_Key = tuple[str, int, bool]
_MOST_AT_ONCE = 15
"""Values of one symbol and time: a venue whose clock stands still must not fill the memory."""


class RecentTicks:
    """Remembers the last ticks of all symbols, and the last one of each symbol.

    Of all symbols it remembers at most `most`, and at least half of that.
    """

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        # Digests, not ticks: these take a fifth of the memory. In two generations, because deleting
        # the oldest key of a dictionary takes longer the more were deleted before.
        self._young: dict[_Key, tuple[int, ...]] = {}
        self._old: dict[_Key, tuple[int, ...]] = {}
        self._last: dict[str, Tick] = {}

    def is_new(self, tick: Tick) -> bool:
        """Return whether a tick was not seen before, and remember it.

        Two ticks are the same if the venue gave them one number, or else if all is equal: two
        different values may have the same time.
        """
        if tick.sequence is None:
            key, digest = (tick.symbol, tick.observed_ns, False), _digest(tick)
        else:
            key, digest = (tick.symbol, tick.sequence, True), 0
        same = self._young.get(key) or self._old.get(key)
        if same is not None and digest in same:
            return False
        last = self._last.get(tick.symbol)
        if last is not None and _is_same(last, tick):
            return False
        self._last[tick.symbol] = tick
        self._young[key] = (digest,) if same is None else (*same[-_MOST_AT_ONCE:], digest)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        return True


def _digest(tick: Tick) -> int:
    return hash((tick.price, tick.size, tick.volume_24h_base))


def _is_same(last: Tick, tick: Tick) -> bool:
    if tick.sequence is not None:
        return last.sequence == tick.sequence
    return last.observed_ns == tick.observed_ns and last == tick
