"""If only a demo runs, commands use it and say so, start nothing, and can remove it."""

import asyncio
import datetime
import json
import re
import shutil
import signal
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.scheduler_token import load_or_create_token
from kasparro.supervise.ports import free_port
from tests.conftest import Program, StartProgram
from tests.kasparro.command_line import kasparro, run, run_in

TIMEOUT_SECONDS = 90
NOTE = r"Using the demo at (\S+) \(made-up prices\); --no-demo for other data\n"
PAST = (
    '{{ coins(first: 100) {{ nodes {{ candles(interval: D1, from: "{:%Y-%m-%d}T00:00:00Z") {{ '
    "samples }} }} }} }}"
)


async def post(url: str, query: str) -> Any:  # noqa: ANN401 - what JSON holds
    def ask() -> Any:  # noqa: ANN401 - the same
        body = json.dumps({"query": query}).encode()
        # A server of the test.
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - the same
            return json.load(response)["data"]

    return await asyncio.to_thread(ask)


async def get(url: str) -> Any:  # noqa: ANN401 - what JSON holds
    def read() -> Any:  # noqa: ANN401 - the same
        with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 - our own market
            return json.load(response)

    return await asyncio.to_thread(read)


@pytest.fixture
async def demo(start_program: StartProgram, state_folder: Path) -> tuple[Program, dict[str, str]]:
    """Start `kasparro demo` and fill its past; return the environment of its commands."""
    environ = {"KASPARRO_HOME": str(state_folder), "PORT": str(free_port()), "DATABASE_URL": ""}
    program = start_program("-m", "kasparro", "demo", **environ)
    await program.wait_for(r"Kasparro answers with made-up prices \(demo\)", TIMEOUT_SECONDS)
    await program.wait_for(r"backfill\.finished .*days=1 ", 2 * TIMEOUT_SECONDS)
    return program, environ


async def test_commands_use_the_demo_that_runs_and_leave_no_trace_beside_it(
    demo: tuple[Program, dict[str, str]], state_folder: Path, tmp_path: Path
) -> None:
    program, environ = demo
    url = f"http://127.0.0.1:{environ['PORT']}"

    # The first screen has charts: three days of the first hundred coins, two of them by the hour.
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    coins = (await post(f"{url}/graphql", PAST.format(since)))["coins"]["nodes"]
    whole = [
        coin for coin in coins if sum(candle["samples"] >= 24 for candle in coin["candles"]) >= 2
    ]
    assert len(whole) >= 90
    assert (await post(f"{url}/graphql", "{ stats { isDemo } }"))["stats"]["isDemo"]

    status = await kasparro("status", **environ)
    assert re.fullmatch(NOTE, status.stderr)
    assert re.match(r"[\d,]+ coins \(demo: prices are made up\); Kasparro runs at ", status.stdout)
    token = await kasparro("token", **environ)
    assert re.fullmatch(NOTE, token.stderr)
    assert token.stdout.strip() == load_or_create_token(state_folder / "demo")
    triggered = await kasparro("trigger", "--source", "csv", "--full", "--wait", **environ)
    assert triggered.returncode == 0, triggered.stderr
    assert re.search(r"^ csv +success +50 ", triggered.stdout, re.MULTILINE)
    doctor = await kasparro("doctor", **environ)
    assert doctor.returncode == 0, doctor.stdout
    assert re.search(r"^ok +coingecko +250 records", doctor.stdout, re.MULTILINE)
    exported = await asyncio.to_thread(run_in, tmp_path, "export", **environ)
    assert re.search(
        r"^[\d,]+ made-up records as csv, .*: kasparro-demo-[-\dT]+Z\.csv$",
        exported.stderr,
        re.MULTILINE,
    )
    (file,) = tmp_path.glob("kasparro-demo-*.csv")
    assert len(file.read_text(encoding="utf-8").splitlines()) > 1_000
    keyed = {**environ, "COINGECKO_API_KEY": "a-real-key"}
    filled = await kasparro(
        "backfill", "--source", "coingecko", "--days", "2", "--ticker", "BTC", "--json", **keyed
    )
    assert filled.returncode == 0, filled.stderr
    assert json.loads(filled.stdout)["filled"] == 1
    market = json.loads((await kasparro("status", "--json", **environ)).stdout)["running"]["market"]
    charts = [
        request
        for request in await get(f"{market}/_control/requests")
        if "market_chart" in request["path"]
    ]
    assert len([request for request in charts if request["query"]["days"] == "2"]) == 1
    assert "a-real-key" not in json.dumps(charts)

    assert sorted(path.name for path in state_folder.iterdir()) == ["demo"]
    postmasters = [
        child
        for child in psutil.Process(program.process.pid).children()
        if child.name() == "postgres"
    ]
    assert len(postmasters) == 1

    # With other data in the folder, writing commands need --demo; reading ones name the demo.
    (state_folder / "postgres" / "data").mkdir(parents=True)
    for command in (("export",), ("backfill", "--source", "coingecko", "--days", "1")):
        refused = await asyncio.to_thread(run_in, tmp_path, *command, **environ)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"Error: only the demo runs, at {url}, and its prices are made up: use --demo for it, "
            f"or --no-demo for the data in {state_folder}\n"
        )
    assert (await kasparro("status", **environ)).returncode == 0
    shutil.rmtree(state_folder / "postgres")

    running = await kasparro("demo", "--reset", **environ)
    assert (running.returncode, running.stdout) == (2, "")
    assert re.match(
        r"Error: Kasparro is running already on \S+/demo \(process \d+, ", running.stderr
    )
    assert (state_folder / "demo" / "postgres" / "data").exists()

    assert await program.stop(signal.SIGTERM) == 0
    gone = await kasparro("demo", "--reset", **environ)
    assert gone.returncode == 0, gone.stderr
    assert re.fullmatch(
        rf"removed {state_folder}/demo, [\d.]+ MB: the next demo starts empty\n", gone.stdout
    )
    assert list(state_folder.iterdir()) == []


async def test_a_reset_ends_what_a_killed_demo_left_and_takes_nothing_that_is_not_its_own(
    start_program: StartProgram, state_folder: Path
) -> None:
    environ = {"KASPARRO_HOME": str(state_folder), "PORT": str(free_port()), "DATABASE_URL": ""}
    program = start_program("-m", "kasparro", "demo", **environ)
    await program.wait_for("the database is ready", TIMEOUT_SECONDS)
    children = psutil.Process(program.process.pid).children(recursive=True)
    (postmaster,) = (
        child
        for child in children
        if child.name() == "postgres" and child.ppid() == program.process.pid
    )
    program.process.kill()
    program.process.wait()
    letter = state_folder / "demo" / "letter.txt"
    letter.write_text("mine", encoding="utf-8")
    real = state_folder / "scheduler_token"
    real.write_text("mine too\n", encoding="utf-8")

    done = await kasparro("demo", "--reset", **environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"from {state_folder}/demo, but it holds others too: letter.txt\n")
    assert not postmaster.is_running() or postmaster.status() == psutil.STATUS_ZOMBIE
    assert [path.name for path in (state_folder / "demo").iterdir()] == ["letter.txt"]
    letter.unlink()
    assert (await kasparro("demo", "--reset", **environ)).returncode == 0
    assert [path.name for path in state_folder.iterdir()] == ["scheduler_token"]
    nothing = await kasparro("demo", "--reset", **environ)
    assert (nothing.returncode, nothing.stdout) == (
        0,
        f"there is nothing to remove at {state_folder}/demo\n",
    )


def test_a_link_is_not_followed(state_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "treasure.txt").touch()
    (state_folder / "demo").symlink_to(tmp_path)
    done = run("demo", "--reset", KASPARRO_HOME=str(state_folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{state_folder}/demo is a link to {tmp_path}" in done.stderr
    (state_folder / "demo").unlink()
    (state_folder / "demo").mkdir()
    (state_folder / "demo" / "postgres").symlink_to(tmp_path)
    done = run("demo", "--reset", KASPARRO_HOME=str(state_folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"it is a link to {tmp_path}: remove both yourself" in done.stderr
    assert (tmp_path / "treasure.txt").exists()
