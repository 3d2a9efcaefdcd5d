"""Requests for a run: a trigger is a row, so that it survives everyone's restart."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

CHANNEL = "kasparro_requests"

_ADDING_LOCK = 0x4B415351
# What waits already for runs that have not begun does what is asked for: a trigger tells nothing
# new by coming twice.
_SAME = """
SELECT id
FROM etl_requests AS r
WHERE status <> 'done' AND full_run = $2 AND sources @> $1::text[] AND sources <@ $1::text[]
  AND NOT EXISTS (SELECT FROM etl_runs AS x WHERE x.request_id = r.id)
ORDER BY id
LIMIT 1
"""
_LOCK_ADDING = "SELECT pg_advisory_xact_lock($1::integer, 0)"
_ADD = """
INSERT INTO etl_requests (sources, full_run) VALUES ($1, $2) RETURNING id
"""
_NOTIFY = "SELECT pg_notify('kasparro_requests', $1::text)"

# Whoever holds a request's advisory lock works on it; a claim ends with its connection, whatever
# happened to it.
_CLAIM = """
SELECT id, sources, full_run
FROM etl_requests AS r
WHERE status <> 'done' AND id > $1 AND EXISTS (
    -- Something is left to do that this ingestor can do, or that nobody will ever do.
    SELECT FROM unnest(r.sources) AS wanted (source)
    WHERE (
        wanted.source = ANY ($2::text[])
        OR NOT EXISTS (SELECT FROM sources AS s WHERE s.name = wanted.source AND s.enabled)
    )
    AND NOT EXISTS (
        SELECT FROM etl_runs AS x
        WHERE x.request_id = r.id AND x.source = wanted.source
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
# A source that nobody is set to read any more is not waited for.
_OPEN_SOURCES = """
SELECT wanted.source
FROM etl_requests AS r CROSS JOIN unnest(r.sources) AS wanted (source)
JOIN sources AS s ON s.name = wanted.source AND s.enabled
WHERE r.id = $1 AND NOT EXISTS (
    SELECT FROM etl_runs AS x
    WHERE x.request_id = r.id AND x.source = wanted.source AND x.status IN ('success', 'partial',
        'failure')
)
"""


class Request(msgspec.Struct, frozen=True):
    """A trigger that this process has claimed."""

    id: int
    sources: tuple[str, ...]
    full: bool


async def add_request(connection: Connection, sources: Sequence[str], *, full: bool) -> int:
    """Ask for a run of `sources`; return the request's number. An ingestor is told at commit.

    Where the same was asked for, and none of its runs has begun, it is that request's number.
    """
    async with connection.transaction():
        await connection.execute(_LOCK_ADDING, _ADDING_LOCK)
        same: int | None = await connection.fetchval(_SAME, list(sources), full)
        request_id: int = (
            same if same is not None else await connection.fetchval(_ADD, list(sources), full)
        )
        await connection.execute(_NOTIFY, str(request_id))
    return request_id


async def claim_request(connection: Connection, sources: Sequence[str]) -> Request | None:
    """Claim the oldest open request that wants one of `sources` and that nobody alive works on, or return None.

    The claim is an advisory lock of `connection`'s session: what a dead ingestor held is free for
    the next look.
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
    """Return the sources that have yet to run for this request: after a crash, only the rest."""
    return frozenset(row["source"] for row in await connection.fetch(_OPEN_SOURCES, request.id))


async def finish_request(connection: Connection, request: Request, now: datetime.datetime) -> None:
    """Mark a claimed request as done and let go of it."""
    await connection.execute(_FINISH, request.id, now)
    await release_request(connection, request)


async def release_request(connection: Connection, request: Request) -> None:
    """Let go of a claimed request; unless it is done, the next look claims it again, here or elsewhere."""
    await connection.execute(_UNLOCK, request.id)


async def pass_on_request(connection: Connection, request: Request) -> None:
    """Let go of a claimed request whose rest is for other ingestors, and tell them."""
    await release_request(connection, request)
    await connection.execute(_NOTIFY, str(request.id))
