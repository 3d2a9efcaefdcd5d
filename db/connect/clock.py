"""The database's clock, and the time that retention goes by, which no jump of a clock moves far."""

import datetime

from db.connect.types import Connection

_NOW = "SELECT clock_timestamp()"
# A clock that jumps by years moves this one by a day, and from then on by two hours an hour: a
# wrong clock is noticed before history is gone, and what a machine that was off has to catch up
# with is caught up with. A clock that was set back takes this one along.
_MOVE_ON = """
UPDATE retention_clock
SET at = least(
        clock_timestamp(),
        at + least(interval '1 day', greatest(2 * (clock_timestamp() - moved_at), interval '0'))
    ),
    moved_at = clock_timestamp()
RETURNING at
"""


async def database_now(connection: Connection) -> datetime.datetime:
    """Return the present instant by the database's clock."""
    now: datetime.datetime = await connection.fetchval(_NOW)
    return now


async def move_retention_clock(connection: Connection) -> datetime.datetime:
    """Move the time that retention goes by towards the present, and return it.

    It is never ahead of the database's clock, and moves at most a day at once.
    """
    at: datetime.datetime = await connection.fetchval(_MOVE_ON)
    return at
