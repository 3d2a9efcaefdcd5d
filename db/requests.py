"""Requests for a run: each is a row, so that it survives a restart of any program."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

CHANNEL = "kasparro_requests"

_ADD_LOCK = 0x4B415351
# An equal request none of whose runs has started does the same, so it is used again.
_EQUAL = """
SELECT id
FROM etl_requests AS r
WHERE status <> 'done' AND full_run = $2 AND sources @> $1::text[] AND sources <@ $1::text[]
  AND NOT EXISTS (SELECT FROM etl_runs AS x WHERE x.request_id = r.id)
ORDER BY id
LIMIT 1
"""
_TAKE_ADD_LOCK = "SELECT pg_advisory_xact_lock($1::integer, 0)"
_ADD = """
INSERT INTO etl_requests (sources, full_run) VALUES ($1, $2) RETURNING id
"""
_NOTIFY = "SELECT pg_notify('kasparro_requests', $1::text)"

# The holder of a request's advisory lock works on it; the claim ends with its connection.
_CLAIM = """
SELECT id, sources, full_run
FROM etl_requests AS r
WHERE status <> 'done' AND id > $1 AND EXISTS (
    -- A source is left that this ingestor reads, or that no ingestor reads.
    SELECT FROM unnest(r.sources) AS requested (source)
    WHERE (
        requested.source = ANY ($2::text[])
        OR NOT EXISTS (SELECT FROM sources AS s WHERE s.name = requested.source AND s.enabled)
    )
    AND NOT EXISTS (
        SELECT FROM etl_runs AS x
        WHERE x.request_id = r.id AND x.source = requested.source
            AND x.status IN ('success', 'partial', 'failure')
    )
)
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED
"""
_TRY_LOCK = "SELECT pg_try_advisory_lock(1264743247, ($1::bigint % 2147483647)::integer)"
_UNLOCK = "SELECT pg_advisory_unlock(1264743247, ($1::bigint % 2147483647)::integer)"
_SET_RUNNING = "UPDATE etl_requests SET status = 'running' WHERE id = $1 AND status = 'pending'"
_FINISH = (
    "UPDATE etl_requests SET status = 'done', finished_at = $2 WHERE id = $1 AND status <> 'done'"
)
# A request does not wait for a source that is disabled.
_OPEN_SOURCES = """
SELECT requested.source
FROM etl_requests AS r CROSS JOIN unnest(r.sources) AS requested (source)
JOIN sources AS s ON s.name = requested.source AND s.enabled
WHERE r.id = $1 AND NOT EXISTS (
    SELECT FROM etl_runs AS x
    WHERE x.request_id = r.id AND x.source = requested.source
      AND x.status IN ('success', 'partial', 'failure')
)
"""


class Request(msgspec.Struct, frozen=True):
    """A trigger that this process has claimed."""

    id: int
    sources: tuple[str, ...]
    full: bool


async def add_request(connection: Connection, sources: Sequence[str], *, full: bool) -> int:
    """Request a run of `sources` and return the request's number; notify the ingestors at commit.

    If there is an equal request without a run, return its number.
    """
    async with connection.transaction():
        await connection.execute(_TAKE_ADD_LOCK, _ADD_LOCK)
        same: int | None = await connection.fetchval(_EQUAL, list(sources), full)
        request_id: int = (
            same if same is not None else await connection.fetchval(_ADD, list(sources), full)
        )
        await connection.execute(_NOTIFY, str(request_id))
    return request_id


async def claim_request(connection: Connection, sources: Sequence[str]) -> Request | None:
    """Claim the oldest open request for one of `sources` that has no claim, or return None.

    The claim is an advisory lock of `connection`'s session, so the claim of a killed ingestor ends.
    """
    after = 0
    while True:
        async with connection.transaction():
            row = await connection.fetchrow(_CLAIM, after, list(sources))
            if row is None:
                return None
            if await connection.fetchval(_TRY_LOCK, row["id"]):
                await connection.execute(_SET_RUNNING, row["id"])
                return Request(id=row["id"], sources=tuple(row["sources"]), full=row["full_run"])
        after = row["id"]


async def open_sources(connection: Connection, request: Request) -> frozenset[str]:
    """Return the sources that have not yet run for this request."""
    return frozenset(row["source"] for row in await connection.fetch(_OPEN_SOURCES, request.id))


async def finish_request(connection: Connection, request: Request, now: datetime.datetime) -> None:
    """Mark a claimed request as done and release it."""
    await connection.execute(_FINISH, request.id, now)
    await release_request(connection, request)


async def release_request(connection: Connection, request: Request) -> None:
    """Release a claimed request; unless it is done, any ingestor can claim it again."""
    await connection.execute(_UNLOCK, request.id)


async def pass_on_request(connection: Connection, request: Request) -> None:
    """Release a claimed request whose other sources other ingestors read, and notify them."""
    await release_request(connection, request)
    await connection.execute(_NOTIFY, str(request.id))
