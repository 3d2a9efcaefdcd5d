"""The newest successful and the newest failed run of the whole service."""

from db.connect.types import Connection
from db.read.runs import RUNS, RunRow

_LAST = RUNS.select(
    "WHERE r.status = ANY ($1::text[]) ORDER BY r.finished_at DESC, r.id DESC LIMIT 1"
)


async def last_success(connection: Connection) -> RunRow | None:
    """Return the newest run that ended as success or partial, of any source."""
    return await _last(connection, "success", "partial")


async def last_failure(connection: Connection) -> RunRow | None:
    """Return the newest run that ended as failure or abandoned, of any source."""
    return await _last(connection, "failure", "abandoned")


async def _last(connection: Connection, *statuses: str) -> RunRow | None:
    record = await connection.fetchrow(_LAST, statuses)
    return None if record is None else RunRow(*record)
