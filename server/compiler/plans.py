"""Plans: an operation is compiled once, bound to the variables of a request, and run."""

import datetime
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    VariableNode,
)
from graphql.execution.values import VariableValues, get_variable_values
from strawberry import Schema

from db.connect.types import Connection
from server.compiler.arguments import NO_VARIABLES, ArgumentSlot, RunTime
from server.compiler.compiling import Compiler, SelectedField
from server.compiler.errors import NotCompiledError
from server.compiler.lru_cache import LRUCache
from server.compiler.relations import relation_part
from server.compiler.roots import ROOTS, Root

MAX_VARIABLE_ERRORS = 1
"""One error is enough to know that the variables are invalid."""

MAX_PLANS = 8
"""The number of cached plans of each operation: all combinations of three switches."""

UNCACHEABLE_FIELDS = frozenset(
    {
        "Asset.addresses",
        "Asset.consensus",
        "Asset.markets",
        "Coin.consensus",
        "Coin.isStale",
        "Coin.markets",
        "Listing.addresses",
        "Query.node",
        "Query.nodes",
        "Query.sources",
    }
)
"""Fields that change without an event: by time, the ingestor's schedule, registry or a market."""

_ENCODER = msgspec.json.Encoder()


class OperationPlan:
    """A compiled operation; it is `cacheable` if every change of its data has an event.

    `identity` is a digest of document, name and switches, equal in every process.
    """

    def __init__(
        self,
        identity: bytes,
        roots: Mapping[str, Root | None],
        slots: list[ArgumentSlot],
        *,
        cacheable: bool,
    ) -> None:
        self.identity = identity
        self.cacheable = cacheable
        self._roots = roots
        self._slots = slots

    def bind(self, variables: VariableValues) -> "BoundPlan":
        """Return the plan with its arguments.

        Raises GraphQLError or an error of Strawberry for invalid ones.
        """
        return BoundPlan(self, tuple(slot.value(variables) for slot in self._slots))

    async def run(
        self, arguments: tuple[Any, ...], connection: Connection, now: datetime.datetime
    ) -> bytes:
        """Return the body of the response. Raises NotCompiledError and errors of the database."""
        run = RunTime(connection, arguments, now)
        data = {
            name: "Query" if root is None else await root.read(run)
            for name, root in self._roots.items()
        }
        return _ENCODER.encode({"data": data})


class BoundPlan(msgspec.Struct, frozen=True):
    """A plan and the arguments of a request."""

    plan: OperationPlan
    arguments: tuple[Any, ...]

    @property
    def cacheable(self) -> bool:
        """Whether the response stays the same until the next event, or the end of the minute."""
        return self.plan.cacheable and all(
            getattr(argument, "cacheable", True) for argument in self.arguments
        )

    def identity(self) -> bytes:
        """Return a digest of the plan's identity and the values of the arguments."""
        return hashlib.blake2b(
            self.plan.identity + _ENCODER.encode(self.arguments), digest_size=16
        ).digest()

    async def run(self, connection: Connection, now: datetime.datetime) -> bytes:
        """Return the body of the response. Raises NotCompiledError and errors of the database."""
        return await self.plan.run(self.arguments, connection, now)


class CompiledOperation:
    """One operation of a document: its plans by the values of its switches.

    Switches are the variables of `@include` and `@skip`.
    """

    def __init__(
        self, schema: Schema, text: str, document: DocumentNode, node: OperationDefinitionNode
    ) -> None:
        self._schema = schema
        self._text = text
        self._document = document
        self._node = node
        self._switches = switches_of(document)
        self._plans: LRUCache[tuple[object, ...], OperationPlan | NotCompiledError] = LRUCache(
            MAX_PLANS
        )

    def bind(self, given: dict[str, Any]) -> BoundPlan:
        """Return the plan for a request's variables.

        Raises NotCompiledError, and GraphQLError for invalid arguments.
        """
        variables = self._coerce(given)
        switches = tuple(variables.coerced.get(name) for name in self._switches)
        plan = self._plans.get(switches)
        if plan is None:
            plan = self._compile(variables, switches)
            self._plans.put(switches, plan)
        if isinstance(plan, NotCompiledError):
            raise plan
        return plan.bind(variables)

    def _coerce(self, given: dict[str, Any]) -> VariableValues:
        """Return the variables as graphql-core coerces them."""
        if not self._node.variable_definitions:
            return NO_VARIABLES
        values = get_variable_values(
            self._schema._schema,  # noqa: SLF001  (Strawberry has no public access to it)
            self._node.variable_definitions,
            given,
            max_errors=MAX_VARIABLE_ERRORS,
        )
        if isinstance(values, list):
            raise NotCompiledError
        return values

    def _compile(
        self, variables: VariableValues, switches: tuple[object, ...]
    ) -> OperationPlan | NotCompiledError:
        compiler = Compiler(self._schema, self._document, self._node, variables, relation_part)
        try:
            roots = {
                name: None if field is None else _root(field)
                for name, field in compiler.roots().items()
            }
        except (NotCompiledError, GraphQLError):
            return NotCompiledError()
        name = None if self._node.name is None else self._node.name.value
        digest = hashlib.blake2b(
            msgspec.json.encode([self._text, name, switches]), digest_size=16
        ).digest()
        cacheable = UNCACHEABLE_FIELDS.isdisjoint(compiler.visited)
        return OperationPlan(digest, roots, compiler.slots, cacheable=cacheable)


def _root(field: SelectedField) -> Root:
    make = ROOTS.get(field.name)
    if make is None:
        raise NotCompiledError
    return make(field)


def switches_of(document: DocumentNode) -> tuple[str, ...]:
    """Return the variables that the directives of a document use, sorted."""
    found: set[str] = set()
    pending: list[Any] = [
        node for node in document.definitions if isinstance(node, ExecutableDefinitionNode)
    ]
    while pending:
        node = pending.pop()
        for directive in node.directives or ():
            values = [argument.value for argument in directive.arguments or ()]
            found.update(value.name.value for value in values if isinstance(value, VariableNode))
        selection_set = getattr(node, "selection_set", None)
        pending += () if selection_set is None else selection_set.selections
    return tuple(sorted(found))
