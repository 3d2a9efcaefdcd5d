"""Points and candles against a plain oracle, in whatever order the words come."""

import datetime
import random
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connect.pool import connect
from db.connect.types import Connection
from db.read.history.candles import INTERVALS, CandleRow, CandleSpan, candles_of
from db.write.backfill import PastPrice, backfill_prices
from db.write.history import add_points
from tests import history_oracle
from tests.history_oracle import Point, Word, stored_history

FIRST = datetime.datetime(
    2026, 10, 25, 21, 58, tzinfo=datetime.UTC
)  # a Sunday night: hour, day and week turn soon
LONG_AGO = FIRST - datetime.timedelta(days=365)
SECONDS = [
    *(0, 1, 59, 60, 61, 119, 120, 299, 300, 301, 899, 901, 3600, 7199, 7200, 7320),
    *(14_400, 86_400, 90_000, 700_000),
]
PRICES = ["1", "1.2", "2", "0.5", "1.000000000000000000001", "4e-18", "1e9"]


@st.composite
def words(draw: st.DrawFn) -> list[Word]:
    """Observations and prices of the past of two listings; those without a time are of the past."""
    found = draw(
        st.dictionaries(
            st.tuples(
                st.sampled_from("ab"),
                st.sampled_from(SECONDS),
                st.sampled_from([None, 1, 2]),
            ),
            st.sampled_from([None, *PRICES]),
            min_size=1,
            max_size=25,
        )
    )
    found.setdefault(("a", 0, 1), "1")
    return [
        Word(
            ("csv", coin),
            FIRST + datetime.timedelta(seconds=second),
            None if page is None else FIRST + datetime.timedelta(days=page),
            None if price is None else Decimal(price),
        )
        for (coin, second, page), price in found.items()
        if price is not None or page is not None
    ]


def grouped(
    stored: Sequence[Point], coin: str, width: datetime.timedelta
) -> list[tuple[object, ...]]:
    """Group a listing's points by stretches of `width` from a Monday on, one after the other."""
    monday = datetime.datetime(2026, 10, 19, tzinfo=datetime.UTC)
    groups: dict[datetime.datetime, list[Decimal]] = {}
    for point in stored:
        if point.key[1] != coin or point.price is None or point.is_held:
            continue
        start = monday
        while start + width <= point.at:
            start += width
        groups.setdefault(start, []).append(point.price)
    return [(start, p[0], max(p), min(p), p[-1], len(p)) for start, p in sorted(groups.items())]


def values(candle: CandleRow) -> tuple[object, ...]:
    prices = (Decimal(text) for text in (candle.open, candle.high, candle.low, candle.close))
    return candle.start, *prices, candle.samples


async def clear(connection: Connection) -> None:
    await connection.execute("TRUNCATE listings, normalized_records, price_points, candles")
    await connection.execute(
        "INSERT INTO listings (source, external_id, ticker, symbol, name_words, core_words, "
        "observed_at, fetched_at, "
        "first_seen_at, last_seen_at, content_hash, contributes) "
        "SELECT 'csv', id, upper(id), id, '', '', now(), now(), now(), now(), '', true FROM "
        "unnest($1::text[]) AS id",
        ["a", "b"],
    )
    await connection.execute(
        "INSERT INTO normalized_records (ticker, source, created_at, ingested_at, rival_count, "
        "provenance, stale_at, asset) SELECT upper(id), 'csv', now(), now(), 0, '[]', now(), "
        "'csv:' || id FROM unnest($1::text[]) AS id",
        ["a", "b"],
    )


async def write(connection: Connection, word: Word) -> None:
    if word.fetched_at is None:
        assert word.price is not None
        past = PastPrice(word.key[1], word.at, word.price, None, None)
        await backfill_prices(connection, "csv", [past], LONG_AGO)
    else:
        row = {
            "external_id": word.key[1],
            "observed_at": word.at,
            "price_usd": word.price,
            "content_hash": bytes(16),
        }
        await add_points(connection, "csv", msgspec.json.encode([row]), LONG_AGO, word.fetched_at)


@given(stream=words(), seed=st.integers(0, 1000), repeats=st.integers(0, 5))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_late_and_repeated_words_give_the_history_of_an_undisturbed_stream(
    connection: Connection, stream: list[Word], seed: int, repeats: int
) -> None:
    await clear(connection)
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    for word in chance.sample(stream, len(stream)) + chance.choices(stream, k=repeats):
        await write(connection, word)
    expected = history_oracle.points(stream)
    assert await stored_history(connection) == (expected, history_oracle.candles(expected))
    for interval in INTERVALS.values():
        span = CandleSpan(interval.name, interval.floor(FIRST), FIRST + datetime.timedelta(days=10))
        found = await candles_of(connection, ["A", "B"], span)
        for coin in "ab":
            assert [values(candle) for candle in found[coin.upper()]] == grouped(
                expected, coin, interval.width
            )


async def test_a_point_older_than_the_retention_is_left_out(database: str) -> None:
    connection = await connect(database)
    await clear(connection)
    old = PastPrice("a", LONG_AGO - datetime.timedelta(seconds=1), Decimal(1), None, None)
    young = PastPrice("a", LONG_AGO, Decimal(1), None, None)
    assert await backfill_prices(connection, "csv", [old, young], LONG_AGO) == 1
    await connection.close()


def test_a_span_counts_its_candles() -> None:
    start = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    hour = datetime.timedelta(hours=1)
    assert CandleSpan("H1", start, start).count == 0
    assert CandleSpan("H1", start, start + hour).count == 1
    assert CandleSpan("H1", start, start + hour + datetime.timedelta(seconds=1)).count == 2
