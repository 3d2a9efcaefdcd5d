"""Fixtures of every test: a database, a state folder, the recordings, programs that end."""

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from bench.cleanup import cleanup
from common.dsn import normalize_dsn
from db.connect.pool import Connection, Pool, connect, create_pool
from db.embedded import EmbeddedPostgres
from db.schema.logins import PARTS, login_dsn
from db.schema.migrate import migrate

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT.parent / "shared" / "data" / "recorded"
# A test's data is gone with its server; nothing is gained by waiting for the disk.
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
_numbers = itertools.count(1)


# Each takes 10 s or more. They start first, so that no worker ends alone with one of them.
LONG_TESTS = (
    "tests/ingestor/test_kill.py",
    "tests/ingestor/test_reprocess_command.py::test_killed_at_any_moment",
    "tests/server/test_schemathesis_graphql.py",
    "tests/bench/test_bench_quick.py",
    "tests/db/test_coins.py::test_coins_and_history_are_what_the_oracles_say",
    "tests/kasparro/test_sole_demo.py::test_commands_use_the_demo",
    "tests/kasparro/test_backfill.py::test_kills_at_any_moment",
    "tests/bench/test_cleanup.py::test_an_interrupted_test_run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the long tests to the front."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_TESTS))


def pytest_configure() -> None:
    """Treat SIGTERM as Ctrl-C, so that an interrupted run ends its server and its programs."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Sends the tests that share a costly fixture to one worker, so that it is made once.

    xdist's own groups, by mark, have no effect with the pytest of the lock.
    """

    FOLDERS = ("tests/browser/", "tests/kasparro/test_wheel.py", "tests/db/test_embedded.py")

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in self.FOLDERS if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Schedule by these groups, whatever `--dist` says."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def started_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start programs with the default action of every signal; let none outlive this process.

    A signal that `nohup`, or a shell for its background jobs, has ignored stays without effect on
    the run itself; only a handler, unlike SIG_IGN, is not inherited.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # What pytest keeps for a look afterwards lies where it always does.
    tmp_path_factory.getbasetemp()
    with cleanup():
        yield


def with_database(dsn: str, database: str) -> str:
    """Return the DSN of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A KASPARRO_HOME with a short path that the account of PostgreSQL can reach."""
    folder = Path(tempfile.mkdtemp(prefix="kasparro-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def server_dsn() -> AsyncIterator[str]:
    """A DSN of the session's PostgreSQL: TEST_DATABASE_URL, or an embedded one."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield normalize_dsn(given)
        await _run_sql(normalize_dsn(given), DROP_LOGINS.format(pid=os.getpid()))
        return
    home = Path(tempfile.mkdtemp(prefix="kasparro-tests-"))
    try:
        async with EmbeddedPostgres(home, FAST_SETTINGS) as postgres:
            yield postgres.dsn
    finally:
        shutil.rmtree(home)


# The databases that they belong to are gone by then.
DROP_LOGINS = """
DO $$
DECLARE login text;
BEGIN
    FOR login IN SELECT rolname FROM pg_roles
        WHERE rolname ~ '^kasparro_(server|ingestor)_test_{pid}_' LOOP
        EXECUTE format('DROP ROLE %I', login);
    END LOOP;
END
$$
"""


async def _run_sql(dsn: str, sql: str) -> None:
    connection = await connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def _new_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


async def new_database(server_dsn: str, template: str) -> str:
    """Return the name of a new copy of a database; the caller drops it."""
    name = _new_name()
    # Copying the files takes a fifth of the time of copying through the log, where nothing waits
    # for the disk.
    await _run_sql(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return name


async def drop_database(server_dsn: str, name: str) -> None:
    """Drop a database, with the connections that are still open to it."""
    await _run_sql(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def migrated_database(server_dsn: str, template: str) -> AsyncIterator[str]:
    """The DSN of a copy of a database that lasts as long as the context."""
    name = await new_database(server_dsn, template)
    yield with_database(server_dsn, name)
    await drop_database(server_dsn, name)


@pytest.fixture(scope="session")
async def template(server_dsn: str) -> AsyncIterator[str]:
    """The name of a migrated, empty database to copy."""
    name = _new_name()
    await _run_sql(server_dsn, f"CREATE DATABASE {name}")
    await migrate(with_database(server_dsn, name))
    for part in PARTS:  # the copies know them too
        await login_dsn(with_database(server_dsn, name), part)
    yield name
    await _run_sql(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_database(server_dsn: str) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it."""
    name = _new_name()
    await _run_sql(server_dsn, f"CREATE DATABASE {name}")
    yield with_database(server_dsn, name)
    await _run_sql(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(server_dsn: str, template: str) -> AsyncIterator[str]:
    """The DSN of a migrated database of this test's own."""
    async with migrated_database(server_dsn, template) as dsn:
        yield dsn


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await create_pool(database, application_name="test", max_size=5) as opened:
        yield opened


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    opened = await connect(database, application_name="test")
    yield opened
    await opened.close()


@pytest.fixture
def shared_recordings() -> Path:
    """The folder of recorded bodies of the real providers; most machines lack it."""
    if not RECORDED.is_dir():
        pytest.skip("the recorded provider bodies are not on this machine")
    return RECORDED


class Program:
    """A program of ours, its output in a file."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        environ: Mapping[str, str],
        output: Path,
        *,
        python: str = sys.executable,
        folder: Path = ROOT,
    ) -> None:
        self.output = output
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                [python, *arguments],
                cwd=folder,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    async def wait_for(self, pattern: str, timeout_seconds: float = 30) -> re.Match[str]:
        """Return the first match in the output; fail when the program or the time ends before."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                ended = self.process.poll() is not None
                match = re.search(pattern, self.text())
                if match:
                    return match
                assert not ended, (
                    f"ended with {self.process.returncode} before {pattern!r}:\n{self.text()}"
                )
                await asyncio.sleep(0.01)

    async def wait(self, timeout_seconds: float = 30) -> int:
        """Return the exit code."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                code = self.process.poll()
                if code is not None:
                    return code
                await asyncio.sleep(0.01)

    async def stop(
        self, number: signal.Signals = signal.SIGTERM, timeout_seconds: float = 30
    ) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await self.wait(timeout_seconds)

    def reap(self) -> None:
        """End the program and whatever it left in its process group."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


StartProgram = Callable[..., Program]


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    """`start_program("-m", "server", PORT="0")` starts Python with these variables added.

    With `python` and `folder` it is another Python, in another working folder.
    """
    started: list[Program] = []

    def start(
        *arguments: str, python: str = sys.executable, folder: Path = ROOT, **environ: str
    ) -> Program:
        output = tmp_path / f"program-{len(started)}.log"
        program = Program(arguments, environ, output, python=python, folder=folder)
        started.append(program)
        return program

    yield start
    for program in reversed(started):
        program.reap()
