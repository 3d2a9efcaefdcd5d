"""Every source once, side by side: what `kasparro ingest --once` does."""

from collections.abc import Sequence

import anyio

from common.settings import Settings
from db.connect.pool import create_pool, database_problem
from db.write.runs import FinishedRun
from ingestor.run.run import run
from ingestor.run.startup import close_sources, prepare, retention_of
from ingestor.sources.records import Source

PATIENCE_SECONDS = 60.0
BUSY_SECONDS = 0.2


async def run_once(
    settings: Settings, dsn: str, sources: Sequence[str] = (), *, full: bool = False
) -> list[FinishedRun]:
    """Run each of `sources` (all that are set, where none is named) once, and return how they went.

    A source that another ingestor is running just now is waited for, for PATIENCE_SECONDS, and then
    has no run in what is returned. Raises SettingsError for an unknown name and, once the other
    sources have run, what the database raised that kept a run from being closed.
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
                errors.append(error)  # the other sources go on

        async def run_one(source: Source) -> None:
            give_up_at = anyio.current_time() + PATIENCE_SECONDS
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
                if anyio.current_time() > give_up_at:
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
