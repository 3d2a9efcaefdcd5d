"""Compiles selections to parts; graphql-core collects fields, fragments and directives."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

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

from server.compiler.arguments import Argument, ArgumentSlot
from server.compiler.errors import NotCompiledError
from server.compiler.fields import Column, leaf_of
from server.compiler.projection import (
    ComputedSelection,
    FieldSelection,
    LeafSelection,
    RelationPart,
    TypeName,
    ValuePart,
)
from server.graphql.types.fields import declaration_of

T = TypeVar("T")

Details = list[FieldDetails]
"""The nodes of a document for one field of the response."""


class SelectedField:
    """A field of an operation, and the compiler for its selection."""

    def __init__(self, compiler: "Compiler", definition: GraphQLField, details: Details) -> None:
        self._compiler = compiler
        self.definition = definition
        self.details = details

    @property
    def object_type(self) -> GraphQLObjectType:
        """The type of its objects. Raises NotCompiledError for any other type."""
        named = get_named_type(self.definition.type)
        if not isinstance(named, GraphQLObjectType):
            raise NotCompiledError
        return named

    def fields(self) -> dict[str, "SelectedField | None"]:
        """Return the fields of its objects by response name; None is `__typename`."""
        return self._compiler.fields(self.object_type, self.details)

    def selection(self, type_name: str | None = None) -> FieldSelection:
        """Return the selection on its objects, or on one type behind an interface."""
        selected = self.object_type if type_name is None else self._compiler.object_type(type_name)
        return self._compiler.selection(selected, self.details)

    def source(self, kind: type[T]) -> T:
        """Return the source in its declaration. Raises NotCompiledError for another kind."""
        source = declaration_of(self.definition).source
        if not isinstance(source, kind):
            raise NotCompiledError
        found: T = source
        return found

    def argument(self, then: Callable[[Any], Any] | None = None) -> Argument[Any]:
        """Reserve a slot for the value of its arguments, passed through `then`.

        Raises NotCompiledError if it declares no arguments, GraphQLError for invalid ones.
        """
        arguments = declaration_of(self.definition).arguments
        if arguments is None:
            raise NotCompiledError
        if then is None:
            return self._compiler.argument(self.definition, self.details, arguments)
        return self._compiler.argument(
            self.definition, self.details, lambda **given: then(arguments(**given))
        )

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.details[0].node.name.value


class Compiler:
    """Compiles one operation; `slots` are its arguments, `visited` its fields.

    `switches` are the variables of `@include` and `@skip`. Raises NotCompiledError, GraphQLError.
    """

    def __init__(
        self,
        schema: Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        switches: VariableValues,
        relation_part: Callable[[str, SelectedField], ValuePart | RelationPart | None],
    ) -> None:
        self.slots: list[ArgumentSlot] = []
        self.visited: set[str] = set()
        self._schema = schema._schema  # noqa: SLF001  (Strawberry has no public access to it)
        self._convert = functools.partial(
            convert_arguments,
            scalar_registry=schema.schema_converter.scalar_registry,
            config=schema.config,
        )
        self._operation = operation
        self._switches = switches
        self._relation_part = relation_part
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def roots(self) -> Mapping[str, SelectedField | None]:
        """Return the root fields; None is `__typename`. Raises NotCompiledError."""
        query = self._schema.query_type
        if query is None:
            raise NotCompiledError
        found = collect_fields(
            self._schema, self._fragments, self._switches, query, self._operation
        )
        return self._select(query, found.grouped_field_set)

    def fields(
        self, parent: GraphQLObjectType, details: Details
    ) -> dict[str, SelectedField | None]:
        """Return the selected fields of an object type; None is `__typename`."""
        found = collect_subfields(
            self._schema, self._fragments, self._switches, self._operation, parent, details
        )
        return self._select(parent, found.grouped_field_set)

    def selection(self, parent: GraphQLObjectType, details: Details) -> FieldSelection:
        """Return the selection on a type whose objects are rows."""
        fields = self.fields(parent, details)
        return FieldSelection(
            {name: self._part(parent.name, field) for name, field in fields.items()}
        )

    def object_type(self, name: str) -> GraphQLObjectType:
        """Return a type by its name. Raises NotCompiledError if it is not an object type."""
        found = self._schema.get_type(name)
        if not isinstance(found, GraphQLObjectType):
            raise NotCompiledError
        return found

    def argument(
        self, definition: GraphQLField, details: Details, resolve: Callable[..., Any]
    ) -> Argument[Any]:
        """Reserve a slot for the result of `resolve` for a field's arguments."""
        self.slots.append(ArgumentSlot(definition, details[0].node, resolve, self._convert))
        return Argument(len(self.slots) - 1)

    def _select(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet
    ) -> dict[str, SelectedField | None]:
        selected: dict[str, SelectedField | None] = {}
        for response_name, details in grouped.items():
            if any(detail.defer_usage or detail.fragment_variable_values for detail in details):
                raise NotCompiledError
            name = details[0].node.name.value
            definition = parent.fields.get(name)
            if definition is None and name != "__typename":
                raise NotCompiledError
            self.visited.add(f"{parent.name}.{name}")
            selected[response_name] = (
                None if definition is None else SelectedField(self, definition, details)
            )
        return selected

    def _part(self, type_name: str, field: SelectedField | None) -> ValuePart | RelationPart:
        if field is None:
            return TypeName(type_name)
        part = self._relation_part(type_name, field)
        if part is not None:
            return part
        leaf = leaf_of(type_name, field.name, field.definition)
        if leaf is None:
            raise NotCompiledError
        return LeafSelection(leaf) if isinstance(leaf, Column) else ComputedSelection(leaf)
