"""The progress bar of `kasparro export` on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from db.export.formats import FormatEncoder


class _RowCounter:
    """An encoder that counts rows; a line break in a cell counts as one."""

    def __init__(self, encoder: FormatEncoder, count: Callable[[int], None]) -> None:
        self._encoder = encoder
        self._count = count
        self.finish = encoder.finish

    def encode(self, block: bytes) -> bytes:
        encoded = self._encoder.encode(block)
        self._count(block.count(b"\n"))
        return encoded


@contextlib.contextmanager
def with_progress(encoder: FormatEncoder, name: str, total: int) -> Iterator[FormatEncoder]:
    """Yield an encoder that does the same as `encoder` and shows its progress."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield _RowCounter(encoder, lambda rows: progress.advance(task, rows))
