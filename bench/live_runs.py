"""Runs for thousands of websockets, by the hub and by Strawberry's execution per subscriber."""

import asyncio
import time

import msgspec

from bench.crowd import Crowd, crowd, p99
from bench.figures import Bounds, Figure
from bench.screen import say
from bench.served import ServerProcess, serving
from db.connect.pool import connect
from db.connect.types import Connection
from db.events import add_run_event, notify_events

SUBSCRIBERS, QUICK_SUBSCRIBERS = 5_000, 500
COMMITS, QUICK_COMMITS, WARM_UP = 20, 5, 2
BURST, QUICK_BURST = 40, 10
"""Events of one commit, to measure the deliveries of a core."""
PLAIN_COMMITS = 3
PROCESSES = 2
KILOBYTE = 1_000
AGAINST = "Strawberry's own execution"

RUNS = """
subscription {
  runUpdates {
    cursor type run { id source status processed failed changed startedAt finishedAt }
  }
}
"""
_ADD_RUN = """
INSERT INTO etl_runs (source, status, processed, failed, changed, unchanged, started_at)
VALUES ('coinpaprika', 'running', 0, 0, 0, 0, now()) RETURNING id
"""


class Side(msgspec.Struct, frozen=True):
    """A server's figures: seconds, updates per CPU second, bytes per subscriber."""

    p99: float
    rate: float
    memory: float


class Runs:
    """One run, with many subscribers."""

    def __init__(
        self, server: ServerProcess, clients: Crowd, connection: Connection, run: int
    ) -> None:
        self._server = server
        self._clients = clients
        self._connection = connection
        self._run = run

    async def side(self, subscribers: int, commits: int, burst: int) -> Side:
        """Measure one server. Raises RuntimeError if an update is missing."""
        before = self._server.memory
        await self._clients.open(
            self._server.port, RUNS, [{"n": number} for number in range(subscribers)]
        )
        for _ in range(WARM_UP):
            await self._commit(1)
        memory = (self._server.memory - before) / subscribers
        waits: list[float] = []
        for _ in range(commits):
            waits += await self._commit(1)
        used = self._server.cpu_seconds
        delivered = len(await self._commit(burst))
        used = self._server.cpu_seconds - used
        if (len(waits), delivered) != (commits * subscribers, burst * subscribers):
            raise RuntimeError("not every update arrived")
        return Side(p99(waits), delivered / used, memory)

    async def _commit(self, events: int) -> list[float]:
        """Return the seconds of each update, from before the commit until it was read."""
        waiting = asyncio.create_task(self._clients.wait(events))
        await asyncio.sleep(0.1)
        async with self._connection.transaction():
            now = await self._connection.fetchval("SELECT now()")
            for _ in range(events):
                await add_run_event(self._connection, "run_progress", self._run, now)
            await notify_events(self._connection)
            started = time.perf_counter()
        return [at - started for at in await waiting]


async def measure_runs(dsn: str, *, quick: bool) -> list[Figure]:
    """Measure both servers, one after the other."""
    subscribers = QUICK_SUBSCRIBERS if quick else SUBSCRIBERS
    connection = await connect(dsn)
    try:
        run = await connection.fetchval(_ADD_RUN)
        async with serving(dsn) as server, crowd(PROCESSES) as clients:
            say(f"{subscribers:,} subscribers of the hub ...")
            runs = Runs(server, clients, connection, run)
            hub = await runs.side(
                subscribers, QUICK_COMMITS if quick else COMMITS, QUICK_BURST if quick else BURST
            )
        async with serving(dsn, "bench.plain_live") as server, crowd(PROCESSES) as clients:
            say(f"{subscribers:,} subscribers of Strawberry's own ...")
            plain = await Runs(server, clients, connection, run).side(
                subscribers, PLAIN_COMMITS, PLAIN_COMMITS
            )
    finally:
        await connection.close()
    return [
        Figure(
            what=f"a commit of a run to {subscribers:,} websockets, p99",
            unit="ms",
            ours=1000 * hub.p99,
            against=AGAINST,
            theirs=1000 * plain.p99,
            bounds=Bounds(at_most=400),
        ),
        Figure(
            what="deliveries of a core",
            unit="1/s",
            ours=hub.rate,
            against=AGAINST,
            theirs=plain.rate,
            bounds=Bounds(at_least=30_000, ratio_at_least=5),
        ),
        Figure(
            what="memory of a websocket that follows runs",
            unit="KB",
            ours=hub.memory / KILOBYTE,
            against=AGAINST,
            theirs=plain.memory / KILOBYTE,
            bounds=Bounds(at_most=40),
        ),
    ]
