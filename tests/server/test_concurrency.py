"""The concurrency limit: slots of each client, turns among clients, and no lost slot."""

import asyncio
import random

import pytest

from server.http.client_address import client_address
from server.limits import concurrency
from server.limits.concurrency import ConcurrencyLimit
from server.live.admission import FullError


class Working:
    """An operation that waits for a slot, and runs until `end`."""

    def __init__(self, limit: ConcurrencyLimit, client: str, size: int = 1) -> None:
        self.client = client
        self.runs = False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._work(limit, client, size))

    async def _work(self, limit: ConcurrencyLimit, client: str, size: int) -> None:
        async with limit.slot(client, size):
            self.runs = True
            await self._end.wait()

    async def end(self) -> None:
        self._end.set()
        await self.task


async def start(limit: ConcurrencyLimit, *clients: str) -> list[Working]:
    found = [Working(limit, client) for client in clients]
    await asyncio.sleep(0)
    return found


async def end_all(operations: list[Working]) -> None:
    await asyncio.gather(*(each.end() for each in operations))


def running(operations: list[Working]) -> list[bool]:
    return [each.runs for each in operations]


async def test_a_client_has_its_own_slots_and_no_more() -> None:
    limit = ConcurrencyLimit(4, 2, 10, 10)
    many = await start(limit, *(5 * "a"))
    assert running(many) == [True, True, False, False, False]
    (other,) = await start(limit, "b")
    assert other.runs
    await many[0].end()
    await asyncio.sleep(0)
    assert running(many) == [True, True, True, False, False]
    await end_all([*many[1:], other])
    assert limit.used == limit.waiting == 0


async def test_clients_take_turns() -> None:
    limit = ConcurrencyLimit(1, 1, 10, 10)
    first, *waiting = await start(limit, "a", "a", "a", "b", "c")
    await first.end()
    order = []
    for _ in waiting:
        await asyncio.sleep(0)
        (now,) = (each for each in waiting if each.runs and not each.task.done())
        order.append(now.client)
        await now.end()
    assert order == ["a", "b", "c", "a"]


async def test_waiting_operations_are_limited() -> None:
    limit = ConcurrencyLimit(1, 1, 3, 2)
    holders = await start(limit, "a", "a", "a", "b")
    for client in ("a", "b", "c"):
        with pytest.raises(FullError):
            await limit.wait(client, 1)
    await end_all(holders)
    limit = ConcurrencyLimit(1, 1, 1000, 1000)
    (holder,) = await start(limit, "a")
    large = Working(limit, "a", concurrency.MAX_WAITING_BYTES_PER_CLIENT)
    await asyncio.sleep(0)
    with pytest.raises(FullError):
        await limit.wait("a", 1)
    await end_all([holder, large])
    assert limit.used == limit.waiting == 0


async def test_an_operation_that_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.05)
    limit = ConcurrencyLimit(1, 1, 10, 10)
    (holders,) = await start(limit, "a")
    for _ in range(2):
        with pytest.raises(FullError, match="try again"):
            await limit.wait("b", 1)
    await holders.end()
    assert limit.used == limit.waiting == 0


async def test_no_slot_is_lost_when_operations_are_cancelled() -> None:
    """Operations start, end and are cancelled at random; at the end all slots are free."""
    limit, chance = ConcurrencyLimit(3, 2, 20, 5), random.Random(7)  # noqa: S311 - no secret
    live: list[Working] = []
    tasks = []
    for _ in range(3000):
        act = chance.random()
        if act < 0.5:
            live.append(Working(limit, chance.choice("abcd")))
            tasks.append(live[-1].task)
        elif live and act < 0.75:
            live.pop(chance.randrange(len(live))).task.cancel()
        elif live:
            live.pop(chance.randrange(len(live)))._end.set()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        assert 0 <= limit.used <= 3
    for each in live:
        each.task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limit.used == limit.waiting == 0
    assert not limit._queues
    assert not limit._used_by


def test_a_client_is_its_address_or_its_network() -> None:
    def of(host: str) -> str:
        return client_address({"client": (host, 1)})

    assert of("192.0.2.1") != of("192.0.2.2")
    assert of("2001:db8:1:2:3::4") == of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert of("2001:db8:1:3::4") != of("2001:db8:1:2::4")
    assert of("::ffff:192.0.2.1") == of("192.0.2.1")
    assert of("fe80::1%eth0") == "fe80::/64"
    assert of("proxy") == "proxy"
    assert client_address({"client": None}) == client_address({}) == ""
