"""The bar that `kasparro export` shows on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from db.export.formats import FormatEncoder


class _ByteCounter:
    """An encoder that tells how many rows went through it; a line break within a cell counts as one."""

    def __init__(self, encoder: FormatEncoder, count: Callable[[int], None]) -> None:
        self._encoder = encoder
        self._count = count
        self.finish = encoder.finish

    def encode(self, block: bytes) -> bytes:
        encoded = self._encoder.encode(block)
        self._count(block.count(b"\n"))
        return encoded


@contextlib.contextmanager
def shown(encoder: FormatEncoder, name: str, total: int) -> Iterator[FormatEncoder]:
    """Yield an encoder that does what `encoder` does, and show how far it is meanwhile."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield _ByteCounter(encoder, lambda rows: progress.advance(task, rows))
