"""Blocks of plain lines: most of a CSV file has no quotes, and is parsed many rows at a time."""

import csv

from common.csv_injection import unguard
from ingestor.sources.files.tables.streams import UTF_8_BOM
from ingestor.sources.files.tables.table import Row

__all__ = ["BLOCK_BYTES", "MERGE_MARKERS", "plain_rows"]

BLOCK_BYTES = 65_536
MERGE_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
_ODD = (b'"', b"\0", *MERGE_MARKERS)


def plain_rows(block: bytes, delimiter: str, width: int) -> list[Row] | None:
    """Return the cells of each line, none for an empty line; None if a line needs the full parser.

    Plain lines have `width` cells, valid UTF-8, and nothing that a quote, a NUL, a merge marker or
    a carriage return within the line may mean. Rows of a block that is not plain must be read one
    by one.
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
