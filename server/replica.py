"""The read replica: while it does not answer, the primary is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from common.backoff import Backoff, BackoffPolicy
from common.dsn import database_location
from db.connect.pool import DatabaseUnavailableError, connect, database_problem, is_unavailable
from db.connect.readers import ReaderLease, Readers
from db.connect.types import Connection, OwnConnection, Pool
from server.deadline import DeadlineConnection

CHECK_SECONDS = 1.0
BACKOFF = BackoffPolicy(first_seconds=CHECK_SECONDS, longest_seconds=CHECK_SECONDS)
ANSWER_SECONDS = 2.0

log = structlog.stdlib.get_logger(__name__)


class Replica:
    """Watches the database of READ_DATABASE_URL; while it `answers`, reads go there."""

    def __init__(self, dsn: str) -> None:
        self.answers = True
        self._dsn = dsn
        self._connection: OwnConnection | None = None

    @property
    def problem(self) -> str | None:
        """A sentence about the replica while it does not answer, else None."""
        if self.answers:
            return None
        location = database_location(self._dsn)
        return f"The replica {location} (READ_DATABASE_URL) is out of reach: the primary is read."

    def lose(self, error: BaseException) -> None:
        """Send reads to the primary until it answers again."""
        if self.answers:
            self.answers = False
            log.warning(
                "the replica is lost, the primary is read",
                reason=database_problem(error) or repr(error),
            )

    async def watch(self) -> None:
        """Check whether it answers, until cancelled."""
        backoff = Backoff(BACKOFF)
        try:
            while True:
                pause_seconds = CHECK_SECONDS
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._check()
                except Exception as error:
                    if database_problem(error) is None:
                        raise
                    self._drop()
                    self.lose(error)
                    pause_seconds = backoff.next_seconds()
                else:
                    if not self.answers:
                        log.info("the replica is back")
                    self.answers = True
                    backoff.reset()
                await asyncio.sleep(pause_seconds)
        finally:
            self._drop()

    async def _check(self) -> None:
        if self._connection is None:
            self._connection = await connect(
                self._dsn,
                application_name="kasparro server replica",
                connect_timeout_seconds=ANSWER_SECONDS,
            )
        await self._connection.execute("SELECT 1")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    @asynccontextmanager
    async def lend(self, pool: Pool, primary: Pool, deadline: float) -> AsyncIterator[Connection]:
        """Lend a connection of the replica's `pool`, or of the primary while it does not answer.

        Statements end by the deadline. Raises TimeoutError.
        """
        borrowed = DeadlineConnection(pool, deadline)
        connection = await self._of_replica(borrowed) if self.answers else None
        if connection is None:
            async with DeadlineConnection(primary, deadline) as lent:
                yield lent
            return
        try:
            yield connection
        except Exception as error:
            if is_unavailable(error):
                self.lose(error)
            raise
        finally:
            await borrowed.__aexit__()

    async def _of_replica(self, borrowed: DeadlineConnection) -> Connection | None:
        try:
            return await borrowed.__aenter__()
        except TimeoutError:
            if self.answers:  # it is busy
                raise
        except (DatabaseUnavailableError, OSError) as error:
            self.lose(error)
        return None


class ReplicaReaders:
    """Readers of the replica, or of the primary while the replica does not answer."""

    def __init__(self, replica: Replica, of_replica: Readers, of_primary: Readers) -> None:
        self._replica = replica
        self._of_replica = of_replica
        self._of_primary = of_primary

    def lend(self, deadline: float | None = None) -> ReaderLease:
        """Lend a connection as `Readers` does."""
        return (self._of_replica if self._replica.answers else self._of_primary).lend(deadline)
