"""Reading live markets: the consensus of assets, their markets, and the state of streams."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.read.keyset import (
    FilterParts,
    Order,
    PageQuery,
    filter_parts,
)

MAX_MARKETS_OF_ASSET = 200

_CONSENSUS = """
SELECT asset, price_usd::text, confidence_usd::text, volume_24h_usd::text, venues, observed_at,
    computed_at, contributions
FROM consensus WHERE asset = ANY ($1::text[])
"""
MARKETS = PageQuery(
    columns=(
        ("venue", "m.venue"),
        ("symbol", "m.symbol"),
        ("base", "m.base"),
        ("quote", "m.quote"),
        ("asset", "m.asset"),
        ("asset_reason", "m.asset_reason"),
        ("price", "m.price::text"),
        ("price_usd", "m.price_usd::text"),
        ("volume_24h_base", "m.volume_24h_base::text"),
        ("volume_24h_quote", "m.volume_24h_quote::text"),
        ("observed_at", "m.observed_at"),
        ("status", "m.status"),
        ("is_trading", "m.is_trading"),
        ("segment", "m.segment::text"),
        ("frame", "m.frame"),
    ),
    tables="markets AS m",
    conditions=(
        ("text[]", "m.venue = ANY ({})"),
        ("text[]", "m.base = ANY ({})"),
        ("text[]", "m.quote = ANY ({})"),
        ("text[]", "m.asset = ANY ({})"),
        ("boolean", "(m.asset IS NOT NULL) = {}"),
        ("boolean", "m.is_trading = {}"),
    ),
)
MARKET_ORDER = Order("VENUE", sort="m.venue", sort_type="text", key="m.symbol")
GAPS = PageQuery(
    columns=(
        ("source", "g.source"),
        ("symbol", "g.symbol"),
        ("began_at", "g.began_at"),
        ("ended_at", "g.ended_at"),
        ("reason", "g.reason"),
        ("noticed_at", "g.noticed_at"),
    ),
    tables="stream_gaps AS g",
    conditions=(
        ("text[]", "g.source = ANY ({})"),
        ("text[]", "(g.symbol IS NULL OR g.symbol = ANY ({}))"),
        ("timestamptz", "g.ended_at >= {}"),
        ("timestamptz", "g.began_at <= {}"),
    ),
)
NEWEST_GAP_FIRST = Order(
    "NEWEST", sort="g.id", sort_type="bigint", key="g.id", key_type="bigint", descending=True
)
# Constants of this package.
_MARKETS_OF_ASSETS = (
    "SELECT k.key, x.* FROM unnest($1::text[]) AS k (key) CROSS JOIN LATERAL ("  # noqa: S608
    + MARKETS.select(
        f"WHERE m.asset = k.key ORDER BY m.venue, m.symbol LIMIT {MAX_MARKETS_OF_ASSET}"
    )
    + ") AS x"
)
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


class MarketFilter(msgspec.Struct, frozen=True):
    """A filter of markets; None does not restrict. The order is that of the conditions."""

    venues: Sequence[str] | None = None
    bases: Sequence[str] | None = None
    quotes: Sequence[str] | None = None
    assets: Sequence[str] | None = None
    is_mapped: bool | None = None
    is_trading: bool | None = None


class GapRow(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a venue's time, both ends included; `symbol` is None for any market."""

    source: str
    symbol: str | None
    began_at: datetime.datetime
    ended_at: datetime.datetime
    reason: str
    noticed_at: datetime.datetime


class GapFilter(msgspec.Struct, frozen=True):
    """A filter of gaps; None does not restrict. The order is that of the conditions."""

    sources: Sequence[str] | None = None
    symbols: Sequence[str] | None = None
    ended_from: datetime.datetime | None = None
    began_to: datetime.datetime | None = None


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
    for key, *columns in await connection.fetch(_MARKETS_OF_ASSETS, keys):
        found[key].append(LiveMarketRow(*columns))
    return found


def market_conditions(filters: MarketFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    return filter_parts(msgspec.structs.astuple(filters))


def gap_conditions(filters: GapFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    return filter_parts(msgspec.structs.astuple(filters))


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
