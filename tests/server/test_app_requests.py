"""Every request: its id, headers, limit of the body, JSON response, line in the log."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import asyncpg
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from common.settings import Settings
from db.connect.pool import Connection, connect
from db.schema.migrate import migrate
from server.middleware.body_limit import MAX_BODY_BYTES
from server.middleware.requests import RequestLog
from server.rest.responses import ERROR_HANDLERS
from server.state import POOL_SIZE
from tests.conftest import StartProgram
from tests.server.conftest import TOKEN, AddSource, Service, running_service


async def test_a_request_id_is_in_the_answer_and_a_well_formed_one_is_kept(
    service: Service,
) -> None:
    async with service.client.get("/data") as response:
        assert response.headers["X-Request-ID"] == (await response.json())["meta"]["request_id"]
    async with service.client.get("/data", headers={"X-Request-ID": "trace-7.a_B"}) as response:
        assert response.headers["X-Request-ID"] == "trace-7.a_B"
        assert (await response.json())["meta"]["request_id"] == "trace-7.a_B"
    for malformed in ("", "a b", "x" * 65, '"><script>', "-leading"):
        async with service.client.get("/health", headers={"X-Request-ID": malformed}) as response:
            assert re.fullmatch(r"req-[0-9a-f]{12}", response.headers["X-Request-ID"])


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/graphql", "/data", "/nothing", "/static/pages/docs.js"]
)
async def test_every_answer_tells_a_browser_to_trust_only_us(service: Service, path: str) -> None:
    async with service.client.get(path, headers={"Accept": "text/html"}) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_unknown_paths_and_methods_are_refused_in_json(service: Service) -> None:
    assert await service.get("/nothing", 404) == {"detail": "Not Found"}
    async with service.client.post("/data") as response:
        assert response.status == 405
        assert await response.json() == {"detail": "Method Not Allowed"}
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live", "/data", "/stats", "/openapi.json", "/docs"]
)
async def test_head_is_get_without_a_body(service: Service, path: str) -> None:
    async with service.client.head(path) as head, service.client.get(path) as get:
        assert head.status == get.status
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert await head.read() == b""


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(service: Service) -> None:
    async with service.client.post("/graphql", data=b"x" * (MAX_BODY_BYTES + 1)) as response:
        assert response.status == 413
        assert "detail" in await response.json()


async def test_a_body_without_a_length_is_counted_while_it_arrives(service: Service) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65536
            yield b"x" * 65536

    try:
        async with service.client.post(
            "/graphql", data=endless(), headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the server has answered and hung up while we were still sending
    assert sent < 50 * MAX_BODY_BYTES


async def test_who_waits_too_long_for_a_connection_is_told_to_come_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            await stack.enter_async_context(service.state.pool.acquire())
        with monkeypatch.context() as patched:
            patched.setattr("server.deadline.ACQUIRE_SECONDS", 0.01)
            response = await service.client.get("/data")
        async with response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert "took too long" in (await response.json())["detail"]
        # A busy database is not unavailable.
        assert (await service.get("/health"))["database"] == "connected"
        assert (await service.get("/health/ready", 503))["database"] == "connected"


async def _answer_to(error: Exception) -> tuple[int, bytes]:
    """Return status and body of the response to a request that raises `error`."""

    async def fail(_: Request) -> Response:
        raise error

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    app = Starlette(
        routes=[Route("/", fail)],
        middleware=[Middleware(RequestLog)],
        exception_handlers=dict(ERROR_HANDLERS),
    )
    await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_what_asyncpg_says_while_a_server_restarts_is_503_and_a_mistake_of_ours_500() -> None:
    for error in (
        asyncpg.InternalClientError(
            "cannot switch to state 12; another operation (2) is in progress"
        ),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    ):
        status, body = await _answer_to(error)
        assert status == 503
        assert b"out of reach" in body
    for mistake in (
        asyncpg.DataError("an integer is required"),
        asyncpg.InternalClientError("unknown protocol state"),
    ):
        assert (await _answer_to(mistake))[0] == 500


async def test_a_replica_is_read_and_the_primary_is_written(
    empty_database: str, settings: Settings, add_source: AddSource, connection: Connection
) -> None:
    await migrate(empty_database)
    replica = await connect(empty_database)
    await replica.execute(
        "INSERT INTO etl_runs (source, started_at, finished_at, status) VALUES "
        "('far', now(), now(), 'success')"
    )
    await replica.close()
    await add_source("csv")
    both = msgspec.structs.replace(settings, read_database_url=empty_database)
    async with running_service(both) as service:
        assert (await service.get("/stats"))["last_success"]["source"] == "far"
        async with service.client.post(
            "/trigger-etl", headers={"X-Scheduler-Token": TOKEN}
        ) as response:
            assert response.status == 200
    assert await connection.fetchval("SELECT count(*) FROM etl_requests") == 1


async def test_other_origins_get_nothing_unless_the_settings_name_them(
    database: str, settings: Settings
) -> None:
    friend = "https://dash.example.com"
    async with (
        running_service(settings) as service,
        service.client.get("/data", headers={"Origin": friend}) as response,
    ):
        assert "Access-Control-Allow-Origin" not in response.headers
    named = Settings(
        home=settings.home, database_url=database, scheduler_token=TOKEN, cors_origins=(friend,)
    )
    async with running_service(named) as service:
        async with service.client.get("/data", headers={"Origin": friend}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == friend
            shown = response.headers["Access-Control-Expose-Headers"].split(", ")
            assert set(shown) == {"ETag", "X-Request-ID", "Retry-After", "Content-Disposition"}
        async with service.client.get(
            "/data", headers={"Origin": "https://evil.example.com"}
        ) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        preflight = {
            "Origin": friend,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-scheduler-token",
        }
        async with service.client.options("/trigger-etl", headers=preflight) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == friend
        assert await _websocket_status(service, friend) == 101
        assert await _websocket_status(service, "https://evil.example.com") == 403


async def _websocket_status(service: Service, origin: str | None) -> int:
    headers = {} if origin is None else {"Origin": origin}
    try:
        async with service.client.ws_connect(
            "/graphql", headers=headers, protocols=["graphql-transport-ws"]
        ):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


async def test_a_websocket_opens_only_for_programs_and_our_own_pages(service: Service) -> None:
    assert await _websocket_status(service, None) == 101
    assert await _websocket_status(service, service.url) == 101
    for foreign in (
        "https://evil.example.com",
        "null",
        service.url.replace("127.0.0.1", "localhost"),
        "",
    ):
        assert await _websocket_status(service, foreign) == 403


async def test_the_log_has_a_line_for_each_request_and_no_secret(
    database: str, settings: Settings, start_program: StartProgram, unused_tcp_port: int
) -> None:
    program = start_program(
        "-m",
        "server",
        DATABASE_URL=database,
        KASPARRO_HOME=str(settings.home),
        PORT=str(unused_tcp_port),
        SCHEDULER_TOKEN=TOKEN,
        LOG_FORMAT="json",
    )
    url = (await program.wait_for(r"Listening at (\S+)\n"))[1]
    async with aiohttp.ClientSession(url) as client:
        sent = {"X-Scheduler-Token": TOKEN, "X-Request-ID": "seen-in-the-log"}
        async with client.post("/trigger-etl?token=query-secret", headers=sent) as response:
            assert response.status == 503
        async with client.get("/data%0Aforged") as response:
            assert response.status == 404
    assert await program.stop() == 0
    lines = [json.loads(line) for line in program.text().splitlines() if line.startswith("{")]
    found = {line["path"]: line for line in lines if line.get("event") == "request"}
    assert found["/trigger-etl"]["request_id"] == "seen-in-the-log"
    assert found["/trigger-etl"]["method"] == "POST"
    assert found["/trigger-etl"]["status"] == 503
    assert found["/trigger-etl"]["ms"] > 0
    assert "/data%0Aforged" in found
    assert TOKEN not in program.text()
    assert "query-secret" not in program.text()
