"""JSON records read field by field: unreadable is null, except ticker, price and time."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from db.notes import Note
from ingestor.sources.decode import decode_loosely, with_path
from ingestor.sources.normalize import normalize_name
from ingestor.sources.records import Listing, Record, RecordError

T = TypeVar("T")

Read = Callable[[Any, str], object]
"""Takes a decoded value and its path; raises RecordError where the value cannot be read."""
MAX_SHOWN = 40


class Field(msgspec.Struct, frozen=True):
    """A field of a record: its keys from the outside in, and how it is read.

    A field that is not a `side` field costs the record where it cannot be read.
    """

    keys: tuple[str, ...]
    read: Read
    side: bool = True

    @property
    def path(self) -> str:
        """Return the path, as msgspec writes it."""
        return ".".join(("$", *self.keys))


def number(bounded: Callable[[Decimal | None, str], object]) -> Read:
    """Return the reader of a number within bounds."""

    def read(value: Any, path: str) -> object:  # noqa: ANN401 - JSON is anything
        return bounded(_number(value, path), path)

    return read


def text(value: Any, path: str) -> object:  # noqa: ANN401 - JSON is anything
    """Read a name. Raises RecordError for a value of another kind."""
    if not isinstance(value, str):
        raise RecordError(f"{_excerpt(value)} is not a text - at `{path}`")
    return normalize_name(value, path)


def read_leniently(
    record: Record,
    decoder: msgspec.json.Decoder[T],
    fields: Sequence[Field],
    build: Callable[[T], Listing],
) -> Listing:
    """Return the listing of `build` for a record that failed as a whole, with notes on its fields.

    Each of the `fields` is looked at by itself. Raises RecordError.
    """
    value = decode_loosely(record)
    notes = [note for field in fields if (note := _clean(value, field)) is not None]
    try:
        listing = build(msgspec.convert(value, decoder.type))
    except msgspec.ValidationError as error:
        raise RecordError(with_path(error)) from None
    return msgspec.structs.replace(listing, notes=(*listing.notes, *notes))


def _clean(value: Any, field: Field) -> Note | None:  # noqa: ANN401 - JSON is anything
    """Make a field None that is blank or cannot be read; return a note on the latter."""
    for key in field.keys[:-1]:
        if isinstance(value, dict) and key in value and value[key] is None:
            del value[key]  # the object is missing, and so are its fields
        value = value.get(key) if isinstance(value, dict) else None
    key = field.keys[-1]
    if not isinstance(value, dict) or (found := value.get(key)) is None:
        return None
    if isinstance(found, str) and not found.strip():
        value[key] = None  # CoinPaprika's way to say that a value is missing
        return None
    try:
        field.read(found, field.path)
    except RecordError as error:
        if not field.side and not _is_undefined(found):
            return None
        value[key] = None
        return Note(field.path, str(error))
    return None


def _number(value: Any, path: str) -> Decimal:  # noqa: ANN401 - JSON is anything
    try:
        return msgspec.convert(value, Decimal)
    except msgspec.ValidationError:
        raise RecordError(f"{_excerpt(value)} is not a number - at `{path}`") from None


def _is_undefined(value: Any) -> bool:  # noqa: ANN401 - JSON is anything
    """Return whether Decimal reads a text as NaN or infinity."""
    try:
        return not msgspec.convert(value, Decimal).is_finite()
    except msgspec.ValidationError:
        return False


def _excerpt(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    if isinstance(value, dict | list):
        return "An object" if isinstance(value, dict) else "A list"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)[:MAX_SHOWN] if isinstance(value, str) else str(value)[:MAX_SHOWN]
