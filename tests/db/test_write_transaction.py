"""Every event is committed with its notification, because one transaction adds both."""

import ast
import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator

import pytest

from db.connect.pool import Connection, Pool
from db.events import CHANNEL
from db.write.transaction import write_transaction
from tests.structure import modules

NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
EVENT_FUNCTIONS = {"add_run_event", "add_coins_event", "notify_events"}


@contextlib.asynccontextmanager
async def notifications(pool: Pool) -> AsyncIterator[asyncio.Queue[str]]:
    received = asyncio.Queue[str]()

    def receive(*arguments: object) -> None:
        received.put_nowait(str(arguments[-1]))

    async with pool.acquire() as listener:
        await listener.add_listener(CHANNEL, receive)
        yield received
        await listener.remove_listener(CHANNEL, receive)


async def notify_last(connection: Connection) -> None:
    await connection.execute(f"SELECT pg_notify('{CHANNEL}', 'last')")


async def test_a_transaction_with_events_notifies_once_at_its_end(pool: Pool) -> None:
    async with notifications(pool) as received, pool.acquire() as connection:
        async with write_transaction(connection) as outbox:
            await outbox.add_coins(["BTC"], NOW)
            await outbox.add_coins(["ETH"], NOW)
        newest = await connection.fetchval("SELECT max(seq) FROM events")
        await notify_last(connection)
        assert [await received.get(), await received.get()] == [str(newest), "last"]


async def test_a_transaction_without_events_does_not_notify(pool: Pool) -> None:
    async with notifications(pool) as received, pool.acquire() as connection:
        async with write_transaction(connection) as outbox:
            await outbox.add_coins([], NOW)
        await notify_last(connection)
        assert await received.get() == "last"


async def fail_after_an_event(connection: Connection) -> None:
    async with write_transaction(connection) as outbox:
        await outbox.add_coins(["BTC"], NOW)
        raise RuntimeError("stop")


async def test_a_failed_transaction_leaves_no_event_and_no_notification(pool: Pool) -> None:
    async with notifications(pool) as received, pool.acquire() as connection:
        with pytest.raises(RuntimeError, match="stop"):
            await fail_after_an_event(connection)
        assert await connection.fetchval("SELECT count(*) FROM events") == 0
        await notify_last(connection)
        assert await received.get() == "last"


async def test_two_write_transactions_exclude_each_other(pool: Pool) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        await second.execute("SET lock_timeout = '50ms'")
        async with write_transaction(first):
            with pytest.raises(Exception, match="lock timeout"):
                async with write_transaction(second):
                    pass
        async with write_transaction(second):
            pass
        await second.execute("RESET lock_timeout")


def test_only_the_write_transaction_adds_events() -> None:
    users = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Name)
        and (
            {alias.name for alias in node.names} & EVENT_FUNCTIONS
            if isinstance(node, ast.ImportFrom)
            else node.id in EVENT_FUNCTIONS
        )
    }
    assert users == {"db/write/transaction.py"}
