"""`kasparro up` continues when its output cannot be written: a full disk, a closed reader."""

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import IO

import pytest

from kasparro.supervise.ports import free_port
from tests.conftest import Program, StartProgram
from tests.kasparro.test_up import get

TIMEOUT_SECONDS = 90
ONTO = """
import os, sys
output = os.open(sys.argv[1], os.O_WRONLY)
os.dup2(output, 1)
os.dup2(output, 2)
sys.argv = ["kasparro", "up"]
from kasparro.__main__ import main
main()
"""


def start(start_program: StartProgram, output: Path, home: Path, csv: Path, port: int) -> Program:
    csv.write_text("symbol,price\nBTC,1\n")
    environ = {"SOURCES": "csv", "CSV_PATH": str(csv), "POLL_SECONDS": "1", "LOG_FORMAT": ""}
    return start_program(
        "-c", ONTO, str(output), KASPARRO_HOME=str(home), PORT=str(port), **environ
    )


async def runs(port: int, program: Program, after: str = "") -> str:
    """Wait for a run that ended after another, and return its end."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            assert program.process.poll() is None, program.text()
            try:
                last = (await get(f"http://127.0.0.1:{port}/stats"))["last_success"]
            except OSError:
                last = None
            if last is not None and last["finished_at"] > after:
                ended: str = last["finished_at"]
                return ended
            await asyncio.sleep(0.1)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a device that is always full"
)
async def test_a_full_disk_drops_lines_and_nothing_else(
    start_program: StartProgram, state_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    program = start(start_program, Path("/dev/full"), state_folder, tmp_path / "coins.csv", port)
    first = await runs(port, program)
    await runs(port, program, first)
    assert await program.stop(signal.SIGTERM) == 0


async def test_a_new_reader_gets_the_number_of_dropped_lines(
    start_program: StartProgram, state_folder: Path, tmp_path: Path
) -> None:
    port, fifo = free_port(), tmp_path / "fifo"
    os.mkfifo(fifo)
    program = start(start_program, fifo, state_folder, tmp_path / "coins.csv", port)
    reader: IO[bytes] = await asyncio.to_thread(fifo.open, "rb")
    await asyncio.to_thread(_read_until, reader, rb"Kasparro answers at ")
    reader.close()
    first = await runs(port, program)
    await runs(port, program, await runs(port, program, first))

    reader = await asyncio.to_thread(fifo.open, "rb")
    loss = await asyncio.to_thread(
        _read_until, reader, rb"kasparro  \| (\d+ lines were dropped: .* \(Broken pipe\))"
    )
    assert int(loss.split()[0]) > 1
    draining = asyncio.create_task(asyncio.to_thread(reader.read))
    assert await program.stop(signal.SIGTERM) == 0
    assert re.search(rb"kasparro  \| stopping", await draining)
    reader.close()


def _read_until(reader: IO[bytes], pattern: bytes) -> bytes:
    for line in reader:
        match = re.search(pattern, line)
        if match:
            return match[match.re.groups]
    raise AssertionError(f"the output ended before {pattern!r}")
