"""The database: in reach, at today's schema, of one mind with us about the time."""

import contextlib
import datetime
from collections.abc import AsyncIterator

from db.embedded import EmbeddedPostgresError
from db.migrate import MigrationError, status
from db.pool import DatabaseUnavailableError, connect, database_location
from db.settings import Settings
from kasparro.database import open_database
from kasparro.doctor.clock import clock_finding
from kasparro.doctor.findings import Finding
from kasparro.doctor.logins import check_logins
from kasparro.doctor.space import check_space

NOW = "SELECT clock_timestamp()"


async def check_database(settings: Settings) -> list[Finding]:
    """Check the database that `settings` mean; the embedded one is started for it where none runs."""
    try:
        async with open_database(settings) as dsn:
            return await _check(dsn, settings)
    except EmbeddedPostgresError as error:
        problem, _, remedy = str(error).partition(": ")
        return [Finding("fail", "Database", problem, remedy or "see the log that it names")]
    except DatabaseUnavailableError as error:
        remedy = "start it, or correct DATABASE_URL, or leave that out for the embedded database"
        return [Finding("fail", "Database", f"{error.location} is out of reach: {error.reason}", remedy)]


async def _check(dsn: str, settings: Settings) -> list[Finding]:
    async with _connected(dsn) as (version, ahead):
        where = "embedded" if settings.database_url is None else database_location(dsn)
        found = [Finding("ok", "Database", f"PostgreSQL {version}, {where}"), clock_finding("the database", ahead)]
    try:
        pending = (await status(dsn)).pending
    except MigrationError as error:
        return [*found, Finding("fail", "Schema", str(error), "see above")]
    if pending:
        return [*found, Finding("warn", "Schema", f"behind, by migrations: {len(pending)}", "run `kasparro migrate`")]
    connection = await connect(dsn, application_name="kasparro doctor")
    try:
        space = await check_space(connection, settings)
    finally:
        await connection.close()
    return [*found, Finding("ok", "Schema", "up to date"), space, *await check_logins(dsn)]


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[tuple[str, datetime.timedelta]]:
    """Yield the server's version and how far its clock is ahead of ours."""
    connection = await connect(dsn, application_name="kasparro doctor")
    try:
        now: datetime.datetime = await connection.fetchval(NOW)
        # As the server writes it, but for a packager's words behind: asyncpg's parts have the minor version elsewhere.
        version = connection.get_settings().server_version.partition(" ")[0]
        yield version, now - datetime.datetime.now(datetime.UTC)
    finally:
        await connection.close()
