"""Connections that only read: few, shared, and never given to the next one in an unknown state."""

import asyncio
import functools

import asyncpg
import pytest

import db.connect.readers
from db.connect.pool import connect
from db.connect.readers import Readers
from db.connect.types import OwnConnection


@pytest.fixture
def readers(database: str) -> Readers:
    return Readers(functools.partial(connect, database), 2)


async def pid(connection: OwnConnection) -> int:
    return connection.get_server_pid()


async def test_a_connection_is_used_again(readers: Readers) -> None:
    async with readers.lend() as connection:
        first = await pid(connection)
        assert await connection.fetchval("SELECT 1") == 1
    async with readers.lend() as connection:
        assert await pid(connection) == first
    await readers.close()


async def test_no_more_are_opened_than_allowed(readers: Readers) -> None:
    async def ask(_: int) -> int:
        async with readers.lend() as connection:
            await connection.execute("SELECT 1")
            return await pid(connection)

    assert 1 <= len(set(await asyncio.gather(*map(ask, range(8))))) <= 2
    await readers.close()


async def test_who_has_waited_longest_gets_what_is_given_back(readers: Readers) -> None:
    async def ask(number: int) -> None:
        async with readers.lend():
            order.append(number)

    order: list[int] = []
    async with readers.lend(), readers.lend():
        asking = [asyncio.create_task(ask(number)) for number in range(6)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*asking)
    assert order == [0, 1, 2, 3, 4, 5]
    await readers.close()


async def test_one_whose_statement_failed_is_not_used_again(readers: Readers) -> None:
    async with readers.lend() as connection:
        failed = connection
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with readers.lend() as connection:
            await connection.fetchval("SELECT 1 / 0")
    assert failed.is_closed()
    for _ in range(3):  # there is still room for two
        async with readers.lend() as one, readers.lend() as other:
            assert await one.fetchval("SELECT 1") == await other.fetchval("SELECT 1")
    await readers.close()


async def test_one_that_the_server_ended_is_replaced(readers: Readers, database: str) -> None:
    async with readers.lend() as connection:
        ended = await pid(connection)
    killer = await connect(database)
    await killer.execute("SELECT pg_terminate_backend($1)", ended)
    await killer.close()
    async with asyncio.timeout(10):
        while not connection.is_closed():
            await asyncio.sleep(0.01)
    async with readers.lend() as connection:
        assert await pid(connection) != ended
    await readers.close()


async def test_what_is_lent_when_all_are_closed_is_closed_when_it_comes_back(
    readers: Readers,
) -> None:
    async with readers.lend() as connection:
        await readers.close()
        assert await connection.fetchval("SELECT 1") == 1
    assert connection.is_closed()


async def test_who_waits_too_long_is_told_so(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.connect.readers, "WAIT_SECONDS", 0.05)
    async with readers.lend(), readers.lend():
        with pytest.raises(TimeoutError):
            async with readers.lend():
                pytest.fail("there was none to lend")
    async with readers.lend() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await readers.close()


async def test_who_gives_up_while_waiting_takes_nothing_along(readers: Readers) -> None:
    async def wait() -> None:
        async with readers.lend():
            pytest.fail("there was none to lend")

    async with readers.lend(), readers.lend():
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with readers.lend() as one, readers.lend() as other:
        assert one is not other
    await readers.close()


async def test_a_connection_that_cannot_be_opened_leaves_its_room_to_others(database: str) -> None:
    failures = [OSError("away")]

    async def open_one() -> OwnConnection:
        if failures:
            raise failures.pop()
        return await connect(database)

    readers = Readers(open_one, 1)
    with pytest.raises(OSError, match="away"):
        async with readers.lend():
            pytest.fail("there was none to lend")
    async with readers.lend() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await readers.close()
