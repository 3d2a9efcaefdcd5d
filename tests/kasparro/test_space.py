"""The size of a database on disk, now and in the end, with the present settings."""

import datetime
import json
import re
from pathlib import Path

import pytest

from common.settings import SAMPLE, Settings
from db.connect.pool import Connection
from db.read.sizes import Forecast, Growth, Sizes, TableSize, forecast, read_sizes
from db.schema.partitions import Retention
from kasparro.doctor.space import space_finding
from tests.kasparro.command_line import kasparro

HOUR = datetime.timedelta(hours=1)
SIZES = Sizes(
    database_bytes=1_000_000,
    raw=TableSize(500_000, 500),
    points=TableSize(100_000, 1_000),
    candles=TableSize(50_000, 500),
    listings=TableSize(10_000, 10),
    coins=TableSize(10_000, 4),
)


def test_a_forecast_is_what_comes_times_how_long_it_stays() -> None:
    expected = forecast(
        SIZES, Growth(HOUR / 2, bodies=5, payloads=50), Retention(raw_days=7, history_days=30)
    )
    assert expected is not None
    # 10 bodies of 1,000 bytes an hour, for seven days and one.
    assert expected.raw_bytes == pytest.approx(10 * 8 * 24 * 1_000)
    # As many points as payloads, of 100 bytes, for a week and a week, then one for each of ten
    # listings; 25 candles of 100 bytes a day for each of ten listings.
    assert expected.history_bytes == pytest.approx(
        (100 * 14 + 10 * 23) * 24 * 100 + 10 * 25 * 37 * 100
    )
    assert expected.database_bytes == pytest.approx(
        350_000 + expected.raw_bytes + expected.history_bytes
    )
    assert expected.bytes_per_hour == pytest.approx(10 * 1_000 + 100 * 100)


def test_thinned_history_takes_less() -> None:
    growth = Growth(HOUR, bodies=10, payloads=100)
    whole, daily = (
        forecast(SIZES, growth, Retention(7, 90, full_days=full, hourly_days=10))
        for full in (90, 3)
    )
    assert whole is not None
    assert daily is not None
    # Ten days each point, seven an hourly one, 80 a daily one of ten listings.
    points = 100 * 10 * 24 + 10 * 7 * 24 + 10 * 80
    assert whole.history_bytes - daily.history_bytes == pytest.approx(
        (100 * 97 * 24 - points) * 100
    )


def test_fewer_hours_take_less() -> None:
    growth = Growth(HOUR, bodies=100, payloads=0)
    expected = forecast(SIZES, growth, Retention(raw_days=7, history_days=30, raw_hours=2))
    assert expected is not None
    assert expected.raw_bytes == pytest.approx(100 * 3 * 1_000)


@pytest.mark.parametrize(
    "growth", [None, Growth(datetime.timedelta(seconds=30), bodies=20, payloads=2_000)]
)
def test_what_was_hardly_measured_is_not_forecast(growth: Growth | None, tmp_path: Path) -> None:
    expected = forecast(SIZES, growth, Retention(raw_days=7, history_days=30))
    assert expected is None
    found = space_finding(Settings(home=tmp_path), SIZES, expected, free=0)
    assert (found.level, found.text) == (
        "ok",
        "1.0 MB now; what it comes to is known after some minutes of runs",
    )


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (8_000_000_000, "warn", "; the disk is full in about 3 days"),
        (800_000_000, "warn", "; the disk is full in about 8 hours"),
        (20_000_000_000, "ok", ""),
        (None, "ok", ""),
    ],
)
def test_a_disk_that_will_be_full_is_reported_before(
    free: int | None, level: str, words: str, tmp_path: Path
) -> None:
    expected = Forecast(
        raw_bytes=9e9,
        history_bytes=2e9,
        database_bytes=SIZES.database_bytes + 1.2e10,
        bytes_per_hour=1e8,
    )
    found = space_finding(Settings(home=tmp_path, raw_retention_hours=9), SIZES, expected, free)
    assert found.level == level
    assert found.text == (
        "1.0 MB now, 100.0 MB more an hour; up to 12.0 GB in the end: bodies 9.0 GB "
        "(RAW_RETENTION_HOURS=9), "
        f"history 2.0 GB (HISTORY_RETENTION_DAYS=90){words}"
    )
    assert (found.remedy is None) == (level == "ok")


async def test_rows_and_bytes_are_those_of_all_partitions(connection: Connection) -> None:
    empty = await read_sizes(connection)
    await connection.execute(
        "INSERT INTO price_points (listing, at, price_usd) "
        "SELECT n, now(), 1 FROM generate_series(1, 20000) AS n; ANALYZE price_points_default"
    )
    await connection.execute(
        "INSERT INTO normalized_records (ticker, source, created_at, ingested_at, rival_count, "
        "provenance) "
        "SELECT 'T' || n, 'csv', now(), now(), 0, '[]' FROM generate_series(1, 300) AS n; "
        "ANALYZE normalized_records"
    )
    sizes = await read_sizes(connection)
    assert sizes.points.rows == pytest.approx(20_000, rel=0.02)
    assert sizes.coins.rows == pytest.approx(300, rel=0.02)
    assert 1_000_000 < sizes.points.bytes - empty.points.bytes < 10_000_000
    assert sizes.history_bytes == sizes.points.bytes + sizes.candles.bytes
    assert sizes.database_bytes > sizes.history_bytes + sizes.raw.bytes


async def test_status_and_doctor_tell_it(state_folder: Path) -> None:
    settings = {"KASPARRO_HOME": str(state_folder), "SOURCES": "csv", "CSV_PATH": str(SAMPLE)}
    done = await kasparro("ingest", "--once", **settings)
    assert done.returncode == 0, done.stderr
    shown = (await kasparro("status", **settings)).stdout
    size = r"[\d.]+ [kM]B"
    assert re.search(
        rf"^{size} on disk: database {size}, of that bodies {size}, history {size}$",
        shown,
        re.MULTILINE,
    )
    status = json.loads((await kasparro("status", "--json", **settings)).stdout)
    assert status["demo"] is False
    assert status["disk_bytes"] > status["sizes"]["database_bytes"] > 5_000_000
    found = json.loads((await kasparro("doctor", "--json", **settings)).stdout)
    assert "Space" in [finding["subject"] for finding in found]
