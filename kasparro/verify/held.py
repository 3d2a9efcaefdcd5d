"""Which points of a series are held: the rule of `db/write/history.py` in plain Python."""

import datetime
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
_LEAST = Decimal("1.5")
_MOST = Decimal(1000)


class TimedPrice(NamedTuple):
    """A price, None if unknown, and its time."""

    at: datetime.datetime
    price: Decimal | None


def bound(gap: datetime.timedelta) -> Decimal:
    """Return by which factor a value may move within a time."""
    if gap <= HOUR:
        return _LEAST
    if gap <= DAY:
        return Decimal(3)
    return Decimal(10) if gap <= 30 * DAY else _MOST


def near(one: Decimal, other: Decimal, factor: Decimal) -> bool:
    """Return whether two values are within a factor."""
    return one <= factor * other and other <= factor * one


def jumps(one: TimedPrice, before: Sequence[TimedPrice]) -> bool:
    """Return whether a price is known, and far from each known one of `before`."""
    if one.price is None:
        return False
    known = [other for other in before if other.price is not None]
    return bool(known) and not any(
        near(one.price, other.price, bound(one.at - other.at))  # type: ignore[arg-type]  # known
        for other in known
    )


def held_points(series: Sequence[TimedPrice]) -> Iterator[bool]:
    """Yield for each point of a series in order whether it is held.

    A price that jumps is held, unless the next point is near it or goes further in its direction.
    """
    quiet = [
        b.price is None or (a.price is not None and near(a.price, b.price, _LEAST))
        for a, b in pairwise(series)
    ]
    for place, one in enumerate(series):
        yield False if place == 0 or quiet[place - 1] else _is_held(series, place, one)


def _is_held(series: Sequence[TimedPrice], place: int, one: TimedPrice) -> bool:
    before = series[max(0, place - 2) : place][::-1]
    if one.price is None or not jumps(one, before):
        return False
    after = series[place + 1] if place + 1 < len(series) else None
    if after is None or after.price is None:
        return True
    start = next(other.price for other in before if other.price is not None)
    goes_on = (after.price > one.price) == (one.price > start)
    return not (near(after.price, one.price, bound(after.at - one.at)) or goes_on)
