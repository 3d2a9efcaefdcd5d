"""The arguments of a plan for each request, coerced as by graphql-core and Strawberry."""

import datetime
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from graphql import FieldNode, GraphQLField, ListValueNode, ObjectValueNode, ValueNode, VariableNode
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.field import StrawberryField

from db.connect.types import Connection
from server.compiler.errors import NotCompiledError

T = TypeVar("T")

NO_VARIABLES = VariableValues({}, {})

Convert = Callable[[dict[str, Any], list[Any]], dict[str, Any]]
"""Converts coerced values to Strawberry's, such as its input types."""


class RunTime(msgspec.Struct, frozen=True):
    """One request: a connection for reading, the arguments by index, and the current minute."""

    connection: Connection
    arguments: tuple[Any, ...]
    now: datetime.datetime


class Argument(Generic[T]):
    """An index of `RunTime.arguments`."""

    def __init__(self, index: int) -> None:
        self._index = index

    def of(self, run: RunTime) -> T:
        """Return the argument of a request."""
        value: T = run.arguments[self._index]
        return value


class ArgumentSlot:
    """The arguments of one field of a document, and the function `resolve` of them.

    Only slots depend on variables. Raises GraphQLError if constant arguments are invalid.
    """

    def __init__(
        self, field: GraphQLField, node: FieldNode, resolve: Callable[..., Any], convert: Convert
    ) -> None:
        definition = field.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryField):
            raise NotCompiledError
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
        """Return the value for the variables of a request.

        Raises GraphQLError or an error of Strawberry for invalid arguments.
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
