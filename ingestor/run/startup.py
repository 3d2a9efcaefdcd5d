"""Start an ingestor: create the sources, and save their settings and the identity labels."""

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
from ingestor.run.lifecycle import abandon_orphans
from ingestor.run.sample import delete_sample
from ingestor.sources import create_sources, streamed
from ingestor.sources.records import Source
from ingestor.streams.publishing import POLL_SECONDS, PRIORITY
from ingestor.streams.publishing import SOURCE as MARKETS

DEMO_DATABASE = (
    "the prices in this database are made up (a demo's), and no real ones may come beside them: "
    "set KASPARRO_HOME or DATABASE_URL to another place, or start the demo with `kasparro demo`"
)


async def prepare(
    settings: Settings, pool: Pool, only: Sequence[str] = (), *, exclusive: bool = False
) -> list[Source]:
    """Return the sources in the settings, or those named by `only`, ready to run.

    `exclusive` disables all other sources in the database: for the ingestor that polls them all.
    Raises SettingsError, also for the database of a demo unless the sources are a demo's.
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
        await save_source_settings(
            pool, sources, [spec.name for spec in streamed(settings.sources)], exclusive=exclusive
        )
        if not settings.demo:
            await delete_sample(pool, settings.csv_path or str(settings.csv_folder))
        await save_identities(pool, identities)
        await abandon_orphans(pool)
        await abandon_if_killed(pool)
    except BaseException:
        await close_sources(sources)
        raise
    return [source for source in sources if not only or source.name in only]


async def check_real(connection: Connection) -> None:
    """Raise SettingsError if the database is a demo's."""
    if await is_demo(connection):
        raise SettingsError(DEMO_DATABASE)


async def save_source_settings(
    pool: Pool, sources: Sequence[Source], streams: Sequence[str] = (), *, exclusive: bool = True
) -> None:
    """Save the settings of `sources` and `streams`, which are enabled by that.

    With streams there is the source of their consensus prices.
    """
    settings = [SourceSettings(s.name, s.kind, s.priority, s.poll_seconds) for s in sources]
    settings += [
        SourceSettings(name, "stream", PRIORITY, POLL_SECONDS)
        for name in (*streams, *([MARKETS] if streams else []))
    ]
    async with borrow(pool) as connection:
        await save_sources(connection, settings, exclusive=exclusive)


def retention_of(settings: Settings) -> Retention:
    """Return the retention of payloads and history in the settings."""
    return Retention(
        raw_days=settings.raw_retention_days,
        history_days=settings.history_retention_days,
        raw_hours=settings.raw_retention_hours,
        full_days=settings.history_full_days,
        hourly_days=settings.history_hourly_days,
    )


async def close_sources(sources: Sequence[Source]) -> None:
    """Close every source, also when cancelled."""
    with anyio.CancelScope(shield=True):
        for source in sources:
            await source.close()
