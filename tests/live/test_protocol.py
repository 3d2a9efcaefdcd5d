"""graphql-transport-ws in detail, and the time-outs and limits of a client."""

import asyncio
import json

import aiohttp
import msgspec
import pytest

from common.settings import Settings
from db.connect.types import Connection
from server.graphql.transport import websocket
from server.graphql.transport.framings import ServerSentEvents
from server.graphql.transport.websocket import MAX_OPERATIONS
from server.live.cursor import CursorExpiredError
from tests.server.conftest import Service, running_service
from tests.server.graphql_live import TIMEOUT_SECONDS, Socket, change_coins, connected
from tests.server.graphql_rows import Rows

COINS = "subscription { coinUpdates { cursor } }"


async def gone(service: Service) -> None:
    """Wait until the server has no state of any client."""
    hub = service.state.hub
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while hub.connections.count or hub.subscriptions.count or hub.subscriber_count:
            await asyncio.sleep(0.01)
    assert hub.group_count == 0


async def test_who_says_nothing_is_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.05)
    async with service.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as opened:
        socket = Socket(opened)
        # A ping does not initialise the connection.
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        assert await socket.closed() == (4408, "Connection initialisation timeout")
    await gone(service)


async def test_who_does_nothing_is_closed_and_who_follows_is_not(
    service: Service, monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    monkeypatch.setattr(websocket, "IDLE_SECONDS", 0.2)
    async with connected(service) as idle, connected(service) as following:
        await following.subscribe(COINS)
        assert await idle.closed() == (1000, "Idle")
        await following.send(type="ping")
        assert await following.receive() == {"type": "pong"}
        await change_coins(connection, "BTC")
        assert await following.next()
        await following.send(id="1", type="complete")
        assert await following.closed() == (1000, "Idle")
    await gone(service)


async def test_a_second_greeting_closes(service: Service) -> None:
    async with connected(service) as socket:
        await socket.send(type="connection_init")
        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_nothing_runs_before_the_greeting(service: Service) -> None:
    async with service.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as opened:
        socket = Socket(opened)
        await socket.subscribe("{ sources { name } }")
        assert await socket.closed() == (4401, "Unauthorized")


async def test_an_id_is_for_one_operation_at_a_time(service: Service) -> None:
    async with connected(service) as socket:
        await socket.subscribe(COINS, number="a")
        await socket.subscribe(COINS, number="b")
        await socket.send(id="a", type="complete")
        await socket.subscribe(COINS, number="a")
        await socket.send(type="ping", payload={"n": 1})
        assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
        await socket.subscribe(COINS, number="b")
        assert await socket.closed() == (4409, "Subscriber for b already exists")
    await gone(service)


async def test_an_id_that_is_too_long_for_a_reason_still_closes(service: Service) -> None:
    number = "ü" * 200
    async with connected(service) as socket:
        await socket.subscribe(COINS, number=number)
        await socket.subscribe(COINS, number=number)
        code, reason = await socket.closed()
        assert code == 4409
        assert reason.startswith("Subscriber for ü")


@pytest.mark.parametrize("protocols", [[], ["graphql-ws"], ["nonsense"]])
async def test_only_our_protocol_is_spoken(protocols: list[str], service: Service) -> None:
    async with service.client.ws_connect("/graphql", protocols=protocols) as opened:
        assert opened.protocol is None
        assert await Socket(opened).closed() == (4406, "Subprotocol not acceptable")


async def test_a_completed_subscription_is_told_nothing_more(
    service: Service, connection: Connection
) -> None:
    await Rows(connection).coin("BTC")
    async with connected(service) as socket:
        await socket.subscribe(COINS, number="a")
        await socket.subscribe(COINS, number="b")
        await socket.send(id="a", type="complete")
        await socket.send(id="never", type="complete")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        for _ in range(3):
            await change_coins(connection, "BTC")
            await socket.next("b")


async def test_updates_of_one_commit_differ_in_the_id_alone(
    service: Service, connection: Connection
) -> None:
    await Rows(connection).coin("BTC")
    numbers = ["1", 'a "quoted" one', "ü" * 100, "x" * 70_000]
    async with connected(service) as socket:
        for number in numbers:
            await socket.subscribe(COINS, number=number)
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await change_coins(connection, "BTC")
        messages = [await socket.receive() for _ in numbers]
        assert {message["id"] for message in messages} == set(numbers)
        assert len({json.dumps(message["payload"]) for message in messages}) == 1
        assert service.state.hub.group_count == 1


async def test_one_connection_runs_only_so_many_operations(service: Service) -> None:
    async with connected(service) as socket:
        for number in range(MAX_OPERATIONS):
            await socket.subscribe(COINS, number=str(number))
        await socket.subscribe("{ sources { name } }", number="one more")
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("one more", "error")
        assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        await socket.send(id="0", type="complete")
        await socket.subscribe("{ sources { name } }", number="one more")
        assert await socket.next("one more") == {"sources": []}
    await gone(service)


async def test_a_client_has_only_so_many_connections(settings: Settings) -> None:
    limited = msgspec.structs.replace(settings, live_connections_per_client=2)
    accept = {"Accept": "text/event-stream"}
    async with running_service(limited) as service:
        async with (
            connected(service),
            service.client.post("/graphql", json={"query": COINS}, headers=accept) as stream,
        ):
            assert stream.status == 200
            await stream.content.readline()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await service.client.ws_connect("/graphql", protocols=["graphql-transport-ws"])
            assert refused.value.status == 503
            assert refused.value.headers
            assert refused.value.headers["Retry-After"] == "30"
            async with service.client.post(
                "/graphql", json={"query": COINS}, headers=accept
            ) as response:
                assert response.status == 503
                (error,) = (await response.json())["errors"]
                assert error["extensions"]["code"] == "UNAVAILABLE"
                assert "of one client" in error["message"]
        await gone(service)
        async with connected(service), connected(service):
            assert service.state.hub.connections.count == 2


async def test_all_clients_have_only_so_many_connections(settings: Settings) -> None:
    limited = msgspec.structs.replace(settings, live_connections=1)
    async with running_service(limited) as service, connected(service):
        body, accept = {"query": COINS}, {"Accept": "text/event-stream"}
        async with service.client.post("/graphql", json=body, headers=accept) as response:
            assert response.status == 503
            assert "This server has" in await response.text()


async def test_a_client_has_only_so_many_subscriptions(settings: Settings) -> None:
    limited = msgspec.structs.replace(settings, live_connections=2, live_connections_per_client=1)
    async with running_service(limited) as service, connected(service) as socket:
        for number in range(11):
            await socket.subscribe(COINS, number=str(number))
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("10", "error")
        assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert service.state.hub.subscriptions.count == service.state.hub.subscriber_count == 10


async def test_a_subscription_that_cannot_go_on_ends_with_its_reason(service: Service) -> None:
    async with connected(service) as socket:
        await socket.subscribe(COINS)
        await socket.send(type="ping")
        await socket.receive()
        service.state.hub._expire(CursorExpiredError("events were purged"))
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("1", "error")
        (error,) = message["payload"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}
        assert "events were purged" in error["message"]
        assert service.state.hub.subscriptions.count == 0
        # The id may be used again.
        await socket.subscribe("{ sources { name } }")
        assert await socket.next() == {"sources": []}


async def test_a_stream_that_cannot_go_on_ends_with_its_reason(service: Service) -> None:
    accept = {"Accept": "text/event-stream"}
    async with service.client.post("/graphql", json={"query": COINS}, headers=accept) as response:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not service.state.hub.subscriber_count:
                await asyncio.sleep(0.01)
            service.state.hub._expire(CursorExpiredError("events were purged"))
            text = await response.text()
    assert "events were purged" in text
    assert text.endswith("event: complete\ndata: \n\n")
    await gone(service)


async def test_a_quiet_stream_shows_that_it_lives(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerSentEvents, "heartbeat_seconds", 0.05)
    accept = {"Accept": "text/event-stream"}
    async with service.client.post("/graphql", json={"query": COINS}, headers=accept) as response:
        assert response.headers["Cache-Control"] == "no-cache"
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert [await response.content.readline() for _ in range(6)] == 3 * [b":\n", b"\n"]
    await gone(service)


async def test_a_foreign_page_may_not_connect(service: Service) -> None:
    for origin, status in (("https://evil.example", 403), (service.url, 101)):
        try:
            async with service.client.ws_connect(
                "/graphql", protocols=["graphql-transport-ws"], headers={"Origin": origin}
            ):
                found = 101
        except aiohttp.WSServerHandshakeError as error:
            found = error.status
        assert found == status
