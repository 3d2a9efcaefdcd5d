"""An interrupted `make test` or `make bench` leaves nothing behind: no process, no file."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench.cleanup import processes_of
from tests.conftest import ROOT, Program, StartProgram

TIMEOUT_SECONDS = 240
LOOK_SECONDS = 0.1
pytestmark = pytest.mark.timeout(3 * TIMEOUT_SECONDS)

# Only the plugins that `inner.py` needs, since some take seconds to import; no coverage of killed
# processes.
PLUGINS = ("xdist.plugin", "pytest_asyncio.plugin", "pytest_timeout")
PLAIN = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "COVERAGE_PROCESS_CONFIG": "",
    "COVERAGE_PROCESS_START": "",
}


def pytest_of(test: str) -> tuple[str, ...]:
    """Return the arguments of Python that run one test of `inner.py` in a worker."""
    inner = Path(__file__).with_name("inner.py")
    options = ("-p", "no:cacheprovider", *(word for plugin in PLUGINS for word in ("-p", plugin)))
    return ("-m", "pytest", f"{inner}::{test}", "--numprocesses", "1", *options)


def words(folder: Path) -> set[str]:
    """Return the words of the command lines of processes whose temporary files lie in a folder."""
    found = set()
    for process in processes_of(str(folder)):
        try:
            found |= {process.name(), *process.cmdline()}
        except psutil.NoSuchProcess:
            continue
    return found


async def running(expected: set[str], program: Program, folder: Path) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not expected <= words(folder):
            assert program.process.poll() is None, program.text()
            await asyncio.sleep(LOOK_SECONDS)


async def nothing_is_left(folder: Path) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while words(folder) or list(folder.iterdir()):
            await asyncio.sleep(LOOK_SECONDS)


def signal_one(number: signal.Signals) -> Callable[[Program], None]:
    return lambda program: program.process.send_signal(number)


def signal_all(number: signal.Signals) -> Callable[[Program], None]:
    """Signal the process group, like `kill -9` with a negative id: the worker belongs to it."""
    return lambda program: os.killpg(program.process.pid, number)


@pytest.mark.parametrize(
    "interrupt",
    [
        pytest.param(signal_one(signal.SIGINT), id="sigint"),
        pytest.param(signal_one(signal.SIGKILL), id="sigkill"),
        pytest.param(signal_all(signal.SIGKILL), id="sigkill-of-its-worker-too"),
    ],
)
async def test_an_interrupted_test_run_leaves_nothing_behind(
    interrupt: Callable[[Program], None],
    start_program: StartProgram,
    state_folder: Path,
    tmp_path: Path,
) -> None:
    program = start_program(
        *pytest_of("test_endless"),
        TMPDIR=str(state_folder),
        PYTEST_DEBUG_TEMPROOT=str(tmp_path),
        **PLAIN,
    )
    await running(
        {"postgres", "kasparro.simulator", "ingestor", "server", "import time; time.sleep(3600)"},
        program,
        state_folder,
    )
    interrupt(program)
    await program.wait(TIMEOUT_SECONDS)
    await nothing_is_left(state_folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_interrupted_measurement_leaves_nothing_behind(
    number: signal.Signals, start_program: StartProgram, state_folder: Path
) -> None:
    program = start_program("-m", "bench", "--quick", "--only", "export", TMPDIR=str(state_folder))
    await running({"postgres", "kasparro", "export"}, program, state_folder)
    program.process.send_signal(number)
    await program.wait(TIMEOUT_SECONDS)
    await nothing_is_left(state_folder)


async def test_programs_do_not_inherit_the_signals_that_a_run_ignores(tmp_path: Path) -> None:
    ignoring = (
        """trap '' HUP INT; exec "$0" "$@" """  # as nohup does, and a shell for its background jobs
    )
    done = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-c", ignoring, sys.executable, *pytest_of("test_signals")],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DEBUG_TEMPROOT": str(tmp_path), **PLAIN},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
