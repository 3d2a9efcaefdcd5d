"""The database of a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.settings import Settings
from db.connect.pool import DatabaseUnavailableError, connect
from db.embedded import EmbeddedPostgres, running_dsn
from db.schema.logins import PARTS, LoginError, login_dsn


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """Yield the DSN of the database that `settings` mean.

    That is DATABASE_URL, or the embedded server of a running Kasparro with this state folder, or
    else one that runs while the block lasts. Raises EmbeddedPostgresError; it does not check
    whether DATABASE_URL answers.
    """
    if settings.database_url is not None:
        yield settings.database_url
    elif (running := await find_running(settings)) is not None:
        yield running
    else:
        async with EmbeddedPostgres(settings.home, programs=settings.embedded_postgres) as embedded:
            yield embedded.dsn


async def dsn_for(dsn: str, module: str) -> str:
    """Return the DSN of a process, with a login of its own if there is one.

    Without a login this is `dsn`: the process then warns by itself. Raises
    DatabaseUnavailableError.
    """
    part = next((part for part in PARTS if part == module), None)
    try:
        return dsn if part is None else await login_dsn(dsn, part)
    except LoginError:
        return dsn


async def find_running(settings: Settings) -> str | None:
    """Return the DSN of the running embedded server of this state folder, None without one."""
    dsn = running_dsn(settings.home)
    if dsn is None:
        return None
    try:
        connection = await connect(dsn)
    except DatabaseUnavailableError:  # a file that a kill -9 left
        return None
    await connection.close()
    return dsn
