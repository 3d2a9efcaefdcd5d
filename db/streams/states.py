"""The states of streams, for status and health."""

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from db.connect.types import Connection

_SAVE = """
INSERT INTO stream_states AS s (source, state, problem, last_message_at, messages,
    messages_per_second, reconnects, gaps, started_at, updated_at)
SELECT u.*, $9, $10
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::real[],
    $7::bigint[], $8::bigint[]) AS u
ON CONFLICT (source) DO UPDATE SET state = excluded.state, problem = excluded.problem,
    last_message_at = coalesce(excluded.last_message_at, s.last_message_at),
    messages = excluded.messages, messages_per_second = excluded.messages_per_second,
    reconnects = excluded.reconnects, gaps = excluded.gaps, started_at = excluded.started_at,
    updated_at = excluded.updated_at
"""


class StreamStateRow(msgspec.Struct, frozen=True):
    """The state of a stream; the counts are since `started_at` of its ingestor."""

    source: str
    state: Literal["live", "partial", "down"]
    problem: str | None
    last_message_at: datetime.datetime | None
    messages: int
    messages_per_second: float
    reconnects: int
    gaps: int


async def save_states(
    connection: Connection,
    rows: Sequence[StreamStateRow],
    started_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Save the states of streams that are followed since `started_at`."""
    ordered = sorted(rows, key=lambda row: row.source)
    columns = zip(*map(msgspec.structs.astuple, ordered), strict=True)
    await connection.execute(_SAVE, *map(list, columns), started_at, now)
