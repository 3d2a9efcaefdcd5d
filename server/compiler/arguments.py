"""What the parts of a plan are given for each request: arguments, coerced as graphql-core and Strawberry do it."""

import datetime
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from graphql import FieldNode, GraphQLField, ListValueNode, ObjectValueNode, ValueNode, VariableNode
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.field import StrawberryField

from db.connect.types import Connection
from server.compiler.errors import NotOursError

T = TypeVar("T")

NO_VARIABLES = VariableValues({}, {})

Convert = Callable[[dict[str, Any], list[Any]], dict[str, Any]]
"""Makes Strawberry's values, such as its input types, of coerced ones."""


class RunTime(msgspec.Struct, frozen=True):
    """One request: a connection that reads, the arguments by their places, and what it means by now."""

    connection: Connection
    arguments: tuple[Any, ...]
    now: datetime.datetime


class Argument(Generic[T]):
    """A place in `RunTime.arguments`."""

    def __init__(self, place: int) -> None:
        self._place = place

    def of(self, run: RunTime) -> T:
        """Return what a request has there."""
        value: T = run.arguments[self._place]
        return value


class Slot:
    """The arguments of one field of a document, and what `resolve` makes of them; nothing else depends on variables.

    Raises GraphQLError where they are refused whatever the variables.
    """

    def __init__(
        self, field: GraphQLField, node: FieldNode, resolve: Callable[..., Any], convert: Convert
    ) -> None:
        definition = field.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryField):
            raise NotOursError
        self._field = field
        self._node = node
        self._arguments = definition.arguments
        self._resolve = resolve
        self._convert = convert
        self._is_constant = not any(
            _has_variable(argument.value) for argument in node.arguments or ()
        )
        self._constant = self._value(NO_VARIABLES) if self._is_constant else None

    def value(self, variables: VariableValues) -> object:
        """Return what the request asks for.

        Raises GraphQLError, or whatever Strawberry does, for what is refused.
        """
        return self._constant if self._is_constant else self._value(variables)

    def _value(self, variables: VariableValues) -> object:
        given = get_argument_values(self._field, self._node, variables)
        return self._resolve(**self._convert(given, self._arguments))


def _has_variable(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_has_variable, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_has_variable(field.value) for field in node.fields)
    return isinstance(node, VariableNode)
