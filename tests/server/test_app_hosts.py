"""A page that uses DNS rebinding gets 421, for every path and method."""

import asyncio
import socket

import msgspec
import pytest

from common.settings import Settings
from server.middleware.hosts import Hosts
from tests.server.conftest import Service, running_service
from tests.server.handshakes import handshake

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "203.0.113.7",
]


@pytest.fixture
def service(unchanged_service: Service) -> Service:
    return unchanged_service


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize(
    "path", ["/", "/data", "/data/", "/graphql?query={__typename}", "/health/live", "/nothing"]
)
async def test_a_foreign_host_gets_nothing(service: Service, host: str, path: str) -> None:
    async with service.client.get(path, headers={"Host": host}, allow_redirects=False) as response:
        assert response.status == 421
        assert "ALLOWED_HOSTS" in (await response.json())["detail"]
        assert "Location" not in response.headers


@pytest.mark.parametrize("host", FOREIGN)
async def test_a_foreign_host_opens_no_websocket_not_even_from_its_own_page(
    service: Service, host: str
) -> None:
    status, reason = await handshake(service, Host=host, Origin=f"http://{host}")
    assert status == 421
    assert "ALLOWED_HOSTS" in reason


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LocalHost:8000", "localhost.", "[::1]:8000"]
)
async def test_the_own_names_are_answered(service: Service, host: str) -> None:
    async with service.client.get("/health/live", headers={"Host": host}) as response:
        assert response.status == 200
    assert (await handshake(service, Host=host))[0] == 101


async def test_allowed_hosts_adds_names(settings: Settings) -> None:
    named = msgspec.structs.replace(
        settings, allowed_hosts=("kasparro.example.com", "*.internal", "[2001:db8::7]")
    )
    async with running_service(named) as service:
        for host, status in {
            "kasparro.example.com": 200,
            "a.b.internal:8000": 200,
            "[2001:db8::7]": 200,
            "internal": 421,
            "evilinternal": 421,
            "other.example.com": 421,
        }.items():
            async with service.client.get("/data", headers={"Host": host}) as response:
                assert (host, response.status) == (host, status)
    async with (
        running_service(msgspec.structs.replace(settings, allowed_hosts=("*",))) as service,
        service.client.get("/data", headers={"Host": "anything.example"}) as response,
    ):
        assert response.status == 200


# The server of this test does not listen there.
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
async def test_who_listens_everywhere_answers_for_every_address_and_the_machines_name(
    settings: Settings, host: str
) -> None:
    async with running_service(msgspec.structs.replace(settings, host=host)) as service:
        for name in (
            "192.168.1.5:8000",
            "[fe80::1]",
            "localhost",
            socket.gethostname(),
            f"{socket.gethostname()}:80",
        ):
            async with service.client.get("/data", headers={"Host": name}) as response:
                assert (name, response.status) == (name, 200)
        async with service.client.get("/data", headers={"Host": "evil.example"}) as response:
            assert response.status == 421


def test_the_address_of_the_connection_is_one_of_ours_and_host_may_be_a_name(
    settings: Settings,
) -> None:
    hosts = Hosts(msgspec.structs.replace(settings, host="market.lan"))
    assert hosts.allows(b"market.lan:8000", "192.168.1.5")
    assert hosts.allows(b"192.168.1.5:8000", "192.168.1.5")
    assert not hosts.allows(b"192.168.1.6:8000", "192.168.1.5")


async def test_a_program_of_http_1_0_may_name_no_host(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
