"""History thinned by age: the last counted point of an hour or a day stays, candles stay exact."""

import datetime
import itertools
import random
from decimal import Decimal

import asyncpg
import pytest

from db.connect.pool import connect
from db.connect.types import Connection
from db.schema.logins import login_dsn
from db.schema.partitions import Retention, ensure_partitions
from db.schema.thinning import thin_history
from ingestor.run.housekeeping import purge_expired
from tests.db.test_history import clear, write
from tests.history_oracle import EPOCH, Candle, Point, Word, points, stored_history

NOW = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
RETENTION = Retention(raw_days=7, history_days=90, full_days=14, hourly_days=40)
DAILY = RETENTION.oldest_hourly(NOW) - 7 * DAY
HOURLY = RETENTION.oldest_full(NOW) - 7 * DAY
"""Before these times every week is thinned; a week whose end is younger waits."""


def observations(seed: int) -> list[Word]:
    """Two listings over eighty days: dense days, spikes, times without a price."""
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    words = []
    for coin, day in itertools.product("ab", range(0, 80, 4)):
        at = NOW - day * DAY
        for minutes in sorted(chance.sample(range(300), 20)):
            usual = Decimal(chance.randrange(95, 105))
            price = chance.choice([usual] * 8 + [usual * 1000, None])
            words.append(
                Word(
                    ("csv", coin),
                    at + datetime.timedelta(minutes=minutes),
                    NOW,
                    price,
                )
            )
    return words


def thinned(stored: list[Point]) -> list[Point]:
    """What is left in plain Python; the weeks' ends are Mondays."""
    monday = datetime.datetime(1970, 1, 5, tzinfo=datetime.UTC)

    def stretch(point: Point) -> tuple[object, ...]:
        end = point.at - (point.at - monday) % (7 * DAY) + 7 * DAY
        if end <= RETENTION.oldest_hourly(NOW):
            return point.key, point.at - (point.at - EPOCH) % DAY
        if end <= RETENTION.oldest_full(NOW):
            return point.key, point.at - (point.at - EPOCH) % HOUR
        return point.key, point.at

    return [
        max(several, key=lambda point: (point.price is not None and not point.is_held, point.at))
        for _, several in itertools.groupby(stored, stretch)
    ]


def exact(*prices: int) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, prices))


async def fill(connection: Connection, seed: int = 1) -> tuple[list[Point], list[Candle]]:
    await ensure_partitions(connection, NOW, RETENTION)
    await clear(connection)
    for word in observations(seed):
        await write(connection, word)
    return await stored_history(connection)


@pytest.mark.parametrize("seed", range(3))
async def test_the_last_counted_point_of_a_stretch_stays_and_no_candle_changes(
    connection: Connection, seed: int
) -> None:
    before, candles = await fill(connection, seed)
    assert before == points(observations(seed))
    removed = await thin_history(connection, NOW, RETENTION)
    left = thinned(before)
    assert await stored_history(connection) == (left, candles)
    assert sum(removed.values()) == len(before) - len(left) > 100
    assert {point.at > RETENTION.oldest_full(NOW) for point in before} == {True, False}
    assert await thin_history(connection, NOW, RETENTION) == {}


async def test_hours_become_days_later(connection: Connection) -> None:
    before, candles = await fill(connection)
    for day in range(0, 35, 7):
        await thin_history(connection, NOW - (28 - day) * DAY, RETENTION)
    assert await stored_history(connection) == (thinned(before), candles)


async def test_what_comes_late_widens_the_candles_of_a_thinned_hour(
    connection: Connection,
) -> None:
    await ensure_partitions(connection, NOW, RETENTION)
    await clear(connection)
    start = HOURLY - (HOURLY - EPOCH) % DAY
    for minute, price in [(1, 100), (20, 90), (30, 108), (50, 101)]:
        await write(connection, at(start, minute, price))
    await thin_history(connection, NOW, RETENTION)
    [(point,), _] = await stored_history(connection)
    assert (point.at, point.price) == (start + datetime.timedelta(minutes=50), Decimal(101))

    await write(connection, at(start, 10, 109))
    (candle, _) = (await stored_history(connection))[1]
    assert (candle.open, candle.high, candle.low, candle.close) == exact(100, 109, 90, 101)
    await write(connection, at(start, 55, 102))
    await write(connection, at(start, 0, 99))
    (hour, day) = (await stored_history(connection))[1]
    for candle in (hour, day):
        assert (candle.open, candle.high, candle.low, candle.close) == exact(99, 109, 90, 102)
    # A correction of the point that stayed is its last word.
    later = NOW + HOUR
    await write(connection, at(start, 55, 103)._replace(fetched_at=later))
    assert (await stored_history(connection))[1][0].close == 103


async def test_another_hour_of_a_day_of_one_point_keeps_its_candle(connection: Connection) -> None:
    await ensure_partitions(connection, NOW, RETENTION)
    await clear(connection)
    start = DAILY - (DAILY - EPOCH) % DAY
    for minute, price in [(1, 100), (20, 90), (70, 103)]:
        await write(connection, at(start, minute, price))
    await thin_history(connection, NOW, RETENTION)
    await write(connection, at(start, 30, 95))
    candles = (await stored_history(connection))[1]
    assert [(c.interval, c.open, c.high, c.low, c.close) for c in candles] == [
        ("H1", *exact(100, 100, 90, 95)),
        ("H1", *exact(103, 103, 103, 103)),
        ("D1", *exact(100, 103, 90, 103)),
    ]


def at(start: datetime.datetime, minute: int, price: int) -> Word:
    return Word(("csv", "a"), start + datetime.timedelta(minutes=minute), NOW, Decimal(price))


async def test_an_interrupted_one_goes_on_and_gives_the_space_back(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rights of an ingestor, which owns no table."""
    before, candles = await fill(connection)
    week = await connection.fetchval(
        "SELECT tableoid::regclass::text FROM price_points WHERE at < $1 LIMIT 1", HOURLY
    )
    await connection.execute(
        "INSERT INTO price_points (listing, at, price_usd) SELECT l.id, p.at + n * interval '1 ms',"
        f" p.price_usd FROM {week} AS p JOIN listings AS l ON l.id = p.listing,"
        " generate_series(1, 200) AS n WHERE p.price_usd IS NOT NULL ON CONFLICT DO NOTHING"
    )
    size = await connection.fetchval("SELECT pg_relation_size($1::regclass)", week)
    monkeypatch.setattr("db.schema.thinning.LISTINGS_AT_ONCE", 1)
    worker = await connect(await login_dsn(database, "ingestor"))
    try:
        with monkeypatch.context() as patched:
            patched.setattr(
                "db.schema.thinning._DONE_TO",
                "UPDATE thinned_partitions SET done_to = $2, removed = removed + $3"
                " / CASE WHEN $2 < (SELECT max(id) FROM listings) THEN 1 ELSE 0 END"
                " WHERE partition = $1",
            )
            with pytest.raises(asyncpg.DivisionByZeroError):
                await thin_history(worker, NOW, RETENTION)
        assert await connection.fetchval("SELECT max(done_to) FROM thinned_partitions") > 0
        assert (await stored_history(connection))[1] == candles
        await thin_history(worker, NOW, RETENTION)
    finally:
        await worker.close()
    assert await connection.fetchval("SELECT pg_relation_size($1::regclass)", week) < size / 10
    assert await connection.fetchval("SELECT bool_and(is_compact) FROM thinned_partitions")
    assert len((await stored_history(connection))[0]) <= len(before)
    options = "SELECT reloptions FROM pg_class WHERE oid = $1::regclass"
    assert await connection.fetchval(options, week.replace("price_points", "candles")) is None


async def test_a_reader_of_the_week_makes_it_wait_not_fail(
    database: str, connection: Connection
) -> None:
    await fill(connection)
    reader = await connect(database)
    try:
        async with reader.transaction():
            await reader.fetchval(
                "SELECT count(*) FROM price_points WHERE at BETWEEN $1 AND $2",
                HOURLY - datetime.timedelta(hours=3),
                HOURLY,
            )
            await thin_history(connection, NOW, RETENTION)
            assert (
                await connection.fetchval(
                    "SELECT count(*) FROM thinned_partitions WHERE NOT is_compact"
                )
                == 1
            )
    finally:
        await reader.close()
    assert list((await thin_history(connection, NOW, RETENTION)).values()) > [0]


async def test_housekeeping_thins(connection: Connection) -> None:
    await fill(connection)
    await connection.execute("UPDATE retention_clock SET at = $1, moved_at = $1", NOW)
    count = await connection.fetchval("SELECT count(*) FROM price_points")
    await purge_expired(connection, RETENTION)
    assert await connection.fetchval("SELECT count(*) FROM price_points") < count
