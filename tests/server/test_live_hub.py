"""Live updates: every event once and in order; slow subscribers cost nothing."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from db.connect.pool import Connection, Pool, connect, create_pool
from db.embedded import EmbeddedPostgres
from db.events import add_coins_event, notify_events, purge_events
from db.schema.migrate import migrate
from server.live.catch_up import BATCH
from server.live.encoder import SharedEvent
from server.live.feed import COINS, RUNS, Topic
from server.live.hub import CursorExpiredError, Hub
from server.live.message import Message
from server.live.subscriber import QUEUE_LIMIT
from tests.conftest import FAST_SETTINGS
from tests.live.hub_reader import PlainEncoder, ReceivedUpdate, reading
from tests.server.conftest import NOW

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


def tickers(received: list[ReceivedUpdate]) -> list[str]:
    return [name for one in received for name in one.names]


async def test_what_is_committed_arrives_in_order(hub: Hub, connection: Connection) -> None:
    async with reading(hub, COINS) as reader:
        await commit(connection, "A", "B")
        await commit(connection, "C")
        events = await reader.take(3)
    assert tickers(events) == ["A", "B", "C"]
    assert [event.seq for event in events] == sorted(event.seq for event in events)


async def test_only_the_kinds_of_the_topic_arrive(hub: Hub, connection: Connection) -> None:
    async with reading(hub, RUNS, 0) as reader:
        await commit(connection, "A")
        await connection.execute(
            "INSERT INTO events (kind, at, run) VALUES ('run_started', $1, $2)",
            NOW,
            {"id": 7, "source": "csv"},
        )
        await notify_events(connection)
        (event,) = await reader.take(1)
    assert event.kind == "run_started"
    assert event.names == ["csv"]


async def test_a_cursor_resumes_after_the_last_message(hub: Hub, connection: Connection) -> None:
    async with reading(hub, COINS) as reader:
        await commit(connection, "A", "B", "C")
        seen = await reader.take(2)
    await commit(connection, "D")
    async with reading(hub, COINS, seen[-1].seq) as reader:
        await commit(connection, "E")
        found = await reader.take(3)
        assert tickers(found) == ["C", "D", "E"]
        assert [received.lagged for received in found] == [0, 0, 0]


async def test_a_subscriber_catches_up_while_new_events_come(
    hub: Hub, connection: Connection
) -> None:
    count = 3 * BATCH + 7
    await connection.execute(ADD_MANY, NOW, count)
    async with reading(hub, COINS, 0) as reader:
        found: list[ReceivedUpdate] = []
        while len(found) < count + 7:
            found.append(await reader.next())
            if len(found) % 100 == 1:
                await commit(connection, f"NEW{len(found)}")
        assert not any(received.lagged for received in found)
    seqs = [event.seq for event in found]
    assert seqs == sorted(set(seqs))
    assert len([ticker for ticker in tickers(found) if ticker.startswith("T")]) == count


async def test_a_cut_listen_connection_loses_and_doubles_nothing(
    hub: Hub, connection: Connection, database: str
) -> None:
    """The LISTEN connection is terminated repeatedly while one writer commits."""
    rounds = 12
    received: list[ReceivedUpdate] = []

    async def receive() -> None:
        async with reading(hub, COINS) as reader:
            subscribed.set()
            while not received or received[-1].names != ["LAST"]:
                received.append(await reader.next())

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
            reading(hub, COINS) as live,
            reading(hub, COINS, 0) as resuming,
        ):
            await commit_to(dsn, "BEFORE")
            assert tickers(await live.take(1)) == ["BEFORE"]
            await postgres.stop()
            catching_up = asyncio.create_task(resuming.take(2))
            async with asyncio.timeout(20):
                while hub.listener.connected.is_set():
                    await asyncio.sleep(0.01)
            assert not catching_up.done()
            await postgres.start()
            await commit_to(dsn, "AFTER")
            assert tickers(await live.take(1)) == ["AFTER"]
            assert tickers(await catching_up) == ["BEFORE", "AFTER"]
    finally:
        await postgres.stop()


async def commit_to(dsn: str, *names: str) -> None:
    connection = await connect(dsn)
    await commit(connection, *names)
    await connection.close()


async def test_an_event_whose_notice_was_lost_still_arrives(
    hub: Hub, connection: Connection
) -> None:
    async with reading(hub, COINS) as reader:
        await add_coins_event(connection, ["QUIET"], NOW)
        assert tickers(await reader.take(1)) == ["QUIET"]


async def test_a_slow_subscriber_gets_the_number_of_missed_messages(
    hub: Hub, connection: Connection
) -> None:
    async with reading(hub, COINS) as slow, reading(hub, COINS) as quick:
        await connection.execute(ADD_MANY, NOW, QUEUE_LIMIT + 10)
        taking = asyncio.create_task(quick.take(QUEUE_LIMIT + 10))
        await notify_events(connection)
        assert sum(received.lagged for received in await taking) == 0
        events = await slow.take(10)
        assert tickers(events) == [f"T{QUEUE_LIMIT + number}" for number in range(1, 11)]
        assert [received.lagged for received in events] == [QUEUE_LIMIT] + 9 * [0]


ADD_RUNS = """
INSERT INTO events (kind, at, run)
SELECT 'run_progress', $1, jsonb_build_object('source', 'R' || n)
    FROM generate_series(1, $2::integer) AS n
"""


async def test_a_complete_subscription_leaves_nothing_out_however_often_its_queue_is_full(
    hub: Hub, connection: Connection
) -> None:
    batch = QUEUE_LIMIT + 10
    # Events that were purged before the first one of the topic are not missed.
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
    async with reading(hub, COINS) as early:
        await commit(connection, "EARLY")
        assert len(await early.take(6)) == 6
    async with reading(hub, RUNS) as quick, reading(hub, RUNS) as slow:
        await purge_events(connection, NOW)
        seen: list[ReceivedUpdate] = []
        for _ in range(3):
            await connection.execute(ADD_RUNS, NOW, batch)
            taking = asyncio.create_task(quick.take(batch))
            await notify_events(connection)
            await taking
            seen += await slow.take(3)
        seen += await slow.take(3 * batch - len(seen))
        await connection.execute(ADD_RUNS, NOW, 1)
        await notify_events(connection)
        (last,) = await slow.take(1)
    seqs = [received.seq for received in [*seen, last]]
    assert seqs == list(range(seqs[0], seqs[0] + 3 * batch + 1))
    assert not any(received.lagged for received in seen)


async def test_a_cancelled_read_of_the_outbox_costs_a_connection_and_no_event(
    hub: Hub, connection: Connection, database: str
) -> None:
    """Simulates a statement time-out: the outbox is locked, and the listener is cancelled."""
    waiting = """
        SELECT pid FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name = 'kasparro server live'
            AND datname = current_database()
    """
    blocker = await connect(database, application_name="test")
    try:
        async with reading(hub, COINS) as reader, asyncio.timeout(30):
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE events")
                while (pid := await connection.fetchval(waiting)) is None:
                    await asyncio.sleep(0.01)
                await connection.execute("SELECT pg_cancel_backend($1)", pid)
                while hub.listener.connected.is_set():
                    await asyncio.sleep(0.01)
                await add_coins_event(blocker, ["MEANWHILE"], NOW)
            assert tickers(await reader.take(1)) == ["MEANWHILE"]
    finally:
        await blocker.close()


async def test_a_cursor_waits_for_a_connection_only_so_long(
    hub: Hub, pool: Pool, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(connection, "A")
    async with reading(hub, COINS, 0) as reader, AsyncExitStack() as stack:
        monkeypatch.setattr("server.live.catch_up.ACQUIRE_SECONDS", 0.01)
        for _ in range(pool.get_max_size()):
            await stack.enter_async_context(pool.acquire())
        with pytest.raises(TimeoutError):
            async with reading(hub, COINS, 0):
                pytest.fail("there was a connection")
        taking = asyncio.create_task(reader.take(1))
        await stack.aclose()
        assert tickers(await taking) == ["A"]


async def test_a_cursor_that_the_outbox_no_longer_covers_is_refused(
    hub: Hub, connection: Connection
) -> None:
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
    await connection.execute(ADD_MANY, NOW, 2)
    await purge_events(connection, NOW)
    oldest = await connection.fetchval("SELECT min(seq) FROM events")
    async with reading(hub, COINS, oldest - 1) as reader:
        assert tickers(await reader.take(2)) == ["T1", "T2"]
    async with reading(hub, COINS, oldest + 1):
        pass
    for after, reason in (
        (oldest - 2, "too old"),
        (0, "too old"),
        (oldest + 2, "another database"),
    ):
        with pytest.raises(CursorExpiredError, match=reason):
            async with reading(hub, COINS, after):
                pytest.fail("the cursor was taken")
    assert hub.subscriber_count == hub.group_count == 0


async def test_the_newest_cursor_stays_good_however_long_nothing_happens(
    hub: Hub, connection: Connection
) -> None:
    await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=30), 5)
    newest = await connection.fetchval("SELECT max(seq) FROM events")
    await purge_events(connection, NOW)
    async with reading(hub, COINS, newest) as reader:
        await commit(connection, "NEXT")
        assert tickers(await reader.take(1)) == ["NEXT"]


async def test_subscriptions_end_when_events_were_purged_while_the_hub_was_disconnected(
    hub: Hub, connection: Connection, database: str
) -> None:
    async with reading(hub, COINS) as reader:
        await connection.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 1)
        await notify_events(connection)
        assert tickers(await reader.take(1)) == ["T1"]
        blocker = await connect(database, application_name="test")
        transaction = blocker.transaction()
        await transaction.start()
        # While the table is locked the hub cannot read: it finds all changes at once.
        await blocker.execute("LOCK TABLE events")
        await connection.execute(CUT_LISTENERS)
        await blocker.execute(ADD_MANY, NOW - datetime.timedelta(days=2), 5)
        await blocker.execute(ADD_MANY, NOW, 1)
        await purge_events(blocker, NOW)
        await transaction.commit()
        await blocker.close()
        with pytest.raises(CursorExpiredError, match="too old"):
            await reader.take(1)


async def test_no_subscription_outlives_its_client(hub: Hub, connection: Connection) -> None:
    async def client(topic: Topic, after: int | None) -> None:
        async with reading(hub, topic, after) as reader:
            await reader.next()
            if topic is RUNS:
                raise ConnectionResetError
            await reader.next()

    tasks = [
        asyncio.create_task(client(topic, after)) for topic in (COINS, RUNS) for after in (None, 0)
    ]
    async with asyncio.timeout(20):
        while hub.subscriber_count < len(tasks):
            await asyncio.sleep(0)
    await commit(connection, "A")
    await connection.execute(ADD_RUNS, NOW, 1)
    await notify_events(connection)
    async with asyncio.timeout(20):
        ended = await asyncio.gather(*tasks[2:], return_exceptions=True)
    assert {type(error) for error in ended} == {ConnectionResetError}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert hub.subscriber_count == hub.group_count == 0


async def test_two_hubs_follow_one_outbox(
    hub: Hub, connection: Connection, database: str, pool: Pool
) -> None:
    async with (
        running_hub(database, pool) as other,
        reading(hub, COINS) as one,
        reading(other, COINS) as two,
    ):
        await commit(connection, "A", "B")
        assert tickers(await one.take(2)) == tickers(await two.take(2)) == ["A", "B"]


async def test_one_operation_is_encoded_once_for_all_its_subscribers(
    hub: Hub, connection: Connection
) -> None:
    encoder = PlainEncoder()
    async with AsyncExitStack() as stack:
        everything = [
            await stack.enter_async_context(reading(hub, COINS, encoder=encoder)) for _ in range(50)
        ]
        some = [
            await stack.enter_async_context(
                reading(hub, COINS, names=frozenset({name, "Z"}), encoder=encoder)
            )
            for name in 25 * ["A", "B"]
        ]
        assert hub.group_count == 3
        async with connection.transaction():
            await add_coins_event(connection, ["A", "C"], NOW)
            await add_coins_event(connection, ["C"], NOW)
            await add_coins_event(connection, ["A", "B"], NOW)
            await notify_events(connection)
        assert [
            [received.names for received in await reader.take(3)] for reader in everything
        ] == 50 * [[["A", "C"], ["C"], ["A", "B"]]]
        for reader, name in zip(some, 25 * ["A", "B"], strict=True):
            assert tickers(await reader.take(1 + (name == "A"))) == [name] * (1 + (name == "A"))
    # The number of groups of each event.
    assert [groups for _, groups in encoder.written] == [2, 1, 3]
    assert hub.subscriber_count == hub.group_count == 0


async def test_events_during_catching_up_are_read_from_the_outbox(
    hub: Hub, connection: Connection
) -> None:
    """The group gets the event while the reader is not live and does not buffer."""

    class Slow(PlainEncoder):
        async def encode(
            self, commit_: SharedEvent, name_lists: Sequence[Sequence[str]]
        ) -> Sequence[Sequence[Message]]:
            if commit_.event.tickers == ["MISSED"]:
                await commit(connection, "MEANWHILE", "AFTER")
                # Once a subscriber has the second event, all have the first.
                while (await other.next()).names != ["AFTER"]:
                    pass
            return await super().encode(commit_, name_lists)

    encoder = Slow()
    async with reading(hub, COINS) as other:
        await commit(connection, "MISSED")
        # The hub has passed it on, so only the outbox has it: it is encoded once.
        assert (await other.next()).names == ["MISSED"]
        async with reading(hub, COINS, 0, encoder=encoder) as reader:
            assert tickers(await reader.take(3)) == ["MISSED", "MEANWHILE", "AFTER"]
            await commit(connection, "LAST")
            assert tickers(await reader.take(1)) == ["LAST"]


async def test_events_of_the_outbox_and_the_group_arrive_once_and_in_order(hub: Hub) -> None:
    def message(seq: int) -> Sequence[Message]:
        return [Message(seq, str(seq).encode())]

    async with reading(hub, COINS, 0) as reader:
        subscriber = reader.subscriber
        subscriber.stop_catch_up()
        subscriber.offer(1, message(1))  # let pass: the outbox has it
        await subscriber.put(1, message(1))
        subscriber.start_buffering()
        for seq in (2, 3):
            subscriber.offer(seq, message(seq))
        assert subscriber.take() == b"1"
        await subscriber.put(2, message(2))
        assert subscriber.go_live()
        subscriber.offer(3, message(3))
        subscriber.offer(4, message(4))
        assert [subscriber.take() for _ in range(4)] == [b"2", b"3", b"4", None]


async def test_a_subscription_that_is_closed_twice_takes_nothing_from_others(
    hub: Hub, connection: Connection
) -> None:
    encoder = PlainEncoder()
    async with reading(hub, COINS, names=frozenset({"A"}), encoder=encoder) as first:
        hub.close(first.subscriber)
        async with reading(hub, COINS, names=frozenset({"A"}), encoder=encoder) as second:
            hub.close(first.subscriber)
            await commit(connection, "A")
            assert tickers(await second.take(1)) == ["A"]
    assert hub.subscriber_count == hub.group_count == 0


async def test_an_operation_that_fails_costs_no_other_an_event(
    hub: Hub, connection: Connection
) -> None:
    class Failing(PlainEncoder):
        async def encode(
            self, commit: SharedEvent, name_lists: Sequence[Sequence[str]]
        ) -> Sequence[Sequence[Message]]:
            raise ArithmeticError(commit.event.seq, len(name_lists))

    async with reading(hub, COINS, encoder=Failing()) as failing, reading(hub, COINS) as other:
        await commit(connection, "A", "B")
        with pytest.raises(ArithmeticError):
            await failing.next()
        assert tickers(await other.take(2)) == ["A", "B"]
