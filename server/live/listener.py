"""The listener: the one LISTEN connection of a process; it reads new events of the outbox."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import connect, database_problem, is_transient
from db.connect.types import Connection
from db.events import CHANNEL, Event, read_event_range, read_events
from server.live.cursor import CursorExpiredError, check_cursor

BATCH = 200
# A broken connection may lose a NOTIFY before it is detected: poll at least this often.
POLL_SECONDS = 3.0
STATEMENT_TIMEOUT_SECONDS = 10.0
BACKOFF = BackoffPolicy(first_seconds=0.1, longest_seconds=5.0)

log = structlog.stdlib.get_logger(__name__)


class Listener:
    """Passes each event to `publish` once and in order, from the first connection on.

    It calls `expire` with the reason if events were purged or the database was replaced while the
    database was unavailable. `connected` is set while a connection listens; data read meanwhile is
    at least as new as `version`.
    """

    def __init__(
        self,
        dsn: str,
        publish: Callable[[list[Event]], Awaitable[None]],
        expire: Callable[[CursorExpiredError], None],
    ) -> None:
        self.connected = asyncio.Event()
        self._dsn = dsn
        self._publish = publish
        self._expire = expire
        self._position: int | None = None
        self._newest = 0
        self._connections = 0
        self._backoff = Backoff(BACKOFF)

    @property
    def version(self) -> tuple[int, int] | None:
        """The number of the LISTEN connection and the newest sequence number that it announced.

        It advances before subscribers are notified. None while no connection listens.
        """
        return (self._connections, self._newest) if self.connected.is_set() else None

    async def run(self) -> None:
        """Listen until cancelled; reconnects after 0.1 s at first, after 5 s at most."""
        while True:
            try:
                await self._connect_and_follow()
            except Exception as error:
                # A slow outbox must not end the server.
                if database_problem(error) is None and not is_transient(error):
                    raise
                log.warning(
                    "live updates wait for the database", reason=str(error) or type(error).__name__
                )
            await asyncio.sleep(self._backoff.next_seconds())

    async def _connect_and_follow(self) -> None:
        connection = await connect(
            self._dsn,
            application_name="kasparro server live",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        )
        try:
            await self._follow(connection)
        finally:
            self.connected.clear()
            connection.terminate()

    async def _follow(self, connection: Connection) -> None:
        """Publish new events at each notification. Raises ConnectionResetError at the end."""
        woken = asyncio.Event()
        self._newest = 0

        def on_notification(_: object, __: int, ___: str, payload: object) -> None:
            self._newest = max(self._newest, int(str(payload) or 0))
            woken.set()

        def on_end(_: object) -> None:
            self.connected.clear()
            woken.set()

        connection.add_termination_listener(on_end)
        await connection.add_listener(CHANNEL, on_notification)
        await self._find_position(connection)
        self._connections += 1
        self._backoff.reset()
        self.connected.set()
        while not connection.is_closed():
            woken.clear()
            await self._read_on(connection)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()
            except TimeoutError:
                continue
        raise ConnectionResetError("the connection ended")

    async def _find_position(self, connection: Connection) -> None:
        """Start at the newest event; after a reconnect continue, unless events were purged."""
        available = await read_event_range(connection)
        self._newest = max(self._newest, available.newest)
        if self._position is None:
            self._position = available.newest
            return
        try:
            check_cursor(self._position, available)
        except CursorExpiredError as error:
            self._position = available.newest
            self._expire(error)

    async def _read_on(self, connection: Connection) -> None:
        while True:
            events = await read_events(connection, self._position or 0, BATCH)
            if events:
                self._position = events[-1].seq
                self._newest = max(self._newest, self._position)
                await self._publish(events)
            if len(events) < BATCH:
                return
