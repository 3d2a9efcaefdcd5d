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
from server.graphql.types.arguments import After, checked_rows, given
from server.graphql.types.fields import nested, resolved, with_arguments
from server.graphql.types.rejections import (
    RejectionRequest,
    RejectionsValue,
    decode_rejection_cursor,
)
from server.limits.rows import DEFAULT_ROWS, MAX_ROWS


@strawberry.enum(description="The state of a run, or how it ended.")
class RunStatus(enum.Enum):
    """The values are those of etl_runs.status."""

    RUNNING = strawberry.enum_value("running", description="It is under way.")
    SUCCESS = strawberry.enum_value("success", description="Every record was read.")
    PARTIAL = strawberry.enum_value(
        "partial", description="Some records were rejected, the others are stored."
    )
    FAILURE = strawberry.enum_value(
        "failure", description="The source could not be read; the message says why."
    )
    ABANDONED = strawberry.enum_value(
        "abandoned", description="The process that ran it ended before the run did."
    )


def _rejection_id(root: strawberry.Parent[RejectionRow]) -> strawberry.ID:
    return strawberry.ID(rejection_id(root.id))


def payload_text(payload: bytes) -> str:
    """Return a rejected record's bytes as text."""
    return payload.decode("utf-8", "backslashreplace")


def _rejection_payload(root: strawberry.Parent[RejectionRow]) -> str:
    return payload_text(root.payload)


@strawberry.type(
    name="Rejection", description="A record that could not be read; its bytes are kept."
)
class RejectionType:
    """Its value is a `RejectionRow`."""

    id: strawberry.ID = resolved(_rejection_id, 'Such as "rejection_9".')
    source: str = strawberry.field(description="The source that sent it.")
    external_id: str | None = strawberry.field(
        description="The source's own id of the asset, where it could be read."
    )
    error: str = strawberry.field(
        description="Why it could not be read, with the path inside the record."
    )
    payload: str = resolved(
        _rejection_payload,
        "The record as it arrived; a byte that is not UTF-8 is shown as \\xNN.",
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
        description=f"How many, 1 to {MAX_ROWS}; {DEFAULT_ROWS} where it is left out."
    ),
]


def rejection_arguments(
    first: FirstOnly = strawberry.UNSET, after: After = strawberry.UNSET
) -> RejectionRequest:
    """Return which rejections are requested. Raises GraphQLError."""
    limit, cursor = checked_rows(given(first), "first"), given(after)
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


@strawberry.type(description="What a run left out, doubts or could not date, though it succeeded.")
class RunNote:
    """Its value is a `Note`."""

    about: str = strawberry.field(
        description='What it is about, such as "columns" or the path of a field;'
        " each once in a run."
    )
    text: str = strawberry.field(
        description=f"What to know, in a sentence of at most {MAX_TEXT} characters."
    )
    count: int = strawberry.field(
        description="How many times it was noted, such as for how many records."
    )


@strawberry.type(description="One attempt to read a source.")
class Run(Node):
    """Its value is a `RunRow`."""

    row_type = RunRow

    id: strawberry.ID = resolved(_id, 'Such as "run_42".')
    source: str = strawberry.field(description="The source that was read.")
    status: RunStatus = strawberry.field(description="Its state, or how it ended.")
    started_at: datetime.datetime = strawberry.field(description="When it began.")
    finished_at: datetime.datetime | None = strawberry.field(
        description="When it ended; null while it is under way."
    )
    duration_ms: int | None = resolved(
        _duration_ms, "How long it took, in milliseconds; null while it is under way."
    )
    processed: int = strawberry.field(description="Records read, valid or not.")
    failed: int = strawberry.field(description="Records rejected.")
    changed: int = strawberry.field(
        description="Records that differed from what was known, and new ones."
    )
    unchanged: int = strawberry.field(description="Records that were known already.")
    pages: int = strawberry.field(description="Bodies, or slices of a file, that were read.")
    message: str | None = strawberry.field(description="What went wrong, if anything did.")
    note_count: int = strawberry.field(
        description="The sum of the notes' counts; 0 where nothing was left out."
    )
    notes: list[RunNote] = nested(
        ["notes"],
        "What it left out, doubts or could not date: columns that are not read, fields that are"
        " not numbers. A run that found nothing changed repeats those of the run before it.",
        decode=decode_notes,
        # After MAX_NOTES, one note counts all others.
        rows=MAX_NOTES + 1,
    )
    rejections: Connection[RejectionType] = resolved(
        _rejections, "The records it rejected, in their order.", source=REJECTIONS
    )
