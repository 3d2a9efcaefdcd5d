"""The loop of the streams: hold the lease, follow the venues, write a batch each second."""

from collections.abc import Sequence
from typing import cast

import anyio
import structlog

from common.settings import Settings, SettingsError
from db.connect.pool import borrow, database_problem
from db.connect.types import Connection, Pool
from ingestor.run.database_pause import retry_database
from ingestor.run.lifecycle import source_lock
from ingestor.sources import streamed
from ingestor.streams.publishing import SOURCE
from ingestor.streams.running.following import FollowedVenue, Following
from ingestor.streams.settings import venue_urls
from ingestor.streams.venue import Venue

_log = structlog.stdlib.get_logger(__name__)

BATCH_SECONDS = 1.0
BUSY_SECONDS = 1.0
LAST_BATCH_SECONDS = 5.0


def followed_venues(settings: Settings, only: Sequence[str] = ()) -> list[FollowedVenue]:
    """Return the venues of SOURCES, or those named by `only`. Raises SettingsError."""
    venues = []
    for spec in streamed(only or settings.sources):
        try:
            venue = cast("Venue", spec.creator()(settings, name=spec.name))
        except (ImportError, AttributeError, TypeError) as error:
            raise SettingsError(
                f"SOURCES names {spec.name!r}, which cannot be loaded: {error}"
            ) from error
        venues.append(FollowedVenue(venue, *venue_urls(settings, spec)))
    return venues


class StreamLoop:
    """Follows venues while this ingestor holds the lease of the source `markets`.

    One ingestor follows all of them: a consensus needs every venue. While the database is away the
    streams go on, and memory stays bounded. Where another ingestor took the lease meanwhile, they
    stop.
    """

    def __init__(self, settings: Settings, pool: Pool, venues: Sequence[FollowedVenue]) -> None:
        self._settings, self._pool, self._venues = settings, pool, venues
        self._following: Following | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            await retry_database("streams", self._pool, self._keep)
        finally:
            with anyio.CancelScope(shield=True):
                await self._stop()

    async def _keep(self) -> None:
        while True:
            async with borrow(self._pool) as connection, source_lock(connection, SOURCE) as taken:
                if taken:
                    await self._write(connection)
            await self._stop()  # another ingestor follows
            await anyio.sleep(BUSY_SECONDS)

    async def _write(self, connection: Connection) -> None:
        """Write batches until cancelled, then the last one. A slow batch delays the next one."""
        if self._following is None:
            following = Following(self._settings, self._venues)
            await following.start(connection)
            self._following = following
        try:
            while True:
                started = anyio.current_time()
                with anyio.CancelScope(shield=True):
                    await self._following.write(connection)
                await anyio.sleep(max(0.0, BATCH_SECONDS - (anyio.current_time() - started)))
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_BATCH_SECONDS):
                await self._write_rest(connection)
            raise

    async def _write_rest(self, connection: Connection) -> None:
        """Stop the streams and write what they delivered last, if the database takes it."""
        following = self._following
        if following is None:
            return
        await self._stop()
        try:
            await following.write(connection)
        except Exception as error:
            if database_problem(error) is None:
                raise

    async def _stop(self) -> None:
        if self._following is not None:
            await self._following.stop()
            self._following = None
            await _log.ainfo("streams.stopped")
