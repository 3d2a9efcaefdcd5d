"""The limits of one operation, with the reason for each."""

import datetime

import msgspec
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from server.limits.measure import Measure, measure_operation


class LimitExceededError(Exception):
    """An operation exceeds a limit; the message names the limit and a remedy."""

    def __init__(self, message: str, limit: str, allowed: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed


class DocumentLimits(msgspec.Struct, frozen=True):
    """The limits of one document and one operation, with its fragments expanded.

    The times were measured with graphql-core 3.3 on a machine with 2 cores; they are rough.
    """

    characters: int = 50_000
    """Commas, blanks and comments are not tokens, but the parser reads them too."""
    tokens: int = 2_000
    """GraphiQL's introspection query has about 350; a query of all coin and listing fields 100."""
    depth: int = 15
    """The deepest useful path (coins edges node listings coin rivals payload) has 7.

    Introspection is exempt.
    """
    aliases: int = 30
    """A dashboard has a few aliases; hundreds of them are a loop over one expensive field."""
    directives: int = 50
    root_fields: int = 20
    """Root fields run concurrently, each with its own connection."""
    overlaps: int = 500
    """Validation compares each pair of fields of one name, or of fragments, in a selection.

    500 are 50 pairs of fields or 32 fragments in one selection, about 40 ms. Without this limit
    2,000 tokens keep validation busy for 0.9 s.
    """
    name: int = 100
    """Characters; an alias is in each row of a response, and in the path of each error."""
    cost: int = 100_000
    """Rows x fields: a value takes about 3 microseconds to complete, so this is 0.3 s of one core.

    It allows coins(first: 250) with every field, and with the listings and rivals of each. A scan
    of a table costs as many values as could be written in its time; see `scans`.
    """


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
_UNREADABLE = "the maximum"
"""A variable whose value is valid for no argument counts as the maximum."""
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
    """Return the approximate number of values that an operation selects now."""
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
    """Return the measure of an operation. Raises LimitExceededError."""
    return _check(
        measure_operation(
            schema, document, operation, variables, datetime.datetime.now(datetime.UTC)
        ),
        limits,
    )


def always_fits(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> bool:
    """Return whether an operation is within the limits with any variables, at any time."""
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
    """Return whether an operation with these variables is within the limits until then.

    It is enough to check the last moment: the number of candles only grows.
    """
    try:
        _check(measure_operation(schema, document, operation, variables, at), LIMITS)
    except LimitExceededError:
        return False
    return True


def _check(measure: Measure, limits: DocumentLimits) -> Measure:
    for limit, remedy in _REMEDIES.items():
        actual, allowed = getattr(measure, limit), getattr(limits, limit)
        if actual > allowed:
            name = _NAMES.get(limit, limit)
            raise LimitExceededError(
                f"The operation is too complex: its {name} come to {_short(actual)}, at most"
                f" {allowed:,} are allowed; {remedy}",
                limit,
                allowed,
            )
    return measure


def _short(number: int) -> str:
    # Nested fragments multiply to numbers of hundreds of digits.
    return f"{number:,}" if number < 10**12 else "more than a billion"
