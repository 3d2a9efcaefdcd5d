"""The readings of the registry of addresses: when, how much, what failed, and the bodies."""

import datetime
import hashlib
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.notes import Note

WHOLE = ""
"""The part that stands for the whole registry of a source."""
KEPT_BODIES = 2

_DUE = """
SELECT
    coalesce((SELECT due_at FROM registry_readings WHERE source = $1 AND part = ''), 'epoch'),
    EXISTS (SELECT FROM etl_runs WHERE source = $1 AND kind = 'ingest'
        AND status IN ('success', 'partial'))
"""
_SET_DUE = """
INSERT INTO registry_readings AS r (source, part, due_at) VALUES ($1, '', $2)
ON CONFLICT (source, part) DO UPDATE SET due_at = excluded.due_at
"""
_PARTS = "SELECT part, addresses, failures FROM registry_readings WHERE source = $1"
_SAVE = """
INSERT INTO registry_readings AS r (source, part, read_at, listings, addresses, notes, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (source, part) DO UPDATE SET read_at = excluded.read_at, listings = excluded.listings,
    addresses = excluded.addresses, notes = excluded.notes, due_at = excluded.due_at,
    failures = 0, error = NULL
"""
_FAIL = """
INSERT INTO registry_readings AS r (source, part, failures, error) VALUES ($1, $2, 1, $3)
ON CONFLICT (source, part) DO UPDATE SET failures = r.failures + 1, error = excluded.error
RETURNING failures
"""
_FORGET = "DELETE FROM registry_readings WHERE source = $1 AND part <> ALL ($2::text[])"
_SAVE_BODY = """
INSERT INTO registry_bodies (source, path, hash, fetched_at, size, body)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (source, path, hash) DO UPDATE SET fetched_at = excluded.fetched_at
"""
_DELETE_OLD_BODIES = """
DELETE FROM registry_bodies
WHERE source = $1 AND path = $2 AND hash IN (
    SELECT hash FROM registry_bodies WHERE source = $1 AND path = $2
    ORDER BY fetched_at DESC, hash OFFSET $3
)
"""


class RegistryPart(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a part of a registry."""

    part: str
    listings: int
    addresses: int
    notes: tuple[Note, ...] = ()


class StoredPart(msgspec.Struct, frozen=True):
    """How many addresses a part had when it was read, and how many readings failed since."""

    addresses: int
    failures: int


class RegistrySchedule(msgspec.Struct, frozen=True):
    """When the registry of a source is due, and whether the source has had prices."""

    due_at: datetime.datetime
    has_prices: bool


async def read_registry_schedule(connection: Connection, source: str) -> RegistrySchedule:
    """Return the schedule of a source's registry; one that was never read is due since 1970."""
    row = await connection.fetchrow(_DUE, source)
    assert row is not None  # noqa: S101 - a SELECT without FROM
    return RegistrySchedule(*row)


async def set_registry_due(
    connection: Connection, source: str, at: datetime.datetime | None
) -> None:
    """Set when the registry of a source is read next; None is at the next check."""
    await connection.execute(_SET_DUE, source, at)


async def read_parts(connection: Connection, source: str) -> dict[str, StoredPart]:
    """Return the parts of a source's registry as they were read last."""
    rows = await connection.fetch(_PARTS, source)
    return {row[0]: StoredPart(row[1], row[2]) for row in rows}


async def save_parts(
    connection: Connection,
    source: str,
    parts: Sequence[RegistryPart],
    now: datetime.datetime,
    due_at: datetime.datetime | None = None,
) -> None:
    """Save what was read; `due_at` is when the whole registry is read next."""
    for part in parts:
        await connection.execute(
            _SAVE,
            source,
            part.part,
            now,
            part.listings,
            part.addresses,
            msgspec.json.encode(part.notes).decode(),
            due_at if part.part == WHOLE else None,
        )


async def count_registry_failure(connection: Connection, source: str, part: str, error: str) -> int:
    """Save why a part could not be read; return how many readings in a row have failed."""
    failures: int = await connection.fetchval(_FAIL, source, part, error)
    return failures


async def forget_parts(connection: Connection, source: str, kept: Sequence[str]) -> None:
    """Delete the readings of parts that the source no longer has."""
    await connection.execute(_FORGET, source, [WHOLE, *kept])


async def save_body(
    connection: Connection,
    source: str,
    path: str,
    fetched_at: datetime.datetime,
    *,
    body: bytes,
    packed: bytes,
) -> None:
    """Keep a body, packed; of each path only the newest KEPT_BODIES that differ are kept."""
    digest = hashlib.blake2b(body, digest_size=16).digest()
    await connection.execute(_SAVE_BODY, source, path, digest, fetched_at, len(body), packed)
    await connection.execute(_DELETE_OLD_BODIES, source, path, KEPT_BODIES)
