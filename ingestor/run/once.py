"""Run every source once, concurrently: `kasparro ingest --once`."""

from collections.abc import Sequence

import anyio

from common.settings import Settings
from db.connect.pool import create_pool, database_problem
from db.write.runs import FinishedRun
from ingestor.run.run import run
from ingestor.run.startup import close_sources, prepare, retention_of
from ingestor.sources.records import Source

BUSY_TIMEOUT_SECONDS = 60.0
BUSY_SECONDS = 0.2


async def run_once(
    settings: Settings, dsn: str, sources: Sequence[str] = (), *, full: bool = False
) -> list[FinishedRun]:
    """Run each of `sources` (all in the settings if empty) once, and return the runs.

    If another ingestor runs a source for longer than BUSY_TIMEOUT_SECONDS, the result lacks it.
    Raises SettingsError for an unknown name, and, after the other sources have run, the database's
    error that kept a run from being closed.
    """
    async with await create_pool(
        dsn, application_name="kasparro ingest", max_size=2 * len(settings.sources)
    ) as pool:
        chosen = await prepare(settings, pool, sources)
        finished: list[FinishedRun] = []
        errors: list[Exception] = []

        async def try_one(source: Source) -> None:
            try:
                await run_one(source)
            except Exception as error:
                if database_problem(error) is None:
                    raise
                errors.append(error)  # the other sources continue

        async def run_one(source: Source) -> None:
            deadline = anyio.current_time() + BUSY_TIMEOUT_SECONDS
            while True:
                outcome = await run(
                    pool,
                    source,
                    timeout_seconds=settings.run_timeout_seconds,
                    retention=retention_of(settings),
                    full=full,
                )
                if outcome is not None:
                    finished.append(outcome)
                    return
                if anyio.current_time() > deadline:
                    return
                await anyio.sleep(BUSY_SECONDS)

        try:
            async with anyio.create_task_group() as group:
                for source in chosen:
                    group.start_soon(try_one, source)
        finally:
            await close_sources(chosen)
    if errors:
        raise errors[0]
    return sorted(finished, key=lambda outcome: outcome.id)
