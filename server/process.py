"""A server process, from its socket to its shutdown."""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections.abc import Callable, Iterator

import msgspec
import uvicorn
from starlette.types import ASGIApp

from common.settings import Settings
from db.connect.readiness import DatabaseNotReadyError, wait_for_schema
from db.embedded import running_dsn
from db.schema.logins import login_or_warn, same_login
from server.address import browser_url
from server.app import create_app
from server.http.protocol import HttpProtocol
from server.live.websocket_protocol import WebSocketProtocol
from server.middleware.body_limit import MAX_BODY_BYTES
from server.state import ServerState, open_state

SHUTDOWN_GRACE_SECONDS = 5
UNREAD_SECONDS = 60
PING_SECONDS = 20.0
"""The interval of the pings of a websocket, and the time-out of a pong."""


class AddressError(Exception):
    """HOST and PORT cannot be listened on; the message is one line."""


class StartError(Exception):
    """The server cannot start, for lack of a database; the message is one line."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address. Raises AddressError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressError(
            f"HOST must be an address of this machine; it is {host!r} ({error.strerror})"
        ) from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Closes the connection of a client that acknowledges packets but reads nothing.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNREAD_SECONDS)
        opened.bind(address)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressError(
                f"Port {port} is taken by another program; set PORT to a free one"
            ) from error
        if error.errno == errno.EACCES:
            raise AddressError(
                f"Port {port} needs an administrator's rights; set PORT to one above 1023"
            ) from error
        raise AddressError(
            f"HOST must be an address of this machine; it is {host!r} ({error.strerror})"
        ) from error
    return opened


def raise_file_limit() -> None:
    """Raise the limit of open files, and so of connections, to what the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems report no limit, but refuse to set none.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def url_of(listening: socket.socket) -> str:
    """Return the URL of the server for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    return browser_url(host, port)


async def serve(
    settings: Settings,
    listening: socket.socket,
    stopping: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until `stopping` is set, then finish open requests; `on_ready` gets the URL.

    Raises StartError, DatabaseUnavailableError, TokenFileError, SettingsError.
    """
    dsn = await wait_for_database(settings, stopping)
    if stopping.is_set():
        return
    settings, dsn = await as_server(settings, dsn)
    async with open_state(settings, dsn, stopping) as state:
        await Server(state, lambda: on_ready(url_of(listening))).serve([listening])


async def as_server(settings: Settings, dsn: str) -> tuple[Settings, str]:
    """Return the settings and the DSN with the server's own login, if there is one.

    Raises DatabaseUnavailableError.
    """
    own = await login_or_warn(dsn, "server")
    if settings.read_database_url:
        replica = await same_login(own, settings.read_database_url, "server")
        settings = msgspec.structs.replace(settings, read_database_url=replica)
    return settings, own


async def wait_for_database(settings: Settings, stopping: asyncio.Event) -> str:
    """Return the DSN once the database has this version's schema, or `stopping` is set.

    Raises StartError.
    """
    dsn = settings.database_url or running_dsn(settings.home)
    if dsn is None:
        raise StartError(
            "No database is configured: set DATABASE_URL, or start everything with `kasparro up`"
        )
    try:
        await wait_for_schema(dsn, stopping)
    except DatabaseNotReadyError as error:
        raise StartError(str(error)) from error
    return dsn


def quiet_uvicorn() -> None:
    """Let uvicorn log warnings only: the server prints one line of its own at its start."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def http_config(
    app: ASGIApp | str, *, keep_alive_seconds: int, factory: bool = False, workers: int = 1
) -> uvicorn.Config:
    """Return the configuration of uvicorn; with `factory` each worker creates the application."""
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        lifespan="on" if factory else "off",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_BODY_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        # `WebSocketProtocol` has its own: uvicorn's takes hundreds of kilobytes for a subscriber.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        # `server.middleware.forwarded` reads these headers of the trusted proxies.
        proxy_headers=False,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn, ended by `stopping`; the process handles the signals."""

    def __init__(self, state: ServerState, on_ready: Callable[[], None]) -> None:
        super().__init__(
            http_config(create_app(state), keep_alive_seconds=state.settings.keep_alive_seconds)
        )
        self._stopping = state.stopping
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call `on_ready`."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Return whether the server must end."""
        return await super().on_tick(counter) or self._stopping.is_set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield
