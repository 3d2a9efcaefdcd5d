"""Points, compared with the payloads that made them, and which of them are held."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from db.verify.differences import Difference
from db.verify.points import StoredPoint
from db.verify.slices import PointPrice
from ingestor.sources.records import Listing
from kasparro.verify.held import TimedPrice, held_points
from kasparro.verify.versions import DecodedPayload

_NAMES = ("price_usd", "market_cap_usd", "volume_24h_usd")
_DROPPED_BEFORE = 2
"""A point depends on so many before it, which the retention may have dropped."""


def is_equal(point: StoredPoint, said: Listing) -> bool:
    """Return whether a point has the numbers of a listing."""
    return (
        _same(point.price_usd, said.price_usd)
        and _same(point.market_cap_usd, said.market_cap_usd)
        and _same(point.volume_24h_usd, said.volume_24h_usd)
    )


def compare_point(key: str, point: StoredPoint, said: DecodedPayload) -> Iterator[Difference]:
    """Yield how a point differs from what a payload says of its time.

    A point may hold a later word of another payload.
    """
    if is_equal(point, said.listing):
        return
    stored = (point.price_usd, point.market_cap_usd, point.volume_24h_usd)
    if point.fetched_at is not None and (point.fetched_at, point.tie or 0) > said.word:
        return
    for name, value, right in zip(_NAMES, stored, said.numbers, strict=True):
        if not _same(value, right):
            expected = None if right is None else f"{right}"
            yield Difference(f"{key} {point.at}", name, value, expected)


def missing_point(key: str, said: DecodedPayload) -> Difference:
    """Return the difference for a point that is not there."""
    price = said.listing.price_usd
    expected = "no price" if price is None else f"{price}"
    return Difference(f"{key} {said.listing.observed_at}", "point", None, expected)


def surplus_point(key: str, point: StoredPoint) -> Difference:
    """Return the difference for a point that no payload says."""
    return Difference(f"{key} {point.at}", "point", point.price_usd or "no price", None)


def _same(stored: str | None, said: Decimal | None) -> bool:
    if stored is None or said is None:
        return stored is None and said is None
    return stored == str(said) or Decimal(stored) == said


def compare_held(key: str, points: Sequence[PointPrice], *, is_whole: bool) -> Iterator[Difference]:
    """Yield the points whose held flag is wrong.

    If the series is not whole, the retention may have dropped points before its first ones, so
    these are not judged; nor are points beside those that stand for removed ones.
    """
    series = [
        TimedPrice(point.at, None if point.price_usd is None else Decimal(point.price_usd))
        for point in points
    ]
    for place, (point, held) in enumerate(zip(points, held_points(series), strict=True)):
        if point.is_held == held or (not is_whole and place < _DROPPED_BEFORE):
            continue
        beside = points[max(0, place - _DROPPED_BEFORE) : place + 2]
        if not any(one.is_thinned for one in beside):
            yield Difference(f"{key} {point.at}", "is_held", str(point.is_held), str(held))
