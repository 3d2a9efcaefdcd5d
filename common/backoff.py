"""Exponential back-off with jitter: how long every loop of the product waits after a failure."""

import math
import random

import msgspec

_RANDOM = random.SystemRandom()
_MAX_DOUBLINGS = 30


class BackoffPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The delays after failures in a row: the first one doubles up to the longest one.

    `jitter` is the share of a delay that is random, from 0 to 1: clients that lost the same server
    do not return to it together. The first `immediate` failures in a row have a delay of 0. An
    attempt that ran for `steady_seconds` counts as a success.
    """

    first_seconds: float
    longest_seconds: float
    jitter: float = 0.5
    immediate: int = 0
    steady_seconds: float = math.inf

    def delay_seconds(self, failures: int) -> float:
        """Return the delay after that many failures in a row, counted from 1."""
        doublings = failures - 1 - self.immediate
        if doublings < 0:
            return 0.0
        ceiling = min(
            self.longest_seconds, self.first_seconds * 2 ** min(doublings, _MAX_DOUBLINGS)
        )
        return _RANDOM.uniform(ceiling * (1 - self.jitter), ceiling) if self.jitter else ceiling


class Backoff:
    """Counts the failures of one loop and returns the delay after each."""

    def __init__(self, policy: BackoffPolicy) -> None:
        self.failures = 0
        self._policy = policy

    def next_seconds(self, ran_seconds: float = 0.0) -> float:
        """Count a failure of an attempt that ran for `ran_seconds`; return the delay after it."""
        if ran_seconds >= self._policy.steady_seconds:
            self.reset()
        self.failures += 1
        return self._policy.delay_seconds(self.failures)

    def reset(self) -> None:
        """Start again from the first delay: an attempt succeeded."""
        self.failures = 0
