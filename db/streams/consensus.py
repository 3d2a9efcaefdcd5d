"""Consensus prices: what the markets of each asset say together, with every contribution."""

import datetime
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection

_WRITE = """
INSERT INTO consensus AS c (asset, price_usd, confidence_usd, volume_24h_usd, venues, observed_at,
    contributions, computed_at)
SELECT u.*, $8
FROM unnest($1::text[], $2::numeric[], $3::numeric[], $4::numeric[], $5::integer[],
    $6::timestamptz[], $7::json[]) AS u
ON CONFLICT (asset) DO UPDATE SET price_usd = excluded.price_usd,
    confidence_usd = excluded.confidence_usd, volume_24h_usd = excluded.volume_24h_usd,
    venues = excluded.venues, observed_at = excluded.observed_at,
    contributions = excluded.contributions, computed_at = excluded.computed_at
"""
# An asset that no market trades any more has no consensus, not an old one.
_END = "DELETE FROM consensus WHERE asset <> ALL ($1::text[])"


class ConsensusRow(msgspec.Struct, frozen=True):
    """The consensus of an asset; `contributions` is a JSON array."""

    asset: str
    price_usd: Decimal | None
    confidence_usd: Decimal | None
    volume_24h_usd: Decimal
    venues: int
    observed_at: datetime.datetime | None
    contributions: str


async def write_consensus(
    connection: Connection, rows: Sequence[ConsensusRow], now: datetime.datetime
) -> None:
    """Write the consensus of these assets."""
    if rows:
        ordered = sorted(rows, key=lambda row: row.asset)
        columns = zip(*map(msgspec.structs.astuple, ordered), strict=True)
        await connection.execute(_WRITE, *map(list, columns), now)


async def end_consensus(connection: Connection, assets: Sequence[str]) -> None:
    """Delete the consensus of all assets but these."""
    await connection.execute(_END, list(assets))
