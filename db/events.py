"""Events: the outbox that subscriptions resume from, and the word to those who listen."""

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
# The oldest events go and nothing between: a clock that was set back must not tear a hole. The
# newest event stays: it tells how far the outbox once reached.
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
_KEPT_RANGE = "SELECT min(seq) AS oldest, max(seq) AS newest FROM events"

RunEventKind = Literal["run_started", "run_progress", "run_finished"]


async def add_run_event(
    connection: Connection, kind: RunEventKind, run_id: int, now: datetime.datetime
) -> None:
    """Add an event with the run as it stands; the caller's transaction holds the write lock."""
    await connection.execute(_ADD_RUN_EVENT, kind, now, run_id)


async def add_coins_event(
    connection: Connection, tickers: Sequence[str], now: datetime.datetime
) -> None:
    """Add the event that tells which coins this transaction changed, if any."""
    if tickers:
        await connection.execute(_ADD_COINS_EVENT, now, tickers)


async def notify_events(connection: Connection) -> None:
    """Tell the listeners, at commit, how far the outbox reaches; once a transaction, after its last event."""
    await connection.execute(_NOTIFY)


async def purge_events(connection: Connection, before: datetime.datetime) -> None:
    """Delete events that are older than any client may resume from."""
    await connection.execute(_PURGE, before)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: `run` holds the run as it then was (a row's columns, times as text), `tickers` the changed coins."""

    seq: int
    kind: str
    at: datetime.datetime
    run: dict[str, Any] | None
    tickers: list[str] | None


class KeptRange(msgspec.Struct, frozen=True):
    """The sequence numbers of the first and the last event kept; 1 and 0 where there never was one."""

    oldest: int
    newest: int


async def read_events(
    connection: Connection, after: int, limit: int, kinds: frozenset[str] | None = None
) -> list[Event]:
    """Return the first `limit` events after the sequence number `after`, only those of `kinds` where given."""
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


async def kept_range(connection: Connection) -> KeptRange:
    """Return which events are kept; once there was one, the newest always is."""
    row = await connection.fetchrow(_KEPT_RANGE)
    if row is None or row["newest"] is None:
        return KeptRange(oldest=1, newest=0)
    return KeptRange(oldest=row["oldest"], newest=row["newest"])
