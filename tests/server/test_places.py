"""Places: a few for each client, turns among clients, and nobody who never gets one."""

import asyncio
import random

import pytest

from server.http.client_address import client_address
from server.limits import concurrency as places
from server.limits.concurrency import ConcurrencyLimit
from server.live.admission import FullError


class Working:
    """An operation that has asked for a place, and ends when it is told to."""

    def __init__(self, of: ConcurrencyLimit, client: str, size: int = 1) -> None:
        self.client = client
        self.runs = False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._work(of, client, size))

    async def _work(self, of: ConcurrencyLimit, client: str, size: int) -> None:
        async with of.hold(client, size):
            self.runs = True
            await self._end.wait()

    async def end(self) -> None:
        self._end.set()
        await self.task


async def started(of: ConcurrencyLimit, *clients: str) -> list[Working]:
    found = [Working(of, client) for client in clients]
    await asyncio.sleep(0)
    return found


async def ended(all_of: list[Working]) -> None:
    await asyncio.gather(*(each.end() for each in all_of))


def running(of: list[Working]) -> list[bool]:
    return [each.runs for each in of]


async def test_a_client_has_its_own_places_and_no_more() -> None:
    of = ConcurrencyLimit(4, 2, 10, 10)
    many = await started(of, *(5 * "a"))
    assert running(many) == [True, True, False, False, False]
    (other,) = await started(of, "b")
    assert other.runs
    await many[0].end()
    await asyncio.sleep(0)
    assert running(many) == [True, True, True, False, False]
    await ended([*many[1:], other])
    assert of.taken == of.waiting == 0


async def test_clients_take_turns() -> None:
    of = ConcurrencyLimit(1, 1, 10, 10)
    first, *waiting = await started(of, "a", "a", "a", "b", "c")
    await first.end()
    order = []
    for _ in waiting:
        await asyncio.sleep(0)
        (now,) = (each for each in waiting if each.runs and not each.task.done())
        order.append(now.client)
        await now.end()
    assert order == ["a", "b", "c", "a"]


async def test_only_so_much_may_wait() -> None:
    of = ConcurrencyLimit(1, 1, 3, 2)
    held = await started(of, "a", "a", "a", "b")
    for client in ("a", "b", "c"):
        with pytest.raises(FullError):
            await of.wait(client, 1)
    await ended(held)
    of = ConcurrencyLimit(1, 1, 1000, 1000)
    (held_one,) = await started(of, "a")
    large = Working(of, "a", places.MOST_WAITING_BYTES_PER_CLIENT)
    await asyncio.sleep(0)
    with pytest.raises(FullError):
        await of.wait("a", 1)
    await ended([held_one, large])
    assert of.taken == of.waiting == 0


async def test_who_waits_too_long_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.05)
    of = ConcurrencyLimit(1, 1, 10, 10)
    (held,) = await started(of, "a")
    for _ in range(2):
        with pytest.raises(FullError, match="try again"):
            await of.wait("b", 1)
    await held.end()
    assert of.taken == of.waiting == 0


async def test_no_place_is_lost_whoever_gives_up() -> None:
    """Clients come, end and are cancelled at random; in the end all places are free."""
    of, chance = ConcurrencyLimit(3, 2, 20, 5), random.Random(7)  # noqa: S311 - no secret
    live: list[Working] = []
    tasks = []
    for _ in range(3000):
        act = chance.random()
        if act < 0.5:
            live.append(Working(of, chance.choice("abcd")))
            tasks.append(live[-1].task)
        elif live and act < 0.75:
            live.pop(chance.randrange(len(live))).task.cancel()
        elif live:
            live.pop(chance.randrange(len(live)))._end.set()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        assert 0 <= of.taken <= 3
    for each in live:
        each.task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert of.taken == of.waiting == 0
    assert not of._queues
    assert not of._taken_by


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
