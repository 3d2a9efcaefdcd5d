"""The embedded server's life: start, wait, stop, and start again after either side was killed."""

import asyncio
import contextlib
import fcntl
import logging
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import anyio
import anyio.to_thread
import asyncpg
import msgspec
import psutil

from db.connect.pool import Connection
from db.embedded import processes
from db.embedded.account import Account, server_account
from db.embedded.cluster import ENVIRONMENT, prepare_data
from db.embedded.errors import FolderUnusableError, HomeInUseError, ServerFailedError
from db.embedded.folders import PORT, make_home, make_room, make_socket_folder, remove_room
from db.embedded.programs import programs_for

DATABASE = "kasparro"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",  # a laptop's disk does not turn
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # After a crash one call per file system takes the place of one per file, which is seconds for
    # many partitions.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}
START_TIMEOUT_SECONDS = 600.0  # recovery after a crash reads up to max_wal_size of log
_ORPHANS_TIMEOUT_SECONDS = 60.0
_ORPHANS_IN_THE_WAY = (
    # Backends notice the death of their postmaster when they next look up.
    "pre-existing shared memory block",
    # A postmaster that had not written it yet when we looked.
    'lock file "postmaster.pid" already exists',
)
_CONNECT_TIMEOUT_SECONDS = 5.0
_LOG_LIMIT_BYTES = 10_000_000
_NOT_YET = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)

log = logging.getLogger(__name__)


def running_dsn(home: Path) -> str | None:
    """Return the DSN of the server that some process runs in `home`, None where none was started.

    After a kill -9 of that process it may lead nowhere; connecting tells.
    """
    try:
        return _url_file(home).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


class _SocketAddress(msgspec.Struct, frozen=True):
    """Where a start runs what, and as whom."""

    account: Account
    programs: Path
    data: Path
    sockets: Path

    def dsn(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.sockets))}&port={PORT}"


class EmbeddedPostgres:
    """A private PostgreSQL in `home`, for as long as the `async with` lasts; `settings` go over ours.

    One process at a time may have a home. `start` and `stop` may be called on their own too, each
    more than once.
    """

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock: IO[str] | None = None
        self._process: psutil.Popen | None = None
        self._place: _SocketAddress | None = None
        self._log_start = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def dsn(self) -> str:
        """The database, for a client of this machine that may enter the socket's folder; known once started."""
        if self._place is None:
            raise RuntimeError("the server was never started")
        return self._place.dsn(DATABASE)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Bring the server up and return its DSN: the first time, after `stop`, or after `wait` told that it died.

        Raises EmbeddedPostgresError.
        """
        if self._process is not None and self._process.poll() is None:
            return self.dsn
        try:
            place = self._place = await anyio.to_thread.run_sync(self._prepare)
            await self._end_orphan(place)
            connection = await self._launch(place)
            try:
                if not await connection.fetchval(DATABASE_EXISTS, DATABASE):
                    await connection.execute(CREATE_DATABASE)
            finally:
                await connection.close()
            await _close_to_public(place)
            _url_file(self.home).write_text(self.dsn, encoding="utf-8")
        except BaseException:
            await self.stop()
            raise
        return self.dsn

    async def wait(self) -> int | None:
        """Return the postmaster's exit code as soon as it has ended, whoever ended it; None where it never ran."""
        process = self._process
        if process is None:
            return None
        await processes.ends_within(process, math.inf)
        return process.wait()

    async def stop(self) -> None:
        """End the server and let go of its home; also when cancelled, or when nothing was started."""
        with anyio.CancelScope(shield=True):
            if self._process is not None:
                await processes.end(self._process)
                self._process.poll()
                self._process = None
        if self._lock is not None:
            _url_file(self.home).unlink(missing_ok=True)
            if self._place is not None:
                processes.sweep_sockets(self._place.sockets)
                with contextlib.suppress(
                    OSError
                ):  # best effort: the folder may lie among temporary files
                    self._place.sockets.rmdir()
            self._lock.close()
            self._lock = None

    async def remove(self) -> None:
        """Remove the server with all its data, one that a killed Kasparro left running included.

        Raises HomeInUseError, FolderUnusableError.
        """
        self._take_lock()
        try:
            orphan = processes.find_postmaster((self.home / "postgres").resolve() / "data")
            if orphan is not None:
                await processes.end(orphan)
            await anyio.to_thread.run_sync(remove_room, self.home)
            for name in ("postgres.log", "postgres.log.1", "postgres.lock"):
                (self.home / name).unlink(missing_ok=True)
        except OSError as error:
            raise FolderUnusableError(
                folder=error.filename or self.home, reason=str(error.strerror)
            ) from error
        finally:
            await self.stop()

    def _prepare(self) -> _SocketAddress:
        """Do all that a start needs of the file system. Raises EmbeddedPostgresError."""
        try:
            make_home(self.home)
            self._take_lock()
            account = server_account(self.home / "postgres" / "data")
            room = make_room(self.home, account)
            place = _SocketAddress(
                account,
                programs_for(account, room),
                room / "data",
                make_socket_folder(room, account),
            )
            prepare_data(
                place.data, place.programs, account, durable=self._settings.get("fsync") != "off"
            )
        except OSError as error:
            folder = error.filename or self.home
            raise FolderUnusableError(folder=folder, reason=error.strerror or str(error)) from error
        return place

    def _take_lock(self) -> None:
        """Take the home for this process; the kernel lets go of it when the process ends, in whatever way."""
        if self._lock is not None:
            return
        lock = (self.home / "postgres.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise HomeInUseError(home=self.home, process=owner or "unknown") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    async def _end_orphan(self, place: _SocketAddress) -> None:
        """End the server of a killed Kasparro: only a child of ours has today's settings, and is reaped."""
        orphan = processes.find_postmaster(place.data)
        if orphan is not None:
            log.warning(
                "ending the PostgreSQL that an earlier run left behind (process %s)", orphan.pid
            )
            await processes.end(orphan)
        processes.clear_stale(place.data, place.sockets)

    async def _launch(self, place: _SocketAddress) -> Connection:
        """Start the postmaster and return a first connection, as soon as it takes one.

        Raises ServerFailedError.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        self._process = self._spawn(place)
        while True:
            try:
                return await asyncpg.connect(
                    place.dsn("postgres"), timeout=_CONNECT_TIMEOUT_SECONDS
                )
            except _NOT_YET as error:
                waited_seconds = clock() - started
                if self._process.poll() is not None:
                    self._check_worth_retrying(self._process.pid, waited_seconds)
                    await self._end_orphan(place)
                    self._process = self._spawn(place)
                elif waited_seconds > START_TIMEOUT_SECONDS:
                    raise ServerFailedError(
                        reason=f"no answer: {error}", log=self._log_path
                    ) from error
            await asyncio.sleep(processes.POLL_SECONDS)

    def _check_worth_retrying(self, pid: int, waited_seconds: float) -> None:
        """Raise ServerFailedError, unless an orphan was in the way that may soon be gone."""
        complaint = self._complaint(pid)
        if waited_seconds > _ORPHANS_TIMEOUT_SECONDS or not any(
            phrase in complaint for phrase in _ORPHANS_IN_THE_WAY
        ):
            raise ServerFailedError(reason=complaint, log=self._log_path)

    def _spawn(self, place: _SocketAddress) -> psutil.Popen:
        settings = self._settings | {"unix_socket_directories": str(place.sockets)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_LIMIT_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        self._log_path.touch(mode=0o600)  # it quotes statements that failed
        with self._log_path.open("ab") as output:
            self._log_start = output.tell()
            return psutil.Popen(
                [place.programs / "postgres", "-D", place.data, *options],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in the terminal is for us; PostgreSQL is told after its clients are gone.
                start_new_session=True,
                **place.account.popen_options(),
            )

    @property
    def _log_path(self) -> Path:
        return self.home / "postgres.log"

    def _complaint(self, pid: int) -> str:
        """Return what the last FATAL line of a postmaster that just ended says, or its last line.

        Backends of an earlier one may be writing to the same log; ours are the lines that bear its
        number.
        """
        with self._log_path.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read(_LOG_LIMIT_BYTES).decode(errors="replace").strip().splitlines() or [
                "it said nothing"
            ]
        lines = [line for line in lines if f"[{pid}]" in line] or lines
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return (fatal or lines)[-1].rpartition(":  ")[2].strip()


DATABASE_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"

CREATE_DATABASE = f"CREATE DATABASE {DATABASE}"

# The server and the ingestor have logins of their own. What every role may do by default goes
# beyond what those need.
CLOSE_TO_PUBLIC = f"""
REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat, lo_create, lo_from_bytea FROM PUBLIC
"""


async def _close_to_public(place: _SocketAddress) -> None:
    connection = await asyncpg.connect(place.dsn(DATABASE), timeout=_CONNECT_TIMEOUT_SECONDS)
    try:
        await connection.execute(CLOSE_TO_PUBLIC)
    finally:
        await connection.close()


def _url_file(home: Path) -> Path:
    return home / "postgres.url"
