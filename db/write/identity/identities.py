"""The operator's word on identity: one asset, owner of a ticker, or banned."""

from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.write.identity.bridges import bridge_all

# Returns the tickers of every listing whose label was added, removed or changed.
_REPLACE = """
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::boolean[])
        AS g (source, external_id, asset, is_owner, is_banned)
),
gone AS (
    DELETE FROM identities AS i
    WHERE NOT EXISTS (
        SELECT FROM given AS g WHERE g.source = i.source AND g.external_id = i.external_id
    )
    RETURNING i.source, i.external_id
),
saved AS (
    INSERT INTO identities AS i (source, external_id, asset, is_owner, is_banned)
    SELECT source, external_id, asset, is_owner, is_banned
    FROM given
    ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        asset = excluded.asset, is_owner = excluded.is_owner, is_banned = excluded.is_banned
    WHERE (i.asset, i.is_owner, i.is_banned)
        IS DISTINCT FROM (excluded.asset, excluded.is_owner, excluded.is_banned)
    RETURNING i.source, i.external_id
)
SELECT DISTINCT l.ticker
FROM (SELECT * FROM gone UNION ALL SELECT * FROM saved) AS touched
JOIN listings AS l ON l.source = touched.source AND l.external_id = touched.external_id
"""


class IdentityLabel(msgspec.Struct, frozen=True):
    """What `data/identity.csv` says of a listing.

    Listings with equal `asset` labels are one asset, those with different ones are different
    assets. With `is_owner` the listing's asset owns its ticker; with `is_banned` the listing counts
    for nothing.
    """

    source: str
    external_id: str
    asset: str | None
    is_owner: bool = False
    is_banned: bool = False


async def replace_identities(
    connection: Connection, identities: Sequence[IdentityLabel]
) -> list[str]:
    """Replace all labels; return the tickers to merge."""
    rows = await connection.fetch(
        _REPLACE,
        [identity.source for identity in identities],
        [identity.external_id for identity in identities],
        [identity.asset for identity in identities],
        [identity.is_owner for identity in identities],
        [identity.is_banned for identity in identities],
    )
    return sorted({row["ticker"] for row in rows} | await bridge_all(connection))
