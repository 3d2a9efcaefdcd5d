"""Several server processes on one port, each with its own pool, LISTEN connection and caches."""

import asyncio
import functools
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from common.logs import configure_logging
from common.scheduler_token import TokenFileError
from common.settings import Settings, SettingsError, load_settings
from db.connect.pool import DatabaseUnavailableError
from server.app import create_app
from server.process import StartError, as_server, http_config, quiet_uvicorn, wait_for_database
from server.state import open_state

log = structlog.stdlib.get_logger(__name__)


class Workers(Multiprocess):
    """Processes that serve one socket until a signal; one that ends or hangs is restarted."""

    def __init__(
        self, settings: Settings, listening: socket.socket, on_ready: Callable[[], None]
    ) -> None:
        config = http_config(
            "server.workers:Worker",
            keep_alive_seconds=settings.keep_alive_seconds,
            factory=True,
            workers=settings.workers,
        )
        super().__init__(config, [listening])
        self._on_ready: Callable[[], None] | None = on_ready

    def keep_subprocess_alive(self) -> None:
        """Restart processes that ended; call `on_ready` once all are ready."""
        super().keep_subprocess_alive()
        if self._on_ready and all(process.is_ready() for process in self.processes):
            self._on_ready()
            self._on_ready = None


class Worker:
    """The application of one worker, with the lifespan of its state."""

    def __init__(self) -> None:
        self._settings = load_settings()
        configure_logging(self._settings)
        quiet_uvicorn()
        self._stopping = asyncio.Event()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the first call is ASGI's lifespan."""
        if self._app is not None:
            await self._app(scope, receive, send)
        else:
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Hold the state open until uvicorn has answered the last request."""
        await receive()
        end_with_parent()
        stop_with_uvicorn(self._stopping)
        try:
            dsn = await wait_for_database(self._settings, self._stopping)
            settings, dsn = await as_server(self._settings, dsn)
            async with open_state(settings, dsn, self._stopping) as state:
                self._app = create_app(state)
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except (
            StartError,
            DatabaseUnavailableError,
            SettingsError,
            TokenFileError,
            TimeoutError,
        ) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            # An unexpected error of the live updates ends the worker; it is restarted.
            signal.raise_signal(signal.SIGTERM)
            raise
        else:
            await send({"type": "lifespan.shutdown.complete"})


def stop_with_uvicorn(stopping: asyncio.Event) -> None:
    """Let the signals that end uvicorn set `stopping` too: open streams must end first."""
    loop = asyncio.get_running_loop()

    def stop(
        before: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None
    ) -> None:
        loop.call_soon_threadsafe(stopping.set)
        before(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, functools.partial(stop, before))


def end_with_parent() -> None:
    """End this worker after its parent was killed, so that it does not hold the port."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def run_workers(settings: Settings, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve with WORKERS processes until a signal; `on_ready` is called once all are ready.

    Raises StartError.
    """
    supervisor = Workers(settings, listening, on_ready)
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise StartError("The server could not start; the lines above say why")
