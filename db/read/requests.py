"""Reading requests for a run."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

_BY_IDS = "SELECT id, status, requested_at, sources FROM etl_requests WHERE id = ANY ($1::bigint[])"


class RequestRow(msgspec.Struct, frozen=True, gc=False):
    """A trigger: `status` is pending, running or done."""

    id: int
    status: str
    requested_at: datetime.datetime
    sources: list[str]


async def requests_by_id(connection: Connection, ids: Sequence[int]) -> dict[int, RequestRow]:
    """Return the requests with these numbers; unknown ones are left out."""
    return {record["id"]: RequestRow(*record) for record in await connection.fetch(_BY_IDS, ids)}
