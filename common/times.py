"""Read dates and times in ISO 8601."""

import datetime
import re
from typing import NamedTuple

_WEEK = re.compile(r"\d{4}-?W\d\d", re.ASCII)
# Python accepts any character between date and time, and so misreads digits without a separator.
_DATE_TIME = re.compile(r"[\dW-]{7,10}[Tt ]\S.*", re.ASCII)
_LAST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class UnreadableTimeError(ValueError):
    """A text is not a date or a time in ISO 8601."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a date or time in ISO 8601, such as 2026-11-23, 2026-W48 or "
            "2026-11-23T08:00Z"
        )


class TimeSpan(NamedTuple):
    """The time of a text, in UTC: an instant, or a whole day or week, both ends included."""

    start: datetime.datetime
    end: datetime.datetime


def read_span(text: str) -> TimeSpan:
    """Read an ISO 8601 date (2026-11-29, 20261129, 2026-W48-7), week (2026-W48) or date-time.

    A time without an offset is UTC. Raises UnreadableTimeError.
    """
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        instant = read_instant(text)
        return TimeSpan(instant, instant)
    start = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    length = datetime.timedelta(days=7 if _WEEK.fullmatch(text) else 1)
    end = start + length - datetime.datetime.resolution if start <= _LAST - length else _LAST
    return TimeSpan(start, end)


def read_instant(text: str) -> datetime.datetime:
    """Read an ISO 8601 date-time and return it in UTC, the default offset.

    Raises UnreadableTimeError.
    """
    try:
        if not _DATE_TIME.fullmatch(text):
            raise UnreadableTimeError(text)
        time = datetime.datetime.fromisoformat(text)
        return (
            time.replace(tzinfo=datetime.UTC)
            if time.tzinfo is None
            else time.astimezone(datetime.UTC)
        )
    except (ValueError, OverflowError):
        raise UnreadableTimeError(text) from None
