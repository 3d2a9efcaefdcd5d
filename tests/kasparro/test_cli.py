"""The commands as a user runs them: real processes, real PostgreSQL, output and exit codes."""

import asyncio
import importlib.metadata
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kasparro as kasparro_package
from common.settings import SAMPLE
from db.connect.locks import release_source_lock, try_source_lock
from db.connect.pool import connect
from db.embedded import EmbeddedPostgres
from kasparro.cli import COMMANDS, cli
from kasparro.cli.common.errors import CommandError, explain
from tests.conftest import StartProgram
from tests.kasparro.command_line import kasparro, run, run_in

ROOT = Path(__file__).resolve().parents[2]

SOURCES = "coinpaprika,coingecko,csv"


def no_network(database: str, home: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(home),
        "SOURCES": "csv",
        "CSV_PATH": str(SAMPLE),
    }


def test_help_lists_every_command_with_the_first_line_of_its_own_help() -> None:
    listed = run("--help").stdout
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", listed, re.MULTILINE)
        command = cli.commands.get(name) or cli.get_command(None, name)  # type: ignore[arg-type]  # it needs no context
        assert command is not None
        assert (command.help or "").startswith(summary)
        assert command.name == name


def test_help_imports_nothing_of_the_program() -> None:
    code = (
        "import sys, kasparro.cli; print(sorted({'db', 'asyncpg', 'ingestor', 'server', "
        "'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run("--version").stdout == f"kasparro {project['version']}\n"


def test_a_checkout_that_is_not_installed_knows_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert kasparro_package.__version__ == project["version"]
    assert not hasattr(kasparro_package, "no_such_name")


def test_an_unknown_command_is_refused() -> None:
    done = run("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'nonsense'" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("up", "serve", "ingest", "trigger", "status", "migrate", "token", "doctor", "reprocess"),
        "backfill --source coingecko --days 1",
        "export --format csv --out -",
    ],
)
def test_a_bad_setting_is_one_line_and_starts_nothing(command: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(*command.split(), PORT="eighty", KASPARRO_HOME=str(home))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: PORT must be a whole number from 1 to 65535; it is 'eighty'\n"
    assert not home.exists()


def test_a_bad_setting_of_the_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POLL_SECONDS=soon\n", encoding="utf-8")
    done = run_in(tmp_path, "status")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "Error: POLL_SECONDS must be a whole number from 1 to 86400; it is 'soon'\n"
    )


@pytest.mark.parametrize(
    "arguments", [("up",), ("up", "--demo"), ("ingest",), ("ingest", "--once")]
)
@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        (
            "SOURCES",
            "coinpaprica",
            (
                "SOURCES must be some of binance, bitstamp, bybit, coinbase, coingecko, "
                "coinpaprika, csv, kraken, okx; 'coinpaprica' is none of them"
            ),
        ),
        ("IDENTITY_PATH", "/no/such.csv", "IDENTITY_PATH /no/such.csv cannot be read: .*"),
    ],
)
def test_a_bad_source_setting_is_one_line_and_starts_nothing(
    arguments: tuple[str, ...], setting: str, value: str, sentence: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = run(*arguments, KASPARRO_HOME=str(home), **{setting: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(f"Error: {sentence}\n", done.stderr)
    assert not home.exists()


@pytest.mark.parametrize("command", ["status", "migrate", "trigger", "ingest"])
def test_a_database_out_of_reach_is_one_line(command: str, tmp_path: Path) -> None:
    arguments = [command, "--once"] if command == "ingest" else [command]
    done = run(
        *arguments,
        DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/none",
        KASPARRO_HOME=str(tmp_path),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: PostgreSQL at 127.0.0.1:1/none is out of reach")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_taken_port_is_one_line_before_anything_starts(command: str, state_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = run(command, PORT=str(port), KASPARRO_HOME=str(state_folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"Error: port {port} is taken by .*\(process {os.getpid()}\): .*set PORT .*\n", done.stderr
    )
    assert not (state_folder / "postgres").exists()


async def test_migrate_applies_once_and_tells_what(empty_database: str, tmp_path: Path) -> None:
    settings = no_network(empty_database, tmp_path)
    assert "pending 0001_main.sql" in (await kasparro("migrate", "--status", **settings)).stdout
    assert "applied 0001_main.sql\n" in (await kasparro("migrate", **settings)).stdout
    assert (await kasparro("migrate", **settings)).stdout == "up to date\n"
    applied = (await kasparro("migrate", "--status", **settings)).stdout
    assert re.match(r"applied 0001_main\.sql  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", applied)
    assert "pending" not in applied


async def test_status_of_a_database_without_schema_says_what_to_do(
    empty_database: str, tmp_path: Path
) -> None:
    done = await kasparro("status", **no_network(empty_database, tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "Error: the database is not at the schema of this version: run `kasparro migrate`\n"
    )


async def test_ingest_once_runs_each_source_and_status_shows_it(
    database: str, tmp_path: Path
) -> None:
    settings = no_network(database, tmp_path)
    assert "no source has run yet" in (await kasparro("status", **settings)).stdout
    first = await kasparro("ingest", "--once", "--json", **settings)
    assert first.returncode == 0, first.stderr
    [outcome] = json.loads(first.stdout)
    assert (outcome["source"], outcome["status"], outcome["failed"]) == ("csv", "success", 0)
    assert outcome["processed"] == outcome["changed"] > 0

    table = (await kasparro("ingest", "--once", "--full", **settings)).stdout
    assert re.search(
        rf"^ csv +success +{outcome['processed']} +0 +0 +{outcome['processed']} ",
        table,
        re.MULTILINE,
    )

    shown = (await kasparro("status", **settings)).stdout
    assert re.search(
        rf"^ csv +ok +success, \d+ s ago .* {outcome['processed']} +\d+ s ago", shown, re.MULTILINE
    )
    known = json.loads((await kasparro("status", "--json", **settings)).stdout)
    [csv] = known["sources"]
    assert known["coins"] > 0
    assert known["running"] is None
    assert (csv["listings"], csv["last_run"]["status"]) == (outcome["processed"], "success")
    assert csv["checkpoint"] is not None


async def test_ingest_once_tells_a_rejected_record_by_code_3(database: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(
        "symbol,name,price_usd\nBTC,Bitcoin,100\nETH,Ethereum,not a number\n", encoding="utf-8"
    )
    done = await kasparro(
        "ingest", "--once", **no_network(database, tmp_path) | {"CSV_PATH": str(file)}
    )
    assert done.returncode == 3, done.stderr
    assert re.search(r"^ csv +partial +2 +1 ", done.stdout, re.MULTILINE)


async def test_ingest_once_tells_a_failed_run_by_code_4(database: str, tmp_path: Path) -> None:
    missing = {"CSV_PATH": str(tmp_path / "no.csv")}
    done = await kasparro("ingest", "--once", **no_network(database, tmp_path) | missing)
    assert done.returncode == 4, done.stderr
    assert re.search(r"^ csv +failure ", done.stdout, re.MULTILINE)
    assert str(tmp_path / "no.csv") in done.stdout
    shown = (await kasparro("status", **no_network(database, tmp_path))).stdout
    assert re.search(r"^ csv +degraded +failure, ", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("ingest", "--source", "nope"),
            f"Error: 'nope' is not one of SOURCES={SOURCES}\n",
        ),
        (
            ("ingest", "--once", "--source", "nope"),
            f"Error: 'nope' is not one of SOURCES={SOURCES}\n",
        ),
        (("ingest", "--full"), "Error: --full and --json need --once\n"),
    ],
)
def test_ingest_refuses_what_it_cannot_do(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = run(*arguments, KASPARRO_HOME=str(home))
    assert done.returncode == 2
    assert done.stderr.endswith(sentence)
    assert not home.exists()


IMPATIENT = (
    "import ingestor.run.once; ingestor.run.once.BUSY_TIMEOUT_SECONDS = 0.1; from "
    "kasparro.__main__ import main; main()"
)


async def test_ingest_once_tells_a_source_that_was_busy_by_code_4(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    connection = await connect(database)
    assert await try_source_lock(connection, "csv")  # another ingestor runs it
    program = start_program("-c", IMPATIENT, "ingest", "--once", **no_network(database, tmp_path))
    assert await program.wait() == 4, program.text()
    assert re.search(
        r"^csv: not run: another ingestor was running it for 0\.1 s$", program.text(), re.MULTILINE
    )
    await release_source_lock(connection, "csv")
    await connection.close()


async def test_trigger_names_a_source_that_the_request_ended_without(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    settings = no_network(database, tmp_path)
    await kasparro("ingest", "--once", **settings)
    connection = await connect(database)
    await connection.execute(
        "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ('former', "
        "'api', true, 9, 60)"
    )
    trigger = start_program("-m", "kasparro", "trigger", "--wait", **settings)
    async with asyncio.timeout(30):
        while not await connection.fetchval("SELECT count(*) FROM etl_requests"):
            await asyncio.sleep(0.01)
    await connection.close()
    ingestor = start_program("-m", "ingestor", **settings)
    assert await trigger.wait() == 4, trigger.text()
    assert re.search(r"^ csv +success ", trigger.text(), re.MULTILINE)
    assert re.search(
        r"^former: not run: no ingestor has this source any more$", trigger.text(), re.MULTILINE
    )
    assert await ingestor.stop() == 0


async def test_ingest_of_one_source_leaves_the_others_enabled(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    environ = {
        **no_network(database, tmp_path),
        "SOURCES": "csv,coingecko",
        "COINGECKO_URL": "http://127.0.0.1:1",
    }
    program = start_program("-m", "kasparro", "ingest", "--source", "csv", **environ)
    await program.wait_for(r"run\.finished")
    connection = await connect(database)
    assert await connection.fetchval(
        "SELECT array_agg(name ORDER BY name) FROM sources WHERE enabled"
    ) == [
        "coingecko",
        "csv",
    ]
    assert await connection.fetchval("SELECT array_agg(DISTINCT source) FROM etl_runs") == ["csv"]
    await connection.close()
    assert await program.stop() == 0


async def test_trigger_writes_a_request_that_waits_for_an_ingestor(
    database: str, tmp_path: Path
) -> None:
    settings = no_network(database, tmp_path)
    never = await kasparro("trigger", **settings)
    assert (never.returncode, never.stderr.count("\n")) == (1, 1)
    assert "no ingestor has worked on this database yet" in never.stderr
    await kasparro("ingest", "--once", **settings)

    unknown = await kasparro("trigger", "--source", "nope", **settings)
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "Error: 'nope' is not a source of the running ingestor: it has csv\n",
    )

    done = await kasparro("trigger", "--full", "--json", **settings)
    outcome = json.loads(done.stdout)
    assert outcome["sources"] == ["csv"]
    connection = await connect(database)
    row = await connection.fetchrow("SELECT id, status, sources, full_run FROM etl_requests")
    await connection.close()
    assert row is not None
    assert dict(row) == {
        "id": outcome["request"],
        "status": "pending",
        "sources": ["csv"],
        "full_run": True,
    }


def test_trigger_without_a_kasparro_says_what_to_do(state_folder: Path) -> None:
    done = run("trigger", KASPARRO_HOME=str(state_folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: no Kasparro runs on {state_folder}: start `kasparro up`")
    assert list(state_folder.iterdir()) == []


def test_the_token_is_made_once_and_kept_private(state_folder: Path) -> None:
    first = run("token", KASPARRO_HOME=str(state_folder)).stdout
    assert run("token", KASPARRO_HOME=str(state_folder)).stdout == first
    assert re.fullmatch(r"[\w-]{43}\n", first)
    [file] = state_folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("token", "--demo", KASPARRO_HOME=str(state_folder)).stdout != first


def test_a_token_that_is_set_is_the_token(tmp_path: Path) -> None:
    for given in ("set", "set, the one before"):
        assert (
            run("token", SCHEDULER_TOKEN=given, KASPARRO_HOME=str(tmp_path / "home")).stdout
            == "set\n"
        )
    assert not (tmp_path / "home").exists()


async def test_without_database_url_a_command_brings_its_own_database(state_folder: Path) -> None:
    settings = {"KASPARRO_HOME": str(state_folder), "SOURCES": "csv", "CSV_PATH": str(SAMPLE)}
    assert (await kasparro("ingest", "--once", **settings)).returncode == 0
    assert '"coins":50' in (await kasparro("status", "--json", **settings)).stdout
    async with EmbeddedPostgres(state_folder) as postgres:  # now another process holds the folder
        assert '"coins":50' in (await kasparro("status", "--json", **settings)).stdout
        connection = await connect(postgres.dsn)
        assert await connection.fetchval("SELECT count(*) FROM normalized_records") == 50
        await connection.close()


def test_an_error_of_ours_keeps_its_traceback() -> None:
    assert explain(ZeroDivisionError()) is None
    assert explain(CommandError("so it is")) == ("so it is", 1)


def test_an_error_has_its_sentence_where_docstrings_are_stripped(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("migrate", KASPARRO_HOME=str(tmp_path / "file" / "home"), PYTHONOPTIMIZE="2")
    sentence = (
        "cannot be used for PostgreSQL (Not a directory): set KASPARRO_HOME to another folder."
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"Error: {tmp_path / 'file' / 'home'} {sentence}\n",
    )
