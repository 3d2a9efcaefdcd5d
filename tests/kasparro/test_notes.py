"""Every command that shows a run prints its notes, and the doctor prints them before the run."""

import asyncio
import datetime
import json
import re
from pathlib import Path

import pytest

from common.settings import load_settings
from kasparro.doctor import examine
from tests.conftest import StartProgram
from tests.kasparro.command_line import kasparro

ROWS = """symbol,name,price_usd,market_cap_usd,\x1b[31mcolour
BTC,Bitcoin,100,much,orange
ETH,Ethereum,10,more,grey
"""
COLUMNS = "Columns that are not read: \\u001b[31mcolour"
DATED = "No column holds a time: rows are dated by the file"
CAP = "`$.market_cap_usd` (2 times)"


@pytest.fixture
def settings(database: str, tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "prices.csv"
    file.write_text(ROWS, encoding="utf-8")
    return {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(tmp_path),
        "SOURCES": "csv",
        "CSV_PATH": str(file),
    }


def notes_of(text: str, mark: str) -> list[str]:
    return [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]


def check(notes: list[str]) -> None:
    assert notes[:2] == [DATED, COLUMNS]
    assert [note.endswith(CAP) for note in notes[2:]] == [True]


async def test_a_run_and_the_status_show_them(settings: dict[str, str]) -> None:
    done = await kasparro("ingest", "--once", **settings)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ csv +success +2 +0 +2 +0 +4 +\d", done.stdout, re.MULTILINE)
    check(notes_of(done.stdout, "csv: note: "))

    again = await kasparro("ingest", "--once", **settings)
    assert "csv: csv has not changed since its last run.\n" in again.stdout
    check(notes_of(again.stdout, "csv: note: "))

    shown = (await kasparro("status", **settings)).stdout
    assert re.search(r"^ csv +ok +success, \d+ s ago +0 +0 +0 +4 ", shown, re.MULTILINE)
    check(notes_of(shown, "csv: note: "))
    [source] = json.loads((await kasparro("status", "--json", **settings)).stdout)["sources"]
    assert source["last_run"]["note_count"] == 4
    assert [note["count"] for note in source["last_run"]["notes"]] == [1, 1, 2]


async def test_the_status_shows_the_first_three(settings: dict[str, str]) -> None:
    numbers = ["volume_24h", "change_24h", "max_supply", "total_supply"]
    header = ",".join(["symbol", "name", "price_usd", "updated_at", *numbers])
    now = datetime.datetime.now(datetime.UTC).isoformat()
    cells = ",".join(["BTC", "Bitcoin", "100", now, *["none of it"] * len(numbers)])
    Path(settings["CSV_PATH"]).write_text(f"{header}\n{cells}\n", encoding="utf-8")
    every = (await kasparro("ingest", "--once", **settings)).stdout
    notes = notes_of(every, "csv: note: ")
    assert len(notes) == 4
    shown = (await kasparro("status", **settings)).stdout
    assert notes_of(shown, "csv: note: ") == notes[:3]
    assert "csv: and 1 more note\n" in shown


async def test_trigger_prints_them_when_it_waits(
    settings: dict[str, str], start_program: StartProgram
) -> None:
    await kasparro("ingest", "--once", **settings)
    ingestor = start_program("-m", "ingestor", **settings)
    trigger = start_program("-m", "kasparro", "trigger", "--wait", **settings)
    assert await trigger.wait() == 0, trigger.text()
    check(notes_of(trigger.text(), "csv: note: "))
    assert await ingestor.stop() == 0


async def test_the_doctor_names_them_of_every_file(
    settings: dict[str, str], tmp_path: Path
) -> None:
    second = tmp_path / "second.csv"
    second.write_text(
        "symbol,name,price_usd,volume_24h\nSOL,Solana,5,none of it\nX,,a word,1\n", encoding="utf-8"
    )
    both = settings | {"CSV_PATH": str(tmp_path / "*.csv")}
    done = await kasparro("doctor", **both)
    assert done.returncode == 0, done.stdout
    assert re.search(
        r"^warn csv +4 records, \d+\.\d s, 1 of them unreadable$", done.stdout, re.MULTILINE
    )
    notes = re.findall(r"^warn csv +(.+)$", done.stdout, re.MULTILINE)[1:]
    assert COLUMNS in notes
    assert f"{DATED} (2 times)" in notes
    assert any(line.endswith(CAP) for line in notes)
    assert any(line.endswith("at `$.volume_24h`") for line in notes)
    findings = json.loads((await asyncio.wait_for(kasparro("doctor", "--json", **both), 60)).stdout)
    assert [finding["text"] for finding in findings if finding["subject"] == "csv"][1:] != []


async def test_the_doctor_reads_a_large_file_for_so_long_only(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kasparro.doctor.sources.FILE_SECONDS", 0.0)
    rows = [f"T{number},Token {number},{number + 1}.5,red" for number in range(12_000)]
    Path(settings["CSV_PATH"]).write_text(
        "\n".join(["symbol,name,price_usd,colour", *rows, ""]), encoding="utf-8"
    )
    first, *others = [
        finding async for finding in examine(load_settings(settings)) if finding.subject == "csv"
    ]
    assert (first.level, first.text.partition(",")[2].partition(",")[0]) == (
        "ok",
        "000 records in what was read of it",
    )
    assert [finding.text for finding in others] == [DATED, "Columns that are not read: colour"]


async def test_the_doctor_counts_those_beyond_ten(settings: dict[str, str], tmp_path: Path) -> None:
    columns = [
        "market_cap",
        "volume_24h",
        "change_24h",
        "max_supply",
        "total_supply",
        "circulating_supply",
    ]
    for number in range(2):
        names = [name if number else name.replace("_", " ") for name in columns]
        lines = [
            f"symbol,name,price_usd,{','.join(names)}",
            f"SOL,Solana,5{',odd' * len(names)}",
            "",
        ]
        (tmp_path / f"{number}.csv").write_text("\n".join(lines), encoding="utf-8")
    shown = (await kasparro("doctor", **settings | {"CSV_PATH": str(tmp_path / "?.csv")})).stdout
    notes = [line for line in shown.splitlines() if line.startswith("warn csv ")]
    assert len(notes) == 11
    assert notes[-1].endswith(" and 3 more notes")
    assert "`kasparro status --json` lists the notes of the last run" in shown
