"""permessage-deflate: large messages are compressed once for all their subscribers."""

import asyncio
import json
import zlib

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.connect.types import Connection
from server.live.deflate import MAX_STORED_BYTES, MIN_BYTES, compress, stored_block
from server.live.message import Message
from server.middleware.body_limit import MAX_BODY_BYTES
from tests.live.raw import HANDSHAKE, INIT, raw_client, subscribe
from tests.server.conftest import AddCoin, Service
from tests.server.graphql_live import Socket, change_coins

OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
NAMES = "subscription { coinUpdates { coins { ticker name } } }"
COINS = [f"T{number:03}" for number in range(300)]
TIMEOUT_SECONDS = 60


@given(head=st.binary(max_size=300), body=st.binary(max_size=5000), tail=st.binary(max_size=9))
def test_parts_that_are_compressed_alone_are_one_message(
    head: bytes, body: bytes, tail: bytes
) -> None:
    payload = stored_block(head) + compress(body) + stored_block(tail, is_last=True)
    # RFC 7692, 7.2.2
    assert (
        zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
        == head + body + tail
    )


def test_the_longest_part_that_is_stored() -> None:
    longest = MAX_STORED_BYTES * b"x"
    payload = stored_block(longest, is_last=True) + b"\x00\x00\xff\xff"
    assert zlib.decompressobj(wbits=-15).decompress(payload) == longest


def test_a_message_is_compressed_once() -> None:
    message = Message(1, 5000 * b"x")
    assert message.deflated() is message.deflated()


async def opened(client: aiohttp.ClientSession, compress: int) -> Socket:
    websocket = await client.ws_connect(
        "/graphql", protocols=["graphql-transport-ws"], compress=compress
    )
    socket = Socket(websocket)
    await socket.send(type="connection_init")
    assert await socket.receive() == {"type": "connection_ack"}
    return socket


async def test_updates_are_the_same_with_and_without(
    service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    for ticker in COINS:
        await add_coin(ticker)
    numbers = ["1", 'a "quoted" one', "ü" * 100, "x" * (MAX_STORED_BYTES + 1)]
    plain, packed = await opened(service.client, 0), await opened(service.client, 15)
    answered = packed.websocket._response.headers["Sec-WebSocket-Extensions"]
    assert answered == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    for socket in (plain, packed):
        for number in numbers:
            await socket.subscribe(NAMES, number=number)
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
    for _ in range(2):
        await change_coins(connection, *COINS)
        found = [
            {(await socket.receive())["id"]: None for _ in numbers} for socket in (plain, packed)
        ]
        assert set(found[0]) == set(found[1]) == set(numbers)
    await change_coins(connection, *COINS)
    messages = [
        sorted([json.dumps(await socket.receive()) for _ in numbers]) for socket in (plain, packed)
    ]
    assert messages[0] == messages[1]
    await packed.subscribe(
        "{ coins(first: 200) { edges { node { ticker name } } } }", number="query"
    )
    assert len((await packed.next("query"))["coins"]["edges"]) == 200
    for socket in (plain, packed):
        await socket.websocket.close()


async def test_only_what_is_large_is_compressed(
    service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    for ticker in COINS:
        await add_coin(ticker)
    async with raw_client(service) as client:
        await client.say(HANDSHAKE.removesuffix(b"\r\n") + OFFER)
        await client.shake_hands(said=True)
        await client.say(INIT + subscribe(NAMES))
        assert await client.frame() == b'{"type":"connection_ack"}'
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not service.state.hub.subscriber_count:
                await asyncio.sleep(0.01)
        await change_coins(connection, "T001")
        assert json.loads(await client.frame())["id"] == "1"
        await change_coins(connection, *COINS)
        payload = await client.frame()
        text = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
        assert len(json.loads(text)["payload"]["data"]["coinUpdates"]["coins"]) == len(COINS)
        assert len(text) > MIN_BYTES
        assert len(payload) < len(text) / 4


async def test_a_client_with_a_smaller_window_is_sent_everything_plain(service: Service) -> None:
    offer = OFFER.replace(b"client_max_window_bits", b"server_max_window_bits=10")
    async with raw_client(service) as client:
        await client.say(HANDSHAKE.removesuffix(b"\r\n") + offer)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await asyncio.get_running_loop().sock_recv(client.socket, 65_536)
        assert head.startswith(b"HTTP/1.1 101")
        assert b"deflate" not in head


@pytest.mark.parametrize("size", [MAX_BODY_BYTES - 1000, MAX_BODY_BYTES + 1, 100 * MAX_BODY_BYTES])
async def test_what_a_client_compresses_has_the_same_bound(service: Service, size: int) -> None:
    socket = await opened(service.client, 15)
    await socket.send(type="ping", payload={"long": size * "x"})
    if size < MAX_BODY_BYTES:
        assert (await socket.receive())["payload"] == {"long": size * "x"}
        await socket.websocket.close()
    else:
        assert (await socket.closed())[0] == 1009
