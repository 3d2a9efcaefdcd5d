"""Several workers on one port: each follows the outbox, and ends with its parent."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import psutil
import pytest

from db.connect.pool import Connection
from db.events import add_coins_event, notify_events
from tests.conftest import Program, StartProgram
from tests.server.conftest import NOW, AddCoin

READY = r"Listening at (http://\S+)\n"
WORKERS = 2
SUBSCRIPTION = "subscription { coinUpdates { coins { ticker } } }"


@pytest.fixture
async def program(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> AsyncIterator[Program]:
    settings = {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(tmp_path),
        "PORT": str(unused_tcp_port),
    }
    started = start_program("-m", "server", WORKERS=str(WORKERS), **settings)
    await started.wait_for(READY)
    workers = workers_of(started)
    yield started
    started.reap()
    psutil.wait_procs(workers, 20)


def workers_of(program: Program) -> list[psutil.Process]:
    """Return the serving processes; the parent has another child, multiprocessing's tracker."""
    return [
        child
        for child in psutil.Process(program.process.pid).children()
        if child.is_running()
        and any(c.status == psutil.CONN_LISTEN for c in child.net_connections("tcp"))
    ]


def url_of(program: Program) -> str:
    return program.text().rpartition("Listening at ")[2].split("\n")[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.05)


async def connections_of(program: Program) -> dict[int, int]:
    """Return the number of clients of each worker."""
    return {
        worker.pid: sum(
            c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port_of(program)
            for c in connections
        )
        for worker in workers_of(program)
        for connections in [worker.net_connections("tcp")]
    }


def port_of(program: Program) -> int:
    return int(url_of(program).rpartition(":")[2])


async def subscribe(stack: AsyncExitStack, url: str) -> aiohttp.ClientWebSocketResponse:
    client = await stack.enter_async_context(aiohttp.ClientSession(url))
    socket = await stack.enter_async_context(
        client.ws_connect("/graphql", protocols=["graphql-transport-ws"])
    )
    await socket.send_json({"type": "connection_init"})
    assert (await socket.receive_json())["type"] == "connection_ack"
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}})
    return socket


async def test_each_worker_follows_what_is_committed(
    program: Program, connection: Connection, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    async with AsyncExitStack() as stack:
        sockets: list[aiohttp.ClientWebSocketResponse] = []
        while len(connections := await connections_of(program)) < WORKERS or not all(
            connections.values()
        ):
            sockets.append(await subscribe(stack, url_of(program)))
            assert len(sockets) < 200, "one worker takes every client"
        hearing = [asyncio.create_task(socket.receive_json(timeout=20)) for socket in sockets]
        while not all(
            task.done() for task in hearing
        ):  # a worker takes a subscription when it gets to it
            async with connection.transaction():
                await add_coins_event(connection, ["BTC"], NOW)
                await notify_events(connection)
            await asyncio.wait(hearing, timeout=0.05)
        for task in hearing:
            assert task.result()["payload"]["data"]["coinUpdates"]["coins"] == [{"ticker": "BTC"}]


async def test_a_worker_that_dies_is_replaced_and_a_signal_ends_all(program: Program) -> None:
    first, *rest = workers_of(program)
    first.kill()
    await until(lambda: len(workers_of(program)) == WORKERS and first not in workers_of(program))
    async with aiohttp.ClientSession(url_of(program)) as client, client.get("/health") as response:
        assert response.status == 200
    workers = workers_of(program)
    assert set(rest) <= set(workers)
    assert await program.stop(signal.SIGTERM) == 0
    assert not psutil.wait_procs(workers, 0)[1]
    assert "Traceback" not in program.text()


async def test_workers_end_when_their_parent_is_killed(program: Program) -> None:
    workers = workers_of(program)
    assert len(workers) == WORKERS
    program.process.kill()
    assert not psutil.wait_procs(workers, 20)[1]


async def test_without_a_database_several_workers_say_so_once(
    start_program: StartProgram, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_program(
        "-m",
        "server",
        DATABASE_URL="",
        KASPARRO_HOME=str(tmp_path),
        PORT=str(unused_tcp_port),
        WORKERS="2",
    )
    assert await program.wait() == 1
    assert (
        program.text()
        == "No database is configured: set DATABASE_URL, or start everything with `kasparro up`\n"
    )
