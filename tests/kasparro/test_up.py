"""`kasparro up` as a whole: everything starts, survives failures, and leaves nothing running."""

import asyncio
import json
import re
import signal
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from db.connect.pool import connect
from kasparro.supervise.ports import free_port
from tests.conftest import Program, StartProgram
from tests.kasparro.command_line import kasparro

TIMEOUT_SECONDS = 60
GREETING = (
    r"Kasparro answers with made-up prices \(demo\) at (\S+) \(GraphiQL /graphql, REST "
    r"/data, docs /docs\)"
)


Answer = dict[str, Any]


class Demo:
    """A running `kasparro up --demo`."""

    def __init__(self, program: Program, environ: dict[str, str]) -> None:
        self.program = program
        self.environ = environ
        self.url = f"http://127.0.0.1:{environ['PORT']}"

    @property
    def home(self) -> Path:
        return Path(self.environ["KASPARRO_HOME"]) / "demo"

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.program.process.pid).children(recursive=True)

    def process(self, word: str) -> psutil.Process:
        """Return the child with `word` in its command line."""
        return next(
            child
            for child in self.processes()
            if word in child.cmdline() or Path(child.exe()).name == word
        )

    async def get(self, path: str) -> Answer:
        answer: Answer = await get(self.url + path)
        return answer

    async def wait_until(self, holds: Callable[[Answer], bool], path: str) -> Answer:
        """Request `path` until the answer satisfies `holds`; errors do not count."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                try:
                    answer = await self.get(path)
                except OSError:
                    answer = None
                if answer is not None and holds(answer):
                    return answer
                await asyncio.sleep(0.05)


StartDemo = Callable[[], Awaitable[Demo]]


async def get(url: str) -> Any:  # noqa: ANN401 - what JSON holds
    def read() -> Any:  # noqa: ANN401 - the same
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            return json.load(response)

    return await asyncio.to_thread(read)


@pytest.fixture
def start_demo(start_program: StartProgram, state_folder: Path) -> StartDemo:
    """Start the demo on a free port and a folder of its own; wait until it answers."""
    environ = {"KASPARRO_HOME": str(state_folder), "PORT": str(free_port()), "POLL_SECONDS": "1"}
    environ |= {"API_SOURCE_KEY": "a-real-key", "DATABASE_URL": "", "LOG_FORMAT": ""}

    async def start() -> Demo:
        demo = Demo(start_program("-m", "kasparro", "up", "--demo", **environ), environ)
        await demo.program.wait_for(GREETING, TIMEOUT_SECONDS)
        return demo

    return start


async def gone(processes: list[psutil.Process]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while any(
            process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            for process in processes
        ):
            await asyncio.sleep(0.05)


async def each_process_has_its_own_login(demo: Demo) -> None:
    """The logins of the embedded database may not create temporary tables or large objects."""
    owner_dsn = (demo.home / "postgres.url").read_text(encoding="utf-8")
    owner = await connect(owner_dsn)
    try:
        users = await owner.fetch(
            "SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE "
            "application_name LIKE 'kasparro %' "
            "AND pid <> pg_backend_pid()"
        )
    finally:
        await owner.close()
    found = {row["application_name"]: row["usename"] for row in users}
    assert found["kasparro server"] == "kasparro_server_kasparro"
    assert found["kasparro ingestor"] == "kasparro_ingestor_kasparro"
    assert "login.not_separate" not in demo.program.text()
    for role in set(found.values()):
        own = await connect(owner_dsn.replace("//postgres@", f"//{role}@"))
        try:
            for statement in (
                "CREATE TEMPORARY TABLE mine ()",
                "SELECT lo_create(0)",
                "CREATE TABLE mine ()",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await own.execute(statement)
        finally:
            await own.close()


async def test_the_demo_serves_made_up_data_and_ends_without_a_trace(start_demo: StartDemo) -> None:
    demo = await start_demo()
    page = await demo.wait_until(lambda answer: answer["pagination"]["total"] > 1000, "/data")
    assert page["data"][0]["id"].startswith("merged_")
    text = demo.program.text()
    assert len(re.findall(GREETING, text)) == 1
    assert "kasparro  | demo: prices are made up and stay in" in text
    assert re.search(r"^ingestor  \| .*run\.finished", text, re.MULTILINE)
    assert re.search(r"^simulator \| ", text, re.MULTILINE)
    assert "a-real-key" not in text

    await each_process_has_its_own_login(demo)

    status = json.loads((await kasparro("status", "--demo", "--json", **demo.environ)).stdout)
    assert status["running"].pop("market").startswith("http://127.0.0.1:")
    assert status["running"] == {"pid": demo.program.process.pid, "url": demo.url}
    assert [source["source"]["name"] for source in status["sources"]] == [
        "coinpaprika",
        "coingecko",
        "csv",
        *("binance", "coinbase", "kraken", "markets"),
    ]

    triggered = await kasparro(
        "trigger", "--demo", "--source", "csv", "--full", "--wait", **demo.environ
    )
    assert triggered.returncode == 0, triggered.stderr
    assert re.search(r"^ csv +success +50 ", triggered.stdout, re.MULTILINE)

    second = await kasparro("up", "--demo", **{**demo.environ, "PORT": str(free_port())})
    assert (second.returncode, second.stdout) == (2, "")
    sentence = rf"Kasparro is running already on {demo.home} \(process \d+, {demo.url}\): .*"
    assert re.fullmatch(rf"Error: {sentence}\n", second.stderr)

    processes = demo.processes()
    assert {"kasparro.simulator", "ingestor", "server"} <= {
        word for process in processes for word in process.cmdline()
    }
    assert await demo.program.stop(signal.SIGTERM) == 0
    await gone(processes)
    assert "kasparro  | stopping" in demo.program.text()
    assert "starting it again" not in demo.program.text()
    assert not (demo.home / "postgres.url").exists()


async def test_whatever_is_killed_comes_back(start_demo: StartDemo) -> None:
    demo = await start_demo()
    before = await demo.wait_until(lambda answer: answer["last_success"] is not None, "/stats")
    for name in ("ingestor", "server", "kasparro.simulator"):
        demo.process(name).kill()
        await demo.program.wait_for(
            rf"kasparro  \| {name.rpartition('.')[2]} was ended by SIGKILL; starting it again in "
            r"1 s"
        )
    demo.process("postgres").kill()
    await demo.program.wait_for(r"kasparro  \| PostgreSQL ended; starting it again\n")
    earlier = before["last_success"]["finished_at"]
    await demo.wait_until(lambda answer: answer["last_success"]["finished_at"] > earlier, "/stats")

    ours = [
        process
        for process in demo.processes()
        if "kasparro.supervise.parent_watch" in process.cmdline()
    ]
    assert len(ours) == 3
    demo.program.process.kill()
    await gone(ours)

    again = await start_demo()
    assert (await again.get("/health"))["database"] == "connected"
    processes = again.processes()
    assert await again.program.stop(signal.SIGHUP) == 0  # its terminal was closed
    await gone(processes)


async def test_json_logs_stay_json(start_program: StartProgram, state_folder: Path) -> None:
    environ = {
        "KASPARRO_HOME": str(state_folder),
        "PORT": str(free_port()),
        "LOG_FORMAT": "json",
        "SOURCES": "csv",
    }
    program = start_program("-m", "kasparro", "ingest", **environ)
    await program.wait_for(r"run\.finished")
    assert await program.stop() == 0
    lines = [json.loads(line) for line in program.text().splitlines()]
    assert {"the database is ready", "run.finished", "stopping"} <= {
        line["event"] for line in lines
    }


async def test_serve_works_alone_on_a_database_of_its_own(
    start_program: StartProgram, state_folder: Path
) -> None:
    port = free_port()
    program = start_program(
        "-m", "kasparro", "serve", KASPARRO_HOME=str(state_folder), PORT=str(port)
    )
    await program.wait_for(rf"(?m)^Kasparro answers at http://127.0.0.1:{port} \(")
    assert await program.stop() == 0


async def test_serve_becomes_the_server_where_a_database_is_there(
    start_program: StartProgram, empty_database: str, tmp_path: Path
) -> None:
    port = free_port()
    program = start_program(
        "-m",
        "kasparro",
        "serve",
        DATABASE_URL=empty_database,
        KASPARRO_HOME=str(tmp_path),
        PORT=str(port),
    )
    await program.wait_for(rf"Listening at http://127.0.0.1:{port}\b")
    process = psutil.Process(program.process.pid)
    assert process.cmdline()[1:] == ["-P", "-m", "server"]
    assert process.children() == []
    assert await program.stop() == 0


async def test_a_child_that_refuses_its_settings_ends_everything(
    start_program: StartProgram, state_folder: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin-1.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: plugin\nVersion: 1\n", encoding="utf-8"
    )
    (plugin / "entry_points.txt").write_text(
        "[kasparro.sources]\nbroken = nowhere:create\n", encoding="utf-8"
    )
    environ = {
        "KASPARRO_HOME": str(state_folder),
        "PORT": str(free_port()),
        "SOURCES": "csv,broken",
    }
    program = start_program("-m", "kasparro", "up", PYTHONPATH=str(tmp_path), **environ)
    assert await program.wait() == 2
    assert re.search(
        r"^Error: SOURCES names 'broken', which cannot be loaded: ", program.text(), re.MULTILINE
    )
    assert not (state_folder / "postgres.url").exists()


async def test_ctrl_c_while_it_starts_ends_it(
    start_program: StartProgram, state_folder: Path
) -> None:
    program = start_program(
        "-m", "kasparro", "up", KASPARRO_HOME=str(state_folder), PORT=str(free_port())
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not (state_folder / "postgres").exists():  # initdb runs
            await asyncio.sleep(0.01)
    processes = psutil.Process(program.process.pid).children(recursive=True)
    assert await program.stop(signal.SIGINT) == 0
    await gone(processes)
    assert "Traceback" not in program.text()
