"""End the processes of a measurement or test run, and remove its files, after the run.

A separate process waits for the end of its standard input, whose other end only the run holds: the
kernel closes it when the run ends, even by kill -9. It finds the run's processes by TMPDIR, which
every process inherits, and PostgreSQL, which has no environment, by the data folder in its command
line.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
KILL_TIMEOUT_SECONDS = 60.0
"""How long to wait for processes that even SIGKILL does not end."""
LOOK_SECONDS = 0.1


@contextlib.contextmanager
def cleanup() -> Iterator[Path]:
    """Yield a folder for temporary files of this process and its children; clean up afterwards."""
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    folder = Path(tempfile.mkdtemp(prefix="kasparro-"))
    folder.chmod(0o711)  # the account of PostgreSQL passes through
    # Without TMPDIR this process does not belong to this run or to an outer one.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TMPDIR", "COV"))
    }
    command = [sys.executable, "-I", __file__, str(folder)]
    watching = subprocess.Popen(
        command, stdin=subprocess.PIPE, env=environment, start_new_session=True
    )
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        _restore(*before)
        watching.communicate()


def _restore(variable: str | None, folder: str | None) -> None:
    os.environ.pop("TMPDIR")
    if variable is not None:
        os.environ["TMPDIR"] = variable
    tempfile.tempdir = folder


def main(folder: str) -> None:
    """Wait for the end of standard input, then end the run's processes and remove `folder`."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    began = time.monotonic()
    signalled: set[psutil.Process] = set()
    while (found := processes_of(folder)) and (
        waited := time.monotonic() - began
    ) < KILL_TIMEOUT_SECONDS:
        for process in found if waited > GRACE_SECONDS else found - signalled:
            _end(process, signal.SIGTERM if process not in signalled else signal.SIGKILL)
        signalled |= found
        psutil.wait_procs(found, timeout=LOOK_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: str) -> set[psutil.Process]:
    """Return the running processes whose temporary files lie in `folder`."""
    return {process for process in psutil.process_iter() if _belongs_to(process, folder)}


def _belongs_to(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.name() == "postgres":
            return any(word.startswith(f"{folder}/") for word in process.cmdline())
        return f"{process.environ().get('TMPDIR')}/".startswith(f"{folder}/")
    except psutil.Error:  # it has just ended, or belongs to another user
        return False


def _end(process: psutil.Process, number: signal.Signals) -> None:
    # PostgreSQL's fast shutdown is SIGINT: on SIGTERM it waits for its clients.
    fast = number is signal.SIGTERM and process.name() == "postgres"
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT if fast else number)


if __name__ == "__main__":
    main(sys.argv[1])
