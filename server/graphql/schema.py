"""The schema: the roots, the types that only a Node leads to, the scalars, and how documents run through it."""

from strawberry.schema.config import StrawberryConfig

from server.graphql.execution import Schema
from server.graphql.mutation import Mutation
from server.graphql.plain_rows import PlainRows
from server.graphql.query import Query
from server.graphql.request import EtlRequest
from server.graphql.scalars import SCALARS
from server.graphql.subscription import Subscription

schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[EtlRequest],
    config=StrawberryConfig(scalar_map=SCALARS),
    execution_context_class=PlainRows,
)
