"""JSON as a table: an array or lines of objects, a provider's body, or the arrays of a chart."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.tables.streams import (
    PACKED_ERRORS,
    UTF_8_BOM,
    FileStream,
    translate_error,
)
from ingestor.sources.files.tables.table import Form, Row

MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of a file, which is read as a whole."""
MAX_LINE_BYTES = 1024 * 1024
_WRAPPERS = ("data", "coins", "tickers", "markets", "assets", "result", "results", "items")
_CHART = {"prices": "price", "market_caps": "market_cap", "total_volumes": "total_volume"}
_MAX_DEPTH = 4

_Entry = tuple[dict[str, str] | str, bytes]
"""The cells of an entry, or the reason why it has none, and its bytes."""


class JsonTable:
    """The objects of a JSON file as rows; the header of a nested field is its path.

    Numbers keep the text of the file. An offset is the number of rows before it.
    """

    def __init__(self, path: Path, stream: FileStream) -> None:
        self._path = path
        self._stream = stream
        try:
            kind, entries = self._read_all()
            self._rows = list(entries)
        except PACKED_ERRORS as error:
            raise translate_error(path, error) from None
        self.headers = tuple(
            dict.fromkeys(key for row, _ in self._rows if isinstance(row, dict) for key in row)
        )
        self.form = Form(kind)
        self.rejected: list[Row] = []
        self.rejected_lines: list[int] = []
        self.offset = 0

    def seek(self, offset: int) -> None:
        """Continue at the row with this number."""
        self.offset = offset

    def read(self) -> Row | None:
        """Return the next object, or an entry that is not an object as a row with an error."""
        if self.offset >= len(self._rows):
            return None
        row, raw = self._rows[self.offset]
        self.offset += 1
        if isinstance(row, str):
            return Row(raw, [], row)
        return Row(raw, [row.get(header, "") for header in self.headers])

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _read_all(self) -> tuple[str, Iterable[_Entry]]:
        """Return the kind of JSON and its entries."""
        body = self._stream.file.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise SourceMalformedError(
                f"{self._path} is JSON of more than {MAX_BYTES // 1024**2} MiB; write one object a "
                "line (.ndjson) in several files"
            )
        body = body.removeprefix(UTF_8_BOM)
        try:
            value = _parse(body)
        except ValueError as error:
            lines = [line for line in body.splitlines() if line.strip()]
            # A table of one line.
            if len(lines) < 2 or not lines[0].lstrip().startswith(b"{"):  # noqa: PLR2004
                raise SourceMalformedError(f"{self._path} is not JSON: {error}") from None
            return "ndjson", [_entry(line) for line in lines]
        return "json", [_row(entry) for entry in self._entries(value)]

    def _entries(self, value: object) -> Iterable[object]:
        """Return the entries of a document.

        Raises SourceMalformedError if it has no list of objects.
        """
        if isinstance(value, dict):
            if isinstance(value.get("prices"), list):
                return _chart(value)
            inside = next(
                (value[key] for key in _WRAPPERS if isinstance(value.get(key), list | dict)), None
            )
            if isinstance(inside, dict):
                inside = list(inside.values())
            value = inside if inside is not None else [value]
        if not isinstance(value, list) or not any(isinstance(entry, dict) for entry in value):
            raise SourceMalformedError(
                f"{self._path} is JSON, but no list of objects; each row must be an object"
            )
        return value


def _chart(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a CoinGecko chart: three arrays of time and value, joined by time."""
    rows: dict[str, dict[str, Any]] = {}
    for key, name in _CHART.items():
        for entry in value.get(key) or []:
            if isinstance(entry, list) and len(entry) == 2:  # noqa: PLR2004 - time and value
                rows.setdefault(str(entry[0]), {"timestamp": entry[0]})[name] = entry[1]
    return list(rows.values())


def _parse(text: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Decode a document with numbers as their text. Raises ValueError."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _entry(line: bytes) -> _Entry:
    try:
        value = _parse(line) if len(line) <= MAX_LINE_BYTES else None
    except ValueError:
        value = None
    row, _ = _row(value)
    return row, line


def _row(entry: object) -> _Entry:
    """Return the cells of an entry, or the reason why it has none, and its bytes."""
    text = json.dumps(entry, ensure_ascii=False)
    if not isinstance(entry, dict):
        return "The entry is not a JSON object", text.encode("utf-8", "backslashreplace")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return "The entry holds half of a surrogate pair", text.encode("utf-8", "backslashreplace")
    cells: dict[str, str] = {}
    _flatten(entry, "", cells, 0)
    if any("\0" in key for key in cells):
        return "The entry has a key with a NUL character", raw
    return cells, raw


def _flatten(value: object, path: str, cells: dict[str, str], depth: int) -> None:
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, inside in value.items():
            _flatten(inside, f"{path}.{key}" if path else key, cells, depth + 1)
    elif value is None:
        cells[path] = ""
    elif isinstance(value, str):
        cells[path] = value
    elif isinstance(value, bool):
        cells[path] = str(value).lower()
    else:
        cells[path] = json.dumps(value, ensure_ascii=False)
