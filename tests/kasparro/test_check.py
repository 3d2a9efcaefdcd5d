"""`kasparro check` as a user calls it: what it says, what it leaves alone, exit codes."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from common.settings import load_settings
from db.connect.pool import Pool
from db.connect.types import Connection
from db.sources import SourceSettings, save_sources
from db.write.identity.identities import IdentityLabel
from ingestor.run.identity import save_identities
from ingestor.run.run import run as run_source
from ingestor.sources.files.source import CsvFiles
from kasparro.check import CheckResult, check_paths
from tests.kasparro.command_line import ROOT, kasparro, run_in

SHOWN = "SELECT ticker, price_usd_exact, source, created_at FROM normalized_records"
UNKNOWN = "How many coins would change is not known: no database runs"
MIXED = """\
# prices of a portfolio

Symbol;Name;Preis (USD);Marktkapitalisierung;24h;Stand;Notiz
BTC;Bitcoin;64.123,45;1,26T;0,5;31.01.2026 10:00;

ETH;"two
lines";3120,50;;-2,5;01.02.2026 11:00;x
X;X;abc;;1;31.01.2026;
Y;Y;1
"""
MAPPING = """\
["*.csv"]
columns = { price = "Preis (USD)", market_cap = "Marktkapitalisierung" }
"""
MIXED_SAID = f"""\
mixed.csv: CSV, UTF-8, delimiter: semicolon, header on line 3
  read
    symbol      Symbol
    price       Preis (USD)           US dollars, decimal comma
    name        Name
    market_cap  Marktkapitalisierung  US dollars, decimal comma
    change      24h                   per cent, decimal comma
    time        Stand                 UTC where a time names no zone
  not read
    Notiz
  first rows
    ticker  name        price_usd  market_cap_usd  percent_change_24h  observed_at
    BTC     Bitcoin     64123.45   1260000000000   0.5                 2026-01-31 10:00:00Z
    ETH     two\\u000alines  3120.50    -               -2.5                2026-02-01 11:00:00Z
  notes
    Lines before the header that are not read: 1
  rejected
    line 8: 'abc' is not a number - at `$.Preis (USD)`
      X;X;abc;;1;31.01.2026;
    line 9: The row has 3 cells, the header 7
      Y;Y;1
  4 rows, 2 rejected, 2 coins

{UNKNOWN}
"""
EVERYTHING = """
SELECT (SELECT count(*) FROM etl_runs), (SELECT count(*) FROM raw_csv_records),
    (SELECT count(*) FROM events),
    (SELECT array_agg(l::text ORDER BY source, external_id) FROM listings AS l),
    (SELECT array_agg(n::text ORDER BY ticker) FROM normalized_records AS n),
    (SELECT array_agg(s::text ORDER BY name) FROM sources AS s),
    (SELECT array_agg(f::text ORDER BY source, name) FROM source_files AS f)
"""


def home(folder: Path) -> dict[str, str]:
    return {"KASPARRO_HOME": str(folder / "home")}


def test_a_check_says_how_a_file_is_read_and_names_the_lines_that_are_not(tmp_path: Path) -> None:
    (tmp_path / "mixed.csv").write_text(MIXED, encoding="utf-8")
    (tmp_path / "csv.toml").write_text(MAPPING, encoding="utf-8")
    done = run_in(tmp_path, "check", "mixed.csv", **home(tmp_path))
    said = [line.split() for line in done.stdout.splitlines()]
    assert said == [line.split() for line in MIXED_SAID.splitlines()]
    assert (done.returncode, done.stderr) == (1, "")


def test_json_has_the_same_for_machines(tmp_path: Path) -> None:
    (tmp_path / "mixed.csv").write_text(MIXED, encoding="utf-8")
    (tmp_path / "csv.toml").write_text(MAPPING, encoding="utf-8")
    done = run_in(tmp_path, "check", "--json", "mixed.csv", **home(tmp_path))
    assert done.returncode == 1
    result = json.loads(done.stdout)
    [file] = result["files"]
    assert file["report"]["form"] == {
        "kind": "csv",
        "packed": "",
        "encoding": "UTF-8",
        "delimiter": ";",
        "header_line": 3,
    }
    assert (file["report"]["rows"], file["report"]["rejected"], file["coins"]) == (4, 2, 2)
    assert [(row["line"], row["text"]) for row in file["rejections"]] == [
        (8, "X;X;abc;;1;31.01.2026;"),
        (9, "Y;Y;1"),
    ]
    assert file["report"]["first"][0] == {
        "external_id": "btc-bitcoin",
        "ticker": "BTC",
        "name": "Bitcoin",
        "price_usd": "64123.45",
        "market_cap_usd": "1260000000000",
        "percent_change_24h": 0.5,
        "observed_at": "2026-01-31T10:00:00Z",
    }
    assert (result["coins"], result["coins_changed"], result["not_counted"]) == (
        2,
        None,
        "no database runs",
    )


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_no_control_character_of_a_file_reaches_the_terminal(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    (tmp_path / "a.csv").write_bytes(
        b"symbol,name,price,\x1b]0;title\x07,\xe2\x80\xae\n"
        b"BTC,\x1b[31mred,1,,\nE\x1b[2J,\xc2\x9b2J,2,,\nX,x,\x1b[1mzz,,\n\x9b1m,y,1,,\n"
    )
    done = run_in(tmp_path, "check", *option, "a.csv", **home(tmp_path))
    assert done.returncode == 1
    assert "red" in done.stdout
    assert set(done.stdout) & {"\x1b", "\x07", "\x9b", "\u202e", "\udc9b"} == set()


def test_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("symbol,price,date\nBTC,1,2026-01-01\n", encoding="utf-8")
    (tmp_path / "page.csv").write_text("<!doctype html><html></html>", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    codes = {
        arguments: run_in(tmp_path, "check", *arguments, **home(tmp_path)).returncode
        for arguments in [
            ("good.csv",),
            ("good.csv", "page.csv"),
            ("missing.csv",),
            ("*.tsv",),
            ("empty",),
            ("--no",),
        ]
    }
    assert codes == {
        ("good.csv",): 0,
        ("good.csv", "page.csv"): 1,
        ("missing.csv",): 2,
        ("*.tsv",): 2,
        ("empty",): 2,
        ("--no",): 2,
    }


def test_a_folder_is_read_as_csv_path_is_and_is_what_is_read_where_nothing_is_named(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.csv").write_text("symbol,price,date\nBTC,1,2026-01-01\n", encoding="utf-8")
    (folder / "b.json").write_text(
        '[{"symbol": "ETH", "price": 2, "date": "2026-01-01"}]', encoding="utf-8"
    )
    (folder / ".hidden.csv").write_text("no table", encoding="utf-8")
    (folder / "notes.txt").write_text("no table", encoding="utf-8")
    named = run_in(tmp_path, "check", "files", **home(tmp_path))
    unnamed = run_in(tmp_path, "check", CSV_PATH="files", **home(tmp_path))
    assert named.stdout == unnamed.stdout
    assert named.returncode == unnamed.returncode == 0
    heads = [line for line in named.stdout.splitlines() if line.startswith("files/")]
    assert heads == [
        "files/a.csv: CSV, UTF-8, delimiter: comma, header on line 1",
        "files/b.json: JSON, UTF-8",
    ]
    assert "2 files, 2 coins" in named.stdout


def test_standard_input_is_a_file_too_and_its_last_line_does_not_wait(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kasparro", "check", "-"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **home(tmp_path)},
        input=b"symbol,price,date\nBTC,1,2026-01-01\nETH,2,2026-01-02",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"2 rows, 0 rejected, 2 coins" in done.stdout


async def test_the_coins_that_would_change_are_those_that_a_run_then_changes(
    database: str, pool: Pool, tmp_path: Path
) -> None:
    source = CsvFiles(str(tmp_path / "b"))
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    (tmp_path / "b").mkdir()
    path = tmp_path / "b" / "prices.csv"
    versions = [
        # All are new; two coins of one ticker; a ticker that is renamed below.
        "id,symbol,name,price,date\na,A,Aa,1,2026-01-01\nb,B,Bb,2,2026-01-01\nb2,B,Other,3,2026-01-01\nc,C,Cc,4,2026-01-01\n",
        # Nothing new.
        "id,symbol,name,price,date\na,A,Aa,1,2026-01-01\nb,B,Bb,2,2026-01-01\nb2,B,Other,3,2026-01-01\nc,C,Cc,4,2026-01-01\n",
        # One is newer, one is older, one has another symbol, one comes, one is rejected.
        (
            "id,symbol,name,price,date\na,A,Aa,9,2026-01-02\nb,B,Bb,7,2025-01-01\nb2,B,Other,3,2026-01-01\n"
            "c,D,Cc,4,2026-01-02\ne,E,Ee,5,2026-01-01\nf,F,Ff,-,zz\n"
        ),
    ]
    expected, said = [], []
    for version in versions:
        path.write_text(version, encoding="utf-8")
        result = await checked(str(path), database, tmp_path)
        said.append(result.coins_changed)
        async with pool.acquire() as connection:
            newest = await connection.fetchval("SELECT coalesce(max(seq), 0) FROM events")
        assert await run_source(pool, source, timeout_seconds=60) is not None
        async with pool.acquire() as connection:
            expected.append(
                await connection.fetchval(
                    "SELECT count(DISTINCT t) FROM events, unnest(tickers) AS t WHERE seq > $1",
                    newest,
                )
            )
    assert said == expected == [3, 0, 4]


async def test_a_coin_under_another_ticker_of_the_asset_counts_too(
    database: str, pool: Pool, tmp_path: Path
) -> None:
    sources = [CsvFiles(str(tmp_path / name), name=name) for name in ("csv", "other")]
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(one.name, one.kind, one.priority, one.poll_seconds) for one in sources],
        )
    header = "id,symbol,name,price,date\n"
    for name, row in (("csv", "m,MATIC,Polygon,1"), ("other", "p,POL,Polygon,1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prices.csv").write_text(f"{header}{row},2026-01-01\n")
    # One asset under two tickers: the coin POL shows the newer price of the listing MATIC.
    await save_identities(
        pool, [IdentityLabel("csv", "m", "polygon"), IdentityLabel("other", "p", "polygon")]
    )
    for source in sources:
        assert await run_source(pool, source, timeout_seconds=60) is not None
    path = tmp_path / "csv" / "prices.csv"
    path.write_text(f"{header}m,MATIC,Polygon,1.01,2026-01-02\n")
    result = await checked(str(path), database, tmp_path)
    async with pool.acquire() as connection:
        before = {row[0]: row[1:] for row in await connection.fetch(SHOWN)}
    assert await run_source(pool, sources[0], timeout_seconds=60) is not None
    async with pool.acquire() as connection:
        after = {row[0]: row[1:] for row in await connection.fetch(SHOWN)}
    changed = {ticker for ticker, values in after.items() if values != before[ticker]}
    assert changed == {"MATIC", "POL"}
    assert result.coins_changed == len(changed)


async def test_a_check_writes_nothing(
    database: str, pool: Pool, connection: Connection, tmp_path: Path
) -> None:
    source = CsvFiles(str(tmp_path))
    await save_sources(
        connection, [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)]
    )
    path = tmp_path / "prices.csv"
    path.write_text("symbol,price,date\nBTC,1,2026-01-01\nETH,2,2026-01-01\n", encoding="utf-8")
    assert await run_source(pool, source, timeout_seconds=60) is not None
    path.write_text(
        "symbol,price,date\nBTC,3,2026-01-02\nSOL,2,2026-01-01\nETH,zz,2026-01-03\n",
        encoding="utf-8",
    )
    before = await connection.fetchrow(EVERYTHING)
    # A writer does not wait for it, nor does it wait for a writer.
    async with connection.transaction():
        await connection.execute("LOCK TABLE listings, normalized_records IN ROW EXCLUSIVE MODE")
        result = await checked(str(path), database, tmp_path)
    assert result.coins_changed == 2
    assert await connection.fetchrow(EVERYTHING) == before


async def test_a_database_that_is_away_is_said_and_nothing_else_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("symbol,price,date\nBTC,3,2026-01-02\n", encoding="utf-8")
    environ = {"DATABASE_URL": "postgresql://user:secret@127.0.0.1:1/nothing", **home(tmp_path)}
    done = await kasparro("check", str(path), **environ)
    assert done.returncode == 0
    assert "1 row, 0 rejected, 1 coin" in done.stdout
    assert (
        "would change is not known: PostgreSQL at 127.0.0.1:1/nothing is out of reach"
        in done.stdout
    )
    assert "secret" not in done.stdout


async def test_a_database_of_another_version_is_left_alone(
    empty_database: str, tmp_path: Path
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("symbol,price,date\nBTC,3,2026-01-02\n", encoding="utf-8")
    result = await checked(str(path), empty_database, tmp_path)
    assert (result.coins, result.coins_changed) == (1, None)
    assert "kasparro migrate" in (result.not_counted or "")


def test_a_large_file_takes_no_memory_that_grows_with_its_rows(tmp_path: Path) -> None:
    peaks = []
    for rows in (2_000, 60_000):
        path = tmp_path / f"{rows}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("symbol,name,price,market_cap,date\n")
            for number in range(rows):
                coin, day = number % 500, number // 500 % 28 + 1
                file.write(f"T{coin},Name {coin},{number}.25,lots,2026-01-{day:02}\n")
        code = (
            "import resource, subprocess, sys;"
            " done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, sys.executable, "-m", "kasparro", "check", str(path)],
            env={"PYTHONPATH": str(ROOT), "PATH": "", **home(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        peaks.append(int(done.stdout) * (1 if sys.platform == "darwin" else 1024))
    assert resource.getpagesize() < peaks[0] < peaks[1] + 10_000_000
    assert peaks[1] - peaks[0] < 40_000_000, peaks


async def checked(path: str, database: str, folder: Path) -> CheckResult:
    return await check_paths([path], load_settings({"DATABASE_URL": database, **home(folder)}))
