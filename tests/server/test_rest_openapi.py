"""/openapi.json is valid, and every response matches it."""

from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.server.conftest import TOKEN, AddCoin, AddRun, AddSource, Service


async def test_the_document_is_valid_openapi(service: Service) -> None:
    document = await service.get("/openapi.json")
    validate(document)
    assert document["openapi"] == "3.1.0"


def check(document: dict[str, Any], method: str, path: str, status: int, body: object) -> None:
    """Fail unless `body` matches the schema of this response."""
    answer = document["paths"][path][method]["responses"][str(status)]
    resource: Resource[Any] = Resource.from_contents(document, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:document", resource)
    schema = answer["content"]["application/json"]["schema"]
    validator = OAS31Validator({"$ref": "urn:document" + schema["$ref"]}, registry=registry)
    validator.validate(body)


@pytest.mark.parametrize("filled", [False, True])
async def test_every_answer_is_what_the_document_says(
    service: Service, add_coin: AddCoin, add_run: AddRun, add_source: AddSource, *, filled: bool
) -> None:
    if filled:
        await add_source("csv")
        await add_coin("BTC", market_cap_usd="10", percent_change_24h="1.5", volume_24h_usd="0")
        await add_coin("ETH", name=None, price_usd_exact=None)
        await add_run("csv", "success", processed=2)
        await add_run("csv", "failure", message="no such file")
    document = await service.get("/openapi.json")
    paths = [
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/data",
        "/data?cursor=&limit=1",
        "/data?limit=0",
        "/stats",
    ]
    for path in paths:
        async with service.client.get(path) as response:
            check(document, "get", path.partition("?")[0], response.status, await response.json())
    for token in ("wrong", TOKEN):
        async with service.client.post(
            "/trigger-etl", headers={"X-Scheduler-Token": token}
        ) as response:
            check(document, "post", "/trigger-etl", response.status, await response.json())


async def test_a_check_fails_for_what_the_document_does_not_say(service: Service) -> None:
    document = await service.get("/openapi.json")
    with pytest.raises(Exception, match="Additional properties are not allowed"):
        check(document, "get", "/health/live", 200, {"status": "alive", "more": 1})


async def test_every_path_of_the_document_is_a_route_and_every_endpoint_of_the_root_answers(
    service: Service,
) -> None:
    document = await service.get("/openapi.json")
    for path, methods in document["paths"].items():
        for method in methods:
            async with service.client.request(method, path) as response:
                assert str(response.status) in methods[method]["responses"], path
    for path in (await service.get("/"))["endpoints"].values():
        async with service.client.get(path, headers={"Accept": "text/html"}) as response:
            assert response.status in (200, 405, 503), path
