"""`python -m kasparro.health_check`: whether this machine's ingestor reaches the database.

A container's health check: exit code 0 or 1, with a line that says why. The ingestor's loops query
the database at least every 15 s, so its sessions show whether it works. Only sessions of this
machine count, since each container has its own ingestor.
"""

import asyncio
import datetime
import sys

from common.display import sanitize
from common.settings import SettingsError, load_settings
from db.connect.pool import DatabaseUnavailableError, connect
from db.connect.types import Connection
from db.schema.logins import LoginError, login_dsn
from kasparro.cli.common.errors import FAILED

LIMIT = datetime.timedelta(seconds=60)
CONNECT_TIMEOUT_SECONDS = 5.0

_IDLE_TIME = """
SELECT clock_timestamp() - max(state_change) AS ago
FROM pg_stat_activity
WHERE datname = current_database()
    AND application_name = 'kasparro ingestor'
    AND client_addr IS NOT DISTINCT FROM inet_client_addr()
"""


async def check_ingestor(connection: Connection, limit: datetime.timedelta = LIMIT) -> str | None:
    """Return the ingestor's problem, None if it used the database within `limit`."""
    ago: datetime.timedelta | None = await connection.fetchval(_IDLE_TIME)
    if ago is None:
        return "no ingestor of this machine is connected to the database"
    if ago > limit:
        return f"the ingestor has not used the database for {ago.total_seconds():.0f} s"
    return None


async def _check(dsn: str | None) -> str | None:
    if dsn is None:
        return "DATABASE_URL is not set: it names the database that the ingestor works on"
    try:
        own = await login_dsn(
            dsn, "ingestor"
        )  # PostgreSQL hides the times of other roles' sessions
    except LoginError:
        own = dsn
    connection = await connect(
        own,
        application_name="kasparro health check",
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
    )
    try:
        return await check_ingestor(connection)
    finally:
        await connection.close()


def main() -> int:
    """Check once and return the exit code."""
    try:
        problem = asyncio.run(_check(load_settings().database_url))
    except (SettingsError, DatabaseUnavailableError) as error:
        problem = str(error)
    if problem is not None:
        sys.stderr.write(f"{sanitize(problem)}\n")
    return 0 if problem is None else FAILED


if __name__ == "__main__":
    sys.exit(main())
