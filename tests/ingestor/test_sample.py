"""The sample's invented prices, which an earlier version read by default, are deleted."""

import csv
import shutil
from pathlib import Path

import pytest

from common.settings import SAMPLE, Settings, SettingsError
from db.demo import mark_demo
from db.schema.partitions import Retention
from ingestor.run.run import run
from ingestor.run.sample import delete_sample
from ingestor.run.startup import prepare
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Source
from tests.ingestor.conftest import Ingest

RETENTION = Retention(raw_days=7, history_days=36_500)
"""The history includes the sample's day whenever this runs."""
# A second source may make another asset the owner of a ticker, whose price stays in its history.
ALONE = (
    "ticker NOT IN (SELECT ticker FROM listings WHERE source <> 'csv' GROUP BY ticker "
    "HAVING count(*) > 1)"
)
STATE = (
    """
    SELECT ticker, name, price_usd_exact, source, created_at, rival_count FROM normalized_records
    ORDER BY 1
    """,
    """
    SELECT source, external_id, ticker, price_usd, active, contributes FROM listings ORDER BY 1, 2
    """,
    f"SELECT ticker, at, price_usd, source FROM price_points WHERE {ALONE} ORDER BY 1, 2",
    f"SELECT * FROM candles WHERE {ALONE} ORDER BY ticker, interval, start",
    "SELECT source, external_id, content_hash FROM raw_csv_records ORDER BY 1, 2",
)


async def read(ingest: Ingest, source: Source) -> None:
    done = await run(ingest.pool, source, timeout_seconds=60, retention=RETENTION)
    assert done is not None
    assert done.status == "success"


async def state(ingest: Ingest) -> list[list[tuple[object, ...]]]:
    return [await ingest.rows(sql) for sql in STATE]


def sample_rows() -> list[dict[str, str]]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_the_sample_is_forgotten_and_everything_is_as_if_it_had_never_been_read(
    ingest: Ingest, tmp_path: Path
) -> None:
    await read(ingest, ingest.sources["coinpaprika"])
    btc = next(row for row in sample_rows() if row["symbol"] == "BTC")
    # A point of another source within the sample's hour: its candle is to be what that point makes
    # of it.
    past = (
        "INSERT INTO price_points (ticker, at, price_usd, source) VALUES ('BTC', "
        f"'{btc['timestamp']}'::timestamptz"
    )
    await ingest.rows(f"{past} + interval '5 minutes', 70000, 'coingecko')")
    hour = f"date_bin('1 hour', '{btc['timestamp']}'::timestamptz, 'epoch')"
    for interval, width in (("H1", "1 hour"), ("D1", "1 day")):
        start = hour.replace("1 hour", width)
        await ingest.rows(
            "INSERT INTO candles (ticker, interval, start, open, high, low, close, open_at, "
            "close_at, samples) "
            f"SELECT 'BTC', '{interval}', {start}, 70000, 70000, 70000, 70000, at, at, 1 FROM "
            "price_points "
            "WHERE ticker = 'BTC' AND price_usd = 70000"
        )
    before = await state(ingest)

    await read(ingest, CsvFiles(str(SAMPLE)))
    assert await ingest.value("SELECT count(*) FROM listings WHERE source = 'csv'") == 50
    assert (
        await ingest.value("SELECT count(*) FROM candles WHERE ticker = 'BTC' AND samples = 2") == 2
    )

    await delete_sample(ingest.pool, str(tmp_path / "csv"))
    assert await state(ingest) == before
    told = await ingest.value(
        "SELECT tickers FROM events WHERE kind = 'coins_changed' ORDER BY seq DESC LIMIT 1"
    )
    assert isinstance(told, list)
    assert {row["symbol"] for row in sample_rows()} - {ticker for ticker, *_ in before[0]} <= set(
        told
    )
    await delete_sample(ingest.pool, str(tmp_path / "csv"))
    assert await state(ingest) == before


async def test_what_a_user_names_is_kept(
    ingest: Ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copy(SAMPLE, tmp_path / "sample.csv")
    await read(ingest, CsvFiles(str(copy)))
    before = await state(ingest)
    await delete_sample(ingest.pool, str(copy))
    assert await state(ingest) == before
    assert "the prices in it are invented" in capsys.readouterr().out


async def test_a_users_own_figures_of_the_same_name_are_kept(
    ingest: Ingest, tmp_path: Path
) -> None:
    own = tmp_path / "sample.csv"
    own.write_text("symbol,name,price_usd\nBTC,Bitcoin,1\n", encoding="utf-8")
    await read(ingest, CsvFiles(str(own)))
    before = await state(ingest)
    await delete_sample(ingest.pool, str(tmp_path / "csv"))
    assert await state(ingest) == before


async def test_real_prices_are_kept_out_of_a_demos_database(ingest: Ingest, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, sources=("csv",))
    async with ingest.pool.acquire() as connection:
        await mark_demo(connection)
    with pytest.raises(SettingsError, match="the prices in this database are made up"):
        await prepare(settings, ingest.pool)
    (source,) = await prepare(Settings(home=tmp_path, sources=("csv",), demo=True), ingest.pool)
    assert source.name == "csv"
