"""How many messages a second a client may send, over all its websockets."""

from weakref import WeakValueDictionary

MESSAGES_PER_SECOND = 2_000
"""Frames of any kind.

One costs 10 to 20 µs, so that a client takes a few hundredths of a processor at most.
"""
MESSAGES_AT_ONCE = 2_000


class Allowance:
    """A bucket that fills by MESSAGES_PER_SECOND, up to MESSAGES_AT_ONCE; times are those of the loop's clock."""

    def __init__(self) -> None:
        self._full_at = 0.0

    def spend(self, messages: int, now: float) -> None:
        """Take messages out; there may be less than none in it afterwards."""
        self._full_at = max(self._full_at, now) + messages / MESSAGES_PER_SECOND

    def seconds_until_next(self, now: float) -> float:
        """Return how long to wait before the next message is read; 0 where it need not wait."""
        return max(0.0, self._full_at - now - MESSAGES_AT_ONCE / MESSAGES_PER_SECOND)


class Allowances:
    """One for each client that has a websocket."""

    def __init__(self) -> None:
        self._by_client: WeakValueDictionary[str, Allowance] = WeakValueDictionary()

    def of(self, client: str) -> Allowance:
        """Return a client's, to be kept for as long as its websocket is open."""
        found = self._by_client.get(client)
        if found is None:
            found = self._by_client[client] = Allowance()
        return found
