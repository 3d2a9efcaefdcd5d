"""The points of a listing, compared with its payloads, and which of them are held."""

import datetime
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from db.verify.differences import Difference
from db.verify.slices import StoredPoint
from kasparro.verify.held import TimedPrice, held_points
from kasparro.verify.versions import DecodedPayload

_NAMES = ("price_usd", "market_cap_usd", "volume_24h_usd")
_DROPPED_BEFORE = 2
"""A point depends on so many before it, which the retention may have dropped."""


class PointBounds(msgspec.Struct, frozen=True):
    """The times that decide what a point must agree with.

    All payloads fetched from `covered_from` on are present; history holds observations from
    `oldest` on.
    """

    covered_from: datetime.datetime
    oldest: datetime.datetime


def compare_points(
    key: str,
    points: Sequence[StoredPoint],
    versions: Sequence[DecodedPayload],
    bounds: PointBounds,
) -> Iterator[Difference]:
    """Yield how the points of a listing differ from what its payloads say."""
    words: defaultdict[datetime.datetime, list[DecodedPayload]] = defaultdict(list)
    for version in versions:
        words[version.listing.observed_at].append(version)
    for point in points:
        said = words.pop(point.at, None)
        if said is None:
            if point.fetched_at is not None and point.fetched_at >= bounds.covered_from:
                yield Difference(f"{key} {point.at}", "point", point.price_usd or "no price", None)
        else:
            yield from _compare(key, point, said, bounds)
    for at, said in sorted(words.items()):
        if at >= bounds.oldest:
            best = said[0] if len(said) == 1 else max(said, key=lambda one: one.word)
            price = best.listing.price_usd
            yield Difference(
                f"{key} {at}", "point", None, "no price" if price is None else f"{price}"
            )


def _compare(
    key: str, point: StoredPoint, said: Sequence[DecodedPayload], bounds: PointBounds
) -> Iterator[Difference]:
    best = said[0] if len(said) == 1 else max(said, key=lambda one: one.word)
    stored = (point.price_usd, point.market_cap_usd, point.volume_24h_usd)
    if _equal(stored, best) or _was_said_again(point, stored, said, best, bounds):
        return
    for name, value, right in zip(_NAMES, stored, best.numbers, strict=True):
        if not _same(value, right):
            expected = None if right is None else f"{right}"
            yield Difference(f"{key} {point.at}", name, value, expected)


def _was_said_again(
    point: StoredPoint,
    stored: tuple[str | None, ...],
    said: Sequence[DecodedPayload],
    best: DecodedPayload,
    bounds: PointBounds,
) -> bool:
    """Return whether a later word counts whose payload is not there.

    A record that arrives again late is not stored again; the payload of one that was fetched before
    `covered_from` may be past its retention.
    """
    if point.fetched_at is None or point.fetched_at <= best.fetched_at:
        return False
    if point.fetched_at < bounds.covered_from:
        return True
    return any(one.tie == point.tie and _equal(stored, one) for one in said)


def _equal(stored: tuple[str | None, ...], said: DecodedPayload) -> bool:
    one = said.listing
    return (
        _same(stored[0], one.price_usd)
        and _same(stored[1], one.market_cap_usd)
        and _same(stored[2], one.volume_24h_usd)
    )


def _same(stored: str | None, said: Decimal | None) -> bool:
    if stored is None or said is None:
        return stored is None and said is None
    return stored == str(said) or Decimal(stored) == said


def compare_held(
    key: str, points: Sequence[StoredPoint], *, is_whole: bool
) -> Iterator[Difference]:
    """Yield the points whose held flag is wrong.

    If the series is not whole, the retention may have dropped points before its first ones, so
    these are not judged.
    """
    series = [
        TimedPrice(point.at, None if point.price_usd is None else Decimal(point.price_usd))
        for point in points
    ]
    for place, (point, held) in enumerate(zip(points, held_points(series), strict=True)):
        if point.is_held != held and (is_whole or place >= _DROPPED_BEFORE):
            yield Difference(
                f"{key} {point.at}", "is_held", str(point.is_held).lower(), str(held).lower()
            )
