"""Where a command writes a file: under its name once it is whole, or to standard output."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from kasparro.cli.common.errors import CommandError, CommandRefusedError

STDOUT = "-"


class OutputError(CommandError):
    """What was to be written could not be."""


class Output:
    """An open file; `size` bytes were written so far."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.size = 0
        self._file = file

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OutputError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise OutputError(f"{self.name} cannot be written: {error.strerror}") from error
        self.size += len(data)

    def flush(self) -> None:
        """Hand everything to the system, and on to the disk where it is a disk.

        Raises OutputError.
        """
        try:
            self._file.flush()
            with contextlib.suppress(OSError):  # a pipe
                os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"{self.name} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def open_output(out: str) -> Iterator[Output]:
    """Open `out`, `-` for standard output.

    A file gets its name when the block ends well: until then it has another beside it, and if the
    block fails nothing is left and what had the name before still has it. Raises RefusedError where
    nothing can be written, OutputError.
    """
    if out == STDOUT:
        output = Output("standard output", sys.stdout.buffer)
        yield output
        output.flush()
        return
    # A link stays one; a pipe or a device is written to, never replaced.
    path = Path(out).resolve()
    if path.is_dir():
        raise CommandRefusedError(f"{out} is a folder: name a file in it")
    part = path
    if path.is_file() or not path.exists():
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        file = cast("BinaryIO", part.open("wb", buffering=0))
    except OSError as error:
        raise CommandRefusedError(f"{out} cannot be written: {error.strerror}") from None
    try:
        with file:
            output = Output(out, file)
            yield output
            output.flush()
        if part != path:
            part.replace(path)
    finally:
        if part != path:
            part.unlink(missing_ok=True)
