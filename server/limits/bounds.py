"""How much one operation may ask for, and why so much."""

import datetime

import msgspec
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from server.limits.measure import Measure, measure_operation


class LimitExceededError(Exception):
    """An operation asks for more than is allowed; the message says of what, and how to ask for less."""

    def __init__(self, message: str, limit: str, allowed: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed


class DocumentLimits(msgspec.Struct, frozen=True):
    """What one document may hold and one operation may ask for, fragments spread out.

    Figures were taken with graphql-core 3.3 on the 2-core machine that this was built on; they are
    rough everywhere.
    """

    characters: int = 50_000
    """Commas, blanks and comments are no tokens, but are read too."""
    tokens: int = 2_000
    """GraphiQL's introspection query has about 350; the widest query of all coin and listing fields about 100."""
    depth: int = 15
    """The deepest sensible path (coins edges node listings coin rivals payload) has 7; introspection is exempt."""
    aliases: int = 30
    """A dashboard names a few fields anew; hundreds of aliases are a loop over one expensive field."""
    directives: int = 50
    root_fields: int = 20
    """Root fields run side by side, each with a connection of its own."""
    overlaps: int = 500
    """Fields of one name, or fragments, side by side: validation compares each pair. 500 are 50 pairs of fields or 32
    fragments in one selection, about 40 ms; without this limit 2,000 tokens hold validation up for
    0.9 s.
    """
    name: int = 100
    """Characters; an alias stands in each row of a response, and in the path of each error."""
    cost: int = 100_000
    """Rows x fields: each value costs about 3 microseconds to complete, so this is about 0.3 s of one core. It allows
    coins(first: 250) with every field, and with the listings and rivals of each. What looks at
    every row of a table
    costs as many values as could be written meanwhile; see `scans`."""


LIMITS = DocumentLimits()

_REMEDIES = {
    "depth": "nest less deeply",
    "aliases": "use fewer aliases; nodes(ids:) and filters read many things at once",
    "directives": "use fewer directives",
    "root_fields": "split the operation",
    "overlaps": "name each field once in a selection, and spread fewer fragments in it",
    "name": "use shorter aliases",
    "cost": "ask for fewer rows (first, last), fields, counts or searches",
}
_UNREADABLE = "the most that there can be"
"""A variable with a value that no argument takes counts as much as any can."""
_NAMES = {
    "root_fields": "root fields",
    "overlaps": "overlapping fields and fragments",
    "name": "characters of an alias",
}


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, object],
) -> int:
    """Return about how many values an operation asks for now."""
    return measure_operation(
        schema, document, operation, variables, datetime.datetime.now(datetime.UTC)
    ).cost


def check_limits(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, object],
    limits: DocumentLimits = LIMITS,
) -> Measure:
    """Return what an operation asks for. Raises LimitExceededError."""
    return _checked(
        measure_operation(
            schema, document, operation, variables, datetime.datetime.now(datetime.UTC)
        ),
        limits,
    )


def always_fits(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> bool:
    """Tell whether an operation is within the limits whatever its variables are, and whenever it is asked for."""
    names = [definition.variable.name.value for definition in operation.variable_definitions or ()]
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return fits_until(schema, document, operation, dict.fromkeys(names, _UNREADABLE), latest)


def fits_until(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, object],
    at: datetime.datetime,
) -> bool:
    """Tell whether an operation with these variables is within the limits until then: time only adds candles to it."""
    try:
        _checked(measure_operation(schema, document, operation, variables, at), LIMITS)
    except LimitExceededError:
        return False
    return True


def _checked(measure: Measure, limits: DocumentLimits) -> Measure:
    for limit, remedy in _REMEDIES.items():
        asked, allowed = getattr(measure, limit), getattr(limits, limit)
        if asked > allowed:
            name = _NAMES.get(limit, limit)
            raise LimitExceededError(
                f"The operation is too complex: its {name} come to {_short(asked)}, at most {allowed:,} are allowed;"
                f" {remedy}",
                limit,
                allowed,
            )
    return measure


def _short(number: int) -> str:
    # Nested fragments multiply to numbers of a hundred digits.
    return f"{number:,}" if number < 10**12 else "more than a billion"
