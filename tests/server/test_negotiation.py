"""The media type of a response, by the weights of Accept."""

import asyncio
import gzip

import aiohttp
import pytest
from multidict import CIMultiDict

from server.graphql.transport.media_types import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, MULTIPART
from tests.server.conftest import TOKEN, AddCoin, Service

QUERY = {"query": "{ coins { nodes { ticker } } }"}
EXECUTED_QUERY = {
    "query": "query { coins { nodes { ticker } } sources { name } __schema { queryType { name } } }"
}
SUBSCRIPTION = {"query": "subscription { coinUpdates { cursor } }"}
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, "
    "text/event-stream, multipart/mixed"
)
APOLLO = (
    ""
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"
)
TIMEOUT_SECONDS = 20

# An Accept, what a query is answered with, and what a subscription (None: refused).
CASES = [
    ("*/*", JSON, None),
    ("application/*", JSON, None),
    ("image/png", JSON, None),
    (URQL, GRAPHQL_RESPONSE, EVENT_STREAM),
    (APOLLO, GRAPHQL_RESPONSE, MULTIPART),
    ("text/event-stream", EVENT_STREAM, EVENT_STREAM),
    ("TEXT/Event-Stream", EVENT_STREAM, EVENT_STREAM),
    ("text/event-stream, application/json", JSON, EVENT_STREAM),
    ("text/event-stream;q=0.9, */*", JSON, EVENT_STREAM),
    ("text/event-stream, */*;q=0.1", EVENT_STREAM, EVENT_STREAM),
    ("application/json;q=0.5, text/event-stream;q=0.6", EVENT_STREAM, EVENT_STREAM),
    ("text/event-stream;q=0, application/json", JSON, None),
    ("text/event-stream;q=0, */*", JSON, None),
    ("text/event-streams, application/json", JSON, None),
    ('application/json, text/plain;note="text/event-stream"', JSON, None),
    ("application/json;q=0, application/graphql-response+json;q=0.1", GRAPHQL_RESPONSE, None),
    ("application/json, application/graphql-response+json;q=0.9", JSON, None),
    ("application/graphql-response+json;q=0.5, */*;q=0.8", JSON, None),
    ("application/graphql-response+json;q=0, */*", JSON, None),
    ('multipart/mixed;subscriptionSpec="1.0"', MULTIPART, MULTIPART),
    ("multipart/mixed", JSON, None),
    ("multipart/mixed;deferSpec=20220824, application/json", JSON, None),
    (
        "text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0, application/json",
        JSON,
        MULTIPART,
    ),
]


async def media_type(service: Service, body: dict[str, str], *accept: str) -> str | None:
    """Return the media type of a response, None if the request is refused."""
    headers = CIMultiDict([("Accept", value) for value in accept])
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        service.client.post("/graphql", json=body, headers=headers) as response,
    ):
        return response.content_type if response.status == 200 else None


def varies(response: aiohttp.ClientResponse) -> set[str]:
    return {
        field.strip() for value in response.headers.getall("Vary", []) for field in value.split(",")
    }


@pytest.mark.parametrize(("accept", "of_query", "of_subscription"), CASES)
async def test_the_media_type_is_the_one_that_is_wanted_most(
    service: Service, accept: str, of_query: str, of_subscription: str | None
) -> None:
    assert (
        await media_type(service, QUERY, accept) == of_query
    )  # by the fast path, unless it is a stream
    assert await media_type(service, EXECUTED_QUERY, accept) == of_query
    assert await media_type(service, SUBSCRIPTION, accept) == of_subscription


async def test_several_lines_of_accept_are_one_list(service: Service) -> None:
    for body in (QUERY, EXECUTED_QUERY):
        assert await media_type(service, body, "text/event-stream", "application/json") == JSON
        assert (
            await media_type(service, body, "text/plain", "application/graphql-response+json")
            == GRAPHQL_RESPONSE
        )
    assert (
        await media_type(service, SUBSCRIPTION, "application/json", "text/event-stream")
        == EVENT_STREAM
    )


@pytest.mark.parametrize("path", ["/", "/graphql"])
async def test_a_page_is_for_who_wants_it_most(service: Service, path: str) -> None:
    async def shown(accept: str) -> str:
        async with service.client.get(path, headers={"Accept": accept}) as response:
            return response.content_type

    assert (
        await shown("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        == "text/html"
    )
    assert await shown("text/html") == "text/html"
    for accept in (
        "*/*",
        "application/json, text/html;q=0.5",
        "text/html;q=0, */*",
        'x/y;a="text/html"',
    ):
        assert await shown(accept) == JSON, accept


async def test_a_get_by_head_is_the_same_without_its_body(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    paths = [
        "/",
        "/health",
        "/health/live",
        "/data",
        "/data?format=csv",
        "/stats",
        "/openapi.json",
        "/schema.graphql",
    ]
    paths += ["/docs", "/dashboard", "/graphql", "/static/pages/pages.css"]
    paths += [
        f"/graphql?query={body['query']}"
        for body in (QUERY, EXECUTED_QUERY, {"query": "{ nope }"}, SUBSCRIPTION)
    ]
    for path in paths:
        async with service.client.get(path) as got:
            await got.read()
        async with service.client.head(path) as response:
            assert response.status == got.status, path
            assert await response.read() == b""
            for name in ("Content-Type", "ETag", "Cache-Control", "Vary"):
                assert response.headers.get(name) == got.headers.get(name), (path, name)
            if "format" not in path and path not in {"/health", "/data"}:
                assert response.headers["Content-Length"] == got.headers["Content-Length"], path
    stream = {"Accept": EVENT_STREAM}
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        service.client.head(f"/graphql?query={SUBSCRIPTION['query']}", headers=stream) as response,
    ):
        assert (response.status, response.content_type) == (200, EVENT_STREAM)
    assert service.state.hub.connections.count == 0


async def test_a_body_in_a_coding_that_is_not_read_is_415(service: Service) -> None:
    body = gzip.compress(b'{"query": "{ sources { name } }"}')
    for path in ("/graphql", "/trigger-etl"):
        headers = {"Content-Type": JSON, "X-Scheduler-Token": TOKEN, "Content-Encoding": "gzip"}
        async with service.client.post(
            path, data=body, headers=headers, compress=False
        ) as response:
            assert response.status == 415, path
            assert response.headers["Accept-Encoding"] == "identity"
            assert "Content-Encoding" in await response.text()
    headers = {"Content-Type": JSON, "Content-Encoding": "identity"}
    async with service.client.post(
        "/graphql", data=b'{"query": "{ sources { name } }"}', headers=headers
    ) as response:
        assert await response.json() == {"data": {"sources": []}}


async def test_every_answer_of_a_get_says_what_a_cache_may_do(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    ask = "/graphql?query="
    paths = [ask + QUERY["query"], ask + EXECUTED_QUERY["query"]]
    refused = [
        ("/graphql", 400),
        (ask + "{", 200),
        (ask + "{ nope }", 200),
        (ask + '{ coin(ticker: "\\u0000") { id } }', 200),
        (ask + "mutation { triggerEtl { request { id } } }", 405),
        (ask + SUBSCRIPTION["query"], 400),
        (ask + "{__typename}&variables={", 400),
    ]
    for path in paths:
        async with service.client.get(path) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
            assert "Accept" in varies(response)
            etag = response.headers["ETag"]
        for known in (etag, f'"a,b", W/{etag}', "*"):
            async with service.client.get(path, headers={"If-None-Match": known}) as response:
                assert (response.status, response.headers["Cache-Control"]) == (304, "no-cache"), (
                    known
                )
                assert "Accept" in varies(response)
        async with service.client.get(path, headers={"If-None-Match": f'"x{etag[1:]}'}) as response:
            assert response.status == 200
    for path, status in refused:
        async with service.client.get(path) as response:
            assert (response.status, response.headers["Cache-Control"]) == (status, "no-store"), (
                path
            )
            assert "Accept" in varies(response), path
    async with service.client.get("/graphql", headers={"Content-Encoding": "br"}) as response:
        assert (response.status, response.headers["Cache-Control"]) == (415, "no-store")
        assert "Accept" in varies(response)
    for accept in (EVENT_STREAM, "multipart/mixed;subscriptionSpec=1.0"):
        async with service.client.get(
            ask + SUBSCRIPTION["query"], headers={"Accept": accept}
        ) as response:
            assert response.headers["Cache-Control"] == "no-cache"
            assert "Accept" in varies(response)
    for path in ("/health", "/health/ready", "/data?limit=0", "/nothing", "/trigger-etl"):
        async with service.client.get(path) as response:
            assert response.headers["Cache-Control"] == "no-store", path
