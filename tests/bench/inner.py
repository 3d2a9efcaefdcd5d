"""The tests that `test_cleanup.py` runs: one never ends, one is not reached by signals."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from kasparro.supervise.ports import free_port
from tests.conftest import StartProgram

SHOW = (
    "import signal; print([signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)])"
)


@pytest.mark.usefixtures("server_dsn")
async def test_endless(start_program: StartProgram, state_folder: Path) -> None:
    start_program(
        "-m", "kasparro", "up", "--demo", KASPARRO_HOME=str(state_folder), PORT=str(free_port())
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(3600)"
    )
    await program.wait()


async def test_signals(start_program: StartProgram) -> None:
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(os.getpid(), number)
    await start_program("-c", SHOW).wait_for(r"SIG_DFL.*default_int_handler")
