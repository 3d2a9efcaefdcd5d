"""The rate limits of a provider: requests a window and requests a month."""

import math
import re
from typing import Final

_RATE: Final = re.compile(r"(\d+)/(s|m|h|second|minute|hour)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}


class RateLimits:
    """The limits of one provider, for all its clients together."""

    def __init__(self, rate: tuple[int, int] | None = None, monthly: int | None = None) -> None:
        """Allow `rate` (requests, seconds) in fixed windows; None is unlimited."""
        self.rate = rate
        self.monthly = monthly
        self.counted = 0
        self._window = -1
        self._in_window = 0

    def wait_seconds(self, now: float) -> int | None:
        """Count a request; return the whole seconds to wait if it is too early, else None."""
        self.counted += 1
        if self.rate is None:
            return None
        requests, seconds = self.rate
        window = int(now // seconds)
        self._in_window = self._in_window + 1 if window == self._window else 1
        self._window = window
        return (
            None if self._in_window <= requests else max(1, math.ceil((window + 1) * seconds - now))
        )

    @property
    def is_spent(self) -> bool:
        """Return whether the month's requests are used up."""
        return self.monthly is not None and self.counted > self.monthly


def parse_rate(text: str) -> tuple[int, int]:
    """Return `10/s`, `30/m` or `500/h` as (requests, seconds). Raises ValueError."""
    match = _RATE.fullmatch(text)
    if match is None or not int(match[1]):
        raise ValueError(f"{text!r} is not a rate such as 10/s, 30/m or 500/h")
    return int(match[1]), _SECONDS[match[2][0]]
