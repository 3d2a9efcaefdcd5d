"""A CSV file of any length, like an exchange's export, and our load of it."""

import os
import random
import sys
import tempfile
from pathlib import Path

from bench.programs import ResourceUsage, run_to_end
from db.connect.pool import connect

_HEADER = "id,symbol,name,rank,price_usd,market_cap,volume_24h,percent_change_24h,last_updated\n"
_ID, _TICKER = "coin-{}", "T{}"


def external_ids(first: int, end: int) -> list[str]:
    """Return the ids of the rows from `first` up to, not including, `end`, counted from 0."""
    return [_ID.format(number) for number in range(first + 1, end + 1)]


def write(path: Path, rows: int) -> None:
    """Write a file of `rows` coins, with equal content at each call."""
    chance = random.Random(1)  # noqa: S311 - prices, no secret
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        for number in range(1, rows + 1):
            price = chance.random() * 1000 + 0.0001
            file.write(
                f"{_ID.format(number)},{_TICKER.format(number)},Coin number {number},{number},"
                f"{price:.10f},{price * 19e6:.4f},"
                f"{price * 123456:.4f},{chance.random() * 20 - 10:.4f},"
                f"2026-11-22T{number % 24:02}:{number % 60:02}:00Z\n"
            )


async def load(dsn: str, path: Path, rows: int) -> ResourceUsage:
    """Load the file as `kasparro ingest --once` does.

    Raises RuntimeError if a row is missing afterwards.
    """
    command = (sys.executable, "-m", "kasparro", "ingest", "--once", "--source", "csv")
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as home:
        environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "KASPARRO_HOME": home,
            "SOURCES": "csv",
            "CSV_PATH": str(path),
            "LOG_LEVEL": "WARNING",
            "RUN_TIMEOUT_SECONDS": "3600",
        }
        usage = await run_to_end(command, environment)
    await _check(
        dsn,
        "SELECT (SELECT count(*) FROM listings), (SELECT count(*) FROM normalized_records)",
        rows,
    )
    return usage


async def check_dlt(dsn: str, rows: int) -> None:
    """Raise RuntimeError unless dlt's table has every row."""
    await _check(dsn, "SELECT count(*) FROM dlt.tickers", rows)


async def _check(dsn: str, query: str, rows: int) -> None:
    connection = await connect(dsn)
    try:
        found = await connection.fetchrow(query)
    finally:
        await connection.close()
    if found is None or set(found) != {rows}:
        raise RuntimeError(f"{found} rows instead of {rows:,}")
