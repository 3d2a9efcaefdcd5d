"""A server process from its first check to its clean end."""

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
from server.live.wire import WebSocketProtocol
from server.middleware.body_limit import MAX_BODY_BYTES
from server.state import ServerState, open_state

SHUTDOWN_GRACE_SECONDS = 5
UNREAD_SECONDS = 60
PING_SECONDS = 20.0
"""Between pings of a websocket, and for how long the pong is waited for."""


class AddressError(Exception):
    """HOST and PORT cannot be listened on; the message is one line."""


class StartError(Exception):
    """There is no database to serve from; the message is one line."""


def open_socket(host: str, port: int) -> socket.socket:
    """Take the address, before anything else is started. Raises AddressError."""
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
            # A client that acknowledges but reads nothing would otherwise keep its connection, and
            # what it was sent.
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
    """Let this process open as many files, and so connections, as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems refuse to be asked for no limit, although they say that there is none.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def url_of(listening: socket.socket) -> str:
    """Return the URL under which a browser on this machine finds the server."""
    host, port = listening.getsockname()[:2]
    return browser_url(host, port)


async def serve(
    settings: Settings,
    listening: socket.socket,
    stopping: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until `stopping` is set, then let requests finish; `on_ready` is told the URL once they are answered.

    Raises StartError, DatabaseUnavailableError, TokenFileError, SettingsError.
    """
    dsn = await wait_for_database(settings, stopping)
    if stopping.is_set():
        return
    settings, dsn = await as_server(settings, dsn)
    async with open_state(settings, dsn, stopping) as state:
        await Server(state, lambda: on_ready(url_of(listening))).serve([listening])


async def as_server(settings: Settings, dsn: str) -> tuple[Settings, str]:
    """Return the settings and the DSN with the server's own login in place of the owner's, where there is one.

    Raises DatabaseUnavailableError.
    """
    own = await login_or_warn(dsn, "server")
    if settings.read_database_url:
        replica = await same_login(own, settings.read_database_url, "server")
        settings = msgspec.structs.replace(settings, read_database_url=replica)
    return settings, own


async def wait_for_database(settings: Settings, stopping: asyncio.Event) -> str:
    """Return the database's DSN once it answers and has this version's schema, or `stopping` is set.

    Raises StartError.
    """
    dsn = settings.database_url or running_dsn(settings.home)
    if dsn is None:
        raise StartError(
            "There is no database: set DATABASE_URL, or start everything with `kasparro up`"
        )
    try:
        await wait_for_schema(dsn, stopping)
    except DatabaseNotReadyError as error:
        raise StartError(str(error)) from error
    return dsn


def quiet_uvicorn() -> None:
    """Let uvicorn tell of trouble only: of its own start and stop, ours is one line."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def http_config(
    app: ASGIApp | str, *, keep_alive_seconds: int, factory: bool = False, workers: int = 1
) -> uvicorn.Config:
    """Return how uvicorn serves an application of ours, or one that each worker makes and opens for itself."""
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
        # `WebSocketProtocol` has its own: uvicorn's costs each subscriber hundreds of kilobytes.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        # `server.middleware.forwarded` reads them, of the proxies that are named.
        proxy_headers=False,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn, ended by `stopping`: signals are the business of the process, not of a server within it."""

    def __init__(self, state: ServerState, on_ready: Callable[[], None]) -> None:
        super().__init__(
            http_config(create_app(state), keep_alive_seconds=state.settings.keep_alive_seconds)
        )
        self._stopping = state.stopping
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end."""
        return await super().on_tick(counter) or self._stopping.is_set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
