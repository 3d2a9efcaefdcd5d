"""`kasparro export` as a user runs it: complete files or none, which read back unchanged."""

import asyncio
import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from common.settings import SAMPLE
from db.connect.pool import connect
from db.connect.types import Connection, Pool
from db.embedded import EmbeddedPostgres
from db.schema.migrate import migrate
from tests.conftest import StartProgram
from tests.kasparro.command_line import ROOT, kasparro, run
from tests.server.graphql_rows import Rows

FORMATS = ["csv", "ndjson", "parquet", "arrow"]
# Values that endanger a spreadsheet, a CSV reader or a number.
TRICKY = """\
symbol,name,price_usd,market_cap,volume,percent_change_24h,rank,last_updated
BTC,Bitcoin,64000.123456789012345678,1250000000000.50,0,-2.5,1,2026-11-01T12:00:00.123456Z
=CMD,"=HYPERLINK(""http://x"",""y"") ",0.000000000000000004,,1.5e3,-0.0001,,2026-11-01T12:00:01Z
+UP,+1 & co,1e-20,5,,,7,2026-11-01 12:00:02+00:00
-DN,"-1, ""quoted"" it",3,6,,99999.99,8,2026-11-01T12:00:03Z
@AT,@import,4,7,,,9,2026-11-01T12:00:04Z
'Q,'quoted',5,8,,,10,2026-11-01T12:00:05Z
''=E,"''=two apostrophes",6,9,,,11,2026-11-01T12:00:06Z
NL,"two
lines; ""and"" more",7,10,,,12,2026-11-01T12:00:07Z
ΩMEGA,Ωmega ＝ full,8,1000000000000000000000000,,,13,2026-11-01T12:00:08Z
NONE,,,,,,,2026-11-01T12:00:09Z
"""
COINS = """
SELECT ticker, name, price_usd_exact::text, market_cap_usd::text, volume_24h_usd::text,
    percent_change_24h::text, rank,
    created_at
FROM normalized_records ORDER BY ticker
"""
ADD_COINS = """
INSERT INTO normalized_records (ticker, name, price_usd_exact, source, created_at, ingested_at,
    rival_count, provenance)
SELECT 'T' || n, repeat('x', 700), n, CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END,
    '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 hour', now(), 0, '[]'
FROM generate_series(1, $1::integer) AS n
"""
ADD_POINTS = """
INSERT INTO price_points (listing, at, price_usd, is_held)
SELECT l.id, '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 hour',
    CASE WHEN n < 48 THEN n + 0.000000000000000001 WHEN n = 48 THEN 1000 END, n = 48
FROM generate_series(0, 49) AS n, listings AS l
"""
SERIES = {("csv", "btc"): "BTC", ("csv", "eth"): "ETH", ("csv", "x"): "=X"}
"""Listings, and the ticker that their asset owns."""


async def add_history(
    connection: Connection,
    series: Mapping[tuple[str, str], str] = SERIES,
    points: str = ADD_POINTS,
) -> None:
    """Add listings with 48 points each, one that is held and one without a price."""
    rows = Rows(connection)
    assets: dict[str, str] = {}
    for (source, external_id), ticker in series.items():
        asset = f"{source}:{external_id}"
        if ticker not in assets:
            await rows.coin(ticker, asset=asset)
        await rows.listing(source, external_id, "OLD", asset=assets.setdefault(ticker, asset))
    await connection.execute(points)


def of(database: str, home: Path, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": database, "KASPARRO_HOME": str(home), "SOURCES": "csv"} | more


def tickers(text: str) -> list[str]:
    return [row["ticker"] for row in csv.DictReader(io.StringIO(text))]


async def coins(database: str) -> list[tuple[object, ...]]:
    connection = await connect(database)
    try:
        return [tuple(row) for row in await connection.fetch(COINS)]
    finally:
        await connection.close()


async def test_a_csv_export_read_as_a_source_is_the_same_market(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "tricky.csv", tmp_path / "export.csv"
    first.write_text(TRICKY, encoding="utf-8")
    read = await kasparro("ingest", "--once", **of(database, tmp_path, CSV_PATH=str(first)))
    assert read.returncode == 0, read.stdout + read.stderr
    before = await coins(database)
    assert [row[0] for row in before] == sorted(
        ["BTC", "=CMD", "+UP", "-DN", "@AT", "'Q", "'=E", "NL", "ΩMEGA", "NONE"]
    )
    assert {row[0]: row[2] for row in before}["BTC"] == "64000.123456789012345678"

    done = await kasparro("export", "--out", str(second), **of(database, tmp_path))
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(second.read_text(encoding="utf-8"))))
    texts = [cell for row in rows[1:] for cell in (row[0], row[1], row[2], row[8])]
    assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    read = await kasparro("ingest", "--once", **of(empty_database, tmp_path, CSV_PATH=str(second)))
    assert read.returncode == 0, read.stdout + read.stderr
    assert await coins(empty_database) == before

    third = tmp_path / "again.csv"
    await kasparro("export", "--out", str(third), **of(empty_database, tmp_path))
    without_ingested = [
        sorted(line.rpartition(",")[0] for line in file.read_text().split("\n"))
        for file in (second, third)
    ]
    assert without_ingested[0] == without_ingested[1]


@pytest.mark.parametrize("form", FORMATS)
async def test_each_format_is_written_under_its_suffix(
    database: str, connection: Connection, tmp_path: Path, form: str
) -> None:
    if form in ("parquet", "arrow"):
        pytest.importorskip("pyarrow")
    await connection.execute(ADD_COINS, 300)
    out = tmp_path / "deep" / f"coins.{form}"
    out.parent.mkdir()
    done = await kasparro("export", "--out", str(out), **of(database, tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"300 records as {form}, ")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert read(form, out) == {f"T{number}": Decimal(number) for number in range(1, 301)}
    command = [sys.executable, "-m", "kasparro", "export", "--out", "-", "--format", form]
    piped = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        env={**os.environ, **of(database, tmp_path)},
        capture_output=True,
        check=False,
    )
    assert piped.returncode == 0, piped.stderr
    copy = tmp_path / f"piped.{form}"
    copy.write_bytes(piped.stdout)
    assert read(form, copy) == read(form, out)


def read(form: str, file: Path) -> dict[str, Decimal]:
    """Return the exact prices of a file."""
    if form == "csv":
        return {
            row["ticker"]: Decimal(row["price_usd"])
            for row in csv.DictReader(io.StringIO(file.read_text()))
        }
    if form == "ndjson":
        lines = [
            json.loads(line, parse_int=Decimal, parse_float=Decimal)
            for line in file.read_text().splitlines()
        ]
        return {line["ticker"]: line["price_usd"] for line in lines}
    pa = pytest.importorskip("pyarrow")
    if form == "parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(file)
    else:
        table = pa.ipc.open_stream(file.read_bytes()).read_all()
    return {row["ticker"]: Decimal(row["price_usd_exact"]) for row in table.to_pylist()}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("t1", "T2"), {"T1", "T2"}),
        (("--ticker", " t3 ", "T4"), {"T3", "T4"}),
        (("--source", "odd", "--end-date", "2026-11-01T03:00:00Z"), {"T1", "T3"}),
        (
            ("--source", "odd", "--source", "even", "--start-date", "2026-11-01T19:00"),
            {"T19", "T20"},
        ),
        (("--end-date", "2026-10-31"), set()),
        (("--end-date", "20261101"), {f"T{number}" for number in range(1, 21)}),
        (("--end-date", "2026-W44-7"), {f"T{number}" for number in range(1, 21)}),
    ],
)
async def test_only_what_is_asked_for(
    database: str,
    connection: Connection,
    tmp_path: Path,
    arguments: tuple[str, ...],
    found: set[str],
) -> None:
    await connection.execute(ADD_COINS, 20)
    done = await kasparro(
        "export", "--format", "csv", "--out", "-", *arguments, **of(database, tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert set(tickers(done.stdout)) == found
    assert len(tickers(done.stdout)) == len(found)


@pytest.mark.parametrize(("more", "noun"), [((), "record"), (("--history",), "price point")])
async def test_an_unknown_ticker_is_reported_and_nothing_is_written(
    database: str, connection: Connection, tmp_path: Path, more: tuple[str, ...], noun: str
) -> None:
    await connection.execute(ADD_COINS, 2)
    await add_history(connection)
    out = tmp_path / "coins.csv"
    there = "BTC" if more else "t1"
    done = await kasparro(
        "export", "--out", str(out), there, "nope", "nix", *more, **of(database, tmp_path)
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"There is no {noun} of the ticker NIX (1 more have none either): nothing was written"
        in done.stderr
    )
    assert not out.exists()
    assert list(tmp_path.glob("*.csv*")) == []


async def test_history_is_each_point_of_the_coins(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    await add_history(connection)
    history = ("export", "--format", "csv", "--out", "-", "--history")
    done = await kasparro(
        *history, "btc", "=x", "--start-date", "2026-11-02", **of(database, tmp_path)
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "ticker,at,price_usd,market_cap_usd,volume_24h_usd,source,external_id"
    assert lines[1] == "'=X,2026-11-02T00:00:00Z,24.000000000000000001,,,csv,x"
    assert [line.split(",")[0] for line in lines[1:]] == ["'=X"] * 24 + ["BTC"] * 24
    assert lines[25:] == sorted(lines[25:])
    assert done.stderr.startswith("48 price points as csv, ")
    everything = await kasparro(*history, **of(database, tmp_path))
    assert len(everything.stdout.splitlines()) == 1 + 3 * 48


async def test_history_names_the_listing_of_each_point_below_the_present_ticker(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    series = SERIES | {("coinpaprika", "btc-bitcoin"): "BTC", ("csv", "btc2"): "BTC"}
    await add_history(connection, series)
    history = ("export", "--format", "csv", "--out", "-", "--history")
    done = await kasparro(*history, "btc", **of(database, tmp_path))
    assert done.returncode == 0, done.stderr
    found = [
        (row["ticker"], row["source"], row["external_id"], row["at"])
        for row in csv.DictReader(io.StringIO(done.stdout))
    ]
    assert found == sorted(found)
    assert Counter(row[:3] for row in found) == {
        ("BTC", "coinpaprika", "btc-bitcoin"): 48,
        ("BTC", "csv", "btc"): 48,
        ("BTC", "csv", "btc2"): 48,
    }
    part = await kasparro(*history, "btc", "--source", "csv", **of(database, tmp_path))
    assert part.stdout.splitlines()[1:] == done.stdout.splitlines()[49:]


async def test_a_history_export_read_as_a_source_is_the_same_history(
    database: str, empty_database: str, connection: Connection, tmp_path: Path
) -> None:
    points = ADD_POINTS.replace("'2026-11-01T00:00:00Z'::timestamptz", "now() - interval '9 days'")
    await add_history(connection, points=points)
    first, second = tmp_path / "points.csv", tmp_path / "again.csv"
    done = await kasparro("export", "--history", "--out", str(first), **of(database, tmp_path))
    assert done.returncode == 0, done.stderr
    read = await kasparro("ingest", "--once", **of(empty_database, tmp_path, CSV_PATH=str(first)))
    assert read.returncode == 0, read.stdout + read.stderr
    done = await kasparro(
        "export", "--history", "--out", str(second), **of(empty_database, tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert first.read_text() == second.read_text()
    assert len(first.read_text().splitlines()) == 1 + 3 * 48


async def test_without_a_running_database_it_brings_its_own(state_folder: Path) -> None:
    settings = {"KASPARRO_HOME": str(state_folder), "SOURCES": "csv", "CSV_PATH": str(SAMPLE)}
    assert (await kasparro("ingest", "--once", **settings)).returncode == 0
    alone = await kasparro("export", "--out", "-", "--format", "csv", **settings)
    assert len(tickers(alone.stdout)) == 50
    async with EmbeddedPostgres(state_folder):
        assert (
            await kasparro("export", "--out", "-", "--format", "csv", **settings)
        ).stdout == alone.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_an_interrupted_export_leaves_the_file_as_it_was(
    start_program: StartProgram,
    database: str,
    connection: Connection,
    pool: Pool,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    await connection.execute(ADD_COINS, 10)
    out = tmp_path / "coins.csv"
    out.write_text("before")
    async with connection.transaction():
        await connection.execute("LOCK TABLE normalized_records")
        program = start_program(
            "-m", "kasparro", "export", "--out", str(out), **of(database, tmp_path / "home")
        )
        async with asyncio.timeout(30):
            while not await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
                "datname = current_database()"
            ):
                assert program.process.poll() is None, program.text()
                await asyncio.sleep(0.01)
        assert await program.stop(number) == (1 if number != signal.SIGKILL else -signal.SIGKILL), (
            program.text()
        )
    assert out.read_text() == "before"
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")]
    assert bool(left) == (number == signal.SIGKILL)
    assert "Traceback" not in program.text()


async def test_a_database_that_goes_away_leaves_no_file(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute(ADD_COINS, 50_000)
    fifo, out = tmp_path / "fifo", tmp_path / "coins.csv"
    os.mkfifo(fifo)
    copying = (
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database()"
    )
    # A pipe without a reader blocks the export in the middle.
    with fifo.open("r+b", buffering=0):
        program = start_program(
            "-m",
            "kasparro",
            "export",
            "--format",
            "csv",
            "--out",
            str(fifo),
            **of(database, tmp_path),
        )
        async with asyncio.timeout(30):
            while not await connection.fetchval(f"{copying} AND wait_event = 'ClientWrite'"):
                assert program.process.poll() is None, program.text()
                await asyncio.sleep(0.01)
        await connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({copying}) AS copying")
        with fifo.open("rb", buffering=0) as reader:
            os.set_blocking(reader.fileno(), False)
            async with asyncio.timeout(30):
                while program.process.poll() is None:
                    reader.read(1 << 16)
                    await asyncio.sleep(0)
    assert program.process.returncode == 1
    assert (
        program.text()
        == "Error: the connection to the database was lost; no complete file was written\n"
    )
    assert fifo.is_fifo()
    assert not out.exists()


async def test_a_reader_that_leaves_ends_it_in_one_line(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute(ADD_COINS, 20_000)
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kasparro", "export", "--format", "csv", "--out", "-"),
        cwd=ROOT,
        env={**os.environ, **of(database, tmp_path)},
        stdout=(pipe := os.pipe())[1],
        stderr=PIPE,
    )
    os.close(pipe[1])
    assert (await asyncio.to_thread(os.read, pipe[0], 100)).startswith(b"id,ticker,")
    os.close(pipe[0])
    _, errors = await program.communicate()
    assert (program.returncode, errors) == (
        1,
        b"Error: standard output cannot be written: Broken pipe\n",
    )


async def test_a_terminal_sees_how_far_it_is(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute(ADD_COINS, 1234)
    terminal, theirs = os.openpty()
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kasparro", "export", "--out", str(tmp_path / "coins.csv")),
        cwd=ROOT,
        env={**os.environ, **of(database, tmp_path), "TERM": "xterm", "COLUMNS": "200"},
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while piece := await asyncio.to_thread(os.read, terminal, 4096):
            seen += piece
    os.close(terminal)
    assert await program.wait() == 0
    assert b"/1234" in seen
    assert b"1,234 records as csv, " in seen


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--out", "-"), "choose a --format: csv, ndjson, parquet, arrow"),
        (("--out", "coins.txt"), "choose a --format: csv, ndjson, parquet, arrow"),
        (
            ("--out", "-", "--format", "xml"),
            "'xml' is not one of 'csv', 'ndjson', 'parquet', 'arrow'",
        ),
        (("--out", "x.csv", "--start-date", "soon"), "'soon' is not a date or time in ISO 8601"),
        (("--out", "x.csv", "--ticker", " "), "a TICKER cannot be empty"),
        (("--out", "/", "--format", "csv"), "Error: / is a folder: name a file in it"),
        (
            ("--out", "/no/such/folder/x.csv"),
            "Error: /no/such/folder/x.csv cannot be written: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_starts(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = run("export", *arguments, KASPARRO_HOME=str(home))
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not home.exists()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_without_pyarrow_one_line_says_how_to_get_it(tmp_path: Path, form: str) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "pyarrow.py").write_text("raise ImportError")
    out = tmp_path / "coins"
    done = run(
        "export", "--format", form, "--out", str(out),
        PYTHONPATH=f"{hidden}{os.pathsep}{ROOT}", KASPARRO_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "Error: Parquet and Arrow need pyarrow, which is not installed: `.venv/bin/pip "
    )
    assert done.stderr.count("\n") == 1
    assert not out.exists()


async def test_a_database_behind_says_what_to_do(empty_database: str, tmp_path: Path) -> None:
    out = tmp_path / "coins.csv"
    done = await kasparro("export", "--out", str(out), **of(empty_database, tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "run `kasparro migrate`" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == []
    await migrate(empty_database)
    assert (
        await kasparro("export", "--out", str(out), **of(empty_database, tmp_path))
    ).returncode == 0
    assert len(out.read_text().splitlines()) == 1
