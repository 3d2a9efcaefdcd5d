"""A signal in the middle of a command leaves no process and no open run behind."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from db.connect.pool import connect
from db.embedded import EmbeddedPostgres
from tests.conftest import Program, StartProgram

TIMEOUT_SECONDS = 60


@contextlib.asynccontextmanager
async def silent_provider() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A provider that never answers: its URL, and an event set by its first request."""
    requested, over = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        requested.set()
        await over.wait()
        return web.json_response([])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), requested
        over.set()


async def postgres_of(program: Program) -> psutil.Process:
    """Return the database process of the program as soon as it runs."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(program.process.pid).children():
                    if Path(child.exe()).name == "postgres":
                        return child
            assert program.process.poll() is None, program.text()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
)
async def test_a_signal_closes_the_run_and_the_database(
    number: signal.Signals, code: int, start_program: StartProgram, state_folder: Path
) -> None:
    async with silent_provider() as (url, requested):
        program = start_program(
            "-m", "kasparro", "ingest", "--once",
            KASPARRO_HOME=str(state_folder), SOURCES="coinpaprika", COINPAPRIKA_URL=url,
            DATABASE_URL="",
        )  # fmt: skip
        postgres = await postgres_of(program)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await requested.wait()
        assert await program.stop(number) == code, program.text()
    assert not postgres.is_running()
    assert "Traceback" not in program.text()
    async with EmbeddedPostgres(state_folder) as again:
        connection = await connect(again.dsn)
        assert await connection.fetchval("SELECT array_agg(status) FROM etl_runs") == ["abandoned"]
        await connection.close()


async def test_under_nohup_in_the_background_only_a_hangup_is_ignored(
    start_program: StartProgram, state_folder: Path
) -> None:
    """A shell lets its background jobs ignore SIGINT, but an explicit SIGINT still counts."""
    ignoring = """trap '' HUP INT; exec "$0" "$@" """
    async with silent_provider() as (url, requested):
        program = start_program(
            "-c", ignoring, sys.executable, "-m", "kasparro", "ingest", "--once", python="/bin/sh",
            KASPARRO_HOME=str(state_folder), SOURCES="coinpaprika", COINPAPRIKA_URL=url,
            DATABASE_URL="",
        )  # fmt: skip
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await requested.wait()
        program.process.send_signal(signal.SIGHUP)
        assert await program.stop(signal.SIGINT) == 130, program.text()


@pytest.mark.parametrize(
    "command", [("status",), ("migrate",), ("migrate", "--status"), ("doctor",)]
)
async def test_a_signal_ends_the_database_of_any_command(
    command: tuple[str, ...], start_program: StartProgram, state_folder: Path
) -> None:
    async with silent_provider() as (url, _):
        program = start_program(
            "-m", "kasparro", *command,
            KASPARRO_HOME=str(state_folder), SOURCES="coinpaprika", COINPAPRIKA_URL=url,
            DATABASE_URL="",
        )  # fmt: skip
        postgres = await postgres_of(program)
        assert await program.stop() == 143, program.text()
    assert not postgres.is_running()
    assert not (state_folder / "postgres.url").exists()
    assert "Traceback" not in program.text()


async def test_a_trigger_that_waits_ends_with_the_signal(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    connection = await connect(database)
    await connection.execute(
        "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ('csv', "
        "'file', true, 1, 60)"
    )
    program = start_program(
        "-m", "kasparro", "trigger", "--wait", DATABASE_URL=database, KASPARRO_HOME=str(tmp_path)
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await connection.fetchval("SELECT count(*) FROM etl_requests"):
            await asyncio.sleep(0.01)
    await connection.close()
    assert await program.stop() == 143
    assert program.text() == ""
