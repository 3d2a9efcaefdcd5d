"""Retry the work of a loop when the database is away or refuses a statement."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
import structlog

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import borrow, database_problem, is_unavailable
from db.connect.types import Pool
from db.loop_problems import save_problem
from ingestor.run.housekeeping import ClockDifferenceError

_log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

_BACKOFF = BackoffPolicy(first_seconds=0.5, longest_seconds=30.0, steady_seconds=30.0)
"""`db.loop_problems.FRESH` is longer than the longest pause."""
_SAVE_TIMEOUT_SECONDS = 5.0


async def retry_database(name: str, pool: Pool, work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `work`; after an error of the database, pause and start it again.

    The pauses grow. Each problem is logged and saved for the health check. Other errors are raised.
    """
    backoff = Backoff(_BACKOFF)
    while True:
        started_at = anyio.current_time()
        try:
            return await work()
        except Exception as error:
            causes = list(_leaves(error))
            problems = [_problem(cause) for cause in causes]
            if None in problems:
                raise
            pause_seconds = backoff.next_seconds(anyio.current_time() - started_at)
            away = is_unavailable(causes[0])
            event = "database.unavailable" if away else "loop.paused"
            await _log.awarning(
                event, loop=name, retry_seconds=round(pause_seconds, 3), reason=problems[0]
            )
            if not away:
                await _save_problem(pool, name, str(problems[0]))
            await anyio.sleep(pause_seconds)


def _problem(error: BaseException) -> str | None:
    return str(error) if isinstance(error, ClockDifferenceError) else database_problem(error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def _save_problem(pool: Pool, name: str, problem: str) -> None:
    """Save the problem for the health check, which sees by itself if the database refuses this."""
    try:
        with anyio.move_on_after(_SAVE_TIMEOUT_SECONDS):
            async with borrow(pool) as connection:
                await save_problem(connection, name, problem)
    except Exception as error:
        if database_problem(error) is None:
            raise
