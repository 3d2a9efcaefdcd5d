"""The embedded server: start, wait, stop, and recovery after either process was killed."""

import asyncio
import contextlib
import logging
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import anyio
import anyio.to_thread
import asyncpg
import msgspec
import psutil

from db.connect.pool import Connection, is_unavailable
from db.embedded import processes
from db.embedded.account import Account, server_account
from db.embedded.cluster import ENVIRONMENT, prepare_data
from db.embedded.database import CONNECT_TIMEOUT_SECONDS, DATABASE, prepare_database
from db.embedded.errors import FolderUnusableError, ServerFailedError
from db.embedded.folders import (
    PORT,
    create_server_folder,
    make_home,
    make_socket_folder,
    remove_server_folder,
    url_file,
)
from db.embedded.home_lock import HomeLock
from db.embedded.programs import ProgramChoice, programs_for
from db.embedded.server_log import ServerLog

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",  # for a solid-state disk
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # After a crash: one call per file system instead of one per file, which takes seconds for many
    # partitions.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}
START_TIMEOUT_SECONDS = 600.0  # recovery after a crash reads up to max_wal_size of log
_ORPHANS_TIMEOUT_SECONDS = 60.0
_ORPHAN_ERRORS = (
    # Backends end some time after their postmaster.
    "pre-existing shared memory block",
    # A postmaster that wrote this file only after we had looked for it.
    'lock file "postmaster.pid" already exists',
)
_CONNECT_ERRORS = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)

log = logging.getLogger(__name__)


class _ServerPaths(msgspec.Struct, frozen=True):
    """The account of the server, and the paths of its programs, data and socket."""

    account: Account
    programs: Path
    data: Path
    sockets: Path

    def dsn(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.sockets))}&port={PORT}"


class EmbeddedPostgres:
    """A private PostgreSQL in `home` inside an `async with`; `settings` override SETTINGS.

    `programs` chooses between the system's PostgreSQL and the wheel's. One process at a time may
    use a home. `start` and `stop` may also be called directly, each more than once.
    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, str] | None = None,
        programs: ProgramChoice = "wheel",
    ) -> None:
        self.home = home.absolute()
        self._programs = programs
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock = HomeLock(self.home)
        self._log = ServerLog(self.home / "postgres.log")
        self._process: psutil.Popen | None = None
        self._paths: _ServerPaths | None = None

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
        """The database's DSN, for local clients that may enter the socket's folder.

        Raises RuntimeError before the first start.
        """
        if self._paths is None:
            raise RuntimeError("the server was never started")
        return self._paths.dsn(DATABASE)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Start the server unless it runs, and return its DSN.

        Raises EmbeddedPostgresError.
        """
        if self._process is not None and self._process.poll() is None:
            return self.dsn
        try:
            paths = self._paths = await anyio.to_thread.run_sync(self._prepare)
            await self._end_orphan(paths)
            connection = await self._launch(paths)
            try:
                await prepare_database(connection, self.dsn)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                reason = str(error) or "no answer"
                raise ServerFailedError(reason=reason, log=self._log.path) from error
            url_file(self.home).write_text(self.dsn, encoding="utf-8")
        except BaseException:
            await self.stop()
            raise
        return self.dsn

    async def wait(self) -> int | None:
        """Wait until the postmaster has ended and return its exit code; None if it never ran."""
        process = self._process
        if process is None:
            return None
        await processes.ends_within(process, math.inf)
        return process.wait()

    async def stop(self) -> None:
        """End the server and release its home, even if cancelled or not started."""
        with anyio.CancelScope(shield=True):
            if self._process is not None:
                await processes.end(self._process)
                self._process.poll()
                self._process = None
        if self._lock.is_held:
            url_file(self.home).unlink(missing_ok=True)
            if self._paths is not None:
                processes.sweep_sockets(self._paths.sockets)
                # Best effort: the folder may lie among temporary files.
                with contextlib.suppress(OSError):
                    self._paths.sockets.rmdir()
            self._lock.release()

    async def remove(self) -> None:
        """Remove the server and all its data; end a server that a killed Kasparro left running.

        Raises HomeInUseError, FolderUnusableError.
        """
        self._lock.acquire()
        try:
            orphan = processes.find_postmaster((self.home / "postgres").resolve() / "data")
            if orphan is not None:
                await processes.end(orphan)
            await anyio.to_thread.run_sync(remove_server_folder, self.home)
            for name in ("postgres.log", "postgres.log.1", "postgres.lock"):
                (self.home / name).unlink(missing_ok=True)
        except OSError as error:
            raise FolderUnusableError(
                folder=error.filename or self.home, reason=str(error.strerror)
            ) from error
        finally:
            await self.stop()

    def _prepare(self) -> _ServerPaths:
        """Prepare the files that a start needs. Raises EmbeddedPostgresError."""
        try:
            make_home(self.home)
            self._lock.acquire()
            account = server_account(self.home / "postgres" / "data")
            server_folder = create_server_folder(self.home, account)
            paths = _ServerPaths(
                account,
                programs_for(account, server_folder, self._programs),
                server_folder / "data",
                make_socket_folder(server_folder, account),
            )
            prepare_data(
                paths.data, paths.programs, account, durable=self._settings.get("fsync") != "off"
            )
        except OSError as error:
            folder = error.filename or self.home
            raise FolderUnusableError(folder=folder, reason=error.strerror or str(error)) from error
        return paths

    async def _end_orphan(self, paths: _ServerPaths) -> None:
        """End the server of a killed Kasparro: it has old settings and is not our child."""
        orphan = processes.find_postmaster(paths.data)
        if orphan is not None:
            log.warning(
                "ending the PostgreSQL that an earlier run left behind (process %s)", orphan.pid
            )
            await processes.end(orphan)
        processes.clear_stale(paths.data, paths.sockets)

    async def _launch(self, paths: _ServerPaths) -> Connection:
        """Start the postmaster and return the first connection that it accepts.

        Raises ServerFailedError.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        self._process = self._spawn(paths)
        while True:
            try:
                return await asyncpg.connect(paths.dsn("postgres"), timeout=CONNECT_TIMEOUT_SECONDS)
            except _CONNECT_ERRORS as error:
                waited_seconds = clock() - started
                if self._process.poll() is not None:
                    self._check_retry(self._process.pid, waited_seconds)
                    await self._end_orphan(paths)
                    self._process = self._spawn(paths)
                elif waited_seconds > START_TIMEOUT_SECONDS:
                    raise ServerFailedError(
                        reason=f"no answer: {error}", log=self._log.path
                    ) from error
            await asyncio.sleep(processes.POLL_SECONDS)

    def _check_retry(self, pid: int, waited_seconds: float) -> None:
        """Raise ServerFailedError, unless an orphan blocked the start and may end soon."""
        message = self._log.last_error(pid)
        if waited_seconds > _ORPHANS_TIMEOUT_SECONDS or not any(
            phrase in message for phrase in _ORPHAN_ERRORS
        ):
            raise ServerFailedError(reason=message, log=self._log.path)

    def _spawn(self, paths: _ServerPaths) -> psutil.Popen:
        settings = self._settings | {"unix_socket_directories": str(paths.sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open() as output:
            return psutil.Popen(
                [paths.programs / "postgres", "-D", paths.data, *options],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in the terminal must not reach PostgreSQL, which stops after its clients.
                start_new_session=True,
                **paths.account.popen_options(),
            )
