"""The Retry-After header: how long a provider asks to wait before another attempt."""

import datetime
import email.utils

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""A longer wait counts as a day."""


def retry_after_seconds(header: str | None, now: datetime.datetime) -> float | None:
    """Return the wait of a Retry-After header in either form (RFC 9110, section 10.2.3).

    None without a header or with one that cannot be read; 0 for a time in the past; at most a day.
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
