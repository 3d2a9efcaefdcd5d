"""A listing, compared with its payloads: its values, and the two observations before it."""

from collections.abc import Iterator, Sequence

from db.verify.differences import Difference
from db.verify.slices import Observation, StoredListing
from db.write.listing_columns import LISTING_COLUMNS
from kasparro.verify.versions import DecodedPayload


def compare_listing(
    key: str, listing: StoredListing, versions: Sequence[DecodedPayload]
) -> Iterator[Difference]:
    """Yield how a listing differs from the greatest of its versions, of which there is one."""
    newest = max(versions, key=lambda version: version.rank)
    for name, stored, said in zip(LISTING_COLUMNS, listing.values, newest.values, strict=True):
        if stored != said:
            yield Difference(key, name, shown(stored), shown(said))
    if listing.has_own_time != newest.listing.has_own_time:
        yield Difference(
            key, "has_own_time", shown(listing.has_own_time), shown(newest.listing.has_own_time)
        )
    if listing.content_hash != newest.listing.content_hash:
        yield Difference(
            key, "content_hash", listing.content_hash.hex(), newest.listing.content_hash.hex()
        )
    yield from _compare_before(key, listing, versions)


def _compare_before(
    key: str, listing: StoredListing, versions: Sequence[DecodedPayload]
) -> Iterator[Difference]:
    """Compare the observations before the present one; those from before all payloads stay."""
    expected = _expected_before(listing, versions)
    for place in range(max(len(expected), len(listing.before))):
        stored = listing.before[place] if place < len(listing.before) else None
        said = expected[place] if place < len(expected) else None
        if stored is None or said is None or _numbers(stored) != _numbers(said):
            yield Difference(key, f"before[{place + 1}]", _text(stored), _text(said))


def _expected_before(
    listing: StoredListing, versions: Sequence[DecodedPayload]
) -> list[Observation]:
    first_fetched_at = min(version.fetched_at for version in versions)
    observed_at = listing.values[LISTING_COLUMNS.index("observed_at")]
    found = [one for one in listing.before if one.fetched_at < first_fetched_at]
    ordered = sorted(versions, key=lambda one: (one.fetched_at, one.listing.content_hash))
    found += [
        Observation(version.listing.observed_at, version.fetched_at, *version.numbers)
        for version in ordered
        if version.listing.observed_at < observed_at  # type: ignore[operator]  # a time
    ]
    # Of several words for one time, the one fetched last.
    by_time = {one.at: one for one in found}
    return [by_time[at] for at in sorted(by_time, reverse=True)[:2]]


def _numbers(one: Observation) -> tuple[object, ...]:
    return one.at, one.price_usd, one.market_cap_usd, one.volume_24h_usd


def _text(one: Observation | None) -> str | None:
    if one is None:
        return None
    return f"{one.price_usd} at {one.at}, cap {one.market_cap_usd}, volume {one.volume_24h_usd}"


def shown(value: object) -> str | None:
    """Return a value as text, None for a missing one."""
    return None if value is None else str(value)
