"""Explicit identity labels: which listings are one asset, regardless of their names."""

from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

# Returns the tickers of every listing whose label was added, removed or changed.
_REPLACE = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS g (source, external_id, asset)
),
gone AS (
    DELETE FROM identities AS i
    WHERE NOT EXISTS (
        SELECT FROM given AS g WHERE g.source = i.source AND g.external_id = i.external_id
    )
    RETURNING i.source, i.external_id
),
saved AS (
    INSERT INTO identities AS i (source, external_id, asset)
    SELECT source, external_id, asset FROM given ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO UPDATE SET asset = excluded.asset
        WHERE i.asset <> excluded.asset
    RETURNING i.source, i.external_id
)
SELECT DISTINCT l.ticker
FROM (SELECT * FROM gone UNION ALL SELECT * FROM saved) AS touched
JOIN listings AS l ON l.source = touched.source AND l.external_id = touched.external_id
"""


class IdentityLabel(msgspec.Struct, frozen=True):
    """A listing's label: equal labels are one asset, different labels are different assets."""

    source: str
    external_id: str
    asset: str


async def replace_identities(
    connection: Connection, identities: Sequence[IdentityLabel]
) -> list[str]:
    """Replace all labels; return the tickers to merge."""
    rows = await connection.fetch(
        _REPLACE,
        [identity.source for identity in identities],
        [identity.external_id for identity in identities],
        [identity.asset for identity in identities],
    )
    return [row["ticker"] for row in rows]
