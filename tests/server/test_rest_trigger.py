"""POST /trigger-etl: tokens, the stored request, and the limit of wrong tokens."""

import asyncio
import secrets
from pathlib import Path

import aiohttp

from common.settings import Settings
from db.connect.pool import Connection
from db.requests import CHANNEL
from server.auth.failed_tokens import FAILED_TOKENS, FailedTokens
from tests.server.conftest import TOKEN, AddSource, Service, running_service
from tests.server.graphql_live import connected
from tests.server.graphql_rows import ask, error_of

GOOD = {"X-Scheduler-Token": TOKEN}
WRONG = {"X-Scheduler-Token": "guess"}
REQUESTS = "SELECT sources, status, full_run FROM etl_requests"
TRIGGER = "mutation { triggerEtl { request { id } } }"


async def test_a_trigger_is_stored_and_told_to_the_ingestors(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("coinpaprika", priority=1)
    await add_source("csv", "file", priority=3)
    await add_source("old", enabled=False)
    notifications: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(
        CHANNEL, lambda *received: notifications.put_nowait(str(received[-1]))
    )
    async with service.client.post("/trigger-etl", headers=GOOD) as response:
        assert response.status == 200
        body = await response.json()
    assert body.keys() == {"status", "timestamp"}
    assert body["status"] == "triggered"
    assert body["timestamp"].endswith("Z")
    async with asyncio.timeout(10):
        number = await notifications.get()
    row = await connection.fetchrow(f"{REQUESTS} WHERE id = $1", int(number))
    assert row is not None
    assert tuple(row) == (["coinpaprika", "csv"], "pending", False)


async def test_without_the_token_nothing_is_stored(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("csv")
    for headers in (
        {},
        {"X-Scheduler-Token": "wrong"},
        {"X-Scheduler-Token": TOKEN + "x"},
        {"Authorization": TOKEN},
    ):
        async with service.client.post("/trigger-etl", headers=headers) as response:
            assert response.status == 401
            assert await response.json() == {"detail": "Invalid scheduler token"}
            assert response.headers["WWW-Authenticate"] == 'SchedulerToken realm="kasparro"'
    assert await connection.fetch(REQUESTS) == []


async def status_of(client: aiohttp.ClientSession, **headers: str) -> int:
    async with client.post("/trigger-etl", headers=headers) as response:
        if response.status == 429:
            assert int(response.headers["Retry-After"]) > 0
            assert "Too many wrong scheduler tokens" in (await response.json())["detail"]
        return response.status


async def test_a_guesser_is_slowed_and_the_right_token_still_passes(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("csv")
    assert [await status_of(service.client, **WRONG) for _ in range(FAILED_TOKENS + 2)] == 10 * [
        401
    ] + [429, 429]
    assert await connection.fetch(REQUESTS) == []
    assert await status_of(service.client, **GOOD) == 200
    error = await error_of(service, TRIGGER, headers=WRONG)
    assert error["extensions"] == {"code": "UNAUTHENTICATED", "retryAfter": 6}
    assert "request" in (await ask(service, TRIGGER, headers=GOOD))["triggerEtl"]
    async with connected(service, WRONG) as socket:
        await socket.subscribe(TRIGGER)
        (error,) = (await socket.receive())["payload"]["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED", "retryAfter": 6}


async def test_a_guesser_slows_no_other_client(service: Service, add_source: AddSource) -> None:
    await add_source("csv")
    for _ in range(FAILED_TOKENS):
        await status_of(service.client, **WRONG)
    other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(service.url, connector=other) as client:
        assert await status_of(client, **WRONG) == 401
    assert await status_of(service.client, **WRONG) == 429


async def test_a_missing_token_is_not_a_wrong_one(service: Service, add_source: AddSource) -> None:
    await add_source("csv")
    for headers in ({}, {"X-Scheduler-Token": ""}):
        assert {await status_of(service.client, **headers) for _ in range(2 * FAILED_TOKENS)} == {
            401
        }
    for _ in range(FAILED_TOKENS):
        assert (await error_of(service, TRIGGER))["extensions"] == {"code": "UNAUTHENTICATED"}
    assert await status_of(service.client, **WRONG) == 401


async def test_a_client_has_one_allowance_for_all_addresses_of_its_network() -> None:
    failed = FailedTokens()
    for number in range(FAILED_TOKENS):
        assert await failed.is_allowed(f"2001:db8:1:2::{number:x}")
    assert not await failed.is_allowed("2001:db8:1:2:ffff::1")
    for other in ("2001:db8:1:3::1", "192.0.2.7", "::ffff:192.0.2.8", "unknown"):
        assert await failed.is_allowed(other)


async def test_a_page_of_another_site_may_not_trigger(
    database: str, tmp_path: Path, add_source: AddSource
) -> None:
    await add_source("csv")
    friend = "https://dash.example.com"
    settings = Settings(
        home=tmp_path, database_url=database, scheduler_token=TOKEN, cors_origins=(friend,)
    )
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    async with running_service(settings) as service:
        # Without a token too: the response to another site's form does not mention it.
        for headers in (foreign, foreign | GOOD, {"Sec-Fetch-Site": "cross-site"} | GOOD):
            async with service.client.post("/trigger-etl", headers=headers) as response:
                assert response.status == 403
                assert "CORS_ORIGINS" in (await response.json())["detail"]
        assert (await error_of(service, TRIGGER, headers=foreign | GOOD))["extensions"] == {
            "code": "FORBIDDEN"
        }
        for headers in (
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "cross-site", "Origin": friend},
        ):
            assert await status_of(service.client, **headers, **GOOD) == 200
            assert "request" in (await ask(service, TRIGGER, headers=headers | GOOD))["triggerEtl"]


async def test_several_tokens_are_good_while_they_are_changed(
    database: str, tmp_path: Path, add_source: AddSource
) -> None:
    await add_source("csv")
    old, new = secrets.token_urlsafe(), secrets.token_urlsafe()
    (tmp_path / "scheduler_token").write_text(f"{new}\n{old}\n")
    for tokens in (f"{new}, {old}", None):
        settings = Settings(home=tmp_path, database_url=database, scheduler_token=tokens)
        async with running_service(settings) as service:
            tried = [
                await status_of(service.client, **{"X-Scheduler-Token": token})
                for token in (new, old)
            ]
            assert tried == [200, 200]
            for wrong in (f"{new}, {old}", f"{new},{old}", new + old, ","):
                assert await status_of(service.client, **{"X-Scheduler-Token": wrong}) == 401


async def test_the_right_token_never_uses_up_the_allowance(
    service: Service, add_source: AddSource
) -> None:
    await add_source("csv")
    for _ in range(FAILED_TOKENS + 2):
        async with service.client.post("/trigger-etl", headers=GOOD) as response:
            assert response.status == 200


async def test_a_trigger_before_any_source_is_set_up_says_so(service: Service) -> None:
    async with service.client.post("/trigger-etl", headers=GOOD) as response:
        assert response.status == 503
        assert await response.json() == {
            "detail": "No source is set up yet: the ingestor has not started"
        }


async def test_only_post_triggers(service: Service) -> None:
    async with service.client.get("/trigger-etl", headers=GOOD) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
