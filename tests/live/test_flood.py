"""Clients that send too much: each waits for itself, and the event loop goes on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from server.live.rate_limit import (
    BURST_MESSAGES,
    MESSAGES_PER_SECOND,
    MessageRateLimit,
    MessageRateLimits,
)
from tests.live.raw import INIT, RawClient, frame, raw_client
from tests.server.conftest import Service
from tests.server.graphql_live import connected

PING = b"\x89\x80" + bytes(4)
PONG = b"\x8a\x00"
TIMEOUT_SECONDS = 60
MAX_TURN_SECONDS = 0.15
"""Of processor time between two iterations of the loop; the server needs a hundredth of it."""


@contextlib.asynccontextmanager
async def even_turns() -> AsyncIterator[None]:
    """Fail where one iteration of the event loop takes too long."""
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
    assert longest < MAX_TURN_SECONDS


async def pongs(client: RawClient, count: int) -> None:
    """Wait for so many pongs."""
    received = b""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while received.count(PONG) < count:
            received += await asyncio.get_running_loop().sock_recv(client.socket, 65_536)


async def test_four_megabytes_of_pings_delay_no_other_client(service: Service) -> None:
    async with raw_client(service) as client:
        await client.shake_hands()
        flooding = asyncio.create_task(client.say(700_000 * PING))
        async with even_turns():
            for _ in range(20):
                await service.get("/health/live")
        assert not flooding.done()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


async def test_messages_are_read_at_a_bounded_pace(service: Service) -> None:
    count = BURST_MESSAGES + MESSAGES_PER_SECOND // 2
    async with raw_client(service) as client:
        await client.shake_hands()
        started = time.perf_counter()
        await client.say(count * PING)
        await pongs(client, count)
        assert time.perf_counter() - started > 0.4


async def test_the_pace_is_the_client_s_not_the_connection_s(service: Service) -> None:
    count = (BURST_MESSAGES + MESSAGES_PER_SECOND // 2) // 2
    async with raw_client(service) as one, raw_client(service) as other:
        await one.shake_hands()
        await other.shake_hands()
        started = time.perf_counter()
        for client in (one, other):
            await client.say(count * PING)
        await asyncio.gather(pongs(one, count), pongs(other, count))
        assert time.perf_counter() - started > 0.4


async def test_messages_of_the_protocol_are_bounded_too(service: Service) -> None:
    count = BURST_MESSAGES + MESSAGES_PER_SECOND // 2
    async with raw_client(service) as client:
        await client.shake_hands()
        started = time.perf_counter()
        saying = asyncio.create_task(client.say(INIT + count * frame(type="ping")))
        async with even_turns():
            assert await client.frame() == b'{"type":"connection_ack"}'
            for _ in range(count):
                assert await client.frame() == b'{"type":"pong"}'
        await saying
        assert time.perf_counter() - started > 0.4


async def test_a_large_message_arrives_whole(service: Service) -> None:
    """It is parsed in many steps; other tasks run in between."""
    query = "{ sources { name } }" + 40_000 * " "
    async with connected(service) as large, connected(service) as small:
        await large.subscribe(query, {"unused": 200_000 * "x"})
        await small.subscribe("{ sources { name } }")
        assert await small.next() == {"sources": []}
        assert await large.next() == {"sources": []}


async def test_a_client_that_says_too_much_can_still_close(service: Service) -> None:
    async with raw_client(service) as client:
        await client.shake_hands()
        await client.say(100 * PING + b"\x88\x82" + bytes(4) + b"\x03\xe8")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            received = b""
            while part := await asyncio.get_running_loop().sock_recv(client.socket, 65_536):
                received += part
        assert received == 100 * PONG + b"\x88\x02\x03\xe8"
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while service.state.hub.connections.count:
            await asyncio.sleep(0.01)


def test_an_allowance_fills_again() -> None:
    rate_limit = MessageRateLimit()
    rate_limit.spend(BURST_MESSAGES, now=100)
    assert rate_limit.seconds_until_next(now=100) == 0
    rate_limit.spend(MESSAGES_PER_SECOND, now=100)
    assert rate_limit.seconds_until_next(now=100) == pytest.approx(1)
    assert rate_limit.seconds_until_next(now=101) == pytest.approx(0)
    rate_limit.spend(BURST_MESSAGES, now=1000)
    assert rate_limit.seconds_until_next(now=1000) == 0


def test_a_client_has_one_allowance_for_as_long_as_it_is_there() -> None:
    rate_limits = MessageRateLimits()
    one = rate_limits.of("a")
    assert rate_limits.of("a") is one
    assert rate_limits.of("b") is not one
    del one
    assert not rate_limits._by_client
