"""Reading live markets: the consensus of assets, their markets, and the state of streams."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

MAX_MARKETS_OF_ASSET = 200

_CONSENSUS = """
SELECT asset, price_usd::text, confidence_usd::text, volume_24h_usd::text, venues, observed_at,
    computed_at, contributions
FROM consensus WHERE asset = ANY ($1::text[])
"""
_MARKETS_OF_ASSETS = """
SELECT k.asset AS key, m.venue, m.symbol, m.base, m.quote, m.asset, m.asset_reason, m.price::text,
    m.price_usd::text, m.volume_24h_base::text, m.volume_24h_quote::text, m.observed_at, m.status,
    m.is_trading, m.segment::text, m.frame
FROM unnest($1::text[]) AS k (asset)
CROSS JOIN LATERAL (
    SELECT * FROM markets WHERE asset = k.asset ORDER BY venue, symbol LIMIT $2
) AS m
ORDER BY k.asset, m.venue, m.symbol
"""
_STATUSES = """
SELECT source,
    CASE WHEN updated_at < now() - interval '30 seconds' THEN 'down' ELSE state END,
    CASE WHEN updated_at < now() - interval '30 seconds' THEN 'no ingestor follows it'
        ELSE problem END,
    started_at, updated_at, last_message_at, messages, messages_per_second, reconnects, gaps
FROM stream_states WHERE source = ANY ($1::text[])
"""

_PROBLEMS = """
SELECT t.source, CASE WHEN t.updated_at < now() - interval '30 seconds'
    THEN 'no ingestor follows it' ELSE t.problem END
FROM stream_states AS t
JOIN sources AS s ON s.name = t.source AND s.enabled AND s.kind = 'stream'
WHERE t.state = 'down' OR t.updated_at < now() - interval '30 seconds'
ORDER BY t.source
"""


class AssetConsensus(msgspec.Struct, frozen=True, gc=False):
    """The consensus of an asset; `contributions` is a JSON array, prices are exact text."""

    asset: str
    price: str | None
    confidence: str | None
    volume_24h_usd: str
    venues: int
    observed_at: datetime.datetime | None
    computed_at: datetime.datetime
    contributions: msgspec.Raw


class LiveMarketRow(msgspec.Struct, frozen=True, gc=False):
    """A market; prices and volumes are exact text."""

    venue: str
    symbol: str
    base: str
    quote: str
    asset: str | None
    asset_reason: str | None
    price: str | None
    price_usd: str | None
    volume_24h_base: str | None
    volume_24h_quote: str | None
    observed_at: datetime.datetime | None
    status: str
    is_trading: bool
    segment: str | None
    frame: int | None


class StreamStatus(msgspec.Struct, frozen=True, gc=False):
    """The state of a stream: live, partial or down; the counts are since `started_at`."""

    source: str
    state: str
    problem: str | None
    started_at: datetime.datetime
    updated_at: datetime.datetime
    last_message_at: datetime.datetime | None
    messages: int
    messages_per_second: float
    reconnects: int
    gaps: int


async def consensus_of_assets(
    connection: Connection, keys: Sequence[str]
) -> dict[str, AssetConsensus]:
    """Return the consensus of each asset that has a market."""
    rows = await connection.fetch(_CONSENSUS, keys)
    return {row["asset"]: AssetConsensus(*row) for row in rows}


async def markets_of_assets(
    connection: Connection, keys: Sequence[str]
) -> dict[str, list[LiveMarketRow]]:
    """Return the markets that trade each asset, at most MAX_MARKETS_OF_ASSET, by venue."""
    found = defaultdict[str, list[LiveMarketRow]](list)
    for key, *columns in await connection.fetch(_MARKETS_OF_ASSETS, keys, MAX_MARKETS_OF_ASSET):
        found[key].append(LiveMarketRow(*columns))
    return found


async def streams_of_sources(
    connection: Connection, names: Sequence[str]
) -> dict[str, StreamStatus]:
    """Return the state of each source that is a stream."""
    rows = await connection.fetch(_STATUSES, names)
    return {row["source"]: StreamStatus(*row) for row in rows}


async def stream_problems(connection: Connection) -> list[str]:
    """Return a sentence about each enabled stream that delivers nothing."""
    return [
        f"the stream of {source} delivers nothing: {problem}"
        for source, problem in await connection.fetch(_PROBLEMS)
    ]
