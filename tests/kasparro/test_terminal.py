"""A provider's text cannot control the terminal."""

import datetime
import io
import json
from pathlib import Path

import pytest

from db.connect.pool import Connection
from kasparro.supervise.console import Console
from tests.kasparro.command_line import kasparro

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\r"
OBEYED = [chr(code) for code in (*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x202E)]
NOW = datetime.datetime.now(datetime.UTC)

ADD = """
WITH source AS (
    INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ('csv', 'file', true,
        1, 300)
), run AS (
    INSERT INTO etl_runs (source, status, started_at, finished_at, message) VALUES ('csv',
        'failure', $1, $1, $2)
)
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, source, created_at, ingested_at, price_spread_percent,
    rival_count, provenance
)
VALUES ($2, $2, 1, $2, '2020-01-01', $1, 40, 3, '[]')
"""


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json")])
async def test_names_and_messages_are_printed_and_nothing_more(
    connection: Connection, database: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    await connection.execute(ADD, NOW, ESCAPE)
    done = await kasparro(*arguments, DATABASE_URL=database, KASPARRO_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "owned" in done.stdout
    assert not any(char in done.stdout + done.stderr for char in OBEYED)
    if "--json" in arguments:
        worst = json.loads(done.stdout)["worst"][0]
        assert (worst["ticker"], worst["name"]) == (ESCAPE, ESCAPE)


async def test_a_run_prints_what_a_file_made_it_say_and_nothing_more(
    database: str, tmp_path: Path
) -> None:
    folder = tmp_path / f"{ESCAPE}-csv"
    folder.mkdir()
    (folder / "a.csv").write_text(f"{ESCAPE},usd\nbtc,1\n", encoding="utf-8")
    settings = {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(tmp_path),
        "CSV_PATH": str(folder),
        "SOURCES": "csv",
    }
    done = await kasparro("ingest", "--once", **settings)
    assert done.returncode == 4, done.stderr
    assert "of its columns (2)" in done.stdout
    assert not any(char in done.stdout + done.stderr for char in OBEYED)


def test_lines_of_the_processes_are_printed_and_nothing_more() -> None:
    stream = io.StringIO()
    Console(bare=False, stream=stream).line("server", f"said {ESCAPE}")
    assert not any(char in stream.getvalue() for char in OBEYED)


async def test_the_doctor_masks_user_info_and_prints_no_control_character(
    database: str, tmp_path: Path
) -> None:
    settings = {"COINPAPRIKA_URL": "http://user:hunter2@127.0.0.1:9/v1", "SOURCES": "coinpaprika"}
    done = await kasparro("doctor", DATABASE_URL=database, KASPARRO_HOME=str(tmp_path), **settings)
    assert "coinpaprika" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
