"""The data folder: creates it with initdb, or checks its version against the programs."""

import os
import shutil
import subprocess
from pathlib import Path

from db.embedded.account import Account
from db.embedded.errors import DataFolderError, DataFolderVersionError, InitdbFailedError
from db.embedded.programs import data_version, major_version

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
"""The environment of the server's programs: no PG variables, no secrets, English messages."""

_INITDB_TIMEOUT_SECONDS = 300
_INITDB_OPTIONS = (
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    # Only clients that may enter the private socket folder can connect.
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
)


def prepare_data(data: Path, programs: Path, account: Account, *, durable: bool) -> None:
    """Create the data folder unless it exists.

    It is renamed to `data` when it is complete, so the next start after an interruption creates it
    again. Raises DataFolderVersionError for a folder of another major version, DataFolderError for
    a folder with other files, InitdbFailedError.
    """
    found = data_version(data)
    if found is not None:
        installed = major_version(programs, account)
        if found != installed:
            raise DataFolderVersionError(folder=data, found=found, wanted=installed)
        return
    if data.exists() and any(data.iterdir()):
        raise DataFolderError(folder=data)
    for leftover in data.parent.glob("data-unfinished-*"):
        # If the initdb of a killed Kasparro still runs in it, that initdb fails.
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
        raise InitdbFailedError(folder=folder, reason=_error_line(error.stderr)) from error
    except subprocess.TimeoutExpired as error:
        raise InitdbFailedError(
            folder=folder, reason=f"initdb did not end within {error.timeout:g} s"
        ) from error


def _error_line(output: str) -> str:
    """Return the line with initdb's error, or its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = lines or ["initdb wrote nothing"]
    return next((line for line in lines if "error:" in line or "FATAL:" in line), lines[-1])
