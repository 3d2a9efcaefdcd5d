"""NaN and Infinity in JSON: not in RFC 8259, section 6, but Python's json module writes them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from db.notes import Note

REPLACED = "@replaced"
"""The key of a payload that holds, by path, the literals that became null."""
_LITERAL = re.compile(rb'"(?:[^"\\]|\\.)*+"|(?<![\w.+-])(?:NaN|-?Infinity)(?![\w.])', re.DOTALL)


class _Constant(msgspec.Struct, frozen=True):
    name: str


def null_literals(raw: bytes) -> bytes:
    """Return JSON with null in place of each NaN, Infinity and -Infinity; other bytes stay."""
    if b"NaN" not in raw and b"Infinity" not in raw:
        return raw
    return _LITERAL.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", raw)


def null_constants(raw: bytes) -> bytes:
    """Return an object with null in place of each literal, and REPLACED at its end."""
    nulled = null_literals(raw)
    if nulled == raw:
        return raw
    try:
        value = json.loads(raw, parse_constant=_Constant)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(value, dict):
        return raw
    try:
        found = msgspec.json.encode(dict(_constants(value, "$")))
    except UnicodeEncodeError:  # half a surrogate pair in a key: no text holds its path
        return raw
    return nulled.rstrip()[:-1] + b',"%b":%b}' % (REPLACED.encode(), found)


def replacement_notes(replaced: dict[str, str]) -> tuple[Note, ...]:
    """Return a note for each literal that REPLACED holds."""
    return tuple(
        Note(path, f"{name} is not JSON and is read as missing - at `{path}`")
        for path, name in replaced.items()
    )


# JSON is anything.
def _constants(value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    if isinstance(value, _Constant):
        yield path, value.name
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _constants(item, f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _constants(item, f"{path}[{position}]")
