"""Errors are few and short over every transport, in proportion to the request."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from db.connect.pool import connect
from db.connect.types import Connection
from server.graphql.execution.errors import MAX_ERRORS, MAX_LOCATIONS, MESSAGE_CHARACTERS
from server.graphql.transport.media_types import EVENT_STREAM
from tests.conftest import migrated_database
from tests.server.conftest import Service, running_service, settings_of
from tests.server.graphql_live import change_coins, connected
from tests.server.graphql_rows import ask, ask_all, error_of

MAX_BYTES = 16_384
ADD_COINS = """
INSERT INTO normalized_records
    (ticker, name, price_usd_exact, source, created_at, ingested_at, rival_count, provenance)
SELECT 'T' || n, 'Coin', 1, 'csv', now(), now(), 0, '[]' FROM generate_series(1, 250) AS n
"""

Errors = list[dict[str, Any]]
Send = Callable[[Service, str, dict[str, Any] | None], Awaitable[bytes]]


async def by_post(service: Service, query: str, variables: dict[str, Any] | None) -> bytes:
    async with service.client.post(
        "/graphql", json={"query": query, "variables": variables}
    ) as response:
        return await response.read()


async def by_get(service: Service, query: str, variables: dict[str, Any] | None) -> bytes:
    asked = urlencode({"query": query, "variables": json.dumps(variables)})
    if len(asked) > 60_000:  # longer than a request line may be
        return await by_post(service, query, variables)
    async with service.client.get(f"/graphql?{asked}") as response:
        return await response.read()


async def by_event_stream(service: Service, query: str, variables: dict[str, Any] | None) -> bytes:
    body = {"query": query, "variables": variables}
    async with service.client.post(
        "/graphql", json=body, headers={"Accept": EVENT_STREAM}
    ) as response:
        lines = (await response.read()).splitlines()
    return next(line for line in lines if line.startswith(b"data: {")).removeprefix(b"data: ")


async def by_websocket(service: Service, query: str, variables: dict[str, Any] | None) -> bytes:
    async with connected(service) as socket:
        await socket.subscribe(query, variables)
        payload = (await socket.receive())["payload"]
    return json.dumps(payload if isinstance(payload, dict) else {"errors": payload}).encode()


BAD_IDS = (
    "query ($ids: [ID!]!) { "
    + " ".join(f"n{number}: nodes(ids: $ids) {{ id }}" for number in range(20))
    + " }"
)
BAD_ROWS = (
    "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Coin { history(first: 0) { nodes { "
    "at } } } } }"
)
GOOD_IDS = {"ids": [f"merged_t{number}" for number in range(1, 251)]}
CONFLICT = "{ coin(ticker: 1) { " + "x: id " * 9 + "x: name } }"
WRONG: dict[str, tuple[str, dict[str, Any] | None]] = {
    "20 times 250 bad ids": (BAD_IDS, {"ids": [f"{'bad' * 50}{number}" for number in range(250)]}),
    "a bad argument in each of 250 rows": (BAD_ROWS, GOOD_IDS),
    "900 values of the wrong type": (
        "query ($tickers: [String!]) { coins(filter: {ticker: {in: $tickers}}) { totalCount } }",
        {"tickers": [[["deep" * 20]]] * 900},
    ),
    "500 fields that there are not": (
        "{ " + " ".join(f"nothing{number}" for number in range(500)) + " }",
        None,
    ),
    "an endless name": ("{ " + "x" * 40_000 + " }", None),
    "an endless token": ('{ coin(ticker: "' + "x" * 40_000, None),
    "fields that cannot be merged": (CONFLICT, None),
    "an enum that has no such value": (
        "query ($f: [RunStatus!]) { runs(filter: {status: $f}) { totalCount } }",
        {"f": ["NOPE" * 10] * 900},
    ),
}


@pytest.fixture(scope="module")
async def coins_service(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One server for all tests that only read its 250 coins."""
    async with migrated_database(server_dsn, template) as database:
        connection = await connect(database, application_name="test")
        await connection.execute(ADD_COINS)
        await connection.close()
        async with running_service(settings_of(database, tmp_path_factory.mktemp("home"))) as made:
            yield made


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("send", [by_post, by_get, by_event_stream, by_websocket])
async def test_errors_are_few_and_short(coins_service: Service, send: Send, wrong: str) -> None:
    answer = await send(coins_service, *WRONG[wrong])
    errors: Errors = json.loads(answer)["errors"]
    # A null for an invalid id is not an error.
    assert len(json.dumps(errors)) < MAX_BYTES
    assert 1 <= len(errors) <= MAX_ERRORS + 1
    for error in errors:
        assert "code" in error["extensions"]
        assert len(error["message"]) < MESSAGE_CHARACTERS + 10
        assert len(error.get("locations", ())) <= MAX_LOCATIONS


async def test_the_last_error_says_how_many_are_left_out(coins_service: Service) -> None:
    answer = await ask_all(coins_service, BAD_ROWS, GOOD_IDS)
    *shown, last = answer["errors"]
    assert len(shown) == MAX_ERRORS
    assert last["message"] == "And 240 more errors, which are left out"
    assert last["extensions"] == shown[0]["extensions"]
    assert "path" not in last


async def test_many_bad_ids_are_one_error_and_the_good_ones_are_answered(
    coins_service: Service,
) -> None:
    ids = [
        "merged_t1",
        "nonsense",
        "run_x",
        "more nonsense",
        "merged_t2",
        "listing_x",
        "nothing",
        "run_y",
    ]
    answer = await ask_all(
        coins_service, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}
    )
    good = [{"id": "merged_t1"}, None, None, None, {"id": "merged_t2"}, None, None, None]
    assert answer["data"] == {"nodes": good}
    assert [error["path"] for error in answer["errors"]] == [
        ["nodes", 1],
        ["nodes", 2],
        ["nodes", 5],
    ]
    assert [error["message"].rpartition(";")[2] for error in answer["errors"][:2]] == [
        " 2 others are wrong in the same way",
        " 1 others are wrong in the same way",
    ]


@pytest.mark.parametrize("send", [by_post, by_event_stream, by_websocket])
@pytest.mark.parametrize(
    ("query", "variables", "place"),
    [
        ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": [[]] * 10_000}, "i"),
        (
            "query ($f: CoinFilter) { coins(filter: $f) { totalCount } }",
            {"f": {"ticker": {"in": [5] * 10_000}}},
            "f.ticker.in",
        ),
        ("query ($f: [[Int]]) { coins { totalCount } }", {"f": [[5] * 10_000]}, "f"),
    ],
)
async def test_a_list_is_measured_before_anything_looks_at_its_items(
    unchanged_service: Service, send: Send, query: str, variables: dict[str, Any], place: str
) -> None:
    (error,) = json.loads(await send(unchanged_service, query, variables))["errors"]
    # The items have the wrong type, but they are not checked.
    assert error["message"] == f'Variable "${place}" must have at most 1,000 items, not 10,000'
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": place}


async def test_the_tickers_of_a_subscription_are_measured_too(service: Service) -> None:
    query = "subscription ($tickers: [String!]) { coinUpdates(tickers: $tickers) { cursor } }"
    for send in (by_event_stream, by_websocket):
        (error,) = json.loads(await send(service, query, {"tickers": [5] * 10_000}))["errors"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "tickers"}
        assert "at most 1,000 items, not 10,000" in error["message"]


async def test_an_alias_that_would_stand_in_each_row_has_a_length(
    service: Service, connection: Connection
) -> None:
    await connection.execute(ADD_COINS)
    fits, long = "a" * 100, "a" * 101
    assert (
        fits
        in (await ask(service, f"{{ coins(first: 1) {{ nodes {{ {fits}: id }} }} }}"))["coins"][
            "nodes"
        ][0]
    )
    for query in (
        f"{{ coins {{ nodes {{ {long}: id }} }} }}",
        f"{{ ...F }} fragment F on Query {{ {long}: coins {{ totalCount }} }}",
    ):
        error = await error_of(service, query)
        assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": "name", "allowed": 100}


async def test_an_update_has_few_errors_too(service: Service, connection: Connection) -> None:
    await connection.execute(ADD_COINS)
    asked = " ".join(f"h{number}: history(first: 0) {{ nodes {{ at }} }}" for number in range(3))
    async with connected(service) as socket:
        await socket.subscribe(f"subscription {{ coinUpdates {{ coins {{ {asked} }} }} }}")
        await socket.send(type="ping")
        assert (await socket.receive())["type"] == "pong"
        while not service.state.hub.subscriber_count:
            await socket.send(type="ping")
            assert (await socket.receive())["type"] == "pong"
        await change_coins(connection, *(f"T{number}" for number in range(1, 251)))
        message = await socket.receive()
    errors = message["payload"]["errors"]
    assert 1 <= len(errors) <= MAX_ERRORS + 1
    assert len(json.dumps(message)) < MAX_BYTES
