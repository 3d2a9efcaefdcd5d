"""Times of frames, in nanoseconds since 1970, with every digit that the venue wrote."""

import datetime
import functools

import msgspec

from ingestor.streams.records import NANOSECONDS

MILLISECOND, MICROSECOND = 1_000_000, 1_000
_WHOLE_SECONDS = len("2026-11-30T00:00:00")
_DIGITS = 9


def iso_ns(text: str) -> int:
    """Return the instant of `2026-09-01T10:00:00.123456789Z`, in UTC.

    Raises msgspec.ValidationError.
    """
    fraction = text[_WHOLE_SECONDS + 1 : -1]
    is_fraction = fraction.isascii() and fraction.isdecimal() and len(fraction) <= _DIGITS
    if text[-1:] != "Z" or (len(text) > _WHOLE_SECONDS + 1 and not is_fraction):
        raise msgspec.ValidationError(f"{text[:40]!r} is not a time in UTC")
    return _whole_seconds(text[:_WHOLE_SECONDS]) * NANOSECONDS + int(fraction.ljust(_DIGITS, "0"))


# Frames of the same second come together.
@functools.lru_cache(maxsize=256)
def _whole_seconds(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise msgspec.ValidationError(f"{text[:40]!r} is not a time in UTC") from None
    return int(moment.replace(tzinfo=datetime.UTC).timestamp())


def count_ns(count: str | int, unit: int) -> int:
    """Return the instant of a count since 1970; `unit` is the nanoseconds of one.

    Raises msgspec.ValidationError.
    """
    try:
        return int(count) * unit
    except ValueError:
        raise msgspec.ValidationError(f"{str(count)[:40]!r} is not a time") from None
