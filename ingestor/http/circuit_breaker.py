"""A circuit breaker: a provider that keeps failing is not called for a while, then once."""

import time
from collections.abc import Callable


class Circuit:
    """Closed: every attempt may go. Open after `threshold` failures: none may, for `open_seconds`.

    Then half open: attempts may go again, and the first failure opens it again. Times are of a
    monotonic clock.
    """

    def __init__(
        self, *, threshold: int, open_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold = threshold
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self.reason = ""

    def remaining_seconds(self) -> float:
        """Return the seconds until an attempt may go, 0 if it may now."""
        return max(0.0, self._open_until - self._clock())

    def failed(self, reason: str) -> None:
        """Count a failure."""
        self._failures += 1
        self.reason = reason
        if self._failures >= self._threshold:
            self.open_for(self._open_seconds, reason)

    def open_for(self, seconds: float, reason: str) -> None:
        """Block attempts for `seconds`, regardless of the count."""
        self._open_until = max(self._open_until, self._clock() + seconds)
        self.reason = reason

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures = 0
