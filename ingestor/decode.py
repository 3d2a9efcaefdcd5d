"""JSON bodies: split into records at once, each record decoded only when it is new."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from ingestor.errors import SourceMalformedError
from ingestor.normalize import MAX_EXTERNAL_ID
from ingestor.records import Record, RecordError, Rejection, content_hash

T = TypeVar("T")


class _Identified(msgspec.Struct, gc=False):
    id: str


_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ID = msgspec.json.Decoder(_Identified)
_ANYTHING = msgspec.json.Decoder(float_hook=Decimal)
_LENIENT = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\r\n]*")


def split(body: bytes, provider: str) -> tuple[list[Record], list[Rejection]]:
    """Split a JSON array of objects into records, and rejections for entries without a usable id.

    Every entry comes out as one or the other. Raises SourceMalformedError for any other body.
    """
    records: list[Record] = []
    rejections: list[Rejection] = []
    for raw in _elements(body, provider):
        try:
            external_id = check_external_id(_ID.decode(raw).id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecordError) as error:
            rejections.append(Rejection(None, _with_path(error), raw))
        else:
            records.append(Record(external_id, raw, content_hash(raw)))
    return records, rejections


def check_external_id(external_id: str) -> str:
    """Return an id that can be a key. Raises RecordError for an empty one, an overlong one and one with a NUL."""
    if not external_id:
        raise RecordError("The id is empty - at `$.id`")
    if len(external_id) > MAX_EXTERNAL_ID:
        raise RecordError(f"The id has {len(external_id)} characters, more than {MAX_EXTERNAL_ID} - at `$.id`")
    if "\0" in external_id:
        raise RecordError("The id holds a NUL character - at `$.id`")
    return external_id


def decode_record(record: Record, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a record, each number exactly as written; an empty text where a number belongs is missing.

    Raises RecordError, also for what no jsonb column takes: NUL characters and bytes that are not UTF-8.
    """
    try:
        if b"\\u0000" in record.raw:
            _refuse_nul(_ANYTHING.decode(record.raw), "$")
        record.raw.decode()
        try:
            return decoder.decode(record.raw)
        except msgspec.ValidationError:
            return msgspec.convert(_without_blanks(_ANYTHING.decode(record.raw)), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(_with_path(error)) from None


def _elements(body: bytes, provider: str) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _ELEMENTS.decode(body)]
    except msgspec.ValidationError as error:
        raise SourceMalformedError(f"{provider} sent no list of coins: {_with_path(error)}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        # Half a surrogate pair in one record is no reason to lose the others; half a body is.
        try:
            return list(_lenient_elements(body.decode("utf-8", "surrogateescape")))
        except (ValueError, RecursionError):
            raise SourceMalformedError(f"{provider} sent a body that is no JSON: {_with_path(error)}") from None


def _lenient_elements(text: str) -> Iterator[bytes]:
    """Yield the elements of a JSON array, whatever its strings hold. Raises ValueError."""
    start = _SPACE.match(text).end()  # type: ignore[union-attr] # it matches nothing, too
    if text[start : start + 1] != "[":
        raise ValueError("no array")
    mark, at = ",", start + 1
    while mark == ",":
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        _, end = _LENIENT.raw_decode(text, at)
        yield text[at:end].encode("utf-8", "surrogateescape")
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        mark, at = text[at : at + 1], at + 1
    if mark != "]" or text[at:].strip():
        raise ValueError("no end")


def _with_path(error: Exception) -> str:
    """Return the error's sentence with a path: msgspec leaves the root's out."""
    text = str(error)
    return text if " - at `$" in text else f"{text} - at `$`"


def _without_blanks(value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """Return a decoded value with None for each empty text, CoinPaprika's way to say that a value is missing."""
    if isinstance(value, dict):
        return {key: _without_blanks(item) for key, item in value.items()}
    return None if isinstance(value, str) and not value.strip() else value


def _refuse_nul(value: object, path: str) -> None:
    """Raise RecordError with the path of the first NUL character in a decoded value."""
    if isinstance(value, str) and "\0" in value:
        raise RecordError(f"A text holds a NUL character, which PostgreSQL cannot keep - at `{path}`")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, path)
            _refuse_nul(item, f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _refuse_nul(item, f"{path}[{position}]")
