"""Events: the outbox that subscriptions resume from, and the notification of listeners."""

import datetime
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from db.connect.types import Connection

CHANNEL = "kasparro_events"

_ADD_RUN_EVENT = """
INSERT INTO events (kind, at, run) SELECT $1, $2, row_to_json(r)::jsonb FROM etl_runs AS r
    WHERE r.id = $3
"""
_ADD_COINS_EVENT = "INSERT INTO events (kind, at, tickers) VALUES ('coins_changed', $1, $2)"
_NOTIFY = "SELECT pg_notify('kasparro_events', max(seq)::text) FROM events"
# Deletes a prefix of the outbox only: a clock that was set back must not make a gap. The newest
# event stays, because it holds the last sequence number.
_PURGE = """
DELETE FROM events
WHERE seq <= (SELECT max(seq) FROM events WHERE at < $1) AND seq < (SELECT max(seq) FROM events)
"""

_READ = """
SELECT seq, kind, at, run, tickers
FROM events
WHERE seq > $1 AND ($3::text[] IS NULL OR kind = ANY ($3))
ORDER BY seq
LIMIT $2
"""
_RANGE = "SELECT min(seq) AS oldest, max(seq) AS newest FROM events"

RunEventKind = Literal["run_started", "run_progress", "run_finished"]


async def add_run_event(
    connection: Connection, kind: RunEventKind, run_id: int, now: datetime.datetime
) -> None:
    """Add an event with the run as it is now; the caller's transaction holds the write lock."""
    await connection.execute(_ADD_RUN_EVENT, kind, now, run_id)


async def add_coins_event(
    connection: Connection, tickers: Sequence[str], now: datetime.datetime
) -> None:
    """Add the event for the coins that this transaction changed, if any."""
    if tickers:
        await connection.execute(_ADD_COINS_EVENT, now, tickers)


async def notify_events(connection: Connection) -> None:
    """Notify the listeners at commit of the newest sequence number, once a transaction."""
    await connection.execute(_NOTIFY)


async def purge_events(connection: Connection, before: datetime.datetime) -> None:
    """Delete the events before `before`; no client can resume from them."""
    await connection.execute(_PURGE, before)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: `run` is the run at that time (columns of its row, times as text).

    `tickers` are the changed coins.
    """

    seq: int
    kind: str
    at: datetime.datetime
    run: dict[str, Any] | None
    tickers: list[str] | None


class EventRange(msgspec.Struct, frozen=True):
    """The sequence numbers of the oldest and the newest event; 1 and 0 before the first event."""

    oldest: int
    newest: int


async def read_events(
    connection: Connection, after: int, limit: int, kinds: frozenset[str] | None = None
) -> list[Event]:
    """Return the first `limit` events after the sequence number `after`, if given of `kinds`."""
    rows = await connection.fetch(_READ, after, limit, None if kinds is None else sorted(kinds))
    return [
        Event(
            seq=row["seq"],
            kind=row["kind"],
            at=row["at"],
            run=None if row["run"] is None else msgspec.json.decode(row["run"]),
            tickers=row["tickers"],
        )
        for row in rows
    ]


async def read_event_range(connection: Connection) -> EventRange:
    """Return the range of stored events, which always include the newest."""
    row = await connection.fetchrow(_RANGE)
    if row is None or row["newest"] is None:
        return EventRange(oldest=1, newest=0)
    return EventRange(oldest=row["oldest"], newest=row["newest"])
