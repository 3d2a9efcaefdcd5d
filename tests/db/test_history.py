"""Points and candles against a plain oracle, in whatever order the points come."""

import datetime
import random
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connect.pool import connect
from db.connect.types import Connection
from db.read.candles import INTERVALS, CandleRow, CandleSpan, candles_of
from db.write.history import PastPrice, backfill_prices

FIRST = datetime.datetime(
    2026, 10, 25, 21, 58, tzinfo=datetime.UTC
)  # a Sunday night: hour, day and week turn soon
LONG_AGO = FIRST - datetime.timedelta(days=365)
SECONDS = [
    0,
    1,
    59,
    60,
    61,
    119,
    120,
    299,
    300,
    301,
    899,
    901,
    3600,
    7199,
    7200,
    7320,
    14_400,
    86_400,
    90_000,
    700_000,
]
Point = tuple[str, datetime.datetime, Decimal]


@st.composite
def points(draw: st.DrawFn) -> list[Point]:
    """Points of two coins, each time of a coin once: a source says one price of a time."""
    prices = st.sampled_from(
        [Decimal(text) for text in ("1", "2", "0.5", "1.000000000000000000001", "4e-18", "1e9")]
    )
    found = draw(
        st.dictionaries(
            st.tuples(st.sampled_from("ab"), st.sampled_from(SECONDS)), prices, min_size=1
        )
    )
    return [
        (coin, FIRST + datetime.timedelta(seconds=second), price)
        for (coin, second), price in found.items()
    ]


def oracle(
    stream: Sequence[Point], coin: str, width: datetime.timedelta
) -> list[tuple[object, ...]]:
    """Group a coin's points by stretches of `width` from a Monday on, one after the other."""
    monday = datetime.datetime(2026, 10, 19, tzinfo=datetime.UTC)
    groups: dict[datetime.datetime, list[Decimal]] = {}
    for _, at, price in sorted(point for point in stream if point[0] == coin):
        start = monday
        while start + width <= at:
            start += width
        groups.setdefault(start, []).append(price)
    return [(start, p[0], max(p), min(p), p[-1], len(p)) for start, p in sorted(groups.items())]


def values(candle: CandleRow) -> tuple[object, ...]:
    prices = (Decimal(text) for text in (candle.open, candle.high, candle.low, candle.close))
    return candle.start, *prices, candle.samples


async def start_anew(connection: Connection) -> None:
    await connection.execute("TRUNCATE listings, normalized_records, price_points, candles")
    await connection.execute(
        "INSERT INTO listings (source, external_id, ticker, symbol, name_words, core_words, "
        "observed_at, fetched_at, "
        "first_seen_at, last_seen_at, content_hash, contributes) "
        "SELECT 'csv', id, upper(id), id, '', '', now(), now(), now(), now(), '', true FROM "
        "unnest($1::text[]) AS id",
        ["a", "b"],
    )


@given(
    stream=points(), seed=st.integers(0, 1000), repeats=st.integers(0, 5), size=st.integers(1, 5)
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_late_and_repeated_points_give_the_candles_of_an_undisturbed_stream(
    connection: Connection, stream: list[Point], seed: int, repeats: int, size: int
) -> None:
    await start_anew(connection)
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    arriving = chance.sample(stream, len(stream)) + chance.choices(stream, k=repeats)
    for place in range(0, len(arriving), size):
        batch = [
            PastPrice(coin, at, price, None, None)
            for coin, at, price in arriving[place : place + size]
        ]
        await backfill_prices(connection, "csv", batch, LONG_AGO)
    for interval in INTERVALS.values():
        span = CandleSpan(interval.name, interval.floor(FIRST), FIRST + datetime.timedelta(days=10))
        found = await candles_of(connection, ["A", "B"], span)
        for coin in "ab":
            assert [values(candle) for candle in found[coin.upper()]] == oracle(
                stream, coin, interval.width
            )


async def test_a_point_older_than_the_retention_is_left_out(database: str) -> None:
    connection = await connect(database)
    await start_anew(connection)
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
