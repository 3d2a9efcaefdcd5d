"""The loop that reads the registry of one source when it is due, beside its polls."""

import anyio

from common.settings import Settings
from db.connect.pool import borrow
from db.connect.types import Pool
from ingestor.registry.reading import NamedRegistry, is_due, read_registry

CHECK_SECONDS = 3.0
"""The longest wait between two checks: a first price, or a full refresh, makes a registry due."""


class RegistryLoop:
    """Reads the registry of a source when it is due.

    The schedule is in the database, because several ingestors share it and a restart keeps it.
    """

    def __init__(self, settings: Settings, pool: Pool, source: NamedRegistry) -> None:
        self._pool, self._source = pool, source
        self._hours = settings.registry_hours

    async def __call__(self) -> None:
        """Run until cancelled."""
        while True:
            if await self._is_due():
                await read_registry(self._pool, self._source, hours=self._hours)
            await anyio.sleep(CHECK_SECONDS)

    async def _is_due(self) -> bool:
        async with borrow(self._pool) as connection:
            return await is_due(connection, self._source.name, self._hours)
