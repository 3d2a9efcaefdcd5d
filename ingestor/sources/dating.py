"""The time of records without one of their own: the newest time in the same body."""

import datetime
from collections.abc import Sequence

import msgspec

from ingestor.sources.normalize import FUTURE
from ingestor.sources.records import OBSERVED_AT, Record, RecordError
from ingestor.sources.times import parse_time, time_text

_TIME: msgspec.json.Decoder[str | int | float | None] = msgspec.json.Decoder(
    str | int | float | None
)
_SHORTEST = len('"2026-11-23"')


def date_records(
    records: list[Record], times: Sequence[bytes], fetched_at: datetime.datetime
) -> list[Record]:
    """Return the records; those without a usable time get the newest of the others as OBSERVED_AT.

    `times` are the times of the records, in their order, as JSON; empty for none. A time is not
    usable if it is missing, or ahead of `fetched_at` by more than FUTURE. Hashes stay
    those of the bytes that arrived.
    """
    if not records or _all_usable(times, fetched_at):
        return records
    moments = [_usable(time, fetched_at) for time in times]
    newest = max((moment for moment in moments if moment is not None), default=None)
    if newest is None:
        return records
    mark = f',"{OBSERVED_AT}":"{newest:%Y-%m-%dT%H:%M:%S.%fZ}"}}'.encode()
    return [
        record
        if moment is not None or _is_unreadable(time)
        else msgspec.structs.replace(record, raw=record.raw.rstrip()[:-1] + mark)
        for record, time, moment in zip(records, times, moments, strict=True)
    ]


def _all_usable(times: Sequence[bytes], fetched_at: datetime.datetime) -> bool:
    """Check most bodies at once: if all times have one format, the largest text is the latest."""
    shortest, longest = len(min(times, key=len)), len(max(times, key=len))
    return shortest == longest >= _SHORTEST and _usable(max(times), fetched_at) is not None


def _usable(time: bytes, fetched_at: datetime.datetime) -> datetime.datetime | None:
    try:
        moment = parse_time(time_text(_TIME.decode(time)), "$")
    except (msgspec.DecodeError, RecordError):
        return None
    return moment if moment <= fetched_at + FUTURE else None


def _is_unreadable(time: bytes) -> bool:
    """Return whether a record has an unreadable time: it is rejected for that, with its bytes."""
    try:
        text = time_text(_TIME.decode(time))
        if text.strip():
            parse_time(text, "$")
    except msgspec.DecodeError:
        return time != b""
    except RecordError:
        return True
    return False
