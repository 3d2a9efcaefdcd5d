"""The schema: its roots, the types that only Node leads to, its scalars and its execution."""

from strawberry.schema.config import StrawberryConfig

from server.graphql.execution.execute import Schema
from server.graphql.execution.plain_rows import PlainRows
from server.graphql.types.mutation import Mutation
from server.graphql.types.query import Query
from server.graphql.types.request import EtlRequest
from server.graphql.types.scalars import SCALARS
from server.graphql.types.subscription import Subscription

schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[EtlRequest],
    config=StrawberryConfig(scalar_map=SCALARS),
    execution_context_class=PlainRows,
)
