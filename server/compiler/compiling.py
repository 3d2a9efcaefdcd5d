"""From selections to parts: graphql-core itself collects and merges the fields, with their fragments and directives."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_named_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.types.arguments import convert_arguments

from server.compiler.arguments import Argument, Slot
from server.compiler.errors import NotOursError
from server.compiler.fields import Column, leaf_of
from server.compiler.projection import (
    FieldSelection,
    Function,
    LeafSelection,
    Link,
    PlainField,
    TypeName,
)

Details = list[FieldDetails]
"""The nodes of a document that are one field of the response."""

MakeLink = Callable[["Compiler", "CompileRequest"], Link]


class CompileRequest:
    """A field that is asked for, and the compiler for what is asked of it."""

    def __init__(self, compiler: "Compiler", field: GraphQLField, details: Details) -> None:
        self._compiler = compiler
        self.field = field
        self.details = details

    @property
    def type(self) -> GraphQLObjectType:
        """The type of its objects."""
        named = get_named_type(self.field.type)
        if not isinstance(named, GraphQLObjectType):
            raise NotOursError
        return named

    def fields(self) -> dict[str, "CompileRequest | None"]:
        """Return what is asked of its objects, by the names in the response; None is `__typename`."""
        return self._compiler.fields(self.type, self.details)

    def selection(self, type_name: str | None = None) -> FieldSelection:
        """Return what is asked of its objects, or of those of one type behind an interface."""
        object_type = self.type if type_name is None else self._compiler.object_type(type_name)
        return self._compiler.selection(object_type, self.details)

    def argument(self, resolve: Callable[..., Any]) -> Argument[Any]:
        """Keep a place for what `resolve` makes of its arguments."""
        return self._compiler.argument(self.field, self.details, resolve)

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.details[0].node.name.value


class Compiler:
    """Compiles one operation; `slots` are arguments, `met` the fields that it met. Raises NotOursError, GraphQLError.

    `switches` are the variables that `@include` and `@skip` ask for.
    """

    def __init__(
        self,
        schema: Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        switches: VariableValues,
        links: Mapping[str, Callable[[CompileRequest], PlainField | Link]],
    ) -> None:
        self.slots: list[Slot] = []
        self.met: set[str] = set()
        self._schema = schema._schema  # noqa: SLF001  (Strawberry has no other way to it)
        self._convert = functools.partial(
            convert_arguments,
            scalar_registry=schema.schema_converter.scalar_registry,
            config=schema.config,
        )
        self._operation = operation
        self._switches = switches
        self._links = links
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def roots(self) -> dict[str, CompileRequest | None]:
        """Return the fields that the operation asks for; None is `__typename`."""
        query = self._schema.query_type
        if query is None:
            raise NotOursError
        found = collect_fields(
            self._schema, self._fragments, self._switches, query, self._operation
        )
        return self._asked(query, found.grouped_field_set)

    def fields(
        self, parent: GraphQLObjectType, details: Details
    ) -> dict[str, CompileRequest | None]:
        """Return what is asked of an object's type; None is `__typename`."""
        found = collect_subfields(
            self._schema, self._fragments, self._switches, self._operation, parent, details
        )
        return self._asked(parent, found.grouped_field_set)

    def selection(self, parent: GraphQLObjectType, details: Details) -> FieldSelection:
        """Return the selection of a type whose objects stand for rows."""
        asked = self.fields(parent, details)
        return FieldSelection(
            {name: self._part(parent.name, field) for name, field in asked.items()}
        )

    def object_type(self, name: str) -> GraphQLObjectType:
        """Return a type by its name."""
        found = self._schema.get_type(name)
        if not isinstance(found, GraphQLObjectType):
            raise NotOursError
        return found

    def argument(
        self, field: GraphQLField, details: Details, resolve: Callable[..., Any]
    ) -> Argument[Any]:
        """Keep a place for what `resolve` makes of a field's arguments."""
        self.slots.append(Slot(field, details[0].node, resolve, self._convert))
        return Argument(len(self.slots) - 1)

    def _asked(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet
    ) -> dict[str, CompileRequest | None]:
        asked: dict[str, CompileRequest | None] = {}
        for response_name, details in grouped.items():
            if any(detail.defer_usage or detail.fragment_variable_values for detail in details):
                raise NotOursError
            name = details[0].node.name.value
            field = parent.fields.get(name)
            if field is None and name != "__typename":
                raise NotOursError
            self.met.add(f"{parent.name}.{name}")
            asked[response_name] = None if field is None else CompileRequest(self, field, details)
        return asked

    def _part(self, type_name: str, asked: CompileRequest | None) -> PlainField | Link:
        if asked is None:
            return TypeName(type_name)
        make = self._links.get(f"{type_name}.{asked.name}")
        if make is not None:
            return make(asked)
        leaf = leaf_of(type_name, asked.name, asked.field)
        if leaf is None:
            raise NotOursError
        return LeafSelection(leaf) if isinstance(leaf, Column) else Function(leaf)
