"""`kasparro backfill` as a user runs it: a process, a provider over HTTP, kills at any moment."""

import asyncio
import contextlib
import json
import os
import pty
import random
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.connect.pool import Connection
from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.faults import Fault
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import StartProgram
from tests.kasparro.command_line import ROOT, kasparro, run

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
COINS = 120
COMMAND = ("backfill", "--source", "coingecko")

SOURCES = "coinpaprika,coingecko,csv"


class Shell:
    """A database with one sweep of a simulated CoinGecko, and its command line."""

    def __init__(self, address: Address, database: str, home: Path) -> None:
        self.simulation = address.simulation
        self.environ = {
            "DATABASE_URL": database,
            "KASPARRO_HOME": str(home),
            "COINGECKO_URL": address.coingecko_url,
            "COINGECKO_MONTHLY_CALLS": "1000000",
            "SOURCES": "coingecko,csv",
            "CSV_PATH": str(home / "none.csv"),
        }

    async def __call__(self, *arguments: str, **environ: str) -> "CompletedProcess[str]":
        return await kasparro(*arguments, **{**self.environ, **environ})

    def calls(self) -> int:
        return sum("market_chart" in request.path for request in self.simulation.received)


@pytest.fixture
async def shell(database: str, tmp_path: Path) -> AsyncIterator[Shell]:
    async with serving(create_app(SimulatedMarket(COINS, seed=5))) as address:
        opened = Shell(address, database, tmp_path)
        done = await opened("ingest", "--once", "--source", "coingecko")
        assert done.returncode == 0, done.stderr
        yield opened


async def test_it_says_what_it_needs_and_what_it_did(shell: Shell, connection: Connection) -> None:
    done = await shell(*COMMAND, "--days", "5")
    coins = await connection.fetchval("SELECT count(*) FROM listings WHERE contributes")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    spare = re.fullmatch(
        rf"coingecko: {coins} calls, one a coin, for 5 days; calls left this month .*: ([\d,]+)",
        first,
    )
    assert spare is not None
    assert 100_000 < int(spare[1].replace(",", "")) < 1_000_000
    # An observation has a time at which it was fetched.
    past = "SELECT count(*) FROM price_points WHERE fetched_at IS NULL"
    points = await connection.fetchval(past)
    assert second == f"filled {coins} coins with {points:,} points, 0 skipped"
    assert points > coins * 5 * 24
    assert shell.calls() == coins
    counted = await connection.fetchval("SELECT calls FROM api_calls")
    assert counted == len(shell.simulation.received)

    again = await shell(*COMMAND, "--days", "5")
    assert (again.returncode, shell.calls()) == (0, coins)
    assert again.stdout == (
        f"coingecko is complete for {coins} coins and 5 days: no calls needed; --again reads "
        "them again\n"
    )


async def test_json_is_alone_on_standard_output(shell: Shell) -> None:
    shell.simulation.market.delist("coingecko", "bitcoin")
    tickers = ("--ticker", "btc", "--ticker", " eth")
    done = await shell(*COMMAND, "--days", "1000", *tickers, "--json", HISTORY_RETENTION_DAYS="3")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    [skipped] = report.pop("skipped")
    assert (skipped["ticker"], skipped["external_id"], skipped["kind"]) == (
        "BTC",
        "bitcoin",
        "missing",
    )
    assert "coin not found" in skipped["message"]
    assert report.pop("points") > 3 * 24 - 2
    assert report == {
        "source": "coingecko", "days": 3, "answered_before": 0, "filled": 1, "left": 0,
        "stopped": None, "exit_code": 3,
    }  # fmt: skip
    assert (
        done.stderr.splitlines()[0]
        == "history is kept for 3 days (HISTORY_RETENTION_DAYS): older prices are left out"
    )
    assert done.stderr.splitlines()[1].startswith("coingecko: 2 calls, one a coin, for 3 days; ")


async def test_a_terminal_gets_a_progress_bar(shell: Shell) -> None:
    leader, follower = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "kasparro",
        *COMMAND,
        "--days",
        "1",
        "--ticker",
        "BTC",
        "--ticker",
        "ETH",
    ]
    with contextlib.closing(os.fdopen(leader, "rb", buffering=0)) as screen:
        program = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**os.environ, **shell.environ, "TERM": "xterm"},
            stdout=asyncio.subprocess.PIPE,
            stderr=follower,
        )
        os.close(follower)
        stdout, _ = await program.communicate()
        shown = screen.read(65_536).decode()
    assert program.returncode == 0, shown
    assert b"filled 2 coins" in stdout
    assert re.search(r"━+.*2/2", shown)
    assert "filled" not in shown


async def test_a_provider_that_is_down_is_code_4_and_the_same_command_goes_on(
    shell: Shell, connection: Connection
) -> None:
    fault = Fault(
        kind="status", status=503, route="*market_chart", after=7, times=None, retry_after=1000
    )
    shell.simulation.faults.add([fault])
    done = await shell(*COMMAND, "--days", "2")
    assert done.returncode == 4
    assert re.search(r"^filled 7 coins with [\d,]+ points, 0 skipped$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^\d+ coins left: CoinGecko asks to wait until .* it answered 503",
        done.stderr,
        re.MULTILINE,
    )
    shell.simulation.faults.clear()
    calls = shell.calls()
    done = await shell(*COMMAND, "--days", "2")
    assert done.returncode == 0
    assert "; complete already: 7 coins; " in done.stdout
    coins = await connection.fetchval("SELECT count(*) FROM listings WHERE contributes")
    assert shell.calls() - calls == coins - 7


async def test_a_budget_that_is_used_up_is_said_and_gone_on_with_when_there_is_more(
    shell: Shell, connection: Connection
) -> None:
    budget = {"COINGECKO_MONTHLY_CALLS": "10000", "COINGECKO_PAGES": "1"}
    first = await shell(*COMMAND, "--days", "2", "--ticker", "BTC", **budget)
    spare = re.search(
        r"; calls left this month besides the polls: ([\d,]+)$", first.stdout, re.MULTILINE
    )
    assert spare is not None
    few = int(spare[1].replace(",", "")) - 1 - 10
    await connection.execute("UPDATE api_calls SET calls = calls + $1", few)
    done = await shell(*COMMAND, "--days", "2", **budget)
    assert done.returncode == 3
    assert re.search(r"; calls left this month besides the polls: 1\d$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^\d+ coins left: coingecko has no calls left this month beside", done.stderr, re.MULTILINE
    )
    filled = await connection.fetchval("SELECT count(*) FROM backfills WHERE outcome = 'filled'")
    assert filled == shell.calls()
    assert 9 <= filled - 1 <= 11  # a poll's calls may be due during the test
    await connection.execute("UPDATE api_calls SET calls = 1")  # another month
    assert (await shell(*COMMAND, "--days", "2", **budget)).returncode == 0
    assert (
        await connection.fetchval("SELECT count(*) FROM backfills WHERE outcome <> 'filled'") == 0
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--source", "csv"), "Error: csv does not offer past prices\n"),
        (
            ("--source", "coingecko", "--demo"),
            (
                "Error: no demo runs, and only a running demo has a market: "
                "start `kasparro up --demo`\n"
            ),
        ),
        (("--source", "nope"), f"Error: 'nope' is not one of SOURCES={SOURCES}\n"),
        (
            ("--source", "coingecko", "--ticker", " "),
            "Error: --ticker cannot be used: The symbol is empty - at `$.symbol`\n",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = run("backfill", "--days", "2", *arguments, KASPARRO_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
    assert not (tmp_path / "home").exists()


async def test_a_past_that_the_plan_does_not_cover_is_refused_with_the_limit_and_what_to_do(
    shell: Shell,
) -> None:
    done = await shell(*COMMAND, "--days", "1000", HISTORY_RETENTION_DAYS="1000")
    assert (done.returncode, shell.calls()) == (4, 1)
    assert re.search(
        r"^\d+ coins left: CoinGecko refused the request \(401\): "
        r"Your request exceeds the allowed time range\. .*"
        r"the last 365 days only: .*--days 365.*COINGECKO_API_KEY",
        done.stderr,
        re.MULTILINE,
    )


async def test_an_unknown_ticker_is_one_line_and_costs_no_call(shell: Shell) -> None:
    done = await shell(*COMMAND, "--days", "2", "--ticker", "BTC", "--ticker", "nope")
    assert (done.returncode, done.stdout, shell.calls()) == (2, "", 0)
    assert done.stderr == "Error: coingecko has no coin with the ticker NOPE\n"


CONTENTS = (
    "SELECT * FROM price_points ORDER BY listing, at",
    "SELECT * FROM candles ORDER BY listing, interval, start",
    "SELECT * FROM normalized_records ORDER BY ticker",
    "SELECT source, days, external_id, window_end, outcome, points FROM backfills ORDER BY 1, 2, 3",
    "SELECT tickers, count(*) FROM events WHERE kind = 'coins_changed' GROUP BY 1 ORDER BY 1",
)


async def contents(connection: Connection) -> list[list[tuple[object, ...]]]:
    return [[tuple(row) for row in await connection.fetch(sql)] for sql in CONTENTS]


async def test_kills_at_any_moment_leave_what_one_undisturbed_backfill_leaves(
    shell: Shell, connection: Connection, start_program: StartProgram
) -> None:
    shell.simulation.market.delist("coingecko", "ethereum")
    before = await connection.fetch("SELECT * FROM price_points")
    candles = await connection.fetch("SELECT * FROM candles")
    seq = await connection.fetchval("SELECT max(seq) FROM events")
    done = await shell(*COMMAND, "--days", "30")
    assert done.returncode == 3, done.stderr
    undisturbed = await contents(connection)
    assert len(undisturbed[0]) > 50_000
    calls = shell.calls()

    await connection.execute("TRUNCATE price_points, candles, backfills")
    await connection.execute("DELETE FROM events WHERE seq > $1", seq)
    await connection.copy_records_to_table("price_points", records=[tuple(row) for row in before])
    await connection.copy_records_to_table("candles", records=[tuple(row) for row in candles])
    seed = time.time_ns()
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    killed = 0
    for _ in range(ROUNDS):
        program = start_program("-m", "kasparro", *COMMAND, "--days", "30", **shell.environ)
        enough = shell.calls() + chance.randint(1, calls // ROUNDS + 2)
        async with asyncio.timeout(60):
            while shell.calls() < enough and program.process.poll() is None:
                await asyncio.sleep(0.001)
        await asyncio.sleep(chance.uniform(0, 0.05))
        killed += program.process.poll() is None
        program.process.kill()
        program.process.wait()
    assert killed >= ROUNDS / 2, seed
    done = await shell(*COMMAND, "--days", "30")
    assert done.returncode in (0, 3), done.stderr
    # A kill costs the current call, and that of an unknown coin just before.
    assert shell.calls() - calls <= calls + 2 * ROUNDS, seed
    assert await connection.fetchval("SELECT calls FROM api_calls") >= len(
        shell.simulation.received
    )
    for disturbed, rows in zip(await contents(connection), undisturbed, strict=True):
        assert disturbed == rows, seed
