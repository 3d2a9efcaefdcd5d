"""Live updates: every event once and in order, whatever happens to connections; slow subscribers cost nothing."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres
from db.events import Event, add_coins_event, notify_events, purge_events
from db.migrate import migrate
from db.pool import Connection, Pool, connect, create_pool
from server.live.hub import CATCH_UP_BATCH, QUEUE_LIMIT, CursorExpiredError, Hub, Subscription
from tests.conftest import FAST_SETTINGS
from tests.server.conftest import NOW

COINS = frozenset({"coins_changed"})
RUNS = frozenset({"run_started", "run_progress", "run_finished"})
ADD_MANY = """
INSERT INTO events (kind, at, tickers)
SELECT 'coins_changed', $1, ARRAY['T' || n] FROM generate_series(1, $2::integer) AS n
"""
CUT_LISTENERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'kasparro server live' AND datname = current_database()
"""


@asynccontextmanager
async def running_hub(database: str, pool: Pool) -> AsyncIterator[Hub]:
    hub = Hub(database, pool)
    following = asyncio.create_task(hub.run())
    async with asyncio.timeout(20):
        await hub.listener.connected.wait()
    try:
        yield hub
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


@pytest.fixture
async def hub(database: str, pool: Pool) -> AsyncIterator[Hub]:
    async with running_hub(database, pool) as running:
        yield running


async def commit(connection: Connection, *tickers: str) -> None:
    """Commit one event a ticker, in one transaction."""
    async with connection.transaction():
        for ticker in tickers:
            await add_coins_event(connection, [ticker], NOW)
        await notify_events(connection)


async def take(subscription: Subscription, count: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(20):
        async for event in subscription:
            events.append(event)
            if len(events) == count:
                break
    return events


def tickers(events: list[Event]) -> list[str]:
    return [ticker for event in events for ticker in event.tickers or ()]


async def test_what_is_committed_arrives_in_order(hub: Hub, connection: Connection) -> None:
    async with hub.subscribe(COINS) as subscription:
        await commit(connection, "A", "B")
        await commit(connection, "C")
        events = await take(subscription, 3)
    assert tickers(events) == ["A", "B", "C"]
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    assert events[0].at == NOW
    assert events[0].run is None


async def test_only_the_kinds_that_were_asked_for_arrive(hub: Hub, connection: Connection) -> None:
    async with hub.subscribe(RUNS, 0) as subscription:
        await commit(connection, "A")
        await connection.execute(
            "INSERT INTO events (kind, at, run) VALUES ('run_started', $1, $2)", NOW, {"id": 7, "source": "csv"}
        )
        await notify_events(connection)
        (event,) = await take(subscription, 1)
    assert event.kind == "run_started"
    assert event.run == {"id": 7, "source": "csv"}
    assert event.tickers is None


async def test_a_cursor_resumes_right_behind_what_was_seen(hub: Hub, connection: Connection) -> None:
    async with hub.subscribe(COINS) as subscription:
        await commit(connection, "A", "B", "C")
        seen = await take(subscription, 2)
    await commit(connection, "D")
    async with hub.subscribe(COINS, seen[-1].seq) as subscription:
        await commit(connection, "E")
        assert tickers(await take(subscription, 3)) == ["C", "D", "E"]
        assert subscription.take_lagged() == 0


async def test_a_long_absence_is_caught_up_while_new_events_come(hub: Hub, connection: Connection) -> None:
    count = 3 * CATCH_UP_BATCH + 7
    await connection.execute(ADD_MANY, NOW, count)
    async with hub.subscribe(COINS, 0) as subscription:
        found: list[Event] = []
        async with asyncio.timeout(30):
            async for event in subscription:
                found.append(event)
                if len(found) % 100 == 1:
                    await commit(connection, f"NEW{len(found)}")
                if len(found) == count + 7:
                    break
        assert subscription.take_lagged() == 0
    seqs = [event.seq for event in found]
    assert seqs == sorted(set(seqs))
    assert len([ticker for ticker in tickers(found) if ticker.startswith("T")]) == count


async def test_a_cut_listen_connection_loses_and_doubles_nothing(
    hub: Hub, connection: Connection, database: str
) -> None:
    """The LISTEN connection is cut again and again at odd moments while one writer commits."""
    rounds = 12
    received: list[Event] = []

    async def receive() -> None:
        async with hub.subscribe(COINS) as subscription:
            subscribed.set()
            async for event in subscription:
                received.append(event)
                if event.tickers == ["LAST"]:
                    return

    subscribed = asyncio.Event()
    receiving = asyncio.create_task(receive())
    await subscribed.wait()
    cutter = await connect(database, application_name="test")
    try:
        for number in range(rounds):
            await commit(connection, f"{number}a", f"{number}b")
            assert await cutter.fetchval(CUT_LISTENERS) <= 1
            await commit(connection, f"{number}c")
            if number % 3 == 0:
                async with asyncio.timeout(20):
                    await hub.listener.connected.wait()
        await commit(connection, "LAST")
        async with asyncio.timeout(30):
            await receiving
    finally:
        receiving.cancel()
        await cutter.close()
    expected = [f"{number}{letter}" for number in range(rounds) for letter in "abc"] + ["LAST"]
    assert tickers(received) == expected


async def test_subscribers_live_through_a_restart_of_the_database(state_folder: Path) -> None:
    postgres = EmbeddedPostgres(state_folder, FAST_SETTINGS)
    try:
        dsn = await postgres.start()
        await migrate(dsn)
        async with (
            await create_pool(dsn, min_size=0) as pool,
            running_hub(dsn, pool) as hub,
            hub.subscribe(COINS) as live,
            hub.subscribe(COINS, 0) as resuming,
        ):
            await commit_to(dsn, "BEFORE")
            assert tickers(await take(live, 1)) == ["BEFORE"]
            await postgres.stop()
            catching_up = asyncio.create_task(take(resuming, 2))
            async with asyncio.timeout(20):
                while hub.listener.connected.is_set():
                    await asyncio.sleep(0.01)
            assert not catching_up.done()
            await postgres.start()
            await commit_to(dsn, "AFTER")
            assert tickers(await take(live, 1)) == ["AFTER"]
            assert tickers(await catching_up) == ["BEFORE", "AFTER"]
    finally:
        await postgres.stop()


async def commit_to(dsn: str, *names: str) -> None:
    connection = await connect(dsn)
    await commit(connection, *names)
    await connection.close()


async def test_an_event_whose_notice_was_lost_still_arrives(hub: Hub, connection: Connection) -> None:
    async with hub.subscribe(COINS) as subscription:
        await add_coins_event(connection, ["QUIET"], NOW)
        assert tickers(await take(subscription, 1)) == ["QUIET"]


async def test_a_slow_subscriber_is_told_how_much_it_missed(hub: Hub, connection: Connection) -> None:
    async with hub.subscribe(COINS) as slow, hub.subscribe(COINS) as quick:
        await connection.execute(ADD_MANY, NOW, QUEUE_LIMIT + 10)
        reading = asyncio.create_task(take(quick, QUEUE_LIMIT + 10))
        await notify_events(connection)
        assert len(await reading) == QUEUE_LIMIT + 10
        assert quick.take_lagged() == 0
        events = await take(slow, 10)
        assert tickers(events) == [f"T{QUEUE_LIMIT + number}" for number in range(1, 11)]
        assert slow.take_lagged() == QUEUE_LIMIT
        assert slow.take_lagged() == 0


async def test_a_complete_subscription_leaves_nothing_out_however_often_its_queue_is_full(
    hub: Hub, connection: Connection
) -> None:
    batch = QUEUE_LIMIT + 10
    # What was purged before the first event of its kind is nothing that it missed.
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
    async with hub.subscribe(COINS) as early:
        await commit(connection, "EARLY")
        assert len(await take(early, 6)) == 6
    async with hub.subscribe(COINS) as quick, hub.subscribe(COINS, complete=True) as slow:
        await purge_events(connection, NOW)
        seen: list[Event] = []
        for _ in range(3):
            await connection.execute(ADD_MANY, NOW, batch)
            reading = asyncio.create_task(take(quick, batch))
            await notify_events(connection)
            await reading
            seen += await take(slow, 3)
        seen += await take(slow, 3 * batch - len(seen))
        assert slow.take_lagged() == 0
        await commit(connection, "LAST")
        assert tickers(await take(slow, 1)) == ["LAST"]
    seqs = [event.seq for event in seen]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_a_cancelled_read_of_the_outbox_costs_a_connection_and_no_event(
    hub: Hub, connection: Connection, database: str
) -> None:
    """What a statement time-out does, done by hand: the outbox is locked, and the listener that waits is cancelled."""
    waiting = """
        SELECT pid FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name = 'kasparro server live' AND datname = current_database()
    """
    blocker = await connect(database, application_name="test")
    try:
        async with hub.subscribe(COINS) as subscription, asyncio.timeout(30):
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE events")
                while (pid := await connection.fetchval(waiting)) is None:
                    await asyncio.sleep(0.01)
                await connection.execute("SELECT pg_cancel_backend($1)", pid)
                while hub.listener.connected.is_set():
                    await asyncio.sleep(0.01)
                await add_coins_event(blocker, ["MEANWHILE"], NOW)
            assert tickers(await take(subscription, 1)) == ["MEANWHILE"]
    finally:
        await blocker.close()


async def test_a_cursor_waits_for_a_connection_only_so_long(
    hub: Hub, pool: Pool, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.live.hub.ACQUIRE_SECONDS", 0.01)
    await commit(connection, "A")
    async with hub.subscribe(COINS, 0) as subscription, AsyncExitStack() as stack:
        for _ in range(pool.get_max_size()):
            await stack.enter_async_context(pool.acquire())
        with pytest.raises(TimeoutError):
            async with hub.subscribe(COINS, 0):
                pytest.fail("there was a connection")
        reading = asyncio.create_task(take(subscription, 1))
        await stack.aclose()
        assert tickers(await reading) == ["A"]


async def test_a_cursor_that_the_outbox_no_longer_covers_is_refused(hub: Hub, connection: Connection) -> None:
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
    await connection.execute(ADD_MANY, NOW, 2)
    await purge_events(connection, NOW)
    oldest = await connection.fetchval("SELECT min(seq) FROM events")
    async with hub.subscribe(COINS, oldest - 1) as subscription:
        assert tickers(await take(subscription, 2)) == ["T1", "T2"]
    async with hub.subscribe(COINS, oldest + 1):
        pass
    for after, reason in ((oldest - 2, "too old"), (0, "too old"), (oldest + 2, "another database")):
        with pytest.raises(CursorExpiredError, match=reason):
            async with hub.subscribe(COINS, after):
                pytest.fail("the cursor was taken")
    assert hub.subscriber_count == 0


async def test_the_newest_cursor_stays_good_however_long_nothing_happens(hub: Hub, connection: Connection) -> None:
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=30), 5)
    newest = await connection.fetchval("SELECT max(seq) FROM events")
    await purge_events(connection, NOW)
    async with hub.subscribe(COINS, newest) as subscription:
        await commit(connection, "NEXT")
        assert tickers(await take(subscription, 1)) == ["NEXT"]


async def test_subscribers_are_told_when_events_were_purged_while_the_hub_was_cut_off(
    hub: Hub, connection: Connection, database: str
) -> None:
    async with hub.subscribe(COINS) as subscription:
        await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 1)
        await notify_events(connection)
        assert tickers(await take(subscription, 1)) == ["T1"]
        blocker = await connect(database, application_name="test")
        transaction = blocker.transaction()
        await transaction.start()
        # While the table is locked the hub cannot read: what happens meanwhile it finds all at once.
        await blocker.execute("LOCK TABLE events")
        await connection.execute(CUT_LISTENERS)
        await blocker.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
        await blocker.execute(ADD_MANY, NOW, 1)
        await purge_events(blocker, NOW)
        await transaction.commit()
        await blocker.close()
        with pytest.raises(CursorExpiredError, match="too old"):
            await take(subscription, 1)


async def test_no_subscription_outlives_its_client(hub: Hub, connection: Connection) -> None:
    async def subscriber(kinds: frozenset[str], after: int | None) -> None:
        async with hub.subscribe(kinds, after) as subscription:
            async for _ in subscription:
                if kinds is RUNS:
                    raise ConnectionResetError

    tasks = [
        asyncio.create_task(subscriber(kinds, after)) for kinds in (COINS, RUNS, COINS | RUNS) for after in (None, 0)
    ]
    async with asyncio.timeout(20):
        while hub.subscriber_count < len(tasks):
            await asyncio.sleep(0)
    await commit(connection, "A")
    await connection.execute("INSERT INTO events (kind, at, run) VALUES ('run_started', $1, '{}')", NOW)
    await notify_events(connection)
    async with asyncio.timeout(20):
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert {type(task.exception()) for task in ended} == {ConnectionResetError}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert hub.subscriber_count == 0


async def test_two_hubs_follow_one_outbox(hub: Hub, connection: Connection, database: str, pool: Pool) -> None:
    async with running_hub(database, pool) as other, hub.subscribe(COINS) as one, other.subscribe(COINS) as two:
        await commit(connection, "A", "B")
        assert tickers(await take(one, 2)) == tickers(await take(two, 2)) == ["A", "B"]
