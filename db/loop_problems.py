"""Problems of an ingestor's loops, for the health check."""

import datetime

import msgspec

from db.connect.types import Connection

FRESH = datetime.timedelta(seconds=60)
"""A paused loop retries and saves its problem at least every 30 s: older ones are solved."""

_SAVE = """
INSERT INTO loop_problems AS p (loop, problem, since, at)
VALUES ($1, $2, clock_timestamp(), clock_timestamp())
ON CONFLICT (loop) DO UPDATE SET
    since = CASE WHEN p.at < clock_timestamp() - $3::interval THEN excluded.since ELSE p.since END,
    problem = excluded.problem, at = excluded.at
"""
_READ = """
SELECT loop, problem, since FROM loop_problems WHERE at > clock_timestamp() - $1::interval
    ORDER BY loop
"""
# A replica never accepts writes, so this is not a problem there.
_TAKES_WRITES = "SELECT current_setting('transaction_read_only') = 'off' OR pg_is_in_recovery()"
_READ_ONLY = "The database takes no writes (it is read-only): the ingestor waits until it does."


class LoopProblem(msgspec.Struct, frozen=True):
    """Why a loop of an ingestor is paused, and since when."""

    loop: str
    problem: str
    since: datetime.datetime


async def save_problem(connection: Connection, loop: str, problem: str) -> None:
    """Save why a loop is paused; `since` stays while the problem is repeated within FRESH."""
    await connection.execute(_SAVE, loop, problem, FRESH)


async def read_problems(connection: Connection) -> list[str]:
    """Return a sentence for each present problem of the ingestors."""
    problems = [f"{row['loop']}: {row['problem']}" for row in await connection.fetch(_READ, FRESH)]
    if not await connection.fetchval(_TAKES_WRITES):
        problems.append(_READ_ONLY)
    return problems
