"""JSON bodies: split into records at once, each record decoded only when it is new."""

import datetime
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from ingestor.sources.dating import date_records
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.nonfinite import null_constants
from ingestor.sources.normalize import MAX_EXTERNAL_ID
from ingestor.sources.records import Record, RecordError, Rejection, content_hash

T = TypeVar("T")


class _Identified(msgspec.Struct, gc=False):
    id: str
    last_updated: msgspec.Raw = msgspec.Raw()


_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ID = msgspec.json.Decoder(_Identified)
_ANYTHING = msgspec.json.Decoder(float_hook=Decimal)
MAX_NESTING = 500
"""Levels of a record: fewer than any Python or PostgreSQL gives up at."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)


def split(
    body: bytes, provider: str, fetched_at: datetime.datetime | None = None
) -> tuple[list[Record], list[Rejection]]:
    """Split a JSON array of objects into records, and rejections for entries without a usable id.

    Every entry comes out as one or the other. Where the body was `fetched_at` some time, a record
    that does not say when it was observed, or says a time to come, gets the newest time of the
    others as OBSERVED_AT. Each has its slice of the body. Raises SourceMalformedError for any other
    body.
    """
    try:
        return _identified(body, _ELEMENTS.decode(body), fetched_at)
    except msgspec.ValidationError as error:
        raise SourceMalformedError(
            f"{provider} sent no list of coins: {with_path(error)}"
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        # Half a surrogate pair in one record must not cost the others; half a body must.
        records, rejections = _identified(body, _elements(body), fetched_at)
        if not records:
            raise SourceMalformedError(
                f"{provider} sent a body that is not JSON: {with_path(error)}"
            ) from None
        return records, rejections


def _identified(
    body: bytes, elements: Iterable[bytes], fetched_at: datetime.datetime | None
) -> tuple[list[Record], list[Rejection]]:
    records: list[Record] = []
    rejections: list[Rejection] = []
    times: list[bytes] = []
    end = 0
    for sent in map(bytes, elements):
        # The next element starts after a comma, and sometimes white space.
        start = end + 1 if body.startswith(sent, end + 1) else body.find(sent, end)
        end = start + len(sent)
        raw = sent
        try:
            try:
                identified = _ID.decode(raw)
            except msgspec.DecodeError:
                if (raw := null_constants(sent)) == sent:
                    raise
                identified = _ID.decode(raw)
            external_id = check_external_id(identified.id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, RecordError) as error:
            rejections.append(Rejection(None, with_path(error), sent, start, len(sent)))
        else:
            records.append(Record(external_id, raw, content_hash(sent), start, len(sent)))
            times.append(bytes(identified.last_updated))
    return (records if fetched_at is None else date_records(records, times, fetched_at)), rejections


def _elements(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array by its brackets and commas, none if they mismatch."""
    body = body.strip()
    elements: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in b"]}":
            depth -= 1
        if (depth, mark) in ((1, b","), (0, b"]")):
            elements.append(body[start : token.start()].strip())
            start = token.end()
        if mark in b"[{":
            depth += 1
            if depth == 1:
                start = token.end()
        if depth == 0:
            return elements if token.end() == len(body) and body.startswith(b"[") else []
    return []


def check_external_id(external_id: str) -> str:
    """Return an id that can be a key.

    Raises RecordError for an empty one, an overlong one and one with a NUL.
    """
    if not external_id or "\0" in external_id:
        raise RecordError("The id is empty or holds a NUL character - at `$.id`")
    if len(external_id) > MAX_EXTERNAL_ID:
        raise RecordError(
            f"The id has {len(external_id)} characters, more than {MAX_EXTERNAL_ID} - at `$.id`"
        )
    return external_id


def decode_record(record: Record, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a record, each number exactly as written.

    Raises RecordError, also for what no jsonb column takes: NUL characters, bytes that are not
    UTF-8, endless nesting.
    """
    try:
        _check_storable(record.raw)
        return decoder.decode(record.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(with_path(error)) from None


def decode_loosely(record: Record) -> Any:  # noqa: ANN401 - JSON is anything
    """Decode a record to dictionaries, lists, texts and numbers: int or Decimal.

    Raises RecordError as above.
    """
    return decode_record(record, _ANYTHING)


def _check_storable(raw: bytes) -> None:
    """Raise RecordError or UnicodeDecodeError for a record that no jsonb column takes."""
    if len(raw) > 2 * MAX_NESTING and raw.count(b"[") + raw.count(b"{") > MAX_NESTING:
        _refuse_depth(raw)
    if b"\\u0000" in raw:
        _refuse_nul(_ANYTHING.decode(raw), "$")
    if not raw.isascii():
        raw.decode()


def with_path(error: Exception) -> str:
    """Return the error's message with a path: msgspec omits that of the root."""
    text = str(error)
    return text if " - at `$" in text else f"{text} - at `$`"


def _refuse_depth(raw: bytes) -> None:
    """Raise RecordError for a record nested more than MAX_NESTING levels deep."""
    depth = 0
    for token in _TOKEN.finditer(raw):
        depth += (token[0] in b"[{") - (token[0] in b"]}")
        if depth > MAX_NESTING:
            raise RecordError(f"The record is nested more than {MAX_NESTING} levels deep - at `$`")


def _refuse_nul(value: object, path: str) -> None:
    """Raise RecordError with the path of the first NUL character in a decoded value."""
    if isinstance(value, str) and "\0" in value:
        raise RecordError(
            f"A text holds a NUL character, which PostgreSQL cannot keep - at `{path}`"
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, path)
            _refuse_nul(item, f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _refuse_nul(item, f"{path}[{position}]")
