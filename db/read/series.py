"""Series: the listings whose points and candles are the history of a coin, the best one first.

The history of a coin is that of the asset that owns its ticker now, so it follows the asset through
renames, and another asset's past never stands in it.
"""

from collections.abc import Sequence
from typing import Literal

from db.read.expressions import has_key, is_member, key_of

Owner = Literal["coin", "listing"]
"""What the keys name: coins by ticker, or listings as `source:external_id`."""

# A source whose price the coin leaves out comes last. Then a source's place is its priority.
_OF_COINS = f"""
    SELECT
        k.key, l.id AS listing, l.source, row_number() OVER (
            PARTITION BY k.key
            ORDER BY
                n.excluded IS NOT NULL AND EXISTS (
                    SELECT FROM jsonb_array_elements(n.excluded) AS e
                    WHERE e ->> 'field' = 'price_usd' AND e ->> 'reason' = 'disagrees'
                      AND e ->> 'source' = l.source AND e ->> 'external_id' = l.external_id
                ),
                s.priority NULLS LAST, l.source, l.active DESC, l.price_usd IS NULL,
                l.market_cap_usd DESC NULLS LAST, l.external_id
        ) AS place
    FROM unnest($1::text[]) AS k (key)
    JOIN normalized_records AS n ON n.ticker = k.key
    CROSS JOIN LATERAL (SELECT * FROM listings AS m WHERE {is_member("m", "n.asset")}) AS l
    LEFT JOIN sources AS s ON s.name = l.source
    WHERE $2::text IS NULL OR l.source = $2"""  # noqa: S608 - of constants
_OF_LISTINGS = f"""
    SELECT k.key, l.id AS listing, l.source, 1 AS place
    FROM unnest($1::text[]) AS k (key)
    JOIN listings AS l ON {has_key("l", "k.key")}
    WHERE $2::text IS NULL OR l.source = $2"""  # noqa: S608 - of constants
_SERIES = {"coin": _OF_COINS, "listing": _OF_LISTINGS}


def series(owner: Owner) -> str:
    """Return the WITH query `series`: key, listing, source and place, 1 for the best one.

    $1 are the keys; $2 is the only source, or null for all.
    """
    return f"series AS MATERIALIZED ({_SERIES[owner]}\n)"


def join_key(key: Sequence[str]) -> str:
    """Return a key as text: a ticker, or a listing's source and external id."""
    return ":".join(key)


ASSET_LISTINGS = f"""
normalized_records AS n
JOIN listings AS l ON coalesce(l.asset, {key_of("l")}) = n.asset"""
"""The coins and all listings of their assets, as a table expression."""
