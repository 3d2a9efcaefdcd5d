"""Reading sources: settings, health, checkpoint and number of listings."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

# Three failures in a row are an outage. The state of a stream is written every five seconds: where
# it is not, no ingestor follows it.
_SOURCES = """
SELECT
    s.name, s.kind, s.enabled, s.poll_seconds, s.consecutive_failures, s.next_run_at,
    CASE
        WHEN s.kind = 'stream' AND t.source IS NULL THEN 'unknown'
        WHEN s.kind = 'stream' AND t.updated_at < now() - interval '30 seconds' THEN 'down'
        WHEN s.kind = 'stream'
            THEN CASE t.state WHEN 'live' THEN 'ok' WHEN 'partial' THEN 'degraded' ELSE 'down' END
        WHEN last.status IS NULL THEN 'unknown'
        WHEN s.consecutive_failures >= 3 THEN 'down'
        WHEN s.consecutive_failures > 0 OR last.status = 'partial' THEN 'degraded'
        WHEN s.enabled AND last.finished_at < now() - s.poll_seconds * interval '3 seconds'
            THEN 'degraded'
        ELSE 'ok'
    END AS health
FROM sources AS s
LEFT JOIN stream_states AS t ON t.source = s.name AND s.kind = 'stream'
LEFT JOIN LATERAL (
    SELECT r.status, r.finished_at
    FROM etl_runs AS r
    WHERE r.source = s.name AND r.kind = 'ingest' AND r.status IN ('success', 'partial', 'failure')
    ORDER BY r.id DESC
    LIMIT 1
) AS last ON true
ORDER BY s.priority, s.name
"""
_CHECKPOINTS = """
SELECT source, last_id, last_timestamp, updated_at FROM etl_checkpoints
    WHERE source = ANY ($1::text[])
"""
_LISTING_COUNTS = """
SELECT source, count(*) FROM listings WHERE source = ANY ($1::text[]) GROUP BY source
"""


class SourceRow(msgspec.Struct, frozen=True, gc=False):
    """A source; `health` is ok, degraded, down or unknown."""

    name: str
    kind: str
    enabled: bool
    poll_seconds: int
    consecutive_failures: int
    next_run_at: datetime.datetime | None
    health: str


class SourceCheckpointRow(msgspec.Struct, frozen=True, gc=False):
    """How far a source got, for clients."""

    source: str
    last_id: str | None
    last_timestamp: datetime.datetime | None
    updated_at: datetime.datetime


async def all_sources(connection: Connection) -> list[SourceRow]:
    """Return all sources, also disabled ones, by priority."""
    return [SourceRow(*record) for record in await connection.fetch(_SOURCES)]


async def checkpoints_of_sources(
    connection: Connection, sources: Sequence[str]
) -> dict[str, SourceCheckpointRow]:
    """Return the checkpoint of each source that has one."""
    return {
        record["source"]: SourceCheckpointRow(*record)
        for record in await connection.fetch(_CHECKPOINTS, sources)
    }


async def listing_counts(connection: Connection, sources: Sequence[str]) -> dict[str, int]:
    """Return the number of listings, active or not, of each source that has any."""
    return {
        record["source"]: record["count"]
        for record in await connection.fetch(_LISTING_COUNTS, sources)
    }
