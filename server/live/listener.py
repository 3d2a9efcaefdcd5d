"""The listener: one LISTEN connection a process, which reads the outbox on and comes back when it is lost."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from common.backoff import Backoff, BackoffPolicy
from db.connect.pool import connect, database_problem, is_passing
from db.connect.types import Connection
from db.events import CHANNEL, Event, read_event_range, read_events
from server.live.cursor import CursorExpiredError, check_cursor

BATCH = 200
# A NOTIFY can be lost with a connection that nobody has seen die: look at least this often.
LOOK_SECONDS = 3.0
STATEMENT_TIMEOUT_SECONDS = 10.0
BACKOFF = BackoffPolicy(first_seconds=0.1, longest_seconds=5.0)

log = structlog.stdlib.get_logger(__name__)


class Listener:
    """Hands every event to `publish` once, in order, from the moment of the first connection on, and waits for it.

    `expire` is called with the reason when events were purged, or the database replaced, while it
    was out of reach. `connected` is set while a connection listens; what is read from the database
    then is as new as `version` says.
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
        self._told = 0
        self._connections = 0
        self._backoff = Backoff(BACKOFF)

    @property
    def version(self) -> tuple[int, int] | None:
        """What the database has told of last: which connection heard it, and the event's sequence number.

        It has changed before anybody here is told of a commit. None while nobody would be told.
        """
        return (self._connections, self._told) if self.connected.is_set() else None

    async def run(self) -> None:
        """Listen until cancelled; after each loss try again, soon at first, at last every few seconds."""
        while True:
            try:
                await self._connect_and_follow()
            except Exception as error:
                # An outbox that is slow to read is no reason to end the server either.
                if database_problem(error) is None and not is_passing(error):
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
        """Publish what is new whenever told to look, until the connection ends (OSError)."""
        woken = asyncio.Event()
        self._told = 0

        def on_notice(_: object, __: int, ___: str, payload: object) -> None:
            self._told = max(self._told, int(str(payload) or 0))
            woken.set()

        def on_end(_: object) -> None:
            self.connected.clear()
            woken.set()

        connection.add_termination_listener(on_end)
        await connection.add_listener(CHANNEL, on_notice)
        await self._find_position(connection)
        self._connections += 1
        self._backoff.reset()
        self.connected.set()
        while not connection.is_closed():
            woken.clear()
            await self._read_on(connection)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await woken.wait()
            except TimeoutError:
                continue
        raise ConnectionResetError("the connection ended")

    async def _find_position(self, connection: Connection) -> None:
        """Start at the newest event; after a loss go on where it stopped, as long as nothing after it was purged."""
        kept = await read_event_range(connection)
        self._told = max(self._told, kept.newest)
        if self._position is None:
            self._position = kept.newest
            return
        try:
            check_cursor(self._position, kept)
        except CursorExpiredError as error:
            self._position = kept.newest
            self._expire(error)

    async def _read_on(self, connection: Connection) -> None:
        while True:
            events = await read_events(connection, self._position or 0, BATCH)
            if events:
                self._position = events[-1].seq
                self._told = max(self._told, self._position)
                await self._publish(events)
            if len(events) < BATCH:
                return
