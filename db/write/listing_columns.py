"""The columns of a listing that hold what its source says, for all statements that write them."""

from collections.abc import Mapping

__all__ = [
    "LISTING_COLUMNS",
    "LISTING_RECORD",
    "LISTING_VALUES",
    "REMEMBER_OBSERVATION",
    "REPLACE_LISTING",
    "values_of",
]

_TYPES: Mapping[str, str] = {
    "ticker": "text",
    "symbol": "text",
    "name": "text",
    "name_words": "text",
    "core_words": "text",
    "rank": "integer",
    "price_usd": "numeric",
    "market_cap_usd": "numeric",
    "volume_24h_usd": "numeric",
    "percent_change_24h": "numeric",
    "circulating_supply": "numeric",
    "total_supply": "numeric",
    "max_supply": "numeric",
    "observed_at": "timestamptz",
}
LISTING_COLUMNS = tuple(_TYPES)
"""In the order of `db.write.listings.Listing`."""

LISTING_VALUES = ", ".join(LISTING_COLUMNS)

LISTING_RECORD = ", ".join(
    [
        "external_id text",
        *(f"{name} {kind}" for name, kind in _TYPES.items()),
        "content_hash text",
        "has_own_time boolean",
    ]
)
"""The columns of `json_to_recordset` for encoded listings; their hashes are in base 64."""

REPLACE_LISTING = ", ".join(
    f"{name} = excluded.{name}"
    for name in (
        *LISTING_COLUMNS,
        "content_hash",
        "fetched_at",
        "has_own_time",
        "body",
        "body_offset",
        "body_length",
    )
)
"""The assignments of ON CONFLICT DO UPDATE that replace a listing by another version of it."""

REMEMBER_OBSERVATION = """before = CASE
            WHEN excluded.observed_at > l.observed_at THEN ROW(
                l.observed_at, l.fetched_at, l.price_usd, l.market_cap_usd, l.volume_24h_usd
            )::observation || l.before[1:1]
            ELSE l.before
        END"""
"""The assignment beside REPLACE_LISTING that keeps the present observation as an earlier one."""


def values_of(table: str) -> str:
    """Return LISTING_VALUES as columns of a table."""
    return ", ".join(f"{table}.{name}" for name in LISTING_COLUMNS)
