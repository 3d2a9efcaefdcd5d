"""The files that a check is given: paths as CSV_PATH takes them, and standard input."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingestor.sources.errors import SourceRefusedError
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.paths import CsvFile, find_files, identify
from ingestor.sources.files.reading import WRITING_SECONDS
from kasparro.cli.common.errors import CommandRefusedError

__all__ = ["STDIN", "found_files"]

STDIN = "-"


@contextlib.contextmanager
def found_files(paths: Sequence[str]) -> Iterator[list[CsvFile]]:
    """Find the files, standard input as a file that is gone afterwards. Raises RefusedError."""
    files: dict[Path, CsvFile] = {}
    with contextlib.ExitStack() as stack:
        for path in dict.fromkeys(paths):
            try:
                found = (
                    [stack.enter_context(_standard_input())] if path == STDIN else find_files(path)
                )
            except SourceRefusedError as error:
                raise CommandRefusedError(str(error).removeprefix("CSV_PATH ")) from None
            if not found:
                raise CommandRefusedError(
                    f"{path} holds no file that the source reads: *.csv, *.json, *.parquet "
                    "and the like"
                )
            files.update((file.path, file) for file in found)
        yield list(files.values())


@contextlib.contextmanager
def _standard_input() -> Iterator[CsvFile]:
    """Copy standard input into a file, which can be read twice and counts as complete."""
    with tempfile.TemporaryDirectory(prefix="kasparro-check-") as folder:
        copy = Path(folder).resolve() / "input"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        written = time.time() - 2 * WRITING_SECONDS
        os.utime(copy, (written, written))
        identity = identify(copy, Mapping())
        if identity is None:
            raise CommandRefusedError("standard input could not be kept")
        yield CsvFile(STDIN, Path(STDIN), identity, Mapping(), copy)
