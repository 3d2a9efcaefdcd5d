"""What the ingest remembers: points, candles, payloads, and for how long."""

import datetime
import re
from decimal import Decimal

import msgspec

from db.notes import decode_notes
from db.schema.partitions import (
    DEFAULT_RETENTION,
    Retention,
    delete_old_rows,
    drop_old_partitions,
    ensure_partitions,
)
from ingestor.clock import utc_now
from ingestor.run.run import run
from tests.history_oracle import CANDLES, POINTS
from tests.ingestor.conftest import START, Ingest

DAY = datetime.timedelta(days=1)
PRESENT = (
    "SELECT ticker, price_usd_exact, created_at FROM normalized_records "
    "WHERE price_usd_exact IS NOT NULL AND created_at >= $1 ORDER BY 1"
)
EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
SAID = f"SELECT ticker, price_usd, at FROM {POINTS} AS p ORDER BY ticker, at"


async def test_every_observation_is_a_point_and_one_without_a_price_makes_no_candle(
    ingest: Ingest,
) -> None:
    ingest.csv_path.write_text("id,symbol,name,price,volume\n1,ABC,Alpha,10,5\n2,XYZ,Omega,,5\n")
    await ingest.run("csv")
    assert [(ticker, price) for ticker, price, _ in await ingest.rows(SAID)] == [
        ("ABC", Decimal(10)),
        ("XYZ", None),
    ]
    ingest.csv_path.write_text("id,symbol,name,price,volume\n1,ABC,Alpha,10,6\n2,XYZ,Omega,,7\n")
    outcome = await ingest.run("csv")
    assert outcome.changed == 2
    count = f"SELECT count(*) FROM {CANDLES} AS c WHERE source = 'csv' AND ticker = 'XYZ'"
    assert await ingest.value(count) == 0
    ingest.csv_path.write_text("id,symbol,name,price,volume\n1,ABC,Alpha,11,6\n2,XYZ,Omega,3,7\n")
    await ingest.run("csv")
    prices = [price for ticker, price, _ in await ingest.rows(SAID) if ticker == "ABC"]
    assert prices[0] == 10
    assert prices[-1] == 11
    assert await ingest.value(
        f"SELECT sum(samples) FROM {CANDLES} AS c WHERE interval = 'D1' AND ticker = 'ABC'"
    ) == len(prices)


async def test_history_keeps_what_the_present_forgets(ingest: Ingest) -> None:
    seen: set[tuple[object, ...]] = set()
    for _ in range(4):
        for name in ("coinpaprika", "coingecko"):
            await ingest.run(name)
            oldest = utc_now() - 90 * DAY
            seen |= {(ticker, price) for ticker, price, _ in await ingest.rows(PRESENT, oldest)}
        ingest.market.advance()
    assert seen <= {(ticker, price) for ticker, price, _ in await ingest.rows(SAID)}


async def test_a_dated_file_fills_the_past_and_leaves_the_present_alone(ingest: Ingest) -> None:
    days = [f"{START - (31 - day) * DAY:%Y-%m-%d}" for day in range(32)]
    ingest.csv_path.write_text(f"symbol,name,price,date\nBTC,Bitcoin,100,{days[31]}\n")
    await ingest.run("csv")
    before = await ingest.rows(PRESENT, EVER)
    rows = "".join(f"BTC,Bitcoin,{90 + day},{days[day]}\n" for day in (3, 1, 2, 2))
    ingest.csv_path.write_text(f"symbol,name,price,date\nBTC,Bitcoin,100,{days[31]}\n{rows}")
    await ingest.run("csv")
    assert await ingest.rows(PRESENT, EVER) == before
    points = await ingest.rows(
        "SELECT price_usd, at::date::text FROM price_points WHERE price_usd IS NOT NULL ORDER BY at"
    )
    assert points == [
        (Decimal(91), days[1]),
        (Decimal(92), days[2]),
        (Decimal(93), days[3]),
        (Decimal(100), days[31]),
    ]
    candles = await ingest.rows(
        "SELECT close, samples FROM candles WHERE interval = 'D1' ORDER BY start"
    )
    assert candles == [(Decimal(91), 1), (Decimal(92), 1), (Decimal(93), 1), (Decimal(100), 1)]


async def test_rows_that_history_is_too_short_for_are_counted_in_a_note(ingest: Ingest) -> None:
    now = utc_now()
    oldest = DEFAULT_RETENTION.oldest_history(now)
    kept, lost = oldest + 2 * DAY, oldest - 2 * DAY
    rows = [
        f"BTC,Bitcoin,{price},{at:%Y-%m-%dT%H:%M:%SZ}"
        for price, at in enumerate((lost - 2 * DAY, lost - DAY, lost, kept, kept + DAY), start=1)
    ]
    rows += [
        f"OLD,Old Coin,7,{lost:%Y-%m-%dT%H:%M:%SZ}",
        f"BARE,Bare Coin,,{lost:%Y-%m-%dT%H:%M:%SZ}",
    ]
    ingest.csv_path.write_text("\n".join(["symbol,name,price,date", *rows, ""]))
    outcome = await ingest.run("csv")
    assert outcome.status == "success"
    text = str(await ingest.value("SELECT notes::text FROM etl_runs WHERE id = $1", outcome.id))
    notes = decode_notes(msgspec.Raw(text.encode()))
    [note] = [note for note in notes if note.about == "retention"]
    assert note.count == 4
    assert re.fullmatch(
        r"Prices from before \d{4}-\d\d-\d\d \d\d:\d\d UTC, which history does not keep "
        r"\(HISTORY_RETENTION_DAYS\)",
        note.text,
    )
    points = await ingest.rows(f"SELECT ticker, price_usd FROM {POINTS} AS p ORDER BY at")
    assert points == [("BTC", Decimal(4)), ("BTC", Decimal(5))]
    # What is too old for history is the present all the same, where nothing is younger.
    assert (
        await ingest.value("SELECT price_usd_exact FROM normalized_records WHERE ticker = 'OLD'")
        == 7
    )


async def test_partitions_are_made_ahead_and_dropped_when_their_time_is_over(
    ingest: Ingest,
) -> None:
    now = datetime.datetime(2026, 11, 4, 12, tzinfo=datetime.UTC)
    retention = Retention(raw_days=2, history_days=20)
    async with ingest.pool.acquire() as connection:
        made = await ensure_partitions(connection, now, retention)
        assert {"bodies_20261104", "bodies_20261107", "price_points_20261102"} <= set(made)
        assert await ensure_partitions(connection, now, retention) == []
        # Points of the past find their partition too.
        assert "price_points_20261012" in made
        assert await drop_old_partitions(connection, now, retention) == []
        dropped = await drop_old_partitions(connection, now + 3 * DAY, retention)
        assert dropped == ["bodies_20261104"]
        later = now + 30 * DAY
        dropped = await drop_old_partitions(connection, later, retention)
        assert "price_points_20261012" in dropped
        assert "candles_20261012" in dropped
        assert not any(name.endswith("20261109") and name.startswith("price") for name in dropped)


BODY_PARTITIONS = """
SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
WHERE inhparent = 'bodies'::regclass AND c.relname <> 'bodies_default' ORDER BY 1
"""


async def test_bodies_that_are_kept_for_hours_lie_by_the_hour(ingest: Ingest) -> None:
    now = datetime.datetime(2026, 11, 4, 12, 30, tzinfo=datetime.UTC)
    days, hours = (
        Retention(raw_days=7, history_days=90),
        Retention(raw_days=7, history_days=3, raw_hours=2),
    )
    async with ingest.pool.acquire() as connection:
        await ensure_partitions(connection, now, days)
        # The day under way stays as it is; those made ahead make room.
        assert not any(
            name.startswith("bodies") for name in await ensure_partitions(connection, now, hours)
        )
        assert await ingest.rows(BODY_PARTITIONS) == [("bodies_20261104",)]
        now += datetime.timedelta(hours=10)
        made = await ensure_partitions(connection, now, hours)
        assert {"bodies_2026110500", "bodies_2026110501"} <= set(made)
        assert await ensure_partitions(connection, now, hours) == []
        now += datetime.timedelta(hours=6)
        await ensure_partitions(connection, now, hours)
        dropped = [
            name for name in await drop_old_partitions(connection, now, hours) if "bodies" in name
        ]
        assert dropped == [f"bodies_{time}" for time in ("20261104", "2026110500", "2026110501")]
        assert ("bodies_2026110504",) in await ingest.rows(BODY_PARTITIONS)
        # And back to days.
        await ensure_partitions(connection, now, days)
        assert ("bodies_20261106",) in await ingest.rows(BODY_PARTITIONS)


async def test_a_century_of_history_needs_no_partition_a_week(ingest: Ingest) -> None:
    now, retention = utc_now(), Retention(raw_days=2, history_days=36_500)
    ingest.csv_path.write_text(
        f"symbol,name,price,date\nBTC,Bitcoin,100,{now:%Y-%m-%d}\nBTC,Bitcoin,1,2013-04-28\nBTC,Bitcoin,2,2013-04-29\n"
    )
    outcome = await run(ingest.pool, ingest.sources["csv"], timeout_seconds=60, retention=retention)
    assert outcome is not None
    assert outcome.status == "success"
    tables = (
        "SELECT count(*) < 300 FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE "
        "relkind = 'r'"
    )
    assert await ingest.value(tables)
    points = await ingest.rows("SELECT price_usd FROM price_points ORDER BY at")
    assert [price for (price,) in points] == [Decimal(1), Decimal(2), Decimal(100)]
    assert await ingest.value("SELECT count(*) FROM candles WHERE interval = 'D1'") == 3
    async with ingest.pool.acquire() as connection:
        await drop_old_partitions(connection, now, retention)
        await delete_old_rows(connection, now, retention)
        assert await ingest.value("SELECT count(*) FROM price_points") == 3
        await delete_old_rows(connection, now, DEFAULT_RETENTION)
    assert await ingest.value("SELECT count(*) FROM price_points") == 1


async def test_the_newest_payload_of_a_listing_outlives_the_bodies(ingest: Ingest) -> None:
    ingest.csv_path.write_text("id,symbol,name,price\n1,ABC,Alpha,10\n2,XYZ,Omega,1\n")
    await ingest.run("csv")
    ingest.csv_path.write_text("id,symbol,name,price\n1,ABC,Alpha,11\n2,XYZ,Omega,1\n")
    await ingest.run("csv")
    assert await ingest.value("SELECT sum(record_count) >= 3 FROM bodies")
    later = utc_now() + 30 * DAY
    async with ingest.pool.acquire() as connection:
        assert await drop_old_partitions(connection, later, DEFAULT_RETENTION)
        await delete_old_rows(connection, later, DEFAULT_RETENTION)
    assert await ingest.value("SELECT count(*) FROM bodies") == 0
    kept = await ingest.rows(
        "SELECT payload ->> 'id', payload ->> 'price' FROM raw_csv_records ORDER BY 1"
    )
    assert kept == [("1", "11"), ("2", "1")]
