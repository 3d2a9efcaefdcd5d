"""Going on after the database was away, or refused what it was asked: alone, and after a growing pause."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
import structlog

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import borrow, database_problem, is_unavailable
from db.connect.types import Pool
from db.loop_problems import save_problem
from ingestor.run.housekeeping import ClocksApartError

_log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

_BACKOFF = BackoffPolicy(first_seconds=0.5, longest_seconds=30.0, steady_seconds=30.0)
"""`db.loop_problems.FRESH` is longer than the longest pause."""
_TELL_SECONDS = 5.0


async def persist(name: str, pool: Pool, work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` does; where the database keeps it from that, begin it again after a growing pause.

    Whatever else goes wrong is raised. What keeps it is logged, and told to those who ask how the
    service fares.
    """
    backoff = Backoff(_BACKOFF)
    while True:
        began = anyio.current_time()
        try:
            return await work()
        except Exception as error:
            causes = list(_leaves(error))
            problems = [_problem(cause) for cause in causes]
            if None in problems:
                raise
            pause_seconds = backoff.next_seconds(anyio.current_time() - began)
            away = is_unavailable(causes[0])
            event = "database.away" if away else "loop.paused"
            await _log.awarning(
                event, loop=name, retry_seconds=round(pause_seconds, 3), reason=problems[0]
            )
            if not away:
                await _tell(pool, name, str(problems[0]))
            await anyio.sleep(pause_seconds)


def _problem(error: BaseException) -> str | None:
    return str(error) if isinstance(error, ClocksApartError) else database_problem(error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def _tell(pool: Pool, name: str, problem: str) -> None:
    """Leave word in the database, unless it refuses that too: then those who ask see for themselves."""
    try:
        with anyio.move_on_after(_TELL_SECONDS):
            async with borrow(pool) as connection:
                await save_problem(connection, name, problem)
    except Exception as error:
        if database_problem(error) is None:
            raise
