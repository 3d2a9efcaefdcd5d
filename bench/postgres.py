"""An embedded PostgreSQL for one measurement, with the settings of users."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from db.connect.pool import connect
from db.embedded import EmbeddedPostgres
from db.schema.migrate import migrate


class Server:
    """A running server that creates databases."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def database(self, name: str) -> str:
        """Create a migrated database and return its DSN."""
        connection = await connect(self._dsn)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        dsn = urlunsplit(urlsplit(self._dsn)._replace(path=f"/{name}"))
        await migrate(dsn)
        return dsn


@asynccontextmanager
async def temporary_server() -> AsyncIterator[Server]:
    """Run a server in a folder of its own, with the durability of a user's."""
    home = Path(tempfile.mkdtemp(prefix="kasparro-bench-"))
    try:
        async with EmbeddedPostgres(home) as postgres:
            yield Server(postgres.dsn)
    finally:
        shutil.rmtree(home)
