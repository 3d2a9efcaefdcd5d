"""Which database a command works on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.settings import Settings
from db.connect.pool import DatabaseUnavailableError, connect
from db.embedded import EmbeddedPostgres, running_dsn
from db.schema.logins import PARTS, LoginError, login_dsn


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """Yield the DSN of the one database that `settings` mean.

    That is DATABASE_URL; or the embedded server of the Kasparro that runs on this state folder; or,
    where none runs, one started for as long as the block lasts. Raises EmbeddedPostgresError;
    whether DATABASE_URL answers is for the caller to see.
    """
    if settings.database_url is not None:
        yield settings.database_url
    elif (running := await find_running(settings)) is not None:
        yield running
    else:
        async with EmbeddedPostgres(settings.home) as embedded:
            yield embedded.dsn


async def dsn_for(dsn: str, module: str) -> str:
    """Return the DSN that a process is handed: with a login of its own, where it has one.

    Where it has none it is handed `dsn`, and warns of that itself. Raises DatabaseUnavailableError.
    """
    part = next((part for part in PARTS if part == module), None)
    try:
        return dsn if part is None else await login_dsn(dsn, part)
    except LoginError:
        return dsn


async def find_running(settings: Settings) -> str | None:
    """Return the DSN of the embedded server that runs on this state folder, None where none answers."""
    dsn = running_dsn(settings.home)
    if dsn is None:
        return None
    try:
        connection = await connect(dsn)
    except DatabaseUnavailableError:  # what a kill -9 left behind
        return None
    await connection.close()
    return dsn
