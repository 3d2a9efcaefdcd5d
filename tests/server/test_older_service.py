"""The verification steps of the older service, against a server process."""

import datetime
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from db.connect.pool import Connection
from tests.conftest import StartProgram
from tests.server.conftest import NOW, TOKEN, AddCoin, AddRun, AddSource

OLDER_TABLES = {
    "raw_api_records",
    "raw_csv_records",
    "normalized_records",
    "etl_runs",
    "etl_checkpoints",
}


@pytest.fixture
async def client(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> AsyncIterator[aiohttp.ClientSession]:
    program = start_program(
        "-m",
        "server",
        DATABASE_URL=database,
        KASPARRO_HOME=str(tmp_path),
        PORT=str(unused_tcp_port),
        SCHEDULER_TOKEN=TOKEN,
    )
    url = (await program.wait_for(r"Listening at (\S+)\n"))[1]
    async with aiohttp.ClientSession(url) as session:
        yield session
    assert await program.stop() == 0


async def get(client: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "application/json"
        body: dict[str, Any] = await response.json()
        return body


@pytest.fixture
async def filled(add_coin: AddCoin, add_run: AddRun, add_source: AddSource) -> None:
    """Three sources, a week of observations, a good and a bad run."""
    for priority, source in enumerate(("coinpaprika", "coingecko", "csv"), start=1):
        await add_source(source, "file" if source == "csv" else "api", priority=priority)
    for number in range(12):
        await add_coin(
            f"C{number:02}",
            price_usd_exact=f"{45000 - number}.5",
            market_cap_usd=str(10**12 - number),
            source=("coinpaprika", "coingecko", "csv")[number % 3],
            created_at=NOW - datetime.timedelta(days=number % 7),
        )
    await add_run("coinpaprika", "success", processed=12)
    await add_run("csv", "failure", message="no such file")


async def test_health(client: aiohttp.ClientSession) -> None:
    body = await get(client, "/health")
    assert body["status"] == "ok"
    assert body["database"] == "connected"
    assert body.keys() == {"status", "database", "last_etl", "last_etl_status", "timestamp"}


async def test_root(client: aiohttp.ClientSession) -> None:
    body = await get(client, "/")
    assert body["name"] == "Kasparro Backend & ETL"
    assert body["status"] == "running"
    assert body["version"]
    expected = {
        "health": "/health",
        "data": "/data",
        "stats": "/stats",
        "trigger_etl": "/trigger-etl",
        "docs": "/docs",
    }
    assert expected.items() <= body["endpoints"].items()


async def test_data_while_empty(client: aiohttp.ClientSession) -> None:
    body = await get(client, "/data")
    assert body["data"] == []
    assert body["pagination"] == {"limit": 50, "offset": 0, "returned": 0, "total": 0}


@pytest.mark.usefixtures("filled")
async def test_data_filled(client: aiohttp.ClientSession) -> None:
    body = await get(client, "/data?limit=10")
    assert body["pagination"] == {"limit": 10, "offset": 0, "returned": 10, "total": 12}
    assert body["meta"].keys() == {"request_id", "api_latency_ms"}
    for record in body["data"]:
        assert record.keys() == {
            "id",
            "ticker",
            "name",
            "price_usd",
            "market_cap_usd",
            "volume_24h_usd",
            "percent_change_24h",
            "source",
            "created_at",
            "ingested_at",
        }


async def test_stats_before_and_after_a_run(
    client: aiohttp.ClientSession, add_run: AddRun, add_coin: AddCoin
) -> None:
    before = await get(client, "/stats")
    assert before == {"total_normalized": 0, "last_success": None, "last_failure": None}
    await add_coin("BTC")
    await add_run("coinpaprika", "success", processed=1)
    await add_run("csv", "failure", message="no such file")
    after = await get(client, "/stats")
    assert after["total_normalized"] == 1
    assert after["last_success"].keys() == {"source", "finished_at", "duration_ms", "processed"}
    assert after["last_failure"].keys() == {"source", "finished_at", "message"}


@pytest.mark.usefixtures("filled")
async def test_trigger_with_the_token(client: aiohttp.ClientSession) -> None:
    async with client.post("/trigger-etl", headers={"X-Scheduler-Token": TOKEN}) as response:
        assert response.status == 200
        body = await response.json()
    assert body["status"] == "triggered"
    assert body["timestamp"].endswith("Z")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("headers", [{}, {"X-Scheduler-Token": "wrong"}])
async def test_trigger_without_the_token(
    client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with client.post("/trigger-etl", headers=headers) as response:
        assert response.status == 401
        assert await response.json() == {"detail": "Invalid scheduler token"}


@pytest.mark.usefixtures("filled")
async def test_filter_by_ticker_and_by_source(client: aiohttp.ClientSession) -> None:
    for ticker in ("C03", "c03"):
        assert [
            record["ticker"] for record in (await get(client, f"/data?ticker={ticker}"))["data"]
        ] == ["C03"]
    body = await get(client, "/data?source=csv")
    assert {record["source"] for record in body["data"]} == {"csv"}
    assert body["pagination"]["total"] == 4
    assert (await get(client, "/data?ticker=C03&source=csv"))["data"] == []


@pytest.mark.usefixtures("filled")
async def test_pagination_without_overlap(client: aiohttp.ClientSession) -> None:
    first = await get(client, "/data?limit=5&offset=0")
    second = await get(client, "/data?limit=5&offset=5")
    ids = [{record["id"] for record in page["data"]} for page in (first, second)]
    assert [len(page) for page in ids] == [5, 5]
    assert ids[0].isdisjoint(ids[1])
    assert first["pagination"]["total"] == second["pagination"]["total"] == 12


@pytest.mark.usefixtures("filled")
async def test_filter_by_date(client: aiohttp.ClientSession) -> None:
    body = await get(client, "/data?start_date=2026-02-01&end_date=2026-02-02")
    days = {record["created_at"][:10] for record in body["data"]}
    assert days == {"2026-02-01", "2026-02-02"}
    assert body["pagination"]["total"] == 4


async def test_docs_page(client: aiohttp.ClientSession) -> None:
    async with client.get("/docs") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert "swagger-ui" in await response.text()
    document = await get(client, "/openapi.json")
    assert {"/health", "/data", "/stats", "/trigger-etl"} <= document["paths"].keys()


async def test_the_five_tables(connection: Connection) -> None:
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row["tablename"] for row in tables} >= OLDER_TABLES
    await connection.fetch("SELECT source, status, processed, failed, finished_at FROM etl_runs")
    await connection.fetch("SELECT source, last_id, updated_at FROM etl_checkpoints")


@pytest.mark.usefixtures("filled")
async def test_upper_case_tickers_eight_decimals_and_times_in_utc(
    client: aiohttp.ClientSession,
) -> None:
    async with client.get("/data") as response:
        text = await response.text()
    prices = re.findall(r'"price_usd":([^,]+),', text)
    assert prices[0] == "45000.50000000"
    assert len(prices) == 12
    for price in prices:
        assert re.fullmatch(r"\d+\.\d{8}", price)
        assert Decimal(price) > 0
    for record in msgspec.json.decode(text)["data"]:
        assert record["ticker"] == record["ticker"].upper()
        assert record["id"] == f"merged_{record['ticker'].lower()}"
        for name in ("created_at", "ingested_at"):
            assert record[name].endswith("Z")
            assert datetime.datetime.fromisoformat(record[name]).utcoffset() == datetime.timedelta()
