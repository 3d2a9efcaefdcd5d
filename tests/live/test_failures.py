"""Clients get the outbox: each event once and in order, through kills of every process."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from db.connect.types import Connection
from server.graphql.relay.cursors import encode_words
from tests.conftest import Program, StartProgram
from tests.live.outbox import (
    COINS,
    RUNS,
    Follower,
    add_events,
    over_sse,
    over_websocket,
    start_server,
)
from tests.server.conftest import AddCoin, AddRun

ROUNDS = int(os.environ.get("KILL_ROUNDS", "10"))
BURST = 300
"""More than a subscriber's queue, and than a batch of the outbox, holds."""
BEGINNING = encode_words(0, None)
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name LIKE $1 AND datname = current_database()
"""


async def sequence_numbers(connection: Connection, kind: str) -> list[int]:
    rows = await connection.fetch("SELECT seq FROM events WHERE kind = $1 ORDER BY seq", kind)
    return [row["seq"] for row in rows]


class Chaos:
    """One server, and the failures of it and of its clients."""

    def __init__(self, start_program: StartProgram, database: str, home: Path, port: int) -> None:
        self._where = database, home, port
        self._start_program = start_program
        self._server: Program

    async def start(self) -> None:
        self._server = await start_server(self._start_program, *self._where)

    async def strike(self, what: str, connection: Connection, victim: Follower) -> None:
        match what:
            case "kill the server":
                await self._server.stop(signal.SIGKILL)
                await self.start()
            case "stop the server":
                assert await self._server.stop() == 0
                await self.start()
            case "cut LISTEN":
                await connection.fetchval(CUT, "kasparro server live")
            case "cut all connections":
                await connection.fetchval(CUT, "kasparro server%")
            case "kill a client":
                await victim.restart()

    async def end(self) -> None:
        assert await self._server.stop() == 0
        assert "Traceback" not in self._server.text()


STRIKES = (
    "kill the server",
    "stop the server",
    "cut LISTEN",
    "cut all connections",
    "kill a client",
)


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_nothing_is_lost_or_told_twice_at_any_seam(
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port: int,
    add_coin: AddCoin,
    add_run: AddRun,
    connection: Connection,
) -> None:
    chosen = random.Random(20_261_123)  # noqa: S311 - the same seams each time
    await add_coin("BTC")
    await add_run("csv", "success")
    chaos = Chaos(start_program, database, tmp_path, unused_tcp_port)
    await chaos.start()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    followers = [
        Follower(follow, url, query, BEGINNING)
        for follow in (over_websocket, over_sse)
        for query in (COINS, RUNS)
    ]
    try:
        events = 0
        for number in range(ROUNDS):
            count = chosen.choice((1, 2, 5, BURST))
            await add_events(connection, count)
            # Strike when one follower has some of the events; each other one has another number.
            await chosen.choice(followers).has(events + chosen.randint(0, count))
            events += count
            await chaos.strike(STRIKES[number % len(STRIKES)], connection, chosen.choice(followers))
        await add_events(connection, 1)
        for follower in followers:
            await follower.has(events + 1)
        coins, runs = (
            await sequence_numbers(connection, "coins_changed"),
            await sequence_numbers(connection, "run_progress"),
        )
        assert len(coins) == len(runs) == events + 1
        assert [follower.seqs for follower in followers] == [coins, runs, coins, runs]
        # A client that resumes reads the outbox, so it lags behind nothing.
        assert all(
            update["lagged"] == 0 for follower in followers[::2] for update in follower.updates
        )
    finally:
        for follower in followers:
            await follower.kill()
    await chaos.end()


async def test_every_server_of_one_database_tells_everything(
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port_factory: Callable[[], int],
    add_coin: AddCoin,
    add_run: AddRun,
    connection: Connection,
) -> None:
    await add_coin("BTC")
    await add_run("csv", "success")
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    servers = [await start_server(start_program, database, tmp_path, port) for port in ports]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    followers = [
        Follower(over_websocket, url, query, BEGINNING) for url in urls for query in (COINS, RUNS)
    ]
    try:
        for _ in range(5):
            await add_events(connection, 20)
        for follower in followers:
            await follower.has(100)
        await servers[0].stop(signal.SIGKILL)
        await add_events(connection, 20)
        for follower in followers[:2]:
            # A cursor of one server is valid on any other.
            follower.url = urls[1]
        for follower in followers:
            await follower.has(120)
        coins, runs = (
            await sequence_numbers(connection, "coins_changed"),
            await sequence_numbers(connection, "run_progress"),
        )
        assert [follower.seqs for follower in followers] == [coins, runs, coins, runs]
    finally:
        for follower in followers:
            await follower.kill()
    listening = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kasparro server live'"
    )
    assert await connection.fetchval(f"{listening} AND datname = current_database()") == 1
    assert await servers[1].stop() == 0
