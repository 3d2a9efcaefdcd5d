"""The type EtlRequest: a request for runs, stored until an ingestor takes it."""

import datetime
import enum

import strawberry

from db.read.requests import RequestRow
from db.read.runs import runs_of_requests
from server.graphql.execution.loaders import related_many
from server.graphql.relay.ids import request_id
from server.graphql.relay.node import Node
from server.graphql.types.fields import related, resolved
from server.graphql.types.run import Run


@strawberry.enum(description="The state of a request.")
class EtlRequestStatus(enum.Enum):
    """The values are those of etl_requests.status."""

    PENDING = strawberry.enum_value("pending", description="No ingestor has started it yet.")
    RUNNING = strawberry.enum_value("running", description="An ingestor is working on it.")
    DONE = strawberry.enum_value("done", description="All its runs have ended.")


def _id(root: strawberry.Parent[RequestRow]) -> strawberry.ID:
    return strawberry.ID(request_id(root.id))


@strawberry.type(description="A request for an immediate run of some sources.")
class EtlRequest(Node):
    """Its value is a `RequestRow`."""

    row_type = RequestRow

    id: strawberry.ID = resolved(_id, 'Such as "request_7".')
    status: EtlRequestStatus = strawberry.field(description="The state of the request.")
    requested_at: datetime.datetime = strawberry.field(description="When the request was made.")
    sources: list[str] = strawberry.field(description="The sources to read.")
    runs: list[Run] = related(
        related_many(["id"], runs_of_requests, from_primary=True),
        "The runs that it has started, oldest first.",
    )
