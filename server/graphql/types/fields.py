"""Fields with resolvers, and what the compiler and the limits need to know of each.

The annotation of a field is its type in the schema; at run time its value is a row of `db`.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import strawberry
from graphql import GraphQLField
from strawberry.types.field import StrawberryField

from db.connect.types import Connection
from server.graphql.execution.context import Info
from server.graphql.execution.loaders import Relation
from server.limits.estimates import METADATA_KEY, Estimate

_DECLARATION = "declaration"
_ARGUMENTS = "graphql_arguments"

Resolver = Callable[..., Any]
ReadFigure = Callable[[Connection], Awaitable[object]]


class FieldDeclaration(msgspec.Struct, frozen=True):
    """What a field is made of; resolver and compiler both use it.

    `arguments` returns the value of the field's arguments. `source` is how the field is read: a
    `Relation`, a `RootConnection`, a `NestedList`, or a function of `db`.
    """

    arguments: Callable[..., Any] | None = None
    source: Any = None


_EMPTY = FieldDeclaration()


class NestedList(msgspec.Struct, frozen=True, eq=False):
    """Objects in columns of their parent row; `decode` takes the columns' values."""

    columns: tuple[str, ...]
    decode: Callable[..., Sequence[Any]]


def declaration_of(field: GraphQLField) -> FieldDeclaration:
    """Return the declaration of a field of the schema."""
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField):
        return _EMPTY
    found: FieldDeclaration = definition.metadata.get(_DECLARATION, _EMPTY)
    return found


def with_arguments(arguments: Callable[..., Any]) -> Callable[[Resolver], Resolver]:
    """Give an asynchronous resolver the parameters of `arguments`.

    The resolver's last parameter receives what `arguments` returns.
    """

    def decorate(resolver: Resolver) -> Resolver:
        *own, last = inspect.signature(resolver).parameters.values()
        declared = inspect.signature(arguments).parameters.values()
        names = [parameter.name for parameter in own]

        async def resolve(**values: Any) -> object:  # noqa: ANN401 - any field's arguments
            given = {name: values.pop(name) for name in names}
            return await resolver(**given, **{last.name: arguments(**values)})

        # Strawberry reads the schema's arguments from the signature.
        resolve.__signature__ = inspect.Signature([*own, *declared])  # type: ignore[attr-defined]
        resolve.__module__ = arguments.__module__
        setattr(resolve, _ARGUMENTS, arguments)
        return resolve

    return decorate


def resolved(
    resolver: Resolver,
    description: str,
    *,
    source: object = None,
    cost: int | None = None,
    rows: int | None = None,
) -> Any:  # noqa: ANN401  (see the module)
    """Return a field that the resolver reads; `source`, `cost` and `rows` are declared."""
    return strawberry.field(
        resolver=resolver,
        description=description,
        metadata={
            _DECLARATION: FieldDeclaration(getattr(resolver, _ARGUMENTS, None), source),
            METADATA_KEY: Estimate(cost=cost, rows=rows),
        },
    )


def related(
    relation: Relation[Any],
    description: str,
    *,
    cost: int | None = None,
    rows: int | None = None,
) -> Any:  # noqa: ANN401  (see the module)
    """Return a field without arguments that a relation reads."""
    key_of = attrgetter(*relation.columns)
    condition = relation.condition

    async def resolve(root: strawberry.Parent[Any], info: Info) -> object:
        if condition is not None and not getattr(root, condition):
            return relation.missing()
        return await info.context.loaders.load(relation, key_of(root))

    return resolved(resolve, description, source=relation, cost=cost, rows=rows)


def _unchanged(values: Sequence[Any]) -> Sequence[Any]:
    return values


def nested(
    columns: Sequence[str],
    description: str,
    *,
    decode: Callable[..., Sequence[Any]] = _unchanged,
    rows: int | None = None,
) -> Any:  # noqa: ANN401  (see the module)
    """Return a list field whose objects are in columns of the parent row."""

    def resolve(root: strawberry.Parent[Any]) -> Sequence[Any]:
        return decode(*(getattr(root, column) for column in columns))

    source = NestedList(tuple(columns), decode)
    return resolved(resolve, description, source=source, rows=rows)


def figure(read: ReadFigure, description: str, *, cost: int | None = None) -> Any:  # noqa: ANN401
    """Return a field without parent row or arguments that a function of `db` reads."""

    async def resolve(info: Info) -> object:
        return await info.context.read(read)

    return resolved(resolve, description, source=read, cost=cost)


def streamed(resolver: Resolver, description: str) -> Any:  # noqa: ANN401  (see the module)
    """Return a subscription's field."""
    return strawberry.subscription(resolver=resolver, description=description)
