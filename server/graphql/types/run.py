"""The types Run and Rejection: one attempt to read a source, and the records it rejected."""

import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Annotated

import strawberry

from db.connect.types import Connection as DatabaseConnection
from db.notes import MAX_NOTES, MAX_TEXT, decode_notes
from db.read.runs import RejectionRow, RunRow, count_rejections, rejections_of_runs
from server.graphql.execution.context import Info
from server.graphql.execution.loaders import related_count, related_many
from server.graphql.relay.connections import Connection
from server.graphql.relay.ids import rejection_id, run_id
from server.graphql.relay.node import Node
from server.graphql.relay.rejections import (
    RejectionRequest,
    RejectionsValue,
    decode_rejection_cursor,
)
from server.graphql.types.arguments import After, checked_rows, or_none
from server.graphql.types.fields import nested, resolved, with_arguments
from server.limits.rows import DEFAULT_ROWS, MAX_ROWS


@strawberry.enum(description="The state of a run.")
class RunStatus(enum.Enum):
    """The values are those of etl_runs.status."""

    RUNNING = strawberry.enum_value("running", description="The run is in progress.")
    SUCCESS = strawberry.enum_value("success", description="Every record was read.")
    PARTIAL = strawberry.enum_value(
        "partial", description="Some records were rejected, the others are stored."
    )
    FAILURE = strawberry.enum_value(
        "failure", description="The source could not be read; the message says why."
    )
    ABANDONED = strawberry.enum_value("abandoned", description="Its process ended before the run.")


def _rejection_id(root: strawberry.Parent[RejectionRow]) -> strawberry.ID:
    return strawberry.ID(rejection_id(root.id))


def payload_text(payload: bytes) -> str:
    """Return a rejected record's bytes as text."""
    return payload.decode("utf-8", "backslashreplace")


def _rejection_payload(root: strawberry.Parent[RejectionRow]) -> str:
    return payload_text(root.payload)


@strawberry.type(name="Rejection", description="A record that could not be read, with its bytes.")
class RejectionType:
    """Its value is a `RejectionRow`."""

    id: strawberry.ID = resolved(_rejection_id, 'Such as "rejection_9".')
    source: str = strawberry.field(description="The source that sent it.")
    external_id: str | None = strawberry.field(
        description="The source's id of the asset, if it could be read."
    )
    error: str = strawberry.field(
        description="Why it could not be read, with the path inside the record."
    )
    payload: str = resolved(
        _rejection_payload,
        "The record as it arrived; bytes that are not UTF-8 become \\xNN.",
    )
    rejected_at: datetime.datetime = strawberry.field(description="When it was rejected.")


def _id(root: strawberry.Parent[RunRow]) -> strawberry.ID:
    return strawberry.ID(run_id(root.id))


def duration_ms(started_at: datetime.datetime, finished_at: datetime.datetime | None) -> int | None:
    """Return how long a run took, in milliseconds."""
    return (
        None
        if finished_at is None
        else (finished_at - started_at) // datetime.timedelta(milliseconds=1)
    )


def _duration_ms(root: strawberry.Parent[RunRow]) -> int | None:
    return duration_ms(root.started_at, root.finished_at)


FirstOnly = Annotated[
    int | None,
    strawberry.argument(
        description=f"The number of rejections, 1 to {MAX_ROWS}; {DEFAULT_ROWS} by default."
    ),
]


def rejection_arguments(
    first: FirstOnly = strawberry.UNSET, after: After = strawberry.UNSET
) -> RejectionRequest:
    """Return which rejections are requested. Raises GraphQLError."""
    limit, cursor = checked_rows(or_none(first), "first"), or_none(after)
    return RejectionRequest(limit, None if cursor is None else decode_rejection_cursor(cursor))


async def _read_rejections(
    connection: DatabaseConnection, run_ids: Sequence[int], request: RejectionRequest
) -> Mapping[int, list[RejectionRow]]:
    """Read one row more than the page has, to see whether there are more."""
    return await rejections_of_runs(connection, run_ids, request.after, request.limit + 1)


REJECTIONS = related_many(["id"], _read_rejections)
"""Its argument is a `RejectionRequest`."""

REJECTION_COUNTS = related_count(["id"], count_rejections)


@with_arguments(rejection_arguments)
async def _rejections(
    root: strawberry.Parent[RunRow], info: Info, request: RejectionRequest
) -> RejectionsValue:
    loaders = info.context.loaders
    rows = await loaders.load(REJECTIONS, root.id, request)
    return RejectionsValue(rows, request, lambda: loaders.load(REJECTION_COUNTS, root.id))


@strawberry.type(description="Something that a run left out, doubts or could not date.")
class RunNote:
    """Its value is a `Note`."""

    about: str = strawberry.field(
        description='The subject, such as "columns" or the path of a field;'
        " each occurs once in a run."
    )
    text: str = strawberry.field(
        description=f"The note, a sentence of at most {MAX_TEXT} characters."
    )
    count: int = strawberry.field(description="The number of occurrences, such as records.")


@strawberry.type(description="One attempt to read a source.")
class Run(Node):
    """Its value is a `RunRow`."""

    row_type = RunRow

    id: strawberry.ID = resolved(_id, 'Such as "run_42".')
    source: str = strawberry.field(description="The source that was read.")
    status: RunStatus = strawberry.field(description="The state of the run.")
    started_at: datetime.datetime = strawberry.field(description="When it started.")
    finished_at: datetime.datetime | None = strawberry.field(
        description="When it ended; null while it is in progress."
    )
    duration_ms: int | None = resolved(
        _duration_ms, "The duration in milliseconds; null while it is in progress."
    )
    processed: int = strawberry.field(description="Records read, valid or not.")
    failed: int = strawberry.field(description="Records rejected.")
    changed: int = strawberry.field(description="Records that were new or had changed.")
    unchanged: int = strawberry.field(description="Records that had not changed.")
    pages: int = strawberry.field(description="Responses, or slices of a file, that were read.")
    message: str | None = strawberry.field(description="The reason of a failure, if any.")
    note_count: int = strawberry.field(description="The sum of the counts of the notes.")
    notes: list[RunNote] = nested(
        ["notes"],
        "What it left out, doubts or could not date: columns that are not read, fields that are"
        " not numbers. A run without changes repeats the notes of the run before it.",
        decode=decode_notes,
        # After MAX_NOTES, one note counts all others.
        rows=MAX_NOTES + 1,
    )
    rejections: Connection[RejectionType] = resolved(
        _rejections, "The rejected records, in their order.", source=REJECTIONS
    )
