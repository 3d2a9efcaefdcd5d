"""Limits of input: the size of the head, and time-outs of head, body and idle (RFC 9112)."""

import asyncio
import json

import msgspec
import pytest

from db.connect.types import Connection
from server.http import protocol as http_protocol
from server.http.head import MAX_FIELDS, MAX_HEAD_BYTES
from tests.server.conftest import AddCoin, Service, running_service
from tests.server.raw_http import TIMEOUT_SECONDS, answers, connect, exchange, split

GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LAST = GET + b"Connection: close\r\n\r\n"
POST = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def flood(service: Service, head: bytes, part: bytes) -> tuple[int, int]:
    """Send a part repeatedly; return the status of the response and the bytes sent before it."""
    reader, writer = await connect(service)
    sent = 0
    receiving = asyncio.create_task(reader.read())
    try:
        writer.write(head)
        while not receiving.done() and sent < 100 * MAX_HEAD_BYTES:
            writer.write(part)
            sent += len(part)
            await writer.drain()
            await asyncio.sleep(0)
    except ConnectionError:
        pass  # the server gave up on us
    async with asyncio.timeout(TIMEOUT_SECONDS):
        (answer,) = answers(await receiving)
    writer.close()
    return answer.status, sent


async def test_an_endless_head_is_refused(service: Service) -> None:
    for head, status in (
        (GET + b"X-Endless: ", 431),
        (GET + b"X-Endless", 431),
        (b"GET /", 414),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", 431),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;extension=", 431),
    ):
        found, sent = await flood(service, head, 10_000 * b"a")
        assert found == status
        assert sent < 50 * MAX_HEAD_BYTES


async def test_a_head_that_is_too_large_is_refused(service: Service) -> None:
    field = b"X-Long: " + (MAX_HEAD_BYTES - 200) * b"a" + b"\r\n"
    assert (await exchange(service, GET + field + b"Connection: close\r\n\r\n"))[0].status == 200
    for size in (1000, 1_000_000):
        head = GET + field + b"X-More: " + 300 * b"b" + b"\r\n\r\n"
        (answer,) = await exchange(service, *split(head, size))
        assert answer.status == 431
        assert f"{MAX_HEAD_BYTES:,} bytes" in json.loads(answer.body)["detail"]
        assert answer.headers["connection"] == "close"


async def test_a_head_with_too_many_fields_is_refused(service: Service) -> None:
    fields = (MAX_FIELDS - 2) * b"X: y\r\n"
    assert (await exchange(service, GET + fields + b"Connection: close\r\n\r\n"))[0].status == 200
    (answer,) = await exchange(service, GET + fields + b"X: y\r\nX: y\r\n\r\n")
    assert answer.status == 431
    assert f"{MAX_FIELDS} header fields" in json.loads(answer.body)["detail"]


async def test_what_takes_too_long_to_arrive_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.3)
    unfinished = POST + b"Content-Length: 100\r\n\r\n{"
    for part, word in (
        (b"GET /health/live HT", "head"),
        (GET, "head"),
        (unfinished, "body"),
        (LAST[:-1], "head"),
    ):
        for before in (b"", GET + b"\r\n"):
            found = await exchange(service, before, part)
            assert [answer.status for answer in found] == ([200, 408] if before else [408])
            assert word in json.loads(found[-1].body)["detail"]


async def test_a_body_that_drips_has_no_more_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.3)
    reader, writer = await connect(service)
    writer.write(POST + b"Content-Length: 100000\r\n\r\n")
    receiving = asyncio.create_task(reader.read())
    while not receiving.done():
        writer.write(b" ")
        await asyncio.sleep(0.02)
    (answer,) = answers(await receiving)
    assert answer.status == 408
    writer.close()


async def test_a_silent_connection_ends_without_an_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    assert await exchange(service) == []
    assert await exchange(service, b"\r\n\r\n") == []


async def test_an_idle_connection_ends_after_its_last_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 60)
    async with running_service(
        msgspec.structs.replace(service.state.settings, keep_alive_seconds=1)
    ) as quick:
        loop = asyncio.get_running_loop()
        started = loop.time()
        (answer,) = await exchange(quick, GET + b"\r\n")
        assert answer.status == 200
        assert 0.5 < loop.time() - started < 20


async def test_an_answer_that_takes_long_is_no_idle_connection(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is complete, so it has no deadline; nor has the one after it."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(http_protocol, name, 0.1)
    async with connection.transaction():
        await connection.execute("LOCK TABLE etl_runs IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(
            exchange(service, b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n", GET[:20])
        )
        await asyncio.sleep(0.5)
        assert not asking.done()
    found = await asking
    assert found[0].status == 200


async def test_a_refusal_waits_for_the_answers_before_it(service: Service) -> None:
    for broken in (
        b"nonsense\r\n\r\n",
        GET.replace(b"Host", b"Most") + b"\r\n",
        POST + b"Content-Length: x\r\n\r\n",
    ):
        found = await exchange(service, 3 * (GET + b"\r\n") + broken + LAST)
        assert [answer.status for answer in found] == [200, 200, 200, 400]
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense"
    found = await exchange(service, 3 * (GET + b"\r\n") + chunks + LAST)
    assert [answer.status for answer in found] == [200, 200, 200, 400]


async def test_many_requests_at_once_are_answered_in_their_order(service: Service) -> None:
    body = json.dumps({"query": "{ sources { name } }"}).encode()
    posted = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    other = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for size in (900, 1_000_000):
        found = await exchange(service, *split(400 * (GET + b"\r\n" + posted + other) + LAST, size))
        assert [answer.status for answer in found] == [*(400 * [200, 200, 404]), 200]


async def test_white_space_around_a_value_is_no_part_of_it(service: Service) -> None:
    fields = b"X-Request-ID: \t seen \t \r\nAccept:\t text/html\t\r\nConnection: close \t\r\n\r\n"
    (answer,) = await exchange(service, b"GET /docs HTTP/1.1\r\nHost:   localhost\t \r\n" + fields)
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "seen"


async def test_a_trailer_is_no_header(service: Service) -> None:
    body = json.dumps({"query": "{ sources { name } }"}).encode()
    chunked = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    sent = (
        POST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + chunked
        + b"X-Request-ID: smuggled\r\n\r\n"
        + LAST
    )
    found = await exchange(service, sent)
    assert [answer.status for answer in found] == [200, 200]
    assert found[0].headers["x-request-id"] != "smuggled"


async def test_host_is_checked(service: Service) -> None:
    def get(fields: bytes, version: bytes = b"1.1") -> bytes:
        return b"GET /health/live HTTP/%s\r\n%sConnection: close\r\n\r\n" % (version, fields)

    impossible = (
        "",
        " ",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "[::1",
        "::1",
        "[1:2]",
        "a:b",
        "a:99999",
        "a:1:2",
        "<x>",
        "a\\b",
    )
    for host in impossible:
        (answer,) = await exchange(service, get(b"Host: %s\r\n" % host.encode()))
        assert answer.status == 400, host
        assert "Host" in json.loads(answer.body)["detail"]
    for host, status in {
        **dict.fromkeys(("localhost", "localhost:8000", "127.0.0.1", "localhost:65535"), 200),
        # It is a valid name, but not one of this server.
        **dict.fromkeys(
            ("[2001:db8::1]", "[2001:db8::1]:80", "a-b.example.com.", "my_server:"), 421
        ),
    }.items():
        assert (await exchange(service, get(b"Host: %s\r\n" % host.encode())))[
            0
        ].status == status, host
    assert (await exchange(service, get(b"")))[0].status == 400
    assert (await exchange(service, get(b"Host: localhost\r\nHost: localhost\r\n")))[
        0
    ].status == 400
    assert (await exchange(service, get(b"Host: localhost\r\nhost: localhost\r\n", b"1.0")))[
        0
    ].status == 400
    assert (await exchange(service, get(b"", b"1.0")))[0].status == 200


async def test_http_1_0_gets_no_chunks(service: Service, add_coin: AddCoin) -> None:
    """An export has no length, so it ends with its connection."""
    for number in range(20):
        await add_coin(f"T{number}")
    for version in (b"1.1", b"1.0"):
        sent = (
            b"GET /data?format=ndjson HTTP/%s\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            % version
        )
        (answer,) = await exchange(service, sent)
        assert answer.status == 200
        assert ("transfer-encoding" in answer.headers) == (version == b"1.1")
        assert len(answer.body.splitlines()) == 20
    (answer,) = await exchange(service, LAST.replace(b"1.1", b"1.0"))
    assert answer.headers["content-length"] == str(len(answer.body))
    expecting = (
        POST.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert [answer.status for answer in await exchange(service, expecting)] == [400]
