"""The data folder: made by initdb, whole or not at all, and held against the version of the programs."""

import os
import shutil
import subprocess
from pathlib import Path

from db.embedded.account import Account
from db.embedded.errors import DataFolderError, DataFolderVersionError, InitdbFailedError
from db.embedded.programs import major_version

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
"""What the server's programs see: no PGPORT or PGOPTIONS of the user's, no secret of ours; messages in English."""

_INITDB_TIMEOUT_SECONDS = 300
_INITDB_OPTIONS = (
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    # Whoever can enter the socket's folder is let in; there is no other way in.
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
)


def prepare_data(data: Path, programs: Path, account: Account, *, durable: bool) -> None:
    """Make the data folder where there is none.

    It is made under another name and renamed when complete, so that one cut short is made anew.
    Raises DataFolderVersionError for one of another major version, DataFolderError for other files,
    InitdbFailedError.
    """
    mark = data / "PG_VERSION"
    if mark.exists():
        found, wanted = mark.read_text(encoding="utf-8").strip(), major_version(programs, account)
        if found != wanted:
            raise DataFolderVersionError(folder=data, found=found, wanted=wanted)
        return
    if data.exists() and any(data.iterdir()):
        raise DataFolderError(folder=data)
    for leftover in data.parent.glob("data-unfinished-*"):
        # The initdb of a killed Kasparro may still be at work in it; it fails then, and disturbs
        # nobody.
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished = data.with_name(f"data-unfinished-{os.getpid()}")
    _initdb(unfinished, programs, account, durable=durable)
    unfinished.rename(data)


def _initdb(folder: Path, programs: Path, account: Account, *, durable: bool) -> None:
    command = [
        programs / "initdb",
        f"--pgdata={folder}",
        *_INITDB_OPTIONS,
        *(() if durable else ("--no-sync",)),
    ]
    try:
        subprocess.run(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            timeout=_INITDB_TIMEOUT_SECONDS,
            **account.popen_options(),
        )
    except subprocess.CalledProcessError as error:
        raise InitdbFailedError(folder=folder, reason=_complaint(error.stderr)) from error
    except subprocess.TimeoutExpired as error:
        raise InitdbFailedError(
            folder=folder, reason=f"no end after {error.timeout:g} s"
        ) from error


def _complaint(output: str) -> str:
    """Return the line in which initdb says what is wrong, or its last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or [
        "initdb said nothing"
    ]
    return next((line for line in lines if "error:" in line or "FATAL:" in line), lines[-1])
