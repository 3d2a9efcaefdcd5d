"""One deadline for all statements of a request, over all transports."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from db.connect.types import Connection
from server.graphql.transport.media_types import EVENT_STREAM, GRAPHQL_RESPONSE, JSON
from tests.server.conftest import Service
from tests.server.graphql_live import connected
from tests.server.graphql_rows import Rows, ask

# Every statement that reads coins takes a while, and is counted although it is broken off.
SLOW_COINS = """
CREATE SEQUENCE reads;
CREATE TABLE pace (seconds double precision);
CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM nextval('reads');
    PERFORM pg_sleep((SELECT seconds FROM pace));
    RETURN true;
END $$;
ALTER TABLE normalized_records RENAME TO coins_at_once;
CREATE VIEW normalized_records AS
SELECT r.* FROM (SELECT wait() AS is_over) AS waited JOIN coins_at_once AS r ON waited.is_over;
GRANT SELECT ON normalized_records TO kasparro_server;
"""
STATEMENT_SECONDS = 0.2
REQUEST_SECONDS = 0.7
MAX_READS = 4
"""That can begin in time."""
COUNTS = "{ " + " ".join(f"c{number}: coins {{ totalCount }}" for number in range(10)) + " }"
LEVELS = '{ coin(ticker: "BTC") ' + "{ listings { coin " * 6 + "{ id }" + " } }" * 6 + " }"
ACTIVE = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'kasparro server' AND datname = current_database() AND state = 'active'
"""

SetPace = Callable[[float], Awaitable[None]]


@pytest.fixture
async def set_pace(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> SetPace:
    """The time of each statement; the server's deadline is shorter than some of them."""
    rows = Rows(connection)
    await rows.source("one")
    await rows.coin("BTC")
    await rows.listing("one", "btc", "BTC")
    await connection.execute(SLOW_COINS)
    # Opens connections and compiles plans before the measurement.
    await connection.execute("INSERT INTO pace VALUES (0)")
    await ask(service, "{ coins { totalCount } }")
    await connection.execute("ALTER SEQUENCE reads RESTART")
    monkeypatch.setattr("server.deadline.REQUEST_SECONDS", REQUEST_SECONDS)

    async def set_to(seconds: float) -> None:
        await connection.execute("UPDATE pace SET seconds = $1", seconds)

    return set_to


async def reads(connection: Connection) -> int:
    """Return how many statements have started to read coins."""
    count: int = await connection.fetchval(
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM reads"
    )
    return count


@pytest.mark.parametrize(("media_type", "status"), [(JSON, 200), (GRAPHQL_RESPONSE, 503)])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_all_statements_of_a_query_have_one_deadline_and_none_is_done_again(
    service: Service,
    connection: Connection,
    set_pace: SetPace,
    media_type: str,
    status: int,
    method: str,
) -> None:
    await set_pace(STATEMENT_SECONDS)
    given: dict[str, Any] = (
        {"params": {"query": COUNTS}} if method == "GET" else {"json": {"query": COUNTS}}
    )
    async with service.client.request(
        method, "/graphql", headers={"Accept": media_type}, **given
    ) as response:
        assert response.status == status
        assert response.headers["Retry-After"] == "5"
        assert response.content_type == media_type
        answer = await response.json()
    assert answer.keys() == {"errors"}
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5}
    assert "too long" in error["message"]
    assert 1 <= await reads(connection) <= MAX_READS


async def test_levels_of_the_ordinary_way_have_one_deadline(
    service: Service, connection: Connection, set_pace: SetPace
) -> None:
    await set_pace(STATEMENT_SECONDS)
    async with connected(service) as socket:
        await socket.subscribe(LEVELS)
        payload = (await socket.receive())["payload"]
    (error,) = payload["errors"]
    assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5}
    assert error["path"][:2] == ["coin", "listings"]
    assert payload["data"]["coin"] is not None
    assert 2 <= await reads(connection) <= MAX_READS
    async with service.client.post(
        "/graphql", json={"query": LEVELS}, headers={"Accept": EVENT_STREAM}
    ) as response:
        assert "UNAVAILABLE" in await response.text()
    assert await reads(connection) <= 2 * MAX_READS


async def test_postgresql_stops_too(
    service: Service, connection: Connection, set_pace: SetPace
) -> None:
    await set_pace(60)
    async with service.client.post(
        "/graphql", json={"query": "{ coins { totalCount } }"}
    ) as response:
        assert response.headers["Retry-After"] == "5"
    async with connected(service) as socket:
        await socket.subscribe("{ coins { totalCount } }")
        assert (await socket.receive())["payload"]["errors"][0]["extensions"][
            "code"
        ] == "UNAVAILABLE"
    async with service.client.get("/data") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "5"
    async with asyncio.timeout(20):
        while await connection.fetchval(ACTIVE):
            await asyncio.sleep(0.01)
    await set_pace(0)
    assert await ask(service, COUNTS) == {f"c{number}": {"totalCount": 1} for number in range(10)}


async def test_an_ordinary_answer_that_lacks_something_for_time_says_when_to_come_back(
    service: Service, set_pace: SetPace
) -> None:
    await set_pace(60)
    # Too long a document for the fast path.
    query = "{ coins { totalCount } }" + " " * 9_000
    async with service.client.post("/graphql", json={"query": query}) as response:
        assert response.status == 200
        assert response.headers["Retry-After"] == "5"
        answer = await response.json()
    assert answer["data"] is None
    assert answer["errors"][0]["path"] == ["coins"]
