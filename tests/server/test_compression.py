"""Content codings: the same bytes when decoded, and an entity tag for each coding."""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
import brotli
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

import server.http.compression
import server.pages
from common.settings import Settings
from db.connect.pool import Connection, connect
from db.events import add_coins_event, notify_events
from server.http.compression import (
    FILE_CODINGS,
    MAX_BYTES_ON_LOOP,
    MIN_BYTES,
    RESPONSE_CODINGS,
    encode,
)
from server.middleware.compression import Compression
from tests.conftest import migrated_database
from tests.server.conftest import (
    NOW,
    AddCoin,
    Service,
    insert_coin,
    running_service,
    settings_of,
)
from tests.server.test_response_cache import until_version_changes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNPACK = {"zstd": zstd.decompress, "br": brotli.decompress, "gzip": gzip.decompress}
CODINGS = [*UNPACK, None]
COINS = "{ coins(first: 40) { nodes { ticker name priceUsd } } }"
SCHEMA = "{ __schema { types { name description fields { name description } } } }"
HTML = "text/html"
PATHS = [
    "/data",
    "/openapi.json",
    "/static/swagger/swagger-ui.css",
    "/static/pages/explorer.js",
    f"/graphql?query={COINS}",
    f"/graphql?query={SCHEMA}",  # not compiled
]


class EncodedResponse(NamedTuple):
    """A response before it is decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def plain(self) -> bytes:
        coding = self.headers.get("Content-Encoding")
        return self.body if coding is None else UNPACK[coding](self.body)


@pytest.fixture(scope="module")
async def coins_service(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One server for all tests that only read its 50 coins."""
    async with migrated_database(server_dsn, template) as database:
        connection = await connect(database, application_name="test")
        for number in range(50):
            await insert_coin(connection, f"COIN{number}", market_cap_usd=str(1_000_000 - number))
        await connection.close()
        async with running_service(settings_of(database, tmp_path_factory.mktemp("home"))) as made:
            yield made


@pytest.fixture
async def raw(coins_service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that sends no Accept-Encoding by default, and decodes nothing."""
    async with aiohttp.ClientSession(
        coins_service.url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]
    ) as client:
        yield client


@pytest.fixture
async def _coins(add_coin: AddCoin) -> None:
    for number in range(50):
        await add_coin(f"COIN{number}", market_cap_usd=str(1_000_000 - number))


async def ask(
    client: aiohttp.ClientSession, path: str, coding: str | None, **headers: str
) -> EncodedResponse:
    given = headers if coding is None else {"Accept-Encoding": coding, **headers}
    async with client.get(path, headers=given) as response:
        return EncodedResponse(response.status, response.headers, await response.read())


@pytest.mark.parametrize("coding", UNPACK)
@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_comes_in_every_coding(
    raw: aiohttp.ClientSession, path: str, coding: str
) -> None:
    plain, packed = await ask(raw, path, None), await ask(raw, path, coding)
    assert (plain.status, packed.status) == (200, 200)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == coding
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert int(packed.headers["Content-Length"]) == len(packed.body) < len(plain.body) * 2 / 3
    for sent in (plain, packed):
        assert sent.headers["Vary"].split(", ").count("Accept-Encoding") == 1
    if path == "/data":  # its meta tells of the request
        assert (
            msgspec.json.decode(packed.plain())["data"] == msgspec.json.decode(plain.body)["data"]
        )
    else:
        assert packed.plain() == plain.body


@pytest.mark.parametrize("query", [COINS, SCHEMA], ids=["compiled", "executed"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_posted_query_is_answered_in_every_coding(
    raw: aiohttp.ClientSession, query: str, coding: str | None
) -> None:
    async with raw.post("/graphql", json={"query": query}) as response:
        plain = await response.read()
    headers = {} if coding is None else {"Accept-Encoding": coding}
    async with raw.post("/graphql", json={"query": query}, headers=headers) as response:
        sent = EncodedResponse(response.status, response.headers, await response.read())
    assert sent.headers.get("Content-Encoding") == coding
    assert coding is None or "Accept-Encoding" in sent.headers["Vary"]
    assert sent.plain() == plain


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("path", ["/data", "/static/pages/pages.css", f"/graphql?query={COINS}"])
async def test_weights_are_heeded(
    raw: aiohttp.ClientSession, path: str, accepted: str, coding: str | None
) -> None:
    assert (await ask(raw, path, accepted)).headers.get("Content-Encoding") == coding


@pytest.mark.parametrize(
    "path", ["/data", "/stats", "/docs", "/dashboard", "/graphql", *PATHS[2:5]]
)
async def test_each_coding_is_revalidated_by_its_own_tag(
    raw: aiohttp.ClientSession, path: str
) -> None:
    accept = "text/html" if path == "/graphql" else "*/*"
    tags: dict[str | None, str] = {}
    bodies: dict[
        str, bytes
    ] = {}  # a strong tag is of these bytes and no others (RFC 9110, section 8.8.3.3)
    for coding in CODINGS:
        sent = await ask(raw, path, coding, Accept=accept)
        tags[coding] = sent.headers["ETag"]
        again = await ask(raw, path, coding, Accept=accept, **{"If-None-Match": tags[coding]})
        assert (again.status, again.body) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control"):
            assert again.headers[name] == sent.headers[name]
        assert "Content-Encoding" not in again.headers
        assert (
            tags[coding].startswith("W/") or bodies.setdefault(tags[coding], sent.body) == sent.body
        )


async def test_neither_small_answers_nor_streams_are_compressed(raw: aiohttp.ClientSession) -> None:
    small = await ask(raw, "/graphql?query={__typename}", "zstd, br, gzip")
    assert len(small.body) < MIN_BYTES
    assert "Content-Encoding" not in small.headers
    assert "Content-Encoding" not in (await ask(raw, "/health/live", "gzip")).headers
    export = await ask(raw, "/data?format=csv", "gzip")
    assert len(export.body) > MIN_BYTES
    assert "Content-Encoding" not in export.headers
    assert b"COIN49" in export.body
    stream = await ask(raw, f"/graphql?query={COINS}", "gzip", Accept="text/event-stream")
    assert "Content-Encoding" not in stream.headers
    assert b"event: complete" in stream.body


@pytest.mark.parametrize(
    "path", ["/static/pages/explorer.js", "/static/swagger/swagger-ui-bundle.js", "/openapi.json"]
)
async def test_head_says_what_get_would(raw: aiohttp.ClientSession, path: str) -> None:
    sent = await ask(raw, path, "br")
    async with raw.head(path, headers={"Accept-Encoding": "br"}) as response:
        assert await response.read() == b""
        for name in ("Content-Length", "Content-Encoding", "Content-Type", "Vary"):
            assert response.headers[name] == sent.headers[name]


@pytest.mark.parametrize("coding", UNPACK)
async def test_a_long_body_is_compressed_in_a_thread_to_the_same(coding: str) -> None:
    body = b"0123456789abcdef" * (MAX_BYTES_ON_LOOP // 16 + 1)
    written, found = await encode(body, coding)
    assert found == coding
    assert written == RESPONSE_CODINGS[coding](body)
    assert UNPACK[coding](written) == body


@pytest.mark.usefixtures("_coins")
async def test_a_kept_answer_is_compressed_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    compressed: list[int] = []

    def counting(body: bytes) -> bytes:
        compressed.append(len(body))
        return gzip.compress(body, mtime=0)

    monkeypatch.setattr(
        server.http.compression, "RESPONSE_CODINGS", {**RESPONSE_CODINGS, "gzip": counting}
    )
    # A response is cached until its minute is over, which must not happen during a test.
    monkeypatch.setattr("server.compiler.fast_path.end_of_minute", lambda: NOW)
    keeping = msgspec.structs.replace(settings, response_cache_bytes=1_000_000)
    async with running_service(keeping) as service:
        for _ in range(3):
            async with service.client.post(
                "/graphql", json={"query": COINS}, headers={"Accept-Encoding": "gzip"}
            ) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                assert len((await response.json())["data"]["coins"]["nodes"]) == 40
        assert len(compressed) == 1
        before = service.state.data_version
        async with connection.transaction():
            await connection.execute("UPDATE normalized_records SET name = 'Another'")
            await add_coins_event(connection, ["COIN1"], NOW)
            await notify_events(connection)
        await until_version_changes(service, before)
        async with service.client.post(
            "/graphql", json={"query": COINS}, headers={"Accept-Encoding": "gzip"}
        ) as response:
            assert (await response.json())["data"]["coins"]["nodes"][0]["name"] == "Another"
        assert len(compressed) == 2


async def test_a_file_is_compressed_once_and_again_when_it_changes(
    raw: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs.html").write_text("old" * MIN_BYTES, encoding="ascii")
    monkeypatch.setattr(server.pages, "FILES", tmp_path)
    compressed: list[bytes] = []

    def counting(body: bytes) -> bytes:
        compressed.append(body)
        return gzip.compress(body, mtime=0)

    monkeypatch.setattr(
        "server.pages.file_response.FILE_CODINGS", {**FILE_CODINGS, "gzip": counting}
    )
    first = await ask(raw, "/docs", "gzip")
    assert (await ask(raw, "/docs", "gzip")).body == first.body
    assert len(compressed) == 1
    (tmp_path / "docs.html").write_text("newer" * MIN_BYTES, encoding="ascii")
    second = await ask(raw, "/docs", "gzip", **{"If-None-Match": first.headers["ETag"]})
    assert (second.status, second.plain()) == (200, b"newer" * MIN_BYTES)


async def test_a_strong_tag_of_other_bytes_becomes_weak_and_a_stream_begins_at_once() -> None:
    """No route has such a response yet."""
    gate = asyncio.Event()

    async def whole(_: Request) -> Response:
        return Response(
            b"x" * MIN_BYTES, headers={"ETag": '"x"', "Vary": "Accept"}, media_type="text/plain"
        )

    async def parts() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"x" * MIN_BYTES

    async def stream(_: Request) -> Response:
        return StreamingResponse(parts(), media_type="text/event-stream")

    app = Compression(Starlette(routes=[Route("/whole", whole), Route("/stream", stream)]))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        gate.set()

    for path in ("/whole", "/stream"):
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "headers": [(b"accept-encoding", b"gzip")],
        }
        await app({**scope, "query_string": b"", "app": app}, asyncio.Event().wait, send)  # type: ignore[arg-type]  # a client that stays
    whole_headers, stream_headers = (
        Headers(raw=m["headers"]) for m in sent if m["type"] == "http.response.start"
    )
    assert (whole_headers["etag"], whole_headers["vary"]) == ('W/"x"', "Accept, Accept-Encoding")
    assert whole_headers["content-encoding"] == "gzip"
    assert "content-encoding" not in stream_headers
