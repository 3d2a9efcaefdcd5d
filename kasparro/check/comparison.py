"""Counts the coins that would change, if a database is running."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from common.settings import Settings
from db.connect.pool import DatabaseUnavailableError, connect, database_problem
from db.read.identity.what_if import WhatIf
from db.schema.migrate import MigrationError
from db.schema.migrate import status as migration_status
from ingestor.clock import utc_now
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Listing
from kasparro.cli.common.database import find_running

__all__ = ["Comparison"]

STATEMENT_TIMEOUT_SECONDS = 120.0
CONNECT_TIMEOUT_SECONDS = 5.0


class Comparison:
    """The database that coins are compared with; `not_counted` says why there is none."""

    def __init__(self, comparing: WhatIf | None, not_counted: str | None) -> None:
        self._comparing = comparing
        self.not_counted = not_counted

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, settings: Settings) -> "AsyncIterator[Comparison]":
        """Open a comparison with the database that runs; none is started for it."""
        dsn = settings.database_url or await find_running(settings)
        if dsn is None:
            yield cls(None, "no database runs")
            return
        try:
            if (await migration_status(dsn)).pending:
                yield cls(
                    None,
                    "the database is not at the schema of this version: run `kasparro migrate`",
                )
                return
            connection = await connect(
                dsn,
                application_name="kasparro check",
                statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
                connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            )
        except (DatabaseUnavailableError, MigrationError) as error:
            yield cls(None, str(error))
            return
        try:
            comparison = cls(WhatIf(connection, "csv", utc_now()), None)
            await comparison.open()
            yield comparison
        finally:
            connection.terminate()

    async def open(self) -> None:
        """Prepare for listings."""
        with self._ending_at_problems():
            if self._comparing is not None:
                await self._comparing.open()

    async def add(self, listings: Sequence[Listing]) -> None:
        """Compare some more listings."""
        with self._ending_at_problems():
            if self._comparing is not None:
                await self._comparing.add(listings)

    async def changed(self, settings: Settings) -> int | None:
        """Return how many coins would change, None where that cannot be counted."""
        with self._ending_at_problems():
            if self._comparing is not None:
                return await self._comparing.count_changes(CsvFiles.priority, settings.poll_seconds)
        return None

    @contextlib.contextmanager
    def _ending_at_problems(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            problem = (
                "the database took too long"
                if isinstance(error, TimeoutError)
                else database_problem(error)
            )
            if problem is None:
                raise
            self._comparing, self.not_counted = None, problem
