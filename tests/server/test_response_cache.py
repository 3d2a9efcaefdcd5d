"""The response cache: no client reads old data after the notification of a commit."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.settings import Settings
from db.connect.pool import Connection
from db.events import add_coins_event, notify_events
from server.compiler.response_cache import OVERHEAD_BYTES, ResponseCache
from tests.server.conftest import NOW, AddCoin, AddSource, Service, running_service
from tests.server.graphql_rows import Rows

PRICE = '{ coin(ticker: "BTC") { priceUsdExact } }'
LIVE = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'kasparro server live' "
    "AND datname = current_database()"
)


async def ask(service: Service, query: str, **variables: object) -> dict[str, Any]:
    async with service.client.post(
        "/graphql", json={"query": query, "variables": variables}
    ) as response:
        body = await response.json()
    assert "errors" not in body, body
    data: dict[str, Any] = body["data"]
    return data


async def price_of(service: Service) -> str:
    price: str = (await ask(service, PRICE))["coin"]["priceUsdExact"]
    return price


async def set_price(connection: Connection, price: int, *, notify: bool) -> None:
    async with connection.transaction():
        await connection.execute("UPDATE normalized_records SET price_usd_exact = $1", price)
        if notify:
            await add_coins_event(connection, ["BTC"], NOW)
            await notify_events(connection)


async def until_version_changes(service: Service, before: object) -> None:
    async with asyncio.timeout(20):
        while service.state.data_version in (before, None):
            await asyncio.sleep(0.01)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=database)


@pytest.fixture
async def _coin(add_coin: AddCoin) -> None:
    await add_coin("BTC", price_usd_exact="1")


@pytest.fixture
def _minute_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response is cached until its minute is over, which must not happen during a test."""
    monkeypatch.setattr("server.compiler.fast_path.end_of_minute", lambda: NOW)


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
async def test_an_answer_is_given_again_until_a_commit_is_told_of(
    service: Service, connection: Connection
) -> None:
    assert await price_of(service) == "1"
    # Changes the data without an event, so an old response shows that nothing was read.
    await set_price(connection, 2, notify=False)
    assert await price_of(service) == "1"
    assert (await ask(service, PRICE.replace("priceUsdExact", "exact: priceUsdExact")))["coin"][
        "exact"
    ] == "2"
    before = service.state.data_version
    await set_price(connection, 3, notify=True)
    await until_version_changes(service, before)
    assert await price_of(service) == "3"


@pytest.mark.usefixtures("_coin")
async def test_who_was_told_of_a_commit_never_reads_what_was_before(
    service: Service, connection: Connection
) -> None:
    stop = asyncio.Event()

    async def keep_asking() -> None:
        while not stop.is_set():
            await price_of(service)

    readers = [asyncio.create_task(keep_asking()) for _ in range(4)]
    async with service.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        query = "subscription { coinUpdates { coins { ticker } } }"
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        update = asyncio.create_task(socket.receive_json(timeout=20))
        price = 1
        while not update.done():  # the server takes the subscription when it gets to it
            await set_price(connection, price := price + 1, notify=True)
            await asyncio.wait([update], timeout=0.05)
        for _ in range(100):
            await set_price(connection, price := price + 1, notify=True)
            message = await socket.receive_json(timeout=20)
            assert message["type"] == "next", message
            read = int(await price_of(service))
            assert read <= price
            # The queue may have updates from before the first response: this is a later price.
            assert read >= price - 1
    stop.set()
    await asyncio.gather(*readers)


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
async def test_without_a_data_version_every_response_is_read(
    service: Service, connection: Connection
) -> None:
    assert await price_of(service) == "1"
    await set_price(connection, 2, notify=False)
    async with asyncio.timeout(20):
        while service.state.data_version is not None:
            for row in await connection.fetch(LIVE):
                await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
            await asyncio.sleep(0)
    assert await price_of(service) == "2"
    await set_price(connection, 3, notify=False)
    async with asyncio.timeout(20):
        await service.state.hub.listener.connected.wait()
    assert (
        await price_of(service) == "3"
    )  # another connection: what the lost one heard says nothing


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
async def test_a_replica_that_may_lag_behind_is_always_read(
    settings: Settings, database: str, connection: Connection
) -> None:
    with_replica = msgspec.structs.replace(settings, read_database_url=database)
    async with running_service(with_replica) as service:
        assert await price_of(service) == "1"
        await set_price(connection, 2, notify=False)
        assert await price_of(service) == "2"


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
async def test_no_bytes_keep_no_answer(settings: Settings, connection: Connection) -> None:
    async with running_service(
        msgspec.structs.replace(settings, response_cache_bytes=0)
    ) as service:
        assert await price_of(service) == "1"
        await set_price(connection, 2, notify=False)
        assert await price_of(service) == "2"


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
@pytest.mark.parametrize(
    ("query", "change", "before", "after"),
    [
        (
            '{ coin(ticker: "BTC") { isStale } }',
            "stale_at = 'epoch'",
            {"coin": {"isStale": False}},
            None,
        ),
        (
            "query ($is: Boolean) { coins(filter: {isStale: $is}) { totalCount } }",
            "stale_at = 'epoch'",
            {"coins": {"totalCount": 0}},
            {"coins": {"totalCount": 1}},
        ),
    ],
)
async def test_what_changes_with_the_time_is_never_kept(
    service: Service,
    connection: Connection,
    add_source: AddSource,
    query: str,
    change: str,
    before: object,
    after: object,
) -> None:
    await add_source("coinpaprika")
    await connection.execute("UPDATE normalized_records SET stale_at = 'infinity'")
    variables = {"is": True} if "$is" in query else {}
    assert await ask(service, query, **variables) == before
    await connection.execute(f"UPDATE normalized_records SET {change}")
    assert await ask(service, query, **variables) == (after or {"coin": {"isStale": True}})


@pytest.mark.usefixtures("_minute_that_lasts")
async def test_what_the_ingestor_plans_is_never_kept(
    service: Service, connection: Connection, add_source: AddSource
) -> None:
    await add_source("csv")
    assert (await ask(service, "{ sources { nextRunAt } }"))["sources"] == [{"nextRunAt": None}]
    await connection.execute("UPDATE sources SET next_run_at = $1", NOW)
    assert (await ask(service, "{ sources { nextRunAt } }"))["sources"][0]["nextRunAt"].startswith(
        "2026-02-03T20:21"
    )


@pytest.mark.usefixtures("_coin")
async def test_a_get_that_has_the_answer_is_told_so(
    service: Service, connection: Connection
) -> None:
    async def get(**headers: str) -> tuple[int, str, bytes]:
        async with service.client.get(
            "/graphql", params={"query": PRICE}, headers=headers
        ) as response:
            return response.status, response.headers["ETag"], await response.read()

    status, etag, body = await get()
    assert (status, json.loads(body)) == (200, {"data": {"coin": {"priceUsdExact": "1"}}})
    assert await get(**{"If-None-Match": etag}) == (304, etag, b"")
    assert (await get(**{"If-None-Match": etag, "Accept": "application/graphql-response+json"}))[
        0
    ] == 200
    before = service.state.data_version
    await set_price(connection, 2, notify=True)
    await until_version_changes(service, before)
    status, newer, body = await get(**{"If-None-Match": etag})
    assert (status, json.loads(body)) == (200, {"data": {"coin": {"priceUsdExact": "2"}}})
    assert newer != etag


@pytest.mark.usefixtures("_coin")
async def test_a_get_may_bring_variables(service: Service) -> None:
    query = "query ($ticker: String!) { coin(ticker: $ticker) { ticker } }"
    for variables, expected in (
        ('{"ticker": "btc"}', {"coin": {"ticker": "BTC"}}),
        ('{"ticker": "×"}', {"coin": None}),
    ):
        params = {"query": query, "variables": variables}
        async with service.client.get("/graphql", params=params) as response:
            assert (response.status, await response.json()) == (200, {"data": expected})
            assert "ETag" in response.headers
    async with service.client.get(
        "/graphql", params={"query": query, "variables": "{"}
    ) as response:
        assert response.status == 400


def test_what_is_kept_is_bounded_and_the_least_wanted_goes_first() -> None:
    cache = ResponseCache(3 * (OVERHEAD_BYTES + 10))
    version = (1, 1)
    assert cache.get(version, "a") is None
    for key in "abc":
        cache.put(version, key, b"0123456789")
    assert cache.get(version, "a")
    cache.put(version, "d", b"0123456789")
    assert [cache.get(version, key) is not None for key in "abcd"] == [True, False, True, True]
    cache.put(version, "too long", bytes(10_000))
    assert cache.get(version, "too long") is None
    assert cache.size_bytes == 3 * (OVERHEAD_BYTES + 10)


def test_an_answer_of_older_data_is_not_kept() -> None:
    cache = ResponseCache(10_000)
    assert cache.get((1, 1), "a") is None
    assert cache.get((1, 2), "a") is None  # a commit while the first request was reading
    cache.put((1, 1), "a", b"old")
    assert cache.get((1, 2), "a") is None
    cache.put((1, 2), "a", b"new")
    assert cache.get((1, 2), "a") == b"new"
    assert cache.get((2, 2), "a") is None
    assert cache.size_bytes == 0


@pytest.mark.usefixtures("_coin", "_minute_that_lasts")
@pytest.mark.parametrize(
    "query",
    [
        '{ asset(id: "bsc:0x1111111111111111111111111111111111111111") { key } }',
        '{ token(chain: "bsc", address: "0x1111111111111111111111111111111111111111") { key } }',
        "{ assets(filter: {hasAddress: true}) { nodes { key } } }",
        '{ assets(filter: {chain: {eq: "bsc"}}) { nodes { key } } }',
        '{ listing(source: "csv", externalId: "a") { addresses { chain } } }',
    ],
)
async def test_addresses_are_read_each_time_as_they_change_without_an_event(
    service: Service, connection: Connection, query: str
) -> None:
    await Rows(connection).listing("csv", "a", "BTC")
    before = await ask(service, query)
    await connection.execute(
        "INSERT INTO listing_addresses"
        " VALUES ('csv', 'a', 'bsc', '0x1111111111111111111111111111111111111111', true, now())"
    )
    assert await ask(service, query) != before
