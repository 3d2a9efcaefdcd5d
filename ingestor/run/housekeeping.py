"""Letting go of what is past its time: events that nobody may resume from, runs, payloads, history."""

import datetime

import structlog

from db.connect.clock import database_now, move_retention_clock
from db.connect.types import Connection
from db.events import purge_events
from db.schema.partitions import Retention, delete_old_rows, drop_old_partitions
from db.write.rejections import purge_rejections
from db.write.runs import purge_runs
from ingestor.clock import utc_now

_log = structlog.stdlib.get_logger(__name__)

EVENTS_KEPT = datetime.timedelta(days=1)
RUNS_KEPT = datetime.timedelta(days=30)
CLOCKS_APART = datetime.timedelta(minutes=2)
"""What is further apart is no delay of a network: one of the clocks is wrong, and nothing is dropped by either."""


class ClocksApartError(Exception):
    """Our clock and the database's differ by so much that one of them must be wrong."""

    def __init__(self, ahead: datetime.timedelta) -> None:
        seconds = round(abs(ahead).total_seconds())
        side = "ahead of" if ahead > datetime.timedelta() else "behind"
        super().__init__(
            f"The ingestor's clock is {seconds:,} s {side} the database's: nothing that is old is dropped until they "
            "agree. Set the clocks, for example with `timedatectl set-ntp true`."
        )


async def let_go(connection: Connection, retention: Retention) -> None:
    """Delete what `retention` does not keep, by the database's clock. Raises ClocksApartError."""
    ahead = utc_now() - await database_now(connection)
    if abs(ahead) > CLOCKS_APART:
        raise ClocksApartError(ahead)
    now = await move_retention_clock(connection)
    await purge_events(connection, now - EVENTS_KEPT)
    await purge_rejections(connection, retention.oldest_raw(now))
    await purge_runs(connection, now - RUNS_KEPT)
    dropped = await drop_old_partitions(connection, now, retention)
    await delete_old_rows(connection, now, retention)
    if dropped:
        await _log.ainfo("partition.dropped", partitions=dropped)
