"""The rate limit on the messages of a client, over all its websockets."""

from weakref import WeakValueDictionary

MESSAGES_PER_SECOND = 2_000
"""Frames of any kind.

A frame takes 10 to 20 µs, so a client uses at most 4 % of a processor.
"""
BURST_MESSAGES = 2_000


class MessageRateLimit:
    """A token bucket; times are those of the event loop's clock."""

    def __init__(self) -> None:
        self._full_at = 0.0

    def spend(self, messages: int, now: float) -> None:
        """Take tokens; the number of tokens may become negative."""
        self._full_at = max(self._full_at, now) + messages / MESSAGES_PER_SECOND

    def seconds_until_next(self, now: float) -> float:
        """Return how long to wait before the next message is read; 0 for no wait."""
        return max(0.0, self._full_at - now - BURST_MESSAGES / MESSAGES_PER_SECOND)


class MessageRateLimits:
    """The rate limit of each client that has a websocket."""

    def __init__(self) -> None:
        self._by_client: WeakValueDictionary[str, MessageRateLimit] = WeakValueDictionary()

    def of(self, client: str) -> MessageRateLimit:
        """Return the limit of a client; the caller holds it while the websocket is open."""
        found = self._by_client.get(client)
        if found is None:
            found = self._by_client[client] = MessageRateLimit()
        return found
