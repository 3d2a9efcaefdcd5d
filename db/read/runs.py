"""Reading runs and rejections: pages of runs, the last run of each source, runs of a request."""

import datetime
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from db.connect.types import Connection
from db.read.keyset import (
    FilterParts,
    Order,
    PageQuery,
    filter_parts,
)

MAX_RUNS_OF_REQUEST = 250


class RunRow(msgspec.Struct, frozen=True, gc=False):
    """One attempt to read a source; `note_count` is the sum of the notes' counts.

    `notes` is JSON, see `db.notes.decode_notes`. Events of earlier versions have no notes.
    """

    id: int
    source: str
    status: str
    processed: int
    failed: int
    changed: int
    unchanged: int
    pages: int
    started_at: datetime.datetime
    finished_at: datetime.datetime | None
    message: str | None
    note_count: int = 0
    notes: msgspec.Raw = msgspec.Raw(b"[]")


class RejectionRow(msgspec.Struct, frozen=True, gc=False):
    """An unreadable record, with its bytes."""

    id: int
    run_id: int
    source: str
    external_id: str | None
    error: str
    payload: bytes
    rejected_at: datetime.datetime


class RunFilter(msgspec.Struct, frozen=True):
    """A filter of runs; None does not restrict.

    The order of the fields is that of the conditions.
    """

    sources: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    started_from: datetime.datetime | None = None
    started_to: datetime.datetime | None = None
    has_notes: bool | None = None


RUNS = PageQuery(
    columns=tuple((name, f"r.{name}") for name in RunRow.__struct_fields__),
    tables="etl_runs AS r",
    conditions=(
        ("text[]", "r.source = ANY ({})"),
        ("text[]", "r.status = ANY ({})"),
        ("timestamptz", "r.started_at >= {}"),
        ("timestamptz", "r.started_at <= {}"),
        ("boolean", "(r.note_count > 0) = {}"),
    ),
)
NEWEST_FIRST = Order(
    "NEWEST", sort="r.id", sort_type="bigint", key="r.id", key_type="bigint", descending=True
)
_BY_IDS = RUNS.select("WHERE r.id = ANY ($1::bigint[])")
_LAST_OF_SOURCES = (
    # Constants of this package.
    "SELECT x.* FROM unnest($1::text[]) AS k (source) CROSS JOIN LATERAL ("  # noqa: S608
    + RUNS.select("WHERE r.source = k.source AND r.kind = 'ingest' ORDER BY r.id DESC LIMIT 1")
    + ") AS x"
)
_OF_REQUESTS = (
    # Constants of this package.
    "SELECT k.id AS request_id, x.* FROM unnest($1::bigint[]) AS k (id) CROSS JOIN LATERAL ("  # noqa: S608
    + RUNS.select(f"WHERE r.request_id = k.id ORDER BY r.id LIMIT {MAX_RUNS_OF_REQUEST}")
    + ") AS x"
)
_REJECTIONS = """
SELECT x.* FROM unnest($1::bigint[]) AS k (id) CROSS JOIN LATERAL (
    SELECT j.id, j.run_id, j.source, j.external_id, j.error, j.payload, j.rejected_at
    FROM rejected_records AS j
    WHERE j.run_id = k.id AND ($2::bigint IS NULL OR j.id > $2)
    ORDER BY j.id
    LIMIT $3
) AS x
"""
_COUNT_REJECTIONS = """
SELECT run_id, count(*) FROM rejected_records WHERE run_id = ANY ($1::bigint[]) GROUP BY run_id
"""


def run_from_event(run: dict[str, Any]) -> RunRow:
    """Return the run of an event."""
    notes = msgspec.Raw(msgspec.json.encode(run.get("notes", [])))
    return msgspec.convert(run | {"notes": notes}, RunRow)


def run_conditions(filters: RunFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    return filter_parts(msgspec.structs.astuple(filters))


async def runs_by_id(connection: Connection, ids: Sequence[int]) -> dict[int, RunRow]:
    """Return the runs with these numbers; unknown ones are left out."""
    return {record["id"]: RunRow(*record) for record in await connection.fetch(_BY_IDS, ids)}


async def last_runs(connection: Connection, sources: Sequence[str]) -> dict[str, RunRow]:
    """Return the last run, under way or ended, of each source that has one."""
    return {
        record["source"]: RunRow(*record)
        for record in await connection.fetch(_LAST_OF_SOURCES, sources)
    }


async def runs_of_requests(
    connection: Connection, request_ids: Sequence[int]
) -> dict[int, list[RunRow]]:
    """Return the runs of each request, oldest first."""
    runs: defaultdict[int, list[RunRow]] = defaultdict(list)
    for record in await connection.fetch(_OF_REQUESTS, request_ids):
        runs[record["request_id"]].append(RunRow(*record[1:]))
    return runs


async def rejections_of_runs(
    connection: Connection, run_ids: Sequence[int], after: int | None, limit: int
) -> dict[int, list[RejectionRow]]:
    """Return up to `limit` rejections of each run in order, after the number `after`."""
    rejections: defaultdict[int, list[RejectionRow]] = defaultdict(list)
    for record in await connection.fetch(_REJECTIONS, run_ids, after, limit):
        row = RejectionRow(*record)
        rejections[row.run_id].append(row)
    return rejections


async def count_rejections(connection: Connection, run_ids: Sequence[int]) -> dict[int, int]:
    """Return how many rejections each run has; runs without one are left out."""
    return {
        record["run_id"]: record["count"]
        for record in await connection.fetch(_COUNT_REJECTIONS, run_ids)
    }
