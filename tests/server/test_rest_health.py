"""GET /health, /health/live, /health/ready and /stats."""

import datetime

from common.settings import Settings
from db.connect.pool import Connection
from db.loop_problems import save_problem
from tests.server.conftest import NOW, TOKEN, AddCoin, AddRun, AddSource, Service, running_service

TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"


def ago(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)


async def test_health_before_the_first_run(service: Service) -> None:
    body = await service.get("/health")
    assert datetime.datetime.fromisoformat(body.pop("timestamp")) > ago(60)
    assert body == {
        "status": "ok",
        "database": "connected",
        "last_etl": None,
        "last_etl_status": None,
    }


async def test_health_tells_of_the_run_that_finished_last(
    service: Service, add_run: AddRun, connection: Connection
) -> None:
    await add_run(
        "csv", "partial", processed=2, failed=1, finished_at=NOW + datetime.timedelta(hours=1)
    )
    await add_run("coingecko", "success", processed=250)
    await connection.execute(
        "INSERT INTO etl_runs (source, started_at) VALUES ('coinpaprika', now())"
    )
    body = await service.get("/health")
    assert body["last_etl"] == "2026-02-03T21:21:11.250000Z"
    assert body["last_etl_status"] == "partial"
    assert body["timestamp"].endswith("Z")


async def test_live_needs_no_database(service: Service) -> None:
    assert await service.get("/health/live") == {"status": "alive"}


async def test_ready_only_with_data_from_the_last_three_polls_of_a_source(
    service: Service, add_source: AddSource, add_run: AddRun
) -> None:
    body = await service.get("/health/ready", 503)
    assert body == {
        "status": "not_ready",
        "database": "connected",
        "data": "missing",
        "data_age_seconds": None,
    }

    await add_source("coingecko", poll_seconds=60)
    await add_source("old", enabled=False)
    await add_run("old", "success", started_at=ago(2), finished_at=ago(1))
    await add_run("coingecko", "failure", message="down", started_at=ago(2), finished_at=ago(1))
    assert (await service.get("/health/ready", 503))["data"] == "missing"

    await add_run("coingecko", "success", started_at=ago(200), finished_at=ago(190))
    body = await service.get("/health/ready", 503)
    assert body["data"] == "stale"
    assert 190 <= body["data_age_seconds"] < 250

    await add_run(
        "coingecko", "partial", processed=1, failed=1, started_at=ago(20), finished_at=ago(10)
    )
    body = await service.get("/health/ready")
    assert body.pop("data_age_seconds") < 70
    assert body == {"status": "ready", "database": "connected", "data": "fresh"}


async def test_ready_says_what_keeps_the_ingestor_from_its_work_for_as_long_as_it_does(
    service: Service, connection: Connection
) -> None:
    await save_problem(connection, "poll csv", "PostgreSQL refused a statement: no space left")
    await save_problem(
        connection, "housekeeping", "The ingestor's clock is 400 s ahead of the database's."
    )
    assert (await service.get("/health/ready", 503))["problems"] == [
        "housekeeping: The ingestor's clock is 400 s ahead of the database's.",
        "poll csv: PostgreSQL refused a statement: no space left",
    ]
    await connection.execute("UPDATE loop_problems SET at = now() - interval '2 minutes'")
    assert "problems" not in await service.get("/health/ready", 503)


async def test_a_database_that_takes_no_writes_is_said_and_refuses_a_trigger(
    settings: Settings, add_source: AddSource, connection: Connection
) -> None:
    await add_source("csv")
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with running_service(settings) as service:
        assert (await service.get("/health/ready", 503))["problems"] == [
            "The database takes no writes (it is read-only): the ingestor waits until it does."
        ]
        headers = {"X-Scheduler-Token": TOKEN}
        async with service.client.post("/trigger-etl", headers=headers) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert await response.json() == {
                "detail": "The database cannot do this just now; try again in a moment"
            }
        mutation = {"query": "mutation { triggerEtl { request { id } } }"}
        async with service.client.post("/graphql", json=mutation, headers=headers) as response:
            [error] = (await response.json())["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE"
            assert error["message"] == "The database cannot do this just now; try again in a moment"


async def test_stats_before_anything_happened(service: Service) -> None:
    assert await service.get("/stats") == {
        "total_normalized": 0,
        "last_success": None,
        "last_failure": None,
    }


async def test_stats_tell_of_the_newest_run_of_either_outcome(
    service: Service, add_coin: AddCoin, add_run: AddRun
) -> None:
    await add_coin("BTC")
    await add_coin("ETH")
    later = NOW + datetime.timedelta(minutes=5)
    await add_run("csv", "success", processed=7, started_at=NOW, finished_at=later)
    await add_run("coingecko", "success", processed=250)
    await add_run(
        "coinpaprika", "failure", message="503 from the source", started_at=NOW, finished_at=later
    )
    await add_run("csv", "abandoned", message="the ingestor ended")
    assert await service.get("/stats") == {
        "total_normalized": 2,
        "last_success": {
            "source": "csv",
            "finished_at": "2026-02-03T20:26:11.250000Z",
            "duration_ms": 300_000,
            "processed": 7,
        },
        "last_failure": {
            "source": "coinpaprika",
            "finished_at": "2026-02-03T20:26:11.250000Z",
            "message": "503 from the source",
        },
    }
