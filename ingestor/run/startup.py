"""What an ingestor does before its first run: make the sources, tell the database of them and of identity."""

from collections.abc import Sequence

import anyio

from common.settings import Settings, SettingsError
from db.connect.pool import borrow
from db.connect.types import Connection, Pool
from db.demo import is_demo
from db.schema.partitions import Retention
from db.sources import SourceSettings, save_sources
from ingestor.reprocess.runs import abandon_if_killed
from ingestor.run.identity import read_identities, save_identities
from ingestor.run.run import abandon_orphans
from ingestor.run.sample import forget_sample
from ingestor.sources import create_sources
from ingestor.sources.records import Source

MIXED = (
    "the prices in this database are made up (a demo's), and no real ones may come beside them: "
    "set KASPARRO_HOME or DATABASE_URL to another place, or start the demo with `kasparro demo`"
)


async def prepare(
    settings: Settings, pool: Pool, only: Sequence[str] = (), *, exclusive: bool = False
) -> list[Source]:
    """Return the sources that are set, or those named by `only`, ready to run. Raises SettingsError.

    `exclusive` tells the database that no other source is read: by whoever polls them all, for as
    long as it lives. Unless the sources' prices are made up themselves, a demo's database is
    refused.
    """
    unknown = [name for name in only if name not in settings.sources]
    if unknown:
        raise SettingsError(f"{unknown[0]!r} is not one of SOURCES={','.join(settings.sources)}")
    if not settings.demo:
        async with borrow(pool) as connection:
            await check_real(connection)
    identities = await anyio.to_thread.run_sync(read_identities, settings.identity_path)
    sources = create_sources(settings)
    try:
        await save_settings_of(pool, sources, exclusive=exclusive)
        if not settings.demo:
            await forget_sample(
                pool, settings.csv_path or str(settings.csv_folder), retention_of(settings)
            )
        await save_identities(pool, identities, retention_of(settings))
        await abandon_orphans(pool)
        await abandon_if_killed(pool)
    except BaseException:
        await close_sources(sources)
        raise
    return [source for source in sources if not only or source.name in only]


async def check_real(connection: Connection) -> None:
    """Raise SettingsError where the database is a demo's."""
    if await is_demo(connection):
        raise SettingsError(MIXED)


async def save_settings_of(
    pool: Pool, sources: Sequence[Source], *, exclusive: bool = True
) -> None:
    """Tell the database that `sources` are enabled, and how they are set."""
    settings = [SourceSettings(s.name, s.kind, s.priority, s.poll_seconds) for s in sources]
    async with borrow(pool) as connection:
        await save_sources(connection, settings, exclusive=exclusive)


def retention_of(settings: Settings) -> Retention:
    """Return for how long the settings keep what only grows."""
    return Retention(
        raw_days=settings.raw_retention_days,
        history_days=settings.history_retention_days,
        raw_hours=settings.raw_retention_hours,
    )


async def close_sources(sources: Sequence[Source]) -> None:
    """Let every source go of what it holds, also when cancelled."""
    with anyio.CancelScope(shield=True):
        for source in sources:
            await source.close()
