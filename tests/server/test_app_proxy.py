"""A reverse proxy: its path prefix, its clients, its scheme and host, and pages of its origin."""

import asyncio
import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.settings import Settings
from server.http.client_address import Proxies, client_address
from server.middleware.origin import parse_origin
from tests.server.conftest import TOKEN, Service, running_service
from tests.server.handshakes import handshake

PREFIX = "/tools/kasparro"


@pytest.fixture
async def prefixed(settings: Settings) -> AsyncIterator[Service]:
    async with running_service(msgspec.structs.replace(settings, root_path=PREFIX)) as service:
        yield service


@pytest.mark.parametrize("stripped", [False, True])
async def test_below_a_prefix_everything_answers_whether_the_proxy_strips_it_or_not(
    prefixed: Service, *, stripped: bool
) -> None:
    base = "" if stripped else PREFIX
    for path in (
        "/",
        "/data",
        "/stats",
        "/openapi.json",
        "/docs",
        "/static/pages/docs.js",
        "/health/live",
    ):
        async with prefixed.client.get(base + path) as response:
            assert response.status == 200, path
    async with prefixed.client.post(
        f"{base}/graphql", json={"query": "{ __typename }"}
    ) as response:
        assert await response.json() == {"data": {"__typename": "Query"}}
    assert (await handshake(prefixed, f"{base}/graphql"))[0] == 101
    async with prefixed.client.post(
        f"{base}/trigger-etl", headers={"X-Scheduler-Token": TOKEN}
    ) as response:
        assert response.status == 503  # no source is set up: the route is there


async def test_links_redirects_and_the_document_carry_the_prefix(prefixed: Service) -> None:
    endpoints = (await prefixed.get("/"))["endpoints"]
    assert all(path.startswith(f"{PREFIX}/") for path in endpoints.values())
    assert (await prefixed.get("/openapi.json"))["servers"] == [{"url": PREFIX}]
    for base in ("", PREFIX):
        async with prefixed.client.get(f"{base}/data/?limit=1", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (
                307,
                f"{PREFIX}/data?limit=1",
            )
    async with prefixed.client.get(PREFIX) as response:
        assert (await response.json())["endpoints"] == endpoints
    for path in ("/tools", "/tools/kasparroX/data", f"{PREFIX}{PREFIX}/data"):
        async with prefixed.client.get(path) as response:
            assert response.status == 404, path


async def test_a_redirect_names_no_host_and_leads_nowhere_else(service: Service) -> None:
    async with service.client.get("/health/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (307, "/health")
    for path in ("//evil.example/", "/nothing/", "/data//evil.example/"):
        async with service.client.get(f"{service.url}{path}", allow_redirects=False) as response:
            assert response.status == 404, path


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost", "localhost", 101),
        ("http://localhost", "localhost:80", 101),
        ("http://LOCALHOST:80", "localhost", 101),
        ("http://localhost:8000", "localhost:8000", 101),
        ("http://localhost:8001", "localhost:8000", 403),
        ("http://localhost", "localhost:8000", 403),
        ("https://localhost", "localhost", 403),  # the scheme is a part of the origin
        ("https://localhost:80", "localhost", 403),
        ("ftp://localhost", "localhost", 403),
        ("http://[", "localhost", 403),
        ("http://[::1]:8000", "[::1]:8000", 101),
        ("http://user@localhost", "localhost", 403),
        ("http://localhost/", "localhost", 403),
        ("http://localhost:99999999", "localhost", 403),
        ("null", "localhost", 403),
    ],
)
async def test_the_same_origin_is_scheme_host_and_port(
    service: Service, origin: str, host: str, status: int
) -> None:
    found, reason = await handshake(service, Origin=origin, Host=host)
    assert found == status
    assert found == 101 or ("CORS_ORIGINS" in reason and "FORWARDED_ALLOW_IPS" in reason)


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_trusted_proxys_scheme_and_host_make_the_own_origin(
    settings: Settings, *, trusted: bool
) -> None:
    networks = ("127.0.0.0/8",) if trusted else ("192.0.2.1/32",)
    behind = msgspec.structs.replace(
        settings, forwarded_allow_ips=networks, allowed_hosts=("kasparro.example",)
    )
    async with running_service(behind) as service:
        status, _ = await handshake(
            service,
            Origin="https://kasparro.example",
            X_Forwarded_Proto="https",
            X_Forwarded_Host="evil.example, kasparro.example",
        )
        assert status == (101 if trusted else 403)
        # ALLOWED_HOSTS applies to the host of the proxy too.
        status, _ = await handshake(service, X_Forwarded_Host="evil.example")
        assert status == (421 if trusted else 101)


def test_the_client_is_the_last_address_that_no_trusted_proxy_has() -> None:
    proxies = Proxies(["10.0.0.0/8", "2001:db8::/32"])
    assert proxies.trusts("10.1.2.3")
    assert proxies.trusts("::ffff:10.1.2.3")
    assert not proxies.trusts("192.0.2.1")
    assert not proxies.trusts("testclient")
    for given, client in {
        "203.0.113.7": "203.0.113.7",
        "1.1.1.1, 203.0.113.7": "203.0.113.7",
        "1.1.1.1, 203.0.113.7, 10.0.0.2": "203.0.113.7",
        "203.0.113.7:51000": "203.0.113.7",
        "[2a00::7]:443, 2001:db8::1": "2a00::7",
        "10.0.0.3": "10.0.0.3",
        "1.1.1.1, unknown": None,
        "1.1.1.1, x, 10.0.0.2": "10.0.0.2",
        "": None,
    }.items():
        assert proxies.client_behind(given) == client, given


def test_one_client_is_one_address_or_one_ipv6_network() -> None:
    for host, client in {
        "203.0.113.7": "203.0.113.7",
        "::ffff:203.0.113.7": "203.0.113.7",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
        "fe80::1%eth0": "fe80::/64",
    }.items():
        assert client_address({"client": (host, 1)}) == client
    assert client_address({"client": None}) == ""


@pytest.mark.parametrize("trusted", [False, True])
async def test_only_a_named_proxy_tells_who_the_client_is(
    settings: Settings, *, trusted: bool
) -> None:
    """Two clients behind a trusted proxy have a slot each; without trust both are the proxy."""
    networks = ("127.0.0.1/32",) if trusted else ()
    one_each = msgspec.structs.replace(
        settings, forwarded_allow_ips=networks, live_connections_per_client=1
    )
    async with running_service(one_each) as service:
        protocols = ["graphql-transport-ws"]
        first = {"X-Forwarded-For": "203.0.113.7"}
        async with service.client.ws_connect("/graphql", protocols=protocols, headers=first):
            assert (await handshake(service, X_Forwarded_For="203.0.113.8"))[0] == (
                101 if trusted else 503
            )
            # Entries of the client before that of the proxy are ignored.
            assert (await handshake(service, X_Forwarded_For="203.0.113.9, 203.0.113.7"))[0] == 503


async def test_an_idle_connection_stays_open_for_the_time_that_is_set(settings: Settings) -> None:
    async with running_service(msgspec.structs.replace(settings, keep_alive_seconds=1)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(2):
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head
            await reader.readexactly(len(json.dumps({"status": "alive"}, separators=(",", ":"))))
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_an_allowed_page_may_send_headers_of_its_own(settings: Settings) -> None:
    friend = "https://dash.example.com"
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "apollo-require-preflight,x-a",
    }
    async with running_service(
        msgspec.structs.replace(settings, cors_origins=(friend,))
    ) as service:
        async with service.client.options(
            "/graphql", headers={"Origin": friend, **preflight}
        ) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == friend
            assert (
                response.headers["Access-Control-Allow-Headers"] == "apollo-require-preflight,x-a"
            )
        async with service.client.options(
            "/graphql", headers={"Origin": "https://evil.example", **preflight}
        ) as response:
            assert response.status == 400
            assert "Access-Control-Allow-Origin" not in response.headers


def test_an_origin_is_written_as_a_browser_writes_it() -> None:
    assert str(parse_origin("HTTPS://Dash.Example.com:443")) == "https://dash.example.com"
    assert str(parse_origin("http://[::1]:8000")) == "http://[::1]:8000"
