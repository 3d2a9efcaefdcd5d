"""The database's clock, and the retention clock, which a jump of the former hardly moves."""

import datetime

from db.connect.types import Connection

_NOW = "SELECT clock_timestamp()"
# A clock that jumps by years moves this one by a day, and then by two hours an hour: an operator
# can notice a wrong clock before history is deleted, and a machine that was off still catches up. A
# clock that is set back also sets this one back.
_ADVANCE = """
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
    """Move the retention clock towards the present, by at most a day, and return it.

    It is never ahead of the database's clock.
    """
    at: datetime.datetime = await connection.fetchval(_ADVANCE)
    return at
