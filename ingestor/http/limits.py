"""The bounds of a fetch: times, attempts and sizes."""

import msgspec

from common.backoff import BackoffPolicy
from common.settings import Settings


class FetchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a fetch.

    Times are seconds; `total_seconds` is for one attempt, `patience_seconds` for all of them.
    """

    total_seconds: float = 60.0
    connect_seconds: float = 10.0
    patience_seconds: float = 300.0
    attempts: int = 5
    first_backoff_seconds: float = 0.5
    longest_backoff_seconds: float = 30.0
    longest_retry_after_seconds: float = 120.0
    max_body_bytes: int = 64 * 1024 * 1024
    circuit_threshold: int = 5
    circuit_open_seconds: float = 60.0

    def backoff_policy(self) -> BackoffPolicy:
        """Return the delays between attempts."""
        return BackoffPolicy(
            first_seconds=self.first_backoff_seconds, longest_seconds=self.longest_backoff_seconds
        )


def limits_of(settings: Settings) -> FetchLimits:
    """Return the limits of a source: its attempts end before the deadline of a run."""
    longest = FetchLimits().patience_seconds
    return FetchLimits(patience_seconds=min(longest, settings.run_timeout_seconds))
