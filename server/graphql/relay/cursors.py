"""Cursors: the position of a row in an order as opaque text, checked when it is decoded."""

import base64
import binascii
import datetime
import re
from collections.abc import Callable, Iterable

import msgspec

from db.read.keyset import KeysetPosition, Order
from server.graphql.execution.errors import bad_input

MAX_CURSOR_CHARACTERS = 4_096
_ENCODER = msgspec.json.Encoder()
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MAX_BIGINT = 2**63 - 1  # PostgreSQL's bigint
_NUMERIC = re.compile(r"-?\d{1,1000}(\.\d{1,1000})?", re.ASCII)
# As PostgreSQL writes a timestamp in UTC; Python also parses formats that PostgreSQL refuses.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00", re.ASCII)
_BIGINT = re.compile(r"\d{1,19}", re.ASCII)


def _is_instant(text: str) -> bool:
    if _INSTANT.fullmatch(text) is None:
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "numeric": lambda text: _NUMERIC.fullmatch(text) is not None,
    "bigint": lambda text: _BIGINT.fullmatch(text) is not None and int(text) <= _MAX_BIGINT,
    "timestamptz": _is_instant,
    "text": lambda text: "\0" not in text,
}


def encode_cursor(order: Order, position: KeysetPosition) -> str:
    """Return the cursor of a row: the name of its order, its sort value and its key."""
    return encode_words(order.name, position.sort, position.key)


def encode_cursors(words: Iterable[tuple[object, ...]]) -> list[str]:
    """Return the text of each tuple of values, as `encode_words` does for one."""
    lines = _ENCODER.encode_lines(list(words)).splitlines()
    joined = b"".join(map(binascii.b2a_base64, lines))  # one line each
    return joined.translate(_URL_SAFE, b"=").decode().split("\n")[: len(lines)]


def decode_cursor(text: str, order: Order, argument: str) -> KeysetPosition:
    """Return the position in a cursor of the same order. Raises GraphQLError."""
    try:
        name, sort, key = msgspec.convert(decode_words(text), tuple[str, str | None, str])
    except ValueError:
        raise bad_input(argument, "is not a cursor of this service") from None
    if name != order.name:
        raise bad_input(
            argument,
            f"is a cursor of another order ({name[:40]}, not {order.name}): start without it",
        )
    is_valid = order.nullable if sort is None else _CHECKS[order.sort_type](sort)
    if not is_valid or not _CHECKS[order.key_type](key):
        raise bad_input(argument, "is not a cursor of this service")
    return KeysetPosition(sort, key)


def encode_words(*words: object) -> str:
    """Return values as URL-safe text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(words)).decode().rstrip("=")


def decode_words(text: str) -> object:
    """Return the values in a text of `encode_words`. Raises ValueError."""
    if len(text) > MAX_CURSOR_CHARACTERS:
        raise ValueError(f"longer than {MAX_CURSOR_CHARACTERS} characters")
    decoded: object = msgspec.json.decode(
        base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    )
    return decoded
