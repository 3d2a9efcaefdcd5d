"""A server on a demo's database says so everywhere; any other never does."""

import re

import pytest

from common.settings import Settings
from db.connect.pool import Connection
from db.demo import mark_demo
from tests.server.conftest import AddCoin, Service, running_service
from tests.server.test_rest_openapi import check

QUERY = "{ stats { isDemo } }"
# What the compiler does not know is executed by graphql-core.
SLOW = "{ stats { isDemo } __schema { queryType { name } } }"


@pytest.fixture
async def marked(connection: Connection) -> None:
    await mark_demo(connection)
    await mark_demo(connection)  # as each start does


async def is_demo(service: Service, query: str) -> bool:
    async with service.client.post("/graphql", json={"query": query}) as response:
        answer: bool = (await response.json())["data"]["stats"]["isDemo"]
        return answer


async def file_name(service: Service) -> str:
    async with service.client.get("/data?format=csv") as response:
        return response.headers["Content-Disposition"]


@pytest.mark.usefixtures("marked")
async def test_a_demo_says_that_it_is_one(settings: Settings, add_coin: AddCoin) -> None:
    await add_coin("BTC")
    async with running_service(settings) as service:
        document = await service.get("/openapi.json")
        assert document["info"]["title"].endswith("(demo: prices are made up)")
        for path in ("/", "/health"):
            body = await service.get(path)
            assert body["demo"] is True
            check(document, "get", path, 200, body)
        assert await is_demo(service, QUERY)
        assert await is_demo(service, SLOW)
        assert re.fullmatch(
            r'attachment; filename="kasparro-demo-[-\dT]+Z\.csv"', await file_name(service)
        )


async def test_a_real_service_says_nothing_of_it(service: Service, add_coin: AddCoin) -> None:
    await add_coin("BTC")
    for path in ("/", "/health", "/stats"):
        assert "demo" not in await service.get(path)
    assert not await is_demo(service, QUERY)
    assert not await is_demo(service, SLOW)
    assert re.fullmatch(r'attachment; filename="kasparro-[-\dT]+Z\.csv"', await file_name(service))
    assert "demo" not in (await service.get("/openapi.json"))["info"]["title"]
