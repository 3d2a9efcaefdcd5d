"""The formats of exports: what each is called, and how the rows that PostgreSQL writes become its bytes."""

import datetime
import importlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from db.export.columns import ExportColumn


class FormatEncoder(Protocol):
    """Turns blocks of whole rows into a file's bytes; one encoder writes one file."""

    def encode(self, block: bytes) -> bytes:
        """Return what follows for a block; it may be nothing yet."""

    def finish(self) -> bytes:
        """Return the end of the file."""


class PassThrough:
    """PostgreSQL's own bytes are the file."""

    def encode(self, block: bytes) -> bytes:
        """Return the block."""
        return block

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class Format(msgspec.Struct, frozen=True):
    """A format; of `block_bytes` is a block that is encoded, and sent, at once."""

    name: str
    media_type: str
    suffix: str
    block_bytes: int = 256 * 1024
    arrow: bool = False

    def file_name(self, now: datetime.datetime, *, is_demo: bool) -> str:
        """Return what a file made at `now` (UTC) is called, where nobody says; of a demo it says so."""
        return f"kasparro{'-demo' if is_demo else ''}-{now:%Y-%m-%dT%H%M%SZ}.{self.suffix}"

    def encoder(self, columns: Sequence[ExportColumn]) -> FormatEncoder:
        """Return an encoder of a new file.

        Raises ArrowMissingError where pyarrow is wanted and not installed.
        """
        if not self.arrow:
            return PassThrough()
        try:
            importlib.import_module("pyarrow")
        except ImportError:
            raise ArrowMissingError from None
        # Pyarrow is large, and may be missing.
        from db.export.arrow import ArrowStream, Parquet  # noqa: PLC0415

        return (Parquet if self.name == "parquet" else ArrowStream)(columns)


class ArrowMissingError(Exception):
    """Parquet and Arrow need pyarrow, which is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "Parquet and Arrow need pyarrow, which is not installed: `.venv/bin/pip install pyarrow` in a checkout, "
            "`uv tool install --with pyarrow .` or `pipx inject kasparro pyarrow` for a tool"
        )


_FORMATS = (
    Format("csv", "text/csv; charset=utf-8; header=present", "csv"),
    Format("ndjson", "application/x-ndjson", "ndjson"),
    Format(
        "parquet", "application/vnd.apache.parquet", "parquet", block_bytes=1024 * 1024, arrow=True
    ),
    Format(
        "arrow",
        "application/vnd.apache.arrow.stream",
        "arrows",
        block_bytes=1024 * 1024,
        arrow=True,
    ),
)
FORMATS = {form.name: form for form in _FORMATS}
"""By name.

Arrow is the streaming format (what `pyarrow.ipc.open_stream` reads): it needs no file to be
written.
"""
