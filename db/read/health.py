"""The health of the service: the newest runs, the number of records, the age of the data."""

import datetime

import msgspec

from db.connect.types import Connection
from db.read.coins import count_coins
from db.read.runs import RunRow
from db.read.stats import last_failure, last_success

_LAST_RUN = """
SELECT finished_at, status
FROM etl_runs
WHERE finished_at IS NOT NULL
ORDER BY finished_at DESC, id DESC
LIMIT 1
"""
# Data is fresh if an enabled source was read within three poll intervals, even without changes. A
# stream was read when its last message came.
_FRESHNESS = """
SELECT
    max(r.read_at) AS read_at,
    coalesce(
        bool_or(r.read_at > $1::timestamptz - make_interval(secs => 3 * s.poll_seconds)), false
    ) AS fresh
FROM sources AS s
CROSS JOIN LATERAL (
    (SELECT finished_at AS read_at FROM etl_runs
    WHERE source = s.name AND kind = 'ingest' AND status IN ('success', 'partial')
    ORDER BY id DESC
    LIMIT 1)
    UNION ALL
    SELECT last_message_at FROM stream_states WHERE source = s.name AND last_message_at IS NOT NULL
) AS r
WHERE s.enabled
"""


class LastRun(msgspec.Struct, frozen=True):
    """The run that finished last; None without one."""

    finished_at: datetime.datetime | None
    status: str | None


class LastSuccess(msgspec.Struct, frozen=True):
    """The newest run that stored what it could read (success or partial)."""

    source: str
    finished_at: datetime.datetime
    duration_ms: int
    processed: int


class LastFailure(msgspec.Struct, frozen=True):
    """The newest run that ended as failure or abandoned."""

    source: str
    finished_at: datetime.datetime
    message: str | None


class ServiceStats(msgspec.Struct, frozen=True):
    """The response of GET /stats."""

    total_normalized: int
    last_success: LastSuccess | None
    last_failure: LastFailure | None


class Freshness(msgspec.Struct, frozen=True):
    """When a source was last read, None for never, and whether that is recent enough."""

    read_at: datetime.datetime | None
    fresh: bool


async def read_last_run(connection: Connection) -> LastRun:
    """Return the run that finished last."""
    row = await connection.fetchrow(_LAST_RUN)
    return LastRun(None, None) if row is None else LastRun(**row)


async def read_stats(connection: Connection) -> ServiceStats:
    """Return the count and the newest runs of either outcome."""
    success, failure = await last_success(connection), await last_failure(connection)
    return ServiceStats(
        total_normalized=await count_coins(connection),
        last_success=None if success is None else _as_success(success),
        last_failure=None if failure is None else _as_failure(failure),
    )


def _as_success(run: RunRow) -> LastSuccess:
    finished_at = _finished(run)
    duration_ms = round((finished_at - run.started_at) / datetime.timedelta(milliseconds=1))
    return LastSuccess(run.source, finished_at, duration_ms, run.processed)


def _as_failure(run: RunRow) -> LastFailure:
    return LastFailure(run.source, _finished(run), run.message)


def _finished(run: RunRow) -> datetime.datetime:
    # A CHECK of the table: only a running run has no end.
    assert run.finished_at is not None  # noqa: S101
    return run.finished_at


async def read_freshness(connection: Connection, now: datetime.datetime) -> Freshness:
    """Return how old the data is at `now`."""
    row = await connection.fetchrow(_FRESHNESS, now)
    return Freshness(None, fresh=False) if row is None else Freshness(**row)
