"""Blocks of plain lines: it parses many rows at once where a CSV file has no quotes."""

import csv

from common.csv_injection import unguard
from ingestor.sources.files.tables.streams import UTF_8_BOM
from ingestor.sources.files.tables.table import Row

__all__ = ["BLOCK_BYTES", "MERGE_MARKERS", "plain_rows"]

BLOCK_BYTES = 65_536
MERGE_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
_ODD = (b'"', b"\0", *MERGE_MARKERS)


def plain_rows(block: bytes, delimiter: str, width: int) -> list[Row] | None:
    """Return a row for each line, or None if a line is not plain; an empty line has no cells.

    Plain lines have `width` cells of valid UTF-8, without a quote, a NUL, a merge marker, or a
    carriage return inside the line. If a line is not plain, read the rows one by one.
    """
    if block.startswith(UTF_8_BOM) or any(odd in block for odd in _ODD):
        return None
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return None
    try:
        texts = block.decode().split("\n")
        if not texts[-1]:
            texts.pop()
        parsed = list(csv.reader(texts, strict=True, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error):
        return None
    if not {width, 0}.issuperset(map(len, parsed)):
        return None
    lines = block.splitlines(keepends=True)
    if b"'" in block:
        parsed = [
            [unguard(cell) for cell in cells] if b"'" in line else cells
            for line, cells in zip(lines, parsed, strict=True)
        ]
    return [Row(line, cells) for line, cells in zip(lines, parsed, strict=True)]
