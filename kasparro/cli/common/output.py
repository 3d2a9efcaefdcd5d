"""The output of a command: a file that appears when it is complete, or standard output."""

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
    """Output could not be written."""


class Output:
    """An open file, and the number of bytes written so far."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.size = 0
        self._file = file

    def write(self, data: bytes) -> None:
        """Write all bytes. Raises OutputError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise OutputError(f"{self.name} cannot be written: {error.strerror}") from error
        self.size += len(data)

    def flush(self) -> None:
        """Flush the output, and sync it where it is a file.

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

    A file is written under another name beside it, and renamed at the end of the block. If the
    block fails, the new file is removed and an old one stays. Raises CommandRefusedError if nothing
    can be written, OutputError.
    """
    if out == STDOUT:
        output = Output("standard output", sys.stdout.buffer)
        yield output
        output.flush()
        return
    # A link stays a link; a pipe or device is written to, never replaced.
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
