"""Run every source once, concurrently: `kasparro ingest --once`."""

from collections.abc import Sequence

import anyio

from common.settings import Settings
from db.connect.pool import create_pool, database_problem
from db.connect.types import Pool
from db.write.runs import FinishedRun
from ingestor.registry.reading import read_registry
from ingestor.run.run import run
from ingestor.run.startup import close_sources, prepare, retention_of
from ingestor.sources.records import Source, SupportsAddresses

BUSY_TIMEOUT_SECONDS = 60.0
BUSY_SECONDS = 0.2


async def run_once(
    settings: Settings, dsn: str, sources: Sequence[str] = (), *, full: bool = False
) -> list[FinishedRun]:
    """Run each of `sources` (all in the settings if empty) once, and return the runs.

    A source's registry of addresses is read after its run, if it is due or with `full`. If another
    ingestor runs a source for longer than BUSY_TIMEOUT_SECONDS, the result lacks it. Raises
    SettingsError for an unknown name, and, after the other sources have run, the database's error
    that kept a run from being closed.
    """
    async with await create_pool(
        dsn, application_name="kasparro ingest", max_size=2 * len(settings.sources)
    ) as pool:
        chosen = await prepare(settings, pool, sources)
        once = _Once(settings, pool, full=full)
        try:
            async with anyio.create_task_group() as group:
                for source in chosen:
                    group.start_soon(once.try_one, source)
        finally:
            await close_sources(chosen)
    if once.errors:
        raise once.errors[0]
    return sorted(once.finished, key=lambda outcome: outcome.id)


class _Once:
    """Runs sources, and collects the runs and the database's errors."""

    def __init__(self, settings: Settings, pool: Pool, *, full: bool) -> None:
        self._settings, self._pool, self._full = settings, pool, full
        self.finished: list[FinishedRun] = []
        self.errors: list[Exception] = []

    async def try_one(self, source: Source) -> None:
        try:
            if await self._run(source):
                await self._read_registry(source)
        except Exception as error:
            if database_problem(error) is None:
                raise
            self.errors.append(error)  # the other sources continue

    async def _run(self, source: Source) -> bool:
        """Run a source after a run that is under way; return whether that ended in time."""
        deadline = anyio.current_time() + BUSY_TIMEOUT_SECONDS
        while anyio.current_time() <= deadline:
            outcome = await run(
                self._pool,
                source,
                timeout_seconds=self._settings.run_timeout_seconds,
                retention=retention_of(self._settings),
                full=self._full,
            )
            if outcome is not None:
                self.finished.append(outcome)
                return True
            await anyio.sleep(BUSY_SECONDS)
        return False

    async def _read_registry(self, source: Source) -> None:
        hours = self._settings.registry_hours
        if hours and isinstance(source, SupportsAddresses):
            await read_registry(self._pool, source, hours=hours, full=self._full)
