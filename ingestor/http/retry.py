"""How long to wait before another attempt: the provider's word where it gave one, else exponential back-off."""

import datetime
import email.utils
import random

_RANDOM = random.SystemRandom()
MAX_RETRY_AFTER_SECONDS = 86_400.0
"""Nobody is believed to mean longer than a day."""


def backoff_seconds(attempt: int, first_seconds: float, longest_seconds: float) -> float:
    """Return the wait after failed attempt `attempt` (from 0): doubling, with half of it left to chance."""
    ceiling = min(longest_seconds, first_seconds * 2.0 ** min(attempt, 30))
    return _RANDOM.uniform(ceiling / 2, ceiling)


def retry_after_seconds(header: str | None, now: datetime.datetime) -> float | None:
    """Return the wait that a Retry-After header asks for, in either form (RFC 9110, section 10.2.3).

    None where there is none, or none that can be read. A time gone by is 0; a day is the most.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
