"""GraphQL over HTTP: media types, status codes, methods, invalid requests."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import asyncpg
import msgspec
import pytest
from graphql import GraphQLError, get_introspection_query

from common.settings import Settings
from db.connect.pool import connect
from db.connect.types import Connection
from server.graphql.execution.errors import mask
from tests.server.conftest import TOKEN, Service, running_service
from tests.server.graphql_live import connected
from tests.server.graphql_rows import Json, Rows, ask_all

JSON = "application/json; charset=utf-8"
RESPONSE = "application/graphql-response+json; charset=utf-8"
ACCEPT = {"Accept": "application/graphql-response+json, application/json;q=0.9"}
QUERY = "{ sources { name } }"
MUTATION = "mutation { triggerEtl { request { id } } }"


async def post(service: Service, body: object, **headers: str) -> tuple[int, str, Json]:
    """Return status, media type and JSON of a response."""
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    given = {"Content-Type": "application/json", **headers}
    async with service.client.post("/graphql", data=data, headers=given) as response:
        return (
            response.status,
            response.headers["Content-Type"],
            await response.json(content_type=None),
        )


async def get(
    service: Service, parameters: dict[str, str], **headers: str
) -> tuple[int, str, Json]:
    async with service.client.get(f"/graphql?{urlencode(parameters)}", headers=headers) as response:
        return (
            response.status,
            response.headers["Content-Type"],
            await response.json(content_type=None),
        )


async def test_the_media_type_that_a_client_asks_for(service: Service) -> None:
    answer: dict[str, Any] = {"data": {"sources": []}}
    for accept, media_type in (
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/html, image/png", JSON),
        ("application/graphql-response+json", RESPONSE),
        ("Application/GraphQL-Response+JSON; q=1, */*", RESPONSE),
        (";;;", JSON),
    ):
        assert await post(service, {"query": QUERY}, Accept=accept) == (200, media_type, answer), (
            accept
        )
    assert await get(service, {"query": QUERY}, **ACCEPT) == (200, RESPONSE, answer)


async def test_what_did_not_run_is_400_in_graphql_media_type_and_200_in_plain_json(
    service: Service,
) -> None:
    for query, variables, code in (
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { node(id: $id) { id } }", {}, "BAD_USER_INPUT"),
        ("query ($id: ID!) { node(id: $id) { id } }", {"id": [1]}, "BAD_USER_INPUT"),
        ("{ coin(ticker: 1) { " + "id " * 500 + "} }", None, "QUERY_TOO_COMPLEX"),
    ):
        body = {"query": query, "variables": variables}
        status, _, answer = await post(service, body, **ACCEPT)
        assert status == 400, query
        assert "data" not in answer
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
        assert (await post(service, body))[0] == 200


@pytest.mark.parametrize("value", ['"no"', "true", "[1]", "{a: 1}", "NO"])
@pytest.mark.parametrize(
    "query",
    [
        "{{ coins(filter: {{priceUsd: {{gte: {value}}}}}) {{ totalCount }} }}",
        "{{ coins(filter: {{createdAt: {{lte: {value}}}}}) {{ totalCount }} }}",
        '{{ coin(ticker: "BTC") {{ candles(interval: H1, from: {value}) {{ start }} }} }}',
        (
            "query ($price: Decimal = {value}) {{ coins(filter: {{priceUsd: {{gte: "
            "$price}}}}) {{ totalCount }} }}"
        ),
    ],
)
async def test_an_error_about_a_literal_says_where_it_stands(
    service: Service, query: str, value: str
) -> None:
    text = query.format(value=value)
    status, _, answer = await post(service, {"query": text}, **ACCEPT)
    assert status == 400
    assert "data" not in answer
    (error,) = answer["errors"]
    assert error["locations"] == [{"line": 1, "column": text.index(value) + 1}]
    assert error["message"].startswith(("Decimal must", "DateTime must"))


async def test_an_empty_operation_name_counts_as_left_out(service: Service) -> None:
    body = {"query": QUERY, "operationName": ""}
    answer: Json = {"data": {"sources": []}}
    assert await post(service, body) == (200, JSON, answer)
    assert (await get(service, {"query": QUERY, "operationName": ""}))[2] == answer
    async with service.client.post(
        "/graphql", json=body, headers={"Accept": "text/event-stream"}
    ) as response:
        assert '"sources":[]' in await response.text()
    async with connected(service) as socket:
        await socket.send(id="1", type="subscribe", payload=body)
        assert await socket.next() == answer["data"]
    several = {
        "query": "query A { sources { name } } query B { sources { name } }",
        "operationName": "",
    }
    assert "several" in (await post(service, several))[2]["errors"][0]["message"]


async def test_an_error_of_a_field_is_200(service: Service) -> None:
    status, _, answer = await post(
        service, {"query": '{ coin(ticker: "\\u0000") { id } }'}, **ACCEPT
    )
    assert status == 200
    assert answer["data"] == {"coin": None}
    status, _, answer = await post(
        service, {"query": "{ coins(first: 0) { totalCount } }"}, **ACCEPT
    )
    assert status == 200
    assert answer["data"] is None
    assert answer["errors"][0]["path"] == ["coins"]


MALFORMED = [
    b"",
    b"{",
    b"\xff",
    b"null",
    b"5",
    b'"{ sources { name } }"',
    b"{}",
    b'{"query": null}',
    b'{"query": ""}',
    b'{"query": 5}',
    b'{"query": ["{ sources { name } }"]}',
    b'{"query": "{ sources { name } }", "variables": []}',
    b'{"query": "{ sources { name } }", "variables": "{}"}',
    b'{"query": "{ sources { name } }", "variables": {"a": NaN}}',
    b'{"query": "{ sources { name } }", "variables": {"a": "\\ud800"}}',
    b'{"query": "{ sources { name } }", "operationName": 5}',
    b'{"query": "{ sources { name } }", "extensions": "no"}',
    b'{"query": "{ sources { name } }", "extensions": {"persistedQuery": "no"}}',
    (
        b'{"query": "{ sources { name } }", "extensions": {"persistedQuery": {"version": '
        b'2, "sha256Hash": "x"}}}'
    ),
    b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 5}}}',
    b'{"documentId": 5}',
    b'[{"query": "{ sources { name } }"}]',
    b"[]",
    b"[" * 5000,
]


async def test_what_is_no_graphql_request_is_400(service: Service) -> None:
    for body in MALFORMED:
        status, media_type, answer = await post(service, body)
        assert (status, media_type) == (400, JSON), body
        (error,) = answer["errors"]
        assert error["extensions"] == {"code": "BAD_REQUEST"}, body
        assert error["message"]


async def test_a_body_that_a_foreign_form_could_send_is_refused(service: Service) -> None:
    body = json.dumps({"query": QUERY})
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "x",
    ):
        status, _, answer = await post(service, body, **{"Content-Type": media_type})
        assert status == 415, media_type
        assert answer["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
    assert (await post(service, body, **{"Content-Type": "Application/JSON; charset=utf-8"}))[
        0
    ] == 200


async def test_get_reads_and_never_writes(service: Service, connection: Connection) -> None:
    await Rows(connection).source("csv")
    query = "query A($id: ID!) { node(id: $id) { id } } query B { sources { name } }"
    assert await get(service, {"query": query, "operationName": "B", "variables": ""}) == (
        200,
        JSON,
        {"data": {"sources": [{"name": "csv"}]}},
    )
    named = {
        "query": query,
        "operationName": "A",
        "variables": '{"id": "run_1"}',
        "extensions": "{}",
    }
    assert (await get(service, named))[2] == {"data": {"node": None}}
    async with service.client.get(
        f"/graphql?{urlencode({'query': MUTATION})}", headers={"X-Scheduler-Token": TOKEN}
    ) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD, POST"
        assert "POST" in (await response.json())["errors"][0]["message"]
    assert await connection.fetchval("SELECT count(*) FROM etl_requests") == 0
    for parameters in (
        {"query": query, "variables": "{"},
        {"query": query, "variables": "[]"},
        {},
        {"query": ""},
    ):
        assert (await get(service, parameters))[0] == 400, parameters


async def test_a_batch_is_refused_by_its_name(service: Service) -> None:
    status, _, answer = await post(service, [{"query": QUERY}, {"query": QUERY}])
    assert status == 400
    assert "Batches" in answer["errors"][0]["message"]


async def test_other_methods_are_405(service: Service) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        async with service.client.request(method, "/graphql", json={"query": QUERY}) as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET, HEAD, POST"


async def test_a_subscription_needs_a_stream(service: Service) -> None:
    status, _, answer = await post(service, {"query": "subscription { runUpdates { cursor } }"})
    assert status == 400
    assert "text/event-stream" in answer["errors"][0]["message"]


async def test_our_own_failure_is_masked_and_told_to_the_log(
    service: Service, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await Rows(connection).coin("BTC", provenance=[{"field": 5, "secret": "of the house"}])
    body = {"query": '{ coin(ticker: "BTC") { ticker provenance { field } } }'}
    async with service.client.post(
        "/graphql", json=body, headers={"X-Request-ID": "req-of-a-test"}
    ) as response:
        assert response.status == 200
        answer = await response.json()
    assert answer["data"] == {"coin": None}
    (error,) = answer["errors"]
    assert error["message"] == "Something went wrong on our side (request req-of-a-test)"
    assert error["extensions"] == {"code": "INTERNAL"}
    assert error["path"] == ["coin", "provenance"]
    output = capsys.readouterr()
    assert "req-of-a-test" in output.out + output.err
    assert "ValidationError" in output.out + output.err


def test_errors_of_a_restarting_database_are_unavailable_and_others_internal() -> None:
    for cause, code in (
        (
            asyncpg.InternalClientError(
                "cannot switch to state 12; another operation (2) is in progress"
            ),
            "UNAVAILABLE",
        ),
        (asyncpg.InterfaceError("connection is closed"), "UNAVAILABLE"),
        (asyncpg.InterfaceError("pool is closing"), "UNAVAILABLE"),
        (asyncpg.DataError("an integer is required"), "INTERNAL"),
    ):
        (error,) = mask(
            [GraphQLError(str(cause), path=["coin"], original_error=cause)], "req-of-a-test"
        )
        assert error.extensions is not None
        assert error.extensions["code"] == code, cause


async def test_introspection_that_is_switched_off_is_refused_and_the_rest_works(
    settings: Settings,
) -> None:
    refused = (
        "{ __schema { queryType { name } } }",
        '{ kind: __type(name: "Coin") { name } }',
        "{ ...F } fragment F on Query { ... { __schema { description } } }",
        get_introspection_query(),
    )
    async with running_service(msgspec.structs.replace(settings, introspection=False)) as service:
        for query in refused:
            status, _, answer = await post(service, {"query": query}, **ACCEPT)
            assert status == 400
            (error,) = answer["errors"]
            assert "Introspection is switched off" in error["message"]
            assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
        async with service.client.post(
            "/graphql", json={"query": refused[0]}, headers={"Accept": "text/event-stream"}
        ) as response:
            assert "Introspection is switched off" in await response.text()
        answer = await ask_all(service, "{ __typename sources { __typename } }")
        assert answer == {"data": {"__typename": "Query", "sources": []}}
        async with service.client.get("/graphql", headers={"Accept": "text/html"}) as response:
            assert response.status == 200
            assert "GraphQL" in await response.text()
    # The same, now cached documents with introspection.
    async with running_service(settings) as service:
        for query in refused:
            assert "errors" not in await ask_all(service, query)


async def test_where_introspection_is_off_no_error_suggests_a_name(settings: Settings) -> None:
    """Each is close to a name of the schema: a field, argument, type, enum value or input."""
    requests: list[dict[str, object]] = [
        {"query": "{ coin }"},
        {"query": "{ coins { node { ticker } } }"},
        {"query": "{ coins { nodes } }"},
        {"query": '{ coin(tickr: "BTC") { ticker } }'},
        {"query": "query ($f: CoinFiltr) { coins(filter: $f) { totalCount } }"},
        {"query": "{ coins(orderBy: MARKET_CAP_DES) { totalCount } }"},
        {"query": '{ coins(filter: {tickr: {eq: "BTC"}}) { totalCount } }'},
        {
            "query": "query ($f: CoinFilter) { coins(filter: $f) { totalCount } }",
            "variables": {"f": {"tickr": 1}},
        },
        {"query": "subscription ($t: [String!]) { coinUpdates(tikers: $t) { cursor } }"},
    ]
    suggested = 0
    for introspection in (True, False):
        async with running_service(
            msgspec.structs.replace(settings, introspection=introspection)
        ) as service:
            for request in requests:
                for accept in ("application/json", "text/event-stream"):
                    async with service.client.post(
                        "/graphql", json=request, headers={"Accept": accept}
                    ) as response:
                        text = await response.text()
                    assert "errors" in text
                    assert introspection or "Did you mean" not in text, (request, text)
                    suggested += introspection and "Did you mean" in text
    assert suggested >= 10  # where it is on they help


async def test_a_database_that_is_away_is_unavailable(
    service: Service, database: str, server_dsn: str, template: str
) -> None:
    name = urlsplit(database).path.lstrip("/")
    query = '{ coin(ticker: "BTC") { id } }'
    other = await connect(server_dsn)
    try:
        await other.execute(f"DROP DATABASE {name} WITH (FORCE)")
        answer = await ask_all(service, query)
        assert answer["data"] == {"coin": None}
        assert answer["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5}
        assert name not in json.dumps(answer)
        await other.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        assert await ask_all(service, query) == {"data": {"coin": None}}
    finally:
        await other.close()


async def test_a_statement_that_is_cancelled_is_unavailable(
    service: Service, database: str, connection: Connection
) -> None:
    """Simulates a statement time-out: the coins are locked, and a waiting query is cancelled."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
        "current_database()"
    )
    other = await connect(database)
    try:
        async with other.transaction(), asyncio.timeout(30):
            await other.execute("LOCK TABLE normalized_records IN ACCESS EXCLUSIVE MODE")
            requests = asyncio.create_task(ask_all(service, '{ coin(ticker: "BTC") { id } }'))
            while (pid := await connection.fetchval(waiting)) is None:
                await asyncio.sleep(0.01)
            await connection.execute("SELECT pg_cancel_backend($1)", pid)
            answer = await requests
    finally:
        await other.close()
    assert answer["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5}
    assert "too long" in answer["errors"][0]["message"]
