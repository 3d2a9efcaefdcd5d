"""Streams over HTTP: events with cursors, and the parts of a multipart body."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import aiohttp
import pytest

from db.connect.pool import Connection
from server.graphql.relay.cursors import encode_words
from server.graphql.transport.framings import MultipartSubscription
from server.live.cursor import CursorExpiredError
from tests.server.conftest import AddCoin, AddRun, Service
from tests.server.graphql_live import change_coins, tell_of_run
from tests.server.graphql_rows import Json

BEGINNING = encode_words(0, None)
COINS = "subscription ($after: String) { coinUpdates(after: $after) { coins { ticker } } }"
RUNS = "subscription ($after: String) { runUpdates(after: $after) { type } }"
STREAM = {"Accept": "text/event-stream"}
MULTIPART = {"Accept": "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"}
PART = b"\r\nContent-Type: application/json\r\n\r\n"
BOUNDARY = b"\r\n--graphql"
TIMEOUT_SECONDS = 20


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Json]]:
    """Yield id and data of each event, as a browser's EventSource reads them."""
    fields: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif fields.get("data"):
            yield fields.get("id", ""), json.loads(fields["data"])
        if not name:
            fields = {}


async def first_events(
    service: Service, query: str, count: int, **headers: str
) -> list[tuple[str, Json]]:
    """Open a stream as EventSource does, with a GET, and return the first events."""
    query_string = urlencode({"query": query, "variables": json.dumps({"after": BEGINNING})})
    found = []
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        service.client.get(f"/graphql?{query_string}", headers={**STREAM, **headers}) as response,
    ):
        async for event in events(response):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_the_id_of_an_event_resumes_a_stream_of_coins(
    service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    for ticker in ("BTC", "ETH", "SOL"):
        await add_coin(ticker)
        await change_coins(connection, ticker)
    seen = await first_events(service, COINS, 3)
    assert [data["data"]["coinUpdates"]["coins"] for _, data in seen] == [
        [{"ticker": ticker}] for ticker in ("BTC", "ETH", "SOL")
    ]
    # The query has the first `after`; the header overrides it.
    assert await first_events(service, COINS, 2, **{"Last-Event-ID": seen[0][0]}) == seen[1:]
    assert await first_events(service, COINS, 3, **{"Last-Event-ID": ""}) == seen


async def test_the_id_of_an_event_resumes_within_a_large_commit(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch, add_coin: AddCoin
) -> None:
    monkeypatch.setattr("server.graphql.transport.updates.COINS_PER_MESSAGE", 2)
    tickers = ["A", "B", "C", "D", "E"]
    for ticker in tickers:
        await add_coin(ticker)
    await change_coins(connection, *tickers)
    seen = await first_events(service, COINS, 3)
    assert [len(data["data"]["coinUpdates"]["coins"]) for _, data in seen] == [2, 2, 1]
    assert await first_events(service, COINS, 2, **{"Last-Event-ID": seen[0][0]}) == seen[1:]


async def test_the_id_of_an_event_resumes_a_stream_of_runs(
    service: Service, add_run: AddRun, connection: Connection
) -> None:
    run_id = await add_run("csv", "success")
    for kind in ("run_started", "run_progress", "run_finished"):
        await tell_of_run(connection, kind, run_id)
    seen = await first_events(service, RUNS, 3)
    assert await first_events(service, RUNS, 1, **{"Last-Event-ID": seen[1][0]}) == seen[2:]


async def test_a_last_event_id_that_is_none_of_ours_is_refused(service: Service) -> None:
    for wrong in ("x", "WzFd", encode_words("no", None)):
        ((_, answer),) = await first_events(service, COINS, 1, **{"Last-Event-ID": wrong})
        assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
        assert "Last-Event-ID" in answer["errors"][0]["message"]
    # A query has no cursor.
    ((_, answer),) = await first_events(
        service, "{ sources { name } }", 1, **{"Last-Event-ID": "x"}
    )
    assert answer == {"data": {"sources": []}}


async def test_parts_of_a_multipart(
    service: Service, add_coin: AddCoin, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultipartSubscription, "heartbeat_seconds", 0.2)
    for ticker in ("BTC", "ETH"):
        await add_coin(ticker)
    await change_coins(connection, "BTC")
    body = {"query": COINS, "variables": {"after": BEGINNING}}
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        service.client.post("/graphql", json=body, headers=MULTIPART) as response,
    ):
        assert (
            response.headers["Content-Type"]
            == 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
        )
        opening = BOUNDARY + PART + b"{}" + BOUNDARY
        assert await response.content.readexactly(len(opening)) == opening
        for ticker in ("BTC", "ETH"):
            update = (
                b'{"payload":{"data":{"coinUpdates":{"coins":[{"ticker":"%s"}]}}}}'
                % ticker.encode()
            )
            # A part is complete with the boundary after it.
            assert await _part(response) == update
            if ticker == "BTC":
                await change_coins(connection, "ETH")
        assert await response.content.readuntil(BOUNDARY) == PART + b"{}" + BOUNDARY  # it lives
        service.state.hub._expire(CursorExpiredError("events were purged"))
        rest = await response.content.read()
    assert (
        b'"payload":{"errors":[{"message":"Argument \\"after\\" cannot be used: events were purged"'
        in rest
    )
    assert rest.endswith(BOUNDARY + b"--\r\n")


async def _part(response: aiohttp.ClientResponse) -> bytes:
    """Return the next part that is not a heartbeat."""
    while True:
        part = await response.content.readuntil(BOUNDARY)
        assert part.startswith(PART)
        body = part.removeprefix(PART).removesuffix(BOUNDARY)
        if body != b"{}":
            return body


async def test_a_multipart_that_is_refused_ends_with_its_errors(service: Service) -> None:
    async with service.client.post(
        "/graphql", json={"query": "subscription { nope }"}, headers=MULTIPART
    ) as response:
        text = await response.text()
    assert '{"payload":{"errors":[{"message":"Cannot query field' in text
    assert text.endswith("\r\n--graphql--\r\n")
