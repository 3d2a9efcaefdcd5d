"""Checkpoints: how far each source got, and the state of its sweep (one complete reading)."""

import datetime

import msgspec

from db.connect.types import Connection

_READ = """
SELECT
    last_id, last_timestamp, position, sweep_started_at, sweep_dirty, sweep_emptied,
    doubted_sweeps, last_sweep_at
FROM etl_checkpoints
WHERE source = $1
"""
_WRITE = """
INSERT INTO etl_checkpoints AS c (
    source, last_id, last_timestamp, updated_at, position, sweep_started_at, sweep_dirty,
    sweep_emptied, doubted_sweeps, last_sweep_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (source) DO UPDATE SET
    last_id = coalesce(excluded.last_id, c.last_id),
    last_timestamp = greatest(excluded.last_timestamp, c.last_timestamp),
    updated_at = excluded.updated_at,
    position = excluded.position,
    sweep_started_at = excluded.sweep_started_at,
    sweep_dirty = excluded.sweep_dirty,
    sweep_emptied = excluded.sweep_emptied,
    doubted_sweeps = excluded.doubted_sweeps,
    last_sweep_at = coalesce(excluded.last_sweep_at, c.last_sweep_at)
"""
_TOUCH = """
INSERT INTO etl_checkpoints AS c (source, updated_at, last_sweep_at) VALUES ($1, $2, $2)
ON CONFLICT (source) DO UPDATE SET
    updated_at = excluded.updated_at, last_sweep_at = excluded.last_sweep_at
"""


class CheckpointRow(msgspec.Struct, frozen=True):
    """A source's checkpoint; `position` is the source's own JSON, None at the start.

    In the sweep under way, `sweep_dirty` says that the ids of a page changed, `sweep_emptied` that
    a page has become empty. `doubted_sweeps` counts the doubted sweeps up to now, in a row. In a
    write, None for `last_id`, `last_timestamp` and `last_sweep_at` keeps the stored value.
    """

    last_id: str | None
    last_timestamp: datetime.datetime | None
    position: msgspec.Raw | bytes | None
    sweep_started_at: datetime.datetime | None
    sweep_dirty: bool
    sweep_emptied: bool
    doubted_sweeps: int
    last_sweep_at: datetime.datetime | None


async def read_checkpoint(connection: Connection, source: str) -> CheckpointRow | None:
    """Return the source's checkpoint, or None before its first page."""
    row = await connection.fetchrow(_READ, source)
    return None if row is None else CheckpointRow(**row)


async def write_checkpoint(
    connection: Connection, source: str, row: CheckpointRow, now: datetime.datetime
) -> None:
    """Save how far `source` got."""
    await connection.execute(
        _WRITE,
        source,
        row.last_id,
        row.last_timestamp,
        now,
        row.position,
        row.sweep_started_at,
        row.sweep_dirty,
        row.sweep_emptied,
        row.doubted_sweeps,
        row.last_sweep_at,
    )


async def touch_checkpoint(connection: Connection, source: str, now: datetime.datetime) -> None:
    """Save that `source` has not changed since its last sweep, so all of it was seen now."""
    await connection.execute(_TOUCH, source, now)
