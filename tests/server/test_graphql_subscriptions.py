"""Subscriptions: their messages, where they resume, and how they start, end and fail."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from db.connect.types import Connection
from server.graphql.relay.cursors import encode_words
from server.limits.rows import COINS_PER_MESSAGE
from tests.server.conftest import TOKEN, Service
from tests.server.graphql_live import TIMEOUT_SECONDS, change_coins, connected, tell_of_run
from tests.server.graphql_rows import NOW, Json, Rows

BEGINNING = encode_words(0, None)
COINS = """
subscription ($tickers: [String!], $after: String) {
  coinUpdates(tickers: $tickers, after: $after) { cursor coins { ticker priceUsd } lagged }
}
"""
RUNS = """
subscription ($source: String, $after: String) {
  runUpdates(source: $source, after: $after) { cursor type run { id source status processed
    startedAt finishedAt } }
}
"""


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


def tickers_of(data: Json) -> list[str]:
    return [coin["ticker"] for coin in data["coinUpdates"]["coins"]]


async def test_what_was_missed_then_what_comes(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.coin("BTC", price_usd_exact="45000.5")
    await rows.coin("ETH")
    await change_coins(connection, "BTC", "ETH", "RENAMED")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING})
        first = await socket.next()
        assert first["coinUpdates"]["coins"][0] == {"ticker": "BTC", "priceUsd": "45000.5"}
        assert tickers_of(first) == ["BTC", "ETH"]
        assert first["coinUpdates"]["lagged"] == 0
        await connection.execute(
            "UPDATE normalized_records SET price_usd_exact = 46000 WHERE ticker = 'BTC'"
        )
        await change_coins(connection, "BTC")
        second = await socket.next()
        assert second["coinUpdates"]["coins"] == [{"ticker": "BTC", "priceUsd": "46000"}]
    # Another connection resumes there: no gap, no duplicate.
    await change_coins(connection, "ETH")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": first["coinUpdates"]["cursor"]})
        assert (await socket.next())["coinUpdates"]["cursor"] == second["coinUpdates"]["cursor"]
        assert tickers_of(await socket.next()) == ["ETH"]


async def test_only_the_tickers_that_are_wanted(
    service: Service, rows: Rows, connection: Connection
) -> None:
    for ticker in ("BTC", "ETH", "SOL"):
        await rows.coin(ticker)
    await change_coins(connection, "SOL")
    await change_coins(connection, "BTC", "SOL")
    await change_coins(connection, "ETH", "BTC")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING, "tickers": ["btc", " ETH"]})
        assert tickers_of(await socket.next()) == ["BTC"]
        assert tickers_of(await socket.next()) == ["BTC", "ETH"]


async def test_without_after_only_what_comes(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.coin("OLD")
    await rows.coin("NEW")
    await change_coins(connection, "OLD")
    newest = await connection.fetchval("SELECT max(seq) FROM events")
    async with connected(service) as socket, asyncio.timeout(TIMEOUT_SECONDS):
        # A new client gets events that the server has not read yet.
        while service.state.hub.listener._position != newest:
            await asyncio.sleep(0.01)
        await socket.subscribe(COINS)
        update = asyncio.ensure_future(socket.next())
        # Nothing signals the start of a subscription.
        while not update.done():
            await change_coins(connection, "NEW")
            await asyncio.wait((update,), timeout=0.05)
        assert tickers_of(await update) == ["NEW"]


async def test_a_large_commit_comes_in_parts_and_each_part_can_be_gone_on_from(
    service: Service, connection: Connection
) -> None:
    count = 2 * COINS_PER_MESSAGE + 5
    tickers = [f"T{number:05}" for number in range(count)]
    await connection.execute(
        "INSERT INTO normalized_records (ticker, source, created_at, ingested_at, "
        "rival_count, provenance)"
        " SELECT t, 'csv', $2, $2, 0, '[]' FROM unnest($1::text[]) AS t",
        tickers,
        NOW,
    )
    await change_coins(connection, *tickers)
    await change_coins(connection, "T00000")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING})
        parts = [await socket.next() for _ in range(4)]
        assert [len(tickers_of(part)) for part in parts] == [
            COINS_PER_MESSAGE,
            COINS_PER_MESSAGE,
            5,
            1,
        ]
        assert [ticker for part in parts[:3] for ticker in tickers_of(part)] == tickers
        await socket.subscribe(COINS, {"after": parts[0]["coinUpdates"]["cursor"]}, "2")
        assert [await socket.next("2") for _ in range(3)] == parts[1:]
        # With other tickers, the position within the commit is still valid.
        variables = {
            "after": parts[0]["coinUpdates"]["cursor"],
            "tickers": [tickers[0], tickers[-1]],
        }
        await socket.subscribe(COINS, variables, "3")
        assert tickers_of(await socket.next("3")) == [tickers[-1]]
        assert tickers_of(await socket.next("3")) == ["T00000"]


async def test_runs_as_they_start_advance_and_finish(
    service: Service, rows: Rows, connection: Connection
) -> None:
    run = await rows.run("csv", "running")
    other = await rows.run("coingecko", "running")
    await tell_of_run(connection, "run_started", run)
    await tell_of_run(connection, "run_started", other)
    await connection.execute("UPDATE etl_runs SET processed = 5, changed = 5 WHERE id = $1", run)
    await tell_of_run(connection, "run_progress", run)
    await connection.execute(
        "UPDATE etl_runs SET status = 'success', finished_at = started_at WHERE id = $1", run
    )
    await tell_of_run(connection, "run_finished", run)
    async with connected(service) as socket:
        await socket.subscribe(RUNS, {"after": BEGINNING, "source": "csv"})
        updates = [(await socket.next())["runUpdates"] for _ in range(3)]
        await socket.subscribe(RUNS, {"after": BEGINNING}, "2")
        all_updates = [(await socket.next("2"))["runUpdates"] for _ in range(4)]
    at = "2026-02-03T20:21:11.250000Z"
    shared = {"id": f"run_{run}", "source": "csv", "startedAt": at}
    # Each run as it was at its event.
    assert [(update["type"], update["run"]) for update in updates] == [
        ("STARTED", {**shared, "status": "RUNNING", "processed": 0, "finishedAt": None}),
        ("PROGRESS", {**shared, "status": "RUNNING", "processed": 5, "finishedAt": None}),
        ("FINISHED", {**shared, "status": "SUCCESS", "processed": 5, "finishedAt": at}),
    ]
    assert [update["run"]["source"] for update in all_updates] == ["csv", "coingecko", "csv", "csv"]
    assert len({update["cursor"] for update in all_updates}) == 4


async def test_updates_of_runs_carry_their_notes(
    service: Service, rows: Rows, connection: Connection
) -> None:
    run = await rows.run("csv", "running")
    # An event of an earlier version has no notes.
    await connection.execute(
        "INSERT INTO events (kind, at, run) SELECT 'run_started', now(),"
        " row_to_json(r)::jsonb - '{notes,note_count}'::text[] FROM etl_runs AS r"
    )
    note = {"about": "columns", "text": "Columns that are not read: colour", "count": 7}
    await connection.execute("UPDATE etl_runs SET notes = $1, note_count = 7", [note])
    await tell_of_run(connection, "run_progress", run)
    query = """
    subscription ($after: String) {
      runUpdates(after: $after) { run { noteCount notes { about text count } } }
    }
    """
    async with connected(service) as socket:
        await socket.subscribe(query, {"after": BEGINNING})
        updates = [(await socket.next())["runUpdates"]["run"] for _ in range(2)]
    assert updates == [{"noteCount": 0, "notes": []}, {"noteCount": 7, "notes": [note]}]


BAD: list[tuple[str, dict[str, Any], str]] = [
    (COINS, {"after": "nonsense"}, "after"),
    (COINS, {"after": ""}, "after"),
    (COINS, {"after": encode_words(-1, None)}, "after"),
    (COINS, {"after": encode_words(2**63, None)}, "after"),
    (COINS, {"after": encode_words(1, 5)}, "after"),
    (COINS, {"after": encode_words(1.5, None)}, "after"),
    # Of another database: this one has not reached that sequence number.
    (COINS, {"after": encode_words(99, None)}, "after"),
    (COINS, {"tickers": []}, "tickers"),
    (COINS, {"tickers": ["\0"]}, "tickers"),
    (COINS, {"tickers": ["x"] * 1001}, "tickers"),
    (RUNS, {"after": "nonsense"}, "after"),
    (RUNS, {"source": "\0"}, "source"),
]


async def test_updates_leave_nothing_in_memory(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.coin("BTC")
    run = await rows.run("csv", "running")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING}, "1")
        await socket.subscribe(RUNS, {"after": BEGINNING}, "2")

        async def objects_after(updates: int) -> int:
            """Return the number of objects in this process after so many more updates."""
            for _ in range(updates):
                await change_coins(connection, "BTC")
                await socket.next("1")
                await tell_of_run(connection, "run_progress", run)
                await socket.next("2")
            gc.collect()
            return len(gc.get_objects())

        before = await objects_after(50)
        # The number of timers varies; graphql-core would cache more than 50 objects an update.
        assert await objects_after(200) - before < 400


async def test_a_bad_argument_ends_the_subscription_with_an_error(service: Service) -> None:
    async with connected(service) as socket:
        for query, variables, argument in BAD:
            await socket.subscribe(query, variables)
            message = await socket.receive()
            assert message["type"] == "error", variables
            (error,) = message["payload"]
            assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}, (
                variables
            )


async def test_a_variable_of_the_wrong_type_ends_it_too(service: Service) -> None:
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"tickers": [5]})
        message = await socket.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_cursor_of_purged_events_is_refused(
    service: Service, connection: Connection
) -> None:
    for _ in range(3):
        await change_coins(connection, "BTC")
    await connection.execute("DELETE FROM events WHERE seq < 3")
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING})
        message = await socket.receive()
        assert message["type"] == "error"
        (error,) = message["payload"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}
        assert "no longer kept" in error["message"]


async def test_queries_and_mutations_run_over_a_websocket_too(service: Service, rows: Rows) -> None:
    await rows.source("csv")
    trigger = "mutation { triggerEtl { request { sources } } }"
    async with connected(service, {"x-scheduler-token": TOKEN}) as socket:
        await socket.subscribe("{ sources { name } }")
        assert await socket.next() == {"sources": [{"name": "csv"}]}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        await socket.subscribe(trigger)
        assert await socket.next() == {"triggerEtl": {"request": {"sources": ["csv"]}}}
        assert await socket.receive() == {"id": "1", "type": "complete"}
    for payload in (None, {"X-Scheduler-Token": "wrong"}, {"X-Scheduler-Token": 5}):
        async with connected(service, payload) as socket:
            await socket.subscribe(trigger)
            message = await socket.receive()
            assert message["payload"]["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_refused_document_is_an_error_of_its_operation_alone(service: Service) -> None:
    async with connected(service) as socket:
        for query, code in (
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("", "BAD_REQUEST"),
            ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ coin(ticker: 1) { " + "id " * 100 + "} }", "QUERY_TOO_COMPLEX"),
            (
                "subscription { runUpdates { cursor } coinUpdates { cursor } }",
                "GRAPHQL_VALIDATION_FAILED",
            ),
            (
                "query A { sources { name } } query B { sources { name } }",
                "GRAPHQL_VALIDATION_FAILED",
            ),
        ):
            await socket.subscribe(query)
            message = await socket.receive()
            assert message["type"] == "error", query
            assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


MALFORMED = [
    "[]",
    "5",
    "null",
    "{",
    '{"type": 5}',
    '{"type": "nope"}',
    '{"id": "1", "type": "subscribe"}',
    '{"id": 1, "type": "subscribe", "payload": {"query": "{ sources { name } }"}}',
    '{"id": "1", "type": "subscribe", "payload": []}',
    '{"id": "1", "type": "subscribe", "payload": {"query": 5}}',
    (
        '{"id": "1", "type": "subscribe", "payload": {"query": "{ sources { name } }", '
        '"variables": []}}'
    ),
    (
        '{"id": "1", "type": "subscribe", "payload": {"query": "{ sources { name } }", '
        '"operationName": {}}}'
    ),
    '{"type": "complete"}',
    "[" * 2000,
]


async def test_a_message_that_breaks_the_protocol_closes_the_connection(service: Service) -> None:
    for text in MALFORMED:
        async with connected(service) as socket:
            await socket.websocket.send_str(text)
            code, reason = await socket.closed()
            assert code == 4400, text
            assert reason
    async with connected(service) as socket:
        await socket.websocket.send_bytes(b"{}")
        assert (await socket.closed())[0] == 4400


async def test_a_client_that_leaves_in_the_midst_is_forgotten(
    service: Service, connection: Connection
) -> None:
    async with connected(service) as socket:
        await socket.subscribe(COINS, {"after": BEGINNING})
        await socket.subscribe(RUNS, {"after": BEGINNING}, "2")
        await socket.send(id="2", type="complete")
        await socket.subscribe(RUNS, {"after": BEGINNING}, "2")
    async with connected(service) as socket:
        await Rows(connection).coin("BTC")
        await change_coins(connection, "BTC")
        await socket.subscribe(COINS, {"after": BEGINNING})
        assert tickers_of(await socket.next()) == ["BTC"]


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Yield the events of a stream: their names and their JSON."""
    name = ""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async for line in response.content:
            field, _, value = line.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field.startswith("data"):
                yield name, json.loads(value) if value else None


async def test_an_event_stream(service: Service, rows: Rows, connection: Connection) -> None:
    await rows.coin("BTC")
    await change_coins(connection, "BTC")
    accept = {"Accept": "text/event-stream"}
    body = {"query": COINS, "variables": {"after": BEGINNING}}
    async with service.client.post("/graphql", json=body, headers=accept) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = read_events(response)
        name, value = await anext(events)
        assert name == "next"
        assert tickers_of(value["data"]) == ["BTC"]
        await change_coins(connection, "BTC")
        assert tickers_of((await anext(events))[1]["data"]) == ["BTC"]


async def test_an_event_stream_of_what_ends_at_once(service: Service) -> None:
    accept = {"Accept": "text/event-stream"}

    async def events_of(query: str) -> list[tuple[str, Any]]:
        async with service.client.post(
            "/graphql", json={"query": query}, headers=accept
        ) as response:
            return [event async for event in read_events(response)]

    assert await events_of("{ sources { name } }") == [
        ("next", {"data": {"sources": []}}),
        ("complete", None),
    ]
    (name, value), end = await events_of('subscription { coinUpdates(after: "x") { cursor } }')
    assert name == "next"
    assert value["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}
    assert end == ("complete", None)
    async with service.client.get(
        "/graphql", params={"query": "mutation { triggerEtl { request { id } } }"}, headers=accept
    ) as response:
        events = [event async for event in read_events(response)]
    assert events[0][1]["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
