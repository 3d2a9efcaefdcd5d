"""Deletes expired rows: events, runs, payloads, history. Thins older history."""

import datetime

import structlog

from db.connect.clock import database_now, move_retention_clock
from db.connect.types import Connection
from db.events import purge_events
from db.schema.partitions import Retention, delete_old_rows, drop_old_partitions
from db.schema.thinning import thin_history
from db.write.raw.rejections import purge_rejections
from db.write.runs import purge_runs
from ingestor.clock import utc_now

_log = structlog.stdlib.get_logger(__name__)

EVENT_RETENTION = datetime.timedelta(days=1)
RUN_RETENTION = datetime.timedelta(days=30)
MAX_CLOCK_DIFFERENCE = datetime.timedelta(minutes=2)
"""A greater difference is more than network delay: a clock is wrong, and nothing is deleted."""


class ClockDifferenceError(Exception):
    """The clocks of the ingestor and the database differ by more than MAX_CLOCK_DIFFERENCE."""

    def __init__(self, ahead: datetime.timedelta) -> None:
        seconds = round(abs(ahead).total_seconds())
        side = "ahead of" if ahead > datetime.timedelta() else "behind"
        super().__init__(
            f"The ingestor's clock is {seconds:,} s {side} the database's: "
            "nothing that is old is dropped until they agree. "
            "Set the clocks, for example with `timedatectl set-ntp true`."
        )


async def purge_expired(connection: Connection, retention: Retention) -> None:
    """Delete expired rows, by the database's clock. Raises ClockDifferenceError."""
    ahead = utc_now() - await database_now(connection)
    if abs(ahead) > MAX_CLOCK_DIFFERENCE:
        raise ClockDifferenceError(ahead)
    now = await move_retention_clock(connection)
    await purge_events(connection, now - EVENT_RETENTION)
    await purge_rejections(connection, retention.oldest_raw(now))
    await purge_runs(connection, now - RUN_RETENTION)
    dropped = await drop_old_partitions(connection, now, retention)
    await delete_old_rows(connection, now, retention)
    if dropped:
        await _log.ainfo("partition.dropped", partitions=dropped)
    if thinned := await thin_history(connection, now, retention):
        await _log.ainfo("partition.thinned", removed=thinned)
