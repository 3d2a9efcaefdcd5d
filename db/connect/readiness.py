"""Wait at start for a database that answers and has this version's schema."""

import asyncio
import contextlib

import structlog

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import database_problem
from db.schema.migrate import MigrationError, status

WAIT_SECONDS = 60.0
BACKOFF = BackoffPolicy(first_seconds=0.5, longest_seconds=0.5)

log = structlog.stdlib.get_logger(__name__)


class DatabaseNotReadyError(Exception):
    """The database cannot be used; the message is one line."""


async def wait_for_schema(dsn: str, stopping: asyncio.Event | None = None) -> None:
    """Return once the database answers and has this version's schema, or `stopping` is set.

    Raises DatabaseNotReadyError after a minute, and at once if the database is newer than this
    code.
    """
    stopping = stopping or asyncio.Event()
    clock = asyncio.get_running_loop().time
    deadline = clock() + WAIT_SECONDS
    backoff = Backoff(BACKOFF)
    logged = False
    while not stopping.is_set():
        problem = await _problem_of(dsn)
        if problem is None:
            return
        if clock() > deadline:
            raise DatabaseNotReadyError(problem)
        if not logged:
            log.info("database.not_ready", reason=problem)
            logged = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(backoff.next_seconds()):
                await stopping.wait()


async def _problem_of(dsn: str) -> str | None:
    try:
        pending = (await status(dsn)).pending
    except MigrationError as error:
        raise DatabaseNotReadyError(str(error)) from error
    except Exception as error:
        problem = database_problem(error)
        if problem is None:
            raise
        return problem
    return (
        f"The database lacks migration {pending[0].file_name}: run `kasparro migrate`"
        if pending
        else None
    )
