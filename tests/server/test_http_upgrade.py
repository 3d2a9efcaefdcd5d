"""An Upgrade that the server ignores (RFC 9110, 7.8; RFC 9112, 6.3)."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.live.raw import HANDSHAKE, INIT, raw_client
from tests.server.conftest import Service
from tests.server.raw_http import Answer, connect, exchange, split

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
QUERY = json.dumps({"query": "{ sources { name } }"}).encode()
LAST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(body: bytes, fields: bytes = H2C, version: bytes = b"1.1") -> bytes:
    head = (
        b"POST /graphql HTTP/%s\r\nHost: localhost\r\nContent-Type: "
        b"application/json\r\nContent-Length: %d\r\n%s\r\n"
    )
    return head % (version, len(body), fields) + body


def statuses(found: list[Answer]) -> list[int]:
    return [answer.status for answer in found]


async def test_a_body_with_an_upgrade_is_the_request_s_own(service: Service) -> None:
    alive = await service.get("/health/live")
    for size in (1, 7, 64, 100_000):
        found = await exchange(service, *split(post(QUERY) + LAST, size))
        assert statuses(found) == [200, 200]
        assert json.loads(found[0].body) == {"data": {"sources": []}}
        assert json.loads(found[1].body) == alive


async def test_a_chunked_body_with_an_upgrade_is_read(service: Service) -> None:
    plain = post(QUERY)
    chunked = plain.partition(b"\r\n\r\n")[0].replace(
        b"Content-Length: %d" % len(QUERY), b"Transfer-Encoding: chunked"
    )
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in split(QUERY, 5)) + b"0\r\n\r\n"
    found = await exchange(service, chunked + b"\r\n\r\n" + body + LAST)
    assert statuses(found) == [200, 200]
    assert json.loads(found[0].body) == {"data": {"sources": []}}


async def test_a_body_with_an_upgrade_is_never_a_request(service: Service) -> None:
    for upgrade in (b"h2c", b"websocket", b"WebSocket, h2c", b"TLS/1.0", b"nonsense"):
        fields = b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
        for size in (11, 100_000):
            found = await exchange(service, *split(post(SMUGGLED, fields) + LAST, size))
            assert statuses(found) == [400, 200]
            assert b"cannot be read as JSON" in found[0].body


async def test_requests_with_an_upgrade_are_answered_in_their_order(service: Service) -> None:
    plain = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    upgrading = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % H2C
    found = await exchange(
        service, plain + upgrading + post(QUERY) + plain + 300 * upgrading + LAST
    )
    assert statuses(found) == [404, 200, 200, 404, *(300 * [200]), 200]


async def test_http_1_0_has_no_upgrade(service: Service) -> None:
    found = await exchange(service, HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0") + SMUGGLED)
    assert len(found) == 1
    assert found[0].status == 400
    assert b"has no" in found[0].body


async def test_a_handshake_with_a_body_is_refused(service: Service) -> None:
    for length in (b"Content-Length: 36\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n24\r\n"):
        (answer,) = await exchange(service, HANDSHAKE.removesuffix(b"\r\n") + length + SMUGGLED)
        assert answer.status == 400
        assert "no body" in json.loads(answer.body)["detail"]


async def test_a_handshake_with_a_body_of_no_bytes_opens(service: Service) -> None:
    reader, writer = await connect(service)
    writer.write(HANDSHAKE.removesuffix(b"\r\n") + b"Content-Length: 0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    writer.close()


async def test_what_comes_with_the_handshake_is_read(service: Service) -> None:
    async with raw_client(service) as client:
        await client.say(HANDSHAKE + INIT)
        await client.shake_hands(said=True)
        assert json.loads(await client.frame()) == {"type": "connection_ack"}


async def test_what_follows_a_handshake_is_never_a_request(service: Service) -> None:
    reader, writer = await connect(service)
    writer.write(HANDSHAKE + SMUGGLED)
    received = await reader.read()
    assert received.startswith(b"HTTP/1.1 101")
    assert received.count(b"HTTP/1.1") == 1
    writer.close()


async def test_a_broken_handshake_is_answered(service: Service) -> None:
    longer = b"Cookie: " + 9_000 * b"c" + b"\r\n\r\n"
    for broken, status in (
        (HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 99"), 400),
        (HANDSHAKE.removesuffix(b"\r\n") + longer, 431),
        (HANDSHAKE.replace(b"/graphql", b"/" + 9_000 * b"g"), 414),
        (HANDSHAKE.replace(b"Host: localhost\r\n", b""), 400),
        (HANDSHAKE.replace(b"Host: localhost", b"Host: a b"), 400),
    ):
        assert statuses(await exchange(service, broken)) == [status]


async def test_a_handshake_behind_a_request_waits_for_nothing(service: Service) -> None:
    """The server ignores its Upgrade; both requests are answered in their order."""
    found = await exchange(service, SMUGGLED + HANDSHAKE + LAST)
    assert statuses(found) == [404, 400, 200]


async def test_connect_is_refused(service: Service) -> None:
    connect_to = b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n"
    found = await exchange(service, SMUGGLED + connect_to + LAST)
    assert statuses(found) == [404, 501]


async def _output(*command: str, cwd: Path | None = None) -> str:
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def _speaks_http2(curl: str | None) -> bool:
    return curl is not None and "HTTP2" in await _output(curl, "--version")


async def test_curl_that_offers_http2_gets_its_answer(service: Service) -> None:
    curl = shutil.which("curl")
    if curl is None or not await _speaks_http2(curl):
        assert "CI" not in os.environ, "curl with HTTP/2 is missing"
        pytest.skip("curl with HTTP/2 is not on this machine")
    url, json_type = service.url + "/graphql", "Content-Type: application/json"
    common = [curl, "--silent", "--show-error", "--fail", "--http2", "--max-time", "20"]
    common += ["--write-out", " %{http_version}"]
    body, longer = QUERY.decode(), json.dumps({"query": "{ sources { name } }" + " " * 40_000})
    for sent in (body, longer):
        said = await _output(*common, "-H", json_type, "--data-binary", sent, url)
        assert said == '{"data":{"sources":[]}} 1.1'
    assert (await _output(*common, service.url + "/health/live")).endswith(" 1.1")


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Client {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int turn = 0; turn < 3; turn++) {
            var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(arguments[1])).build();
            var response = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.body());
        }
    }
}
"""


async def test_the_jdk_s_client_gets_its_answer(service: Service, tmp_path: Path) -> None:
    """It offers HTTP/2 with each request over a plain connection, unless configured otherwise."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("a JDK is not on this machine")
    (tmp_path / "Client.java").write_text(JAVA)
    said = await _output(
        java, "Client.java", service.url + "/graphql", QUERY.decode(), cwd=tmp_path
    )
    assert said.splitlines() == 3 * ['200 {"data":{"sources":[]}}']
