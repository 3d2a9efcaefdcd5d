"""What a field declares of its size: it is counted before the field is read."""

import msgspec
from graphql import GraphQLField
from strawberry.types.field import StrawberryField

METADATA_KEY = "estimate"


class Estimate(msgspec.Struct, frozen=True):
    """`cost` replaces the cost of the field and its selection; `rows` is the length of a list."""

    cost: int | None = None
    rows: int | None = None


NO_ESTIMATE = Estimate()


def estimate_of(field: GraphQLField) -> Estimate:
    """Return what a field of the schema declares."""
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField):
        return NO_ESTIMATE
    found: Estimate = definition.metadata.get(METADATA_KEY, NO_ESTIMATE)
    return found
