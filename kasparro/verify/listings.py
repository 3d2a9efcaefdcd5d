"""A listing, compared with the payload of its content and with the points before it."""

import datetime
from collections.abc import Iterator

from db.verify.differences import Difference
from db.verify.slices import Earlier, StoredListing
from db.write.listing_columns import LISTING_COLUMNS
from kasparro.verify.versions import DecodedPayload


def compare_listing(key: str, listing: StoredListing, said: DecodedPayload) -> Iterator[Difference]:
    """Yield how a listing differs from its payload."""
    for name, stored, value in zip(LISTING_COLUMNS, listing.values, said.values, strict=True):
        if stored != value:
            yield Difference(key, name, shown(stored), shown(value))
    if listing.has_own_time != said.listing.has_own_time:
        expected = shown(said.listing.has_own_time)
        yield Difference(key, "has_own_time", shown(listing.has_own_time), expected)


def compare_before(
    key: str, listing: StoredListing, oldest: datetime.datetime
) -> Iterator[Difference]:
    """Yield how the earlier observations of a listing differ from the points before it.

    History holds points from `oldest` on.
    """
    before, points = listing.before, listing.points_before
    if points is None:
        return
    for place in range(max(len(before), len(points))):
        stored = before[place] if place < len(before) else None
        point = points[place] if place < len(points) else None
        is_old = all(one is None or one.at < oldest for one in (stored, point))
        if stored != point and not is_old:
            yield Difference(key, f"before[{place + 1}]", _text(stored), _text(point))


def _text(one: Earlier | None) -> str | None:
    if one is None:
        return None
    return f"{one.price_usd} at {one.at}, cap {one.market_cap_usd}, volume {one.volume_24h_usd}"


def shown(value: object) -> str | None:
    """Return a value as text, None for a missing one."""
    return None if value is None else str(value)
