"""`kasparro ingest --once` reads a registry that is due, after the prices of its source."""

from pathlib import Path

from common.settings import load_settings
from db.connect.types import Connection
from ingestor.run.once import run_once
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from tests.ingestor.conftest import START


async def bodies(connection: Connection) -> list[object]:
    rows = await connection.fetch("SELECT read_at FROM registry_readings WHERE part = ''")
    return sorted(row["read_at"] for row in rows)


async def test_once_reads_what_is_due_and_with_full_in_any_case(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    async with serving(create_app(SimulatedMarket(60, seed=5, start=START))) as address:
        environ = {
            "KASPARRO_HOME": str(tmp_path),
            "SOURCES": "coinpaprika,coingecko",
            "COINPAPRIKA_URL": address.coinpaprika_url,
            "COINGECKO_URL": address.coingecko_url,
            "COINGECKO_MONTHLY_CALLS": "1000000000",
        }
        await run_once(load_settings({**environ, "REGISTRY_HOURS": "0"}), database, full=True)
        assert await bodies(connection) == []
        settings = load_settings(environ)
        assert len(await run_once(settings, database)) == 2
        first = await bodies(connection)
        assert len(first) == 2
        await run_once(settings, database)
        assert await bodies(connection) == first
        await run_once(settings, database, ["coingecko"], full=True)
        assert len(set(await bodies(connection)) & set(first)) == 1
