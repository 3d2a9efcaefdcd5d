"""What an ingestor does before its first run: make the sources, tell the database of them and of identity."""

from collections.abc import Sequence

import anyio

from db.partitions import Retention
from db.pool import borrow
from db.settings import Settings, SettingsError
from db.sources import SourceSettings, save_sources
from db.types import Pool
from ingestor.identity import read_identities, save_identities
from ingestor.records import Source
from ingestor.reprocess.runs import abandon_if_dead
from ingestor.run import abandon_orphans
from ingestor.sources import create_sources


async def prepare(settings: Settings, pool: Pool, only: Sequence[str] = (), *, exclusive: bool = False) -> list[Source]:
    """Return the sources that are set, or those named by `only`, ready to run. Raises SettingsError.

    `exclusive` tells the database that no other source is read: by whoever polls them all, for as long as it lives.
    """
    unknown = [name for name in only if name not in settings.sources]
    if unknown:
        raise SettingsError(f"{unknown[0]!r} is not one of SOURCES={','.join(settings.sources)}")
    identities = await anyio.to_thread.run_sync(read_identities, settings.identity_path)
    sources = create_sources(settings)
    try:
        await save_settings_of(pool, sources, exclusive=exclusive)
        await save_identities(pool, identities, retention_of(settings))
        await abandon_orphans(pool)
        await abandon_if_dead(pool)
    except BaseException:
        await close_sources(sources)
        raise
    return [source for source in sources if not only or source.name in only]


async def save_settings_of(pool: Pool, sources: Sequence[Source], *, exclusive: bool = True) -> None:
    """Tell the database that `sources` are enabled, and how they are set."""
    settings = [SourceSettings(s.name, s.kind, s.priority, s.poll_seconds) for s in sources]
    async with borrow(pool) as connection:
        await save_sources(connection, settings, exclusive=exclusive)


def retention_of(settings: Settings) -> Retention:
    """Return for how long the settings keep what only grows."""
    return Retention(raw_days=settings.raw_retention_days, history_days=settings.history_retention_days)


async def close_sources(sources: Sequence[Source]) -> None:
    """Let every source go of what it holds, also when cancelled."""
    with anyio.CancelScope(shield=True):
        for source in sources:
            await source.close()
