"""Export all records by the command line and the server, compared with psql's COPY."""

import os
import statistics
import sys
import time

import aiohttp

from bench.figures import Bounds, Figure
from bench.postgres import temporary_server
from bench.programs import MEGABYTE, ResourceUsage, run_to_end
from bench.screen import say
from bench.served import ServerProcess, serving
from db.connect.pool import connect
from db.embedded.programs import wheel_programs
from db.export.formats import FORMATS

ROWS, QUICK_ROWS = 1_000_000, 100_000
FEW_ROWS = 10_000
"""The rows of a short export, whose memory is the reference."""
ROUNDS, QUICK_ROUNDS = 5, 3
LOOK_SECONDS = 0.01
"""The interval of measuring the server's memory: short, and cheap."""
RATE = Bounds(ratio_at_least=0.5)
MEMORY = Bounds(at_most=150)

_FILL = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    created_at, ingested_at, rival_count, provenance
)
SELECT
    'T' || n, 'Coin number ' || n, (random() * 1000)::numeric(20, 12),
    CASE WHEN n % 10 > 0 THEN (random() * 1e11)::numeric(30, 4) END, (random() * 1e9)::numeric(30,
        4),
    (random() * 20 - 10)::numeric(12, 6), n, CASE n % 2 WHEN 0 THEN 'coinpaprika' ELSE 'coingecko'
        END,
    '2026-11-01T12:00:00Z'::timestamptz + n * interval '1 ms', '2026-11-01T12:00:05Z', 0, '[]'
FROM generate_series($1::integer, $2::integer) AS n
"""
_COPY = (  # psql's own command: everything in one line
    "\\copy (SELECT id, ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, "
    "percent_change_24h, rank, source, created_at, ingested_at FROM normalized_records) "
    f"TO '{os.devnull}' WITH (FORMAT csv, HEADER)"
)


class Side:
    """A way to export: rows/s of each round, and the peak memory of its process in MB."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.peak_mb = 0.0

    def add(self, rows: int, seconds: float, peak_mb: float) -> None:
        """Count a round."""
        self.rates.append(rows / seconds)
        self.peak_mb = max(self.peak_mb, peak_mb)

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates)


async def measure(*, quick: bool) -> list[Figure]:
    """Run the exports in turns; the output is discarded."""
    rows = QUICK_ROWS if quick else ROWS
    async with temporary_server() as postgres:
        dsn = await postgres.database("export")
        await _fill(dsn, 1, FEW_ROWS)
        few = {name: Side() for name in FORMATS}
        for name, side in few.items():
            side.add(FEW_ROWS, *await _command_line(dsn, name))
        say(f"{rows:,} rows ...")
        await _fill(dsn, FEW_ROWS + 1, rows)
        psql_command = (str(wheel_programs() / "psql"), "-qXc", _COPY)
        psql, http, ours = Side(), Side(), {name: Side() for name in FORMATS}
        async with serving(dsn) as server:
            for _ in range(QUICK_ROUNDS if quick else ROUNDS):
                psql.add(rows, *await run_to_end((*psql_command, dsn), {}))
                for name, side in ours.items():
                    side.add(rows, *await _command_line(dsn, name))
                http.add(rows, *await _download(server))
    figures = [
        # A program starts in a quarter of a second: as long as all of the quick size.
        _rate(
            f"`kasparro export` of {rows:,} records as CSV, its start included",
            ours["csv"],
            psql,
            None if quick else RATE,
        ),
        _rate(f"`GET /data?format=csv` of {rows:,} records", http, psql, RATE),
        _memory(f"memory of `kasparro export` of {rows:,} records as CSV", ours["csv"], few["csv"]),
        Figure(what="memory of the server meanwhile", unit="MB", ours=http.peak_mb, bounds=MEMORY),
    ]
    for name in FORMATS:
        if name != "csv":
            figures.append(Figure(what=f"the same as {name}", unit="rows/s", ours=ours[name].rate))
            figures.append(_memory(f"memory of the same as {name}", ours[name], few[name]))
    return figures


def _rate(what: str, side: Side, psql: Side, bounds: Bounds | None) -> Figure:
    against = "psql \\copy of the same columns"
    return Figure(
        what=what, unit="rows/s", ours=side.rate, against=against, theirs=psql.rate, bounds=bounds
    )


def _memory(what: str, side: Side, few: Side) -> Figure:
    against = f"{FEW_ROWS:,} records"
    return Figure(
        what=what, unit="MB", ours=side.peak_mb, against=against, theirs=few.peak_mb, bounds=MEMORY
    )


async def _fill(dsn: str, first: int, last: int) -> None:
    connection = await connect(dsn)
    try:
        await connection.execute(_FILL, first, last)
        await connection.execute("VACUUM ANALYZE normalized_records")
    finally:
        await connection.close()


async def _command_line(dsn: str, name: str) -> ResourceUsage:
    command = (sys.executable, "-m", "kasparro", "export", "--format", name, "--out", os.devnull)
    return await run_to_end(command, {"DATABASE_URL": dsn})


async def _download(server: ServerProcess) -> tuple[float, float]:
    """Read a file to its end; return the seconds and the server's peak memory in MB."""
    peak = 0
    started = time.perf_counter()
    url = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession(url) as client, client.get("/data?format=csv") as response:
        response.raise_for_status()
        looked = 0.0
        async for _ in response.content.iter_any():
            now = time.perf_counter()
            if now - looked > LOOK_SECONDS:
                looked, peak = now, max(peak, server.memory)
    return time.perf_counter() - started, peak / MEGABYTE
