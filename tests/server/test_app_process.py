"""A server process: errors at its start, what it survives, how it ends."""

import asyncio
import signal
import socket
import stat
import time
from pathlib import Path

import aiohttp
import pytest

from common.scheduler_token import TokenFileError, load_or_create_token
from db.connect.pool import Connection, connect
from db.embedded import EmbeddedPostgres
from db.schema.migrate import migrate
from tests.conftest import FAST_SETTINGS, Program, StartProgram
from tests.server.conftest import TOKEN, AddCoin

READY = r"Listening at (http://\S+)\n"


def start_server(
    start_program: StartProgram, database: str, home: Path, port: int, **environ: str
) -> Program:
    settings = {"DATABASE_URL": database, "KASPARRO_HOME": str(home), "PORT": str(port)}
    return start_program("-m", "server", **(settings | environ))


async def test_a_bad_setting_stops_the_start_with_one_line(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    program = start_program(
        "-m", "server", DATABASE_URL=database, KASPARRO_HOME=str(tmp_path), PORT="eighty"
    )
    assert await program.wait() == 2
    assert program.text() == "PORT must be a whole number from 1 to 65535; it is 'eighty'\n"


async def test_a_taken_port_is_told_in_one_line(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        program = start_server(start_program, database, tmp_path, port)
        assert await program.wait() == 2
    assert program.text() == f"Port {port} is taken by another program; set PORT to a free one\n"


async def test_a_host_that_is_not_ours_is_told_in_one_line(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_server(start_program, database, tmp_path, unused_tcp_port, HOST="192.0.2.1")
    assert await program.wait() == 2
    assert program.text().startswith("HOST must be an address of this machine; it is '192.0.2.1' (")
    assert program.text().count("\n") == 1


async def test_without_any_database_the_start_says_what_to_do(
    start_program: StartProgram, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_server(start_program, "", tmp_path, unused_tcp_port)
    assert await program.wait() == 1
    assert (
        program.text()
        == "No database is configured: set DATABASE_URL, or start everything with `kasparro up`\n"
    )


async def test_the_start_waits_for_the_migrations(
    start_program: StartProgram, empty_database: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_server(start_program, empty_database, tmp_path, unused_tcp_port)
    await program.wait_for("database.not_ready.*kasparro migrate")
    await migrate(empty_database)
    await program.wait_for(READY)
    assert await program.stop() == 0


async def test_a_database_of_a_newer_version_stops_the_start_with_one_line(
    start_program: StartProgram,
    database: str,
    connection: Connection,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations VALUES (9999, 'future', repeat('0', 64), now())"
    )
    program = start_server(start_program, database, tmp_path, unused_tcp_port)
    assert await program.wait() == 1
    assert "9999_future" in program.text()
    assert program.text().count("\n") == 1


async def test_a_server_that_still_waits_for_its_database_ends_at_once(
    start_program: StartProgram, tmp_path: Path, unused_tcp_port: int
) -> None:
    with socket.socket() as nothing_listens:
        nothing_listens.bind(("127.0.0.1", 0))
        database = (
            f"postgresql://user:secret-word@127.0.0.1:{nothing_listens.getsockname()[1]}/kasparro"
        )
        program = start_server(start_program, database, tmp_path, unused_tcp_port)
        await program.wait_for("database.not_ready")
        assert await program.stop() == 0
    assert "secret-word" not in program.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_in_time_with_a_websocket_open(
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port: int,
    number: signal.Signals,
) -> None:
    program = start_server(start_program, database, tmp_path, unused_tcp_port)
    url = (await program.wait_for(READY))[1]
    assert url == f"http://127.0.0.1:{unused_tcp_port}"
    async with aiohttp.ClientSession(url) as client:
        socket_ = await client.ws_connect("/graphql", protocols=["graphql-transport-ws"])
        await client.get("/health/live")  # a connection that is kept alive
        started = time.monotonic()
        assert await program.stop(number) == 0
        assert time.monotonic() - started < 15  # idle clients get 20 s
        message = await socket_.receive(timeout=5)
        # 1012, service restart: clients reconnect after it.
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        await socket_.close()
    assert "Traceback" not in program.text()


async def test_without_the_database_the_server_says_so_and_recovers(
    start_program: StartProgram, state_folder: Path, unused_tcp_port: int
) -> None:
    postgres = EmbeddedPostgres(state_folder, FAST_SETTINGS)
    try:
        dsn = await postgres.start()
        await migrate(dsn)
        program = start_server(
            start_program, dsn, state_folder, unused_tcp_port, SCHEDULER_TOKEN=TOKEN
        )
        url = (await program.wait_for(READY))[1]
        async with aiohttp.ClientSession(url) as client:
            async with client.get("/health") as response:
                assert response.status == 200
            await postgres.stop()
            async with client.get("/health") as response:
                assert response.status == 503
                body = await response.json()
                assert body.pop("timestamp").endswith("Z")
                assert body == {
                    "status": "error",
                    "database": "disconnected",
                    "last_etl": None,
                    "last_etl_status": None,
                }
            async with client.get("/health/ready") as response:
                assert response.status == 503
                assert (await response.json())["database"] == "disconnected"
            for method, path in (("GET", "/data"), ("GET", "/stats"), ("POST", "/trigger-etl")):
                async with client.request(
                    method, path, headers={"X-Scheduler-Token": TOKEN}
                ) as response:
                    assert response.status == 503
                    assert await response.json() == {
                        "detail": "The database is out of reach; try again in a moment"
                    }
                    assert int(response.headers["Retry-After"]) > 0
            async with client.get("/health/live") as response:
                assert response.status == 200
            await postgres.start()
            async with client.get("/health") as response:
                assert response.status == 200
        assert await program.stop() == 0
        assert "Traceback" not in program.text()
    finally:
        await postgres.stop()


async def test_the_server_logs_in_as_a_role_of_its_own(
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port: int,
    add_coin: AddCoin,
) -> None:
    await add_coin("BTC")
    program = start_server(start_program, database, tmp_path, unused_tcp_port)
    url = (await program.wait_for(READY))[1]
    async with aiohttp.ClientSession(url) as client, client.get("/data") as response:
        assert (await response.json())["pagination"]["total"] == 1
    connection = await connect(database)
    try:
        users = await connection.fetch(
            "SELECT DISTINCT usename FROM pg_stat_activity "
            "WHERE application_name LIKE 'kasparro server%' AND datname = current_database()"
        )
        (user,) = [row["usename"] for row in users]
        assert user == await connection.fetchval("SELECT role FROM logins WHERE part = 'server'")
        assert "login.not_separate" not in program.text()
    finally:
        await connection.close()


async def test_a_token_is_made_once_for_all_processes_and_for_this_user_alone(
    start_program: StartProgram, tmp_path: Path
) -> None:
    home = tmp_path / "not" / "yet"
    script = (
        f"from pathlib import Path; from common.scheduler_token import *; "
        f"print(load_or_create_token(Path({str(home)!r})))"
    )
    programs = [start_program("-c", script) for _ in range(4)]
    assert [await program.wait() for program in programs] == [0, 0, 0, 0]
    (token,) = {program.text().strip() for program in programs}
    assert len(token) >= 32
    assert load_or_create_token(home) == token
    files = list(home.iterdir())
    assert [file.name for file in files] == ["scheduler_token"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_a_token_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "scheduler_token").write_text("\n")
    with pytest.raises(TokenFileError, match="is empty: delete it"):
        load_or_create_token(tmp_path)
    (tmp_path / "scheduler_token").write_bytes(b"\xff\xfe")
    with pytest.raises(TokenFileError, match="set SCHEDULER_TOKEN"):
        load_or_create_token(tmp_path)
    with pytest.raises(TokenFileError, match="cannot be used"):
        load_or_create_token(tmp_path / "scheduler_token")


async def test_without_a_token_in_the_settings_the_kept_one_is_asked_for(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_server(start_program, database, tmp_path, unused_tcp_port)
    url = (await program.wait_for(READY))[1]
    async with aiohttp.ClientSession(url) as client:
        for token, status in (("", 401), (load_or_create_token(tmp_path), 503)):
            async with client.post(
                "/trigger-etl", headers={"X-Scheduler-Token": token}
            ) as response:
                assert response.status == status
    assert await program.stop() == 0
    assert load_or_create_token(tmp_path) not in program.text()


async def test_the_log_of_a_failure_shows_no_secret(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    connection = await connect(database)
    program = start_server(
        start_program, database, tmp_path, unused_tcp_port, SCHEDULER_TOKEN=TOKEN
    )
    url = (await program.wait_for(READY))[1]
    await connection.execute("ALTER TABLE etl_runs RENAME COLUMN message TO gone")
    await connection.close()
    async with aiohttp.ClientSession(url) as client, client.get("/stats") as response:
        assert response.status == 500
        assert await response.json() == {"detail": "Internal Server Error"}
        number = response.headers["X-Request-ID"]
    async with asyncio.timeout(10):
        await program.wait_for("UndefinedColumnError")
    assert number in program.text()
    assert TOKEN not in program.text()
