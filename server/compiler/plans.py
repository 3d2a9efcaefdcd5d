"""Plans: an operation compiled once, bound to the variables of a request, and run on one connection."""

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
from server.compiler.arguments import NO_VARIABLES, RunTime, Slot
from server.compiler.compiling import Compiler, CompileRequest
from server.compiler.errors import NotOursError
from server.compiler.lru_cache import LRUCache
from server.compiler.relations import LINKS
from server.compiler.roots import ROOTS, Root

MAX_VARIABLE_ERRORS = 1
"""Enough to know that the variables are refused."""

KEPT_PLANS = 8
"""Of one operation: three switches in all their ways."""

UNTOLD = frozenset({"Coin.isStale", "Query.node", "Query.nodes", "Query.sources"})
"""Fields whose values change though no event tells of it: with the time, or with the ingestor's plans."""

_ENCODER = msgspec.json.Encoder()


class OperationPlan:
    """A compiled operation; `told` where events tell of every change of what it asks for.

    `identity` is a digest of document, name and switches: the same in every process.
    """

    def __init__(
        self, identity: bytes, roots: Mapping[str, Root | None], slots: list[Slot], *, told: bool
    ) -> None:
        self.identity = identity
        self.told = told
        self._roots = roots
        self._slots = slots

    def bind(self, variables: VariableValues) -> "BoundPlan":
        """Return the plan with its arguments.

        Raises GraphQLError, or whatever Strawberry does, for refused ones.
        """
        return BoundPlan(self, tuple(slot.value(variables) for slot in self._slots))

    async def run(
        self, arguments: tuple[Any, ...], connection: Connection, now: datetime.datetime
    ) -> bytes:
        """Return the response's body. Raises NotOursError, and whatever the database does."""
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
    def told(self) -> bool:
        """Whether the answer stays the same until an event tells that the data have changed, or the minute is over."""
        return self.plan.told and all(
            getattr(argument, "told", True) for argument in self.arguments
        )

    def identity(self) -> bytes:
        """Return a digest of the plan's identity and of what the arguments mean, however they were written."""
        return hashlib.blake2b(
            self.plan.identity + _ENCODER.encode(self.arguments), digest_size=16
        ).digest()

    async def run(self, connection: Connection, now: datetime.datetime) -> bytes:
        """Return the response's body. Raises NotOursError, and whatever the database does."""
        return await self.plan.run(self.arguments, connection, now)


class CompiledOperation:
    """One operation of a document: its plans, by the values of its switches (what `@include` and `@skip` ask for)."""

    def __init__(
        self, schema: Schema, text: str, document: DocumentNode, node: OperationDefinitionNode
    ) -> None:
        self._schema = schema
        self._text = text
        self._document = document
        self._node = node
        self._switches = switches_of(document)
        self._plans: LRUCache[tuple[object, ...], OperationPlan | NotOursError] = LRUCache(
            KEPT_PLANS
        )

    def bind(self, given: dict[str, Any]) -> BoundPlan:
        """Return the plan for a request's variables.

        Raises NotOursError; GraphQLError for arguments out of bounds.
        """
        variables = self._coerced(given)
        switches = tuple(variables.coerced.get(name) for name in self._switches)
        plan = self._plans.get(switches)
        if plan is None:
            plan = self._compiled(variables, switches)
            self._plans.keep(switches, plan)
        if isinstance(plan, NotOursError):
            raise plan
        return plan.bind(variables)

    def _coerced(self, given: dict[str, Any]) -> VariableValues:
        """Return the variables as graphql-core coerces them."""
        if not self._node.variable_definitions:
            return NO_VARIABLES
        values = get_variable_values(
            self._schema._schema,  # noqa: SLF001  (Strawberry has no other way to it)
            self._node.variable_definitions,
            given,
            max_errors=MAX_VARIABLE_ERRORS,
        )
        if isinstance(values, list):
            raise NotOursError
        return values

    def _compiled(
        self, variables: VariableValues, switches: tuple[object, ...]
    ) -> OperationPlan | NotOursError:
        compiler = Compiler(self._schema, self._document, self._node, variables, LINKS)
        try:
            roots = {
                name: None if asked is None else _root(asked)
                for name, asked in compiler.roots().items()
            }
        except (NotOursError, GraphQLError):
            return NotOursError()
        name = None if self._node.name is None else self._node.name.value
        digest = hashlib.blake2b(
            msgspec.json.encode([self._text, name, switches]), digest_size=16
        ).digest()
        return OperationPlan(digest, roots, compiler.slots, told=UNTOLD.isdisjoint(compiler.met))


def _root(asked: CompileRequest) -> Root:
    make = ROOTS.get(asked.name)
    if make is None:
        raise NotOursError
    return make(asked)


def switches_of(document: DocumentNode) -> tuple[str, ...]:
    """Return the variables that the directives of a document ask for, sorted."""
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
