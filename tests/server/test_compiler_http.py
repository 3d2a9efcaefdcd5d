"""The fast path over HTTP: the same responses as without it."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from server.middleware.body_limit import MAX_BODY_BYTES
from tests.server.conftest import AddCoin, Service

QUERY = b'{"query": "{ coins { nodes { ticker } } }"}'
DATA = {"data": {"coins": {"nodes": [{"ticker": "BTC"}]}}}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def _coin(add_coin: AddCoin) -> None:
    await add_coin("BTC")


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]
        await asyncio.sleep(0)


@pytest.mark.usefixtures("_coin")
async def test_a_body_may_come_in_pieces(service: Service) -> None:
    async with service.client.post("/graphql", data=in_pieces(QUERY), headers=JSON) as response:
        assert (response.status, await response.json()) == (200, DATA)
    # The application reads the body again where the fast path does not answer.
    wrong = b'{"query": "{ coins { nodes { nothing } } }"}'
    async with service.client.post("/graphql", data=in_pieces(wrong), headers=JSON) as response:
        assert (await response.json())["errors"][0]["extensions"][
            "code"
        ] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.usefixtures("_coin")
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
    ],
)
async def test_the_media_type_is_the_one_asked_for(
    service: Service, accept: str, content_type: str
) -> None:
    async with service.client.post(
        "/graphql", data=QUERY, headers={**JSON, "Accept": accept}
    ) as response:
        assert response.headers["Content-Type"] == content_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Request-ID"].startswith("req-")
        assert json.loads(await response.read()) == DATA


@pytest.mark.usefixtures("_coin")
async def test_a_query_may_still_be_streamed(service: Service) -> None:
    headers = {**JSON, "Accept": "text/event-stream"}
    async with service.client.post("/graphql", data=QUERY, headers=headers) as response:
        assert response.content_type == "text/event-stream"
        assert b'"ticker":"BTC"' in await response.read()


async def test_other_media_types_and_too_large_bodies_are_refused(service: Service) -> None:
    async with service.client.post(
        "/graphql", data=QUERY, headers={"Content-Type": "text/plain"}
    ) as response:
        assert response.status == 415
    large = b" " * (MAX_BODY_BYTES + 1)
    async with service.client.post("/graphql", data=in_pieces(large), headers=JSON) as response:
        assert response.status == 413


@pytest.mark.usefixtures("_coin")
async def test_head_and_body_come_together(service: Service) -> None:
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /graphql HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(QUERY)}\r\n\r\n".encode() + QUERY
    for _ in range(20):
        writer.write(request)
        answer = await reader.read(65_536)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == DATA
    writer.close()
    await writer.wait_closed()
