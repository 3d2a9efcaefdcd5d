"""Unknown query parameters, and files of unknown tickers."""

import msgspec
import pytest

from common.settings import Settings
from server.graphql.print_schema import schema_text
from server.rest.parameters import MAX_UNKNOWN
from tests.server.conftest import TOKEN, AddCoin, AddSource, Service, running_service


@pytest.mark.parametrize(
    "path",
    [
        "/data?tickr=btc",
        "/data?Ticker=btc",
        "/data?ticker=btc&format=csv&sorce=x",
        "/stats?source=csv",
    ],
)
async def test_a_parameter_that_there_is_not_is_422(
    service: Service, add_coin: AddCoin, path: str
) -> None:
    await add_coin("BTC")
    (problem,) = (await service.get(path, 422))["detail"]
    assert problem["type"] == "extra_forbidden"
    assert problem["loc"][0] == "query"
    assert f"{problem['loc'][1]}=" in path
    assert ("ticker" in problem["msg"]) == path.startswith("/data")


async def test_every_parameter_that_there_is_may_stand_together(service: Service) -> None:
    every = (
        "limit=1&offset=0&ticker=btc&source=x&start_date=2026-01-01&end_date=2026-01-02&format=json"
    )
    assert (await service.get(f"/data?{every}"))["data"] == []
    assert (await service.get("/data?cursor=&ticker="))["data"] == []


async def test_a_trigger_with_parameters_triggers_nothing(
    service: Service, add_source: AddSource
) -> None:
    await add_source("csv")
    async with service.client.post(
        "/trigger-etl?source=csv", headers={"X-Scheduler-Token": TOKEN}
    ) as response:
        assert response.status == 422
        assert (await response.json())["detail"][0]["loc"] == ["query", "source"]
    async with service.state.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM etl_requests") == 0


async def test_many_parameters_that_there_are_not_get_a_short_answer(service: Service) -> None:
    many = "&".join(f"x{number}{'y' * 50}=1" for number in range(100))
    assert len((await service.get(f"/data?{many}", 422))["detail"]) == MAX_UNKNOWN


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_of_a_ticker_that_there_is_not_says_so(
    service: Service, add_coin: AddCoin, method: str
) -> None:
    await add_coin("BTC", source="csv")
    async with service.client.request(method, "/data?format=csv&ticker=nope") as response:
        assert response.status == 404
        if method == "GET":
            assert "ticker NOPE" in (await response.json())["detail"]
    # A known ticker without matching records has an empty file.
    async with service.client.request(
        method, "/data?format=csv&ticker=btc&source=other"
    ) as response:
        assert response.status == 200
        assert (await response.text()).count("\n") == (method == "GET")
    assert (await service.get("/data?ticker=nope"))["data"] == []


async def test_the_schema_is_served_with_its_tag(service: Service, settings: Settings) -> None:
    async with service.client.get("/schema.graphql") as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert await response.text() == schema_text()
        known = {"If-None-Match": response.headers["ETag"]}
    async with service.client.get("/schema.graphql", headers=known) as response:
        assert response.status == 304
    async with running_service(msgspec.structs.replace(settings, introspection=False)) as hidden:
        assert "INTROSPECTION" in (await hidden.get("/schema.graphql", 404))["detail"]
