"""What an ingestor's loops cannot do just now, told to whoever asks how the service fares."""

import datetime

import msgspec

from db.connect.types import Connection

FRESH = datetime.timedelta(seconds=60)
"""A loop that is held up tries again, and says so, at least every 30 s: what is older is over."""

_SAVE = """
INSERT INTO loop_problems AS p (loop, problem, since, at) VALUES ($1, $2, clock_timestamp(),
    clock_timestamp())
ON CONFLICT (loop) DO UPDATE SET
    since = CASE WHEN p.at < clock_timestamp() - $3::interval THEN excluded.since ELSE p.since END,
    problem = excluded.problem, at = excluded.at
"""
_READ = """
SELECT loop, problem, since FROM loop_problems WHERE at > clock_timestamp() - $1::interval
    ORDER BY loop
"""
# A replica never takes writes; that is no problem of it.
_TAKES_WRITES = "SELECT current_setting('transaction_read_only') = 'off' OR pg_is_in_recovery()"
_READ_ONLY = "The database takes no writes (it is read-only): the ingestor waits until it does."


class LoopProblem(msgspec.Struct, frozen=True):
    """Why a loop of an ingestor cannot go on, and since when."""

    loop: str
    problem: str
    since: datetime.datetime


async def save_problem(connection: Connection, loop: str, problem: str) -> None:
    """Say what keeps a loop from going on; said again, it is the same problem for as long as it is fresh."""
    await connection.execute(_SAVE, loop, problem, FRESH)


async def read_problems(connection: Connection) -> list[str]:
    """Return a sentence for everything that keeps an ingestor from its work just now."""
    found = [f"{row['loop']}: {row['problem']}" for row in await connection.fetch(_READ, FRESH)]
    if not await connection.fetchval(_TAKES_WRITES):
        found.append(_READ_ONLY)
    return found
