"""`kasparro up` without any setting and without a network shows no made-up prices."""

import asyncio
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from common.settings import SAMPLE
from db.connect.pool import connect
from db.demo import mark_demo
from kasparro.supervise.ports import free_port
from tests.conftest import StartProgram
from tests.kasparro.command_line import kasparro

UNREACHABLE = "http://127.0.0.1:1"
TIMEOUT_SECONDS = 60


async def get(url: str) -> Any:  # noqa: ANN401 - what JSON holds
    def read() -> Any:  # noqa: ANN401 - the same
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            return json.load(response)

    return await asyncio.to_thread(read)


async def test_without_a_network_nothing_is_made_up_and_what_is_put_into_the_folder_is_read(
    start_program: StartProgram, state_folder: Path
) -> None:
    port = free_port()
    environ = {"KASPARRO_HOME": str(state_folder), "PORT": str(port), "DATABASE_URL": ""}
    environ |= {"COINPAPRIKA_URL": UNREACHABLE, "COINGECKO_URL": UNREACHABLE}
    program = start_program("-m", "kasparro", "up", **environ)
    folder = state_folder / "csv"
    await program.wait_for(
        rf"run\.finished .*message='{folder} holds no CSV file yet; .*' .*source=csv "
        r"status=success",
        TIMEOUT_SECONDS,
    )
    await program.wait_for("Kasparro answers at", TIMEOUT_SECONDS)
    url = f"http://127.0.0.1:{port}"
    assert (await get(f"{url}/data?ticker=btc"))["data"] == []
    assert (await get(f"{url}/stats"))["total_normalized"] == 0
    assert list(folder.iterdir()) == []

    shown = (await kasparro("status", **environ)).stdout
    assert re.search(r"^ csv +ok +success, ", shown, re.MULTILINE)
    assert f"csv: {folder} holds no CSV file yet" in shown
    doctor = (await kasparro("doctor", **environ)).stdout
    assert re.search(rf"^ok +csv +{folder} holds no CSV file yet", doctor, re.MULTILINE)

    (folder / "mine.csv").write_text("symbol,name,price_usd\nBTC,Bitcoin,42\n", encoding="utf-8")
    assert (await kasparro("trigger", "--source", "csv", "--wait", **environ)).returncode == 0
    (record,) = (await get(f"{url}/data?ticker=btc"))["data"]
    assert record["price_usd"] == 42
    assert await program.stop() == 0


async def test_what_an_earlier_version_read_of_the_sample_is_gone_at_the_next_start(
    database: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path / "home"), "SOURCES": "csv"}
    named = await kasparro("ingest", "--once", CSV_PATH=str(SAMPLE), **settings)
    assert (named.returncode, "the prices in it are invented" in named.stdout + named.stderr) == (
        0,
        True,
    )
    assert json.loads((await kasparro("status", "--json", **settings)).stdout)["coins"] == 50

    done = await kasparro("ingest", "--once", **settings)
    assert done.returncode == 0, done.stderr
    assert re.search(r"sample\.deleted .*coins=50 .*listings=50", done.stdout + done.stderr)
    status = json.loads((await kasparro("status", "--json", **settings)).stdout)
    assert (status["coins"], status["sources"][0]["listings"]) == (0, 0)
    connection = await connect(database)
    try:
        for table in ("price_points", "candles", "raw_csv_records"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()
    again = await kasparro("ingest", "--once", **settings)
    assert "sample" not in again.stdout + again.stderr


async def test_real_prices_never_come_into_a_demos_database(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    connection = await connect(database)
    await mark_demo(connection)
    await connection.close()
    settings = {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(tmp_path / "home"),
        "SOURCES": "csv,coingecko",
    }
    sentence = (
        "the prices in this database are made up (a demo's), and no real ones may come "
        "beside them: "
    )
    for command in (("ingest", "--once"), ("backfill", "--source", "coingecko", "--days", "1")):
        done = await kasparro(*command, **settings)
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    program = start_program("-m", "kasparro", "up", **settings, PORT=str(free_port()))
    assert await program.wait() == 2
    assert sentence in program.text()
