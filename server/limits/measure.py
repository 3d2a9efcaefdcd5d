"""The measure of an operation, found in one walk; each fragment is measured once.

An unknown name counts as one value, a cycle of fragments as nothing: validation refuses both.
"""

import datetime

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from server.limits.candles import candle_rows
from server.limits.estimates import estimate_of
from server.limits.rows import DEFAULT_ROWS, MAX_ROWS
from server.limits.scans import COUNTED_CONNECTIONS, SCAN_COST, scan_cost
from server.limits.survey import in_order, survey

LIST_ROWS = 5
"""Assumed for a list without pages, such as a coin's listings."""

KNOWN_ROWS = {
    "__Schema.types": 60,
    "__Schema.directives": 6,
    "__Type.fields": 5,
    "__Type.inputFields": 3,
    "__Type.enumValues": 2,
    "__Type.interfaces": 1,
    "__Type.possibleTypes": 1,
    "__Field.args": 1,
}
"""Lists of the introspection; most are shorter."""


class Measure(msgspec.Struct, frozen=True):
    """The measure of a selection with its fragments expanded.

    `cost` counts values; `cost_per_row` counts those that repeat for each row of the connection
    around the selection. `root_fields` counts the fields of the selection itself. `overlaps` and
    `name` are the document's; `name` is the length of its longest response name.
    """

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0
    cost: int = 0
    cost_per_row: int = 0
    overlaps: int = 0
    name: int = 0

    def __add__(self, other: "Measure") -> "Measure":
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.root_fields + other.root_fields,
            self.cost + other.cost,
            self.cost_per_row + other.cost_per_row,
            self.overlaps + other.overlaps,
            max(self.name, other.name),
        )


NOTHING = Measure()


def measure_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, object],
    now: datetime.datetime,
) -> Measure:
    """Return the measure of an operation with these variables, at this time."""
    known = survey(document)
    walk = Walk(schema, _with_defaults(operation, variables), now)
    for name in in_order(known, operation.selection_set):
        fragment = known.fragments[name]
        walk.measures[name] = walk.selections(
            fragment.selection_set, schema.get_type(fragment.type_condition.name.value)
        )
    total = walk.selections(operation.selection_set, schema.get_root_type(operation.operation))
    own = Measure(
        directives=len(operation.directives or ()), overlaps=known.overlaps, name=known.longest_name
    )
    return total + own


def _with_defaults(
    operation: OperationDefinitionNode, variables: dict[str, object]
) -> dict[str, object]:
    defaults = {
        definition.variable.name.value: _default(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {**defaults, **variables}


def _default(node: ValueNode) -> object:
    """Return the size of a default value, else its node; None for null."""
    size = _size(node, {})
    return node if size is None and not isinstance(node, NullValueNode) else size


class Walk:
    """A walk over one operation; `measures` has the measures of its fragments."""

    def __init__(
        self, schema: GraphQLSchema, variables: dict[str, object], now: datetime.datetime
    ) -> None:
        self.measures: dict[str, Measure] = {}
        self._schema = schema
        self._variables = variables
        self._now = now

    def selections(
        self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None
    ) -> Measure:
        """Return the measure of a selection on a type; None is an unknown type."""
        total = NOTHING
        for selection in selection_set.selections:
            measure = NOTHING
            if isinstance(selection, FieldNode):
                measure = self._field(selection, parent)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = parent if condition is None else self._schema.get_type(condition.name.value)
                measure = self.selections(selection.selection_set, inner)
            elif isinstance(selection, FragmentSpreadNode):
                measure = self.measures.get(selection.name.value, NOTHING)
            total += measure
            if selection.directives:
                total += Measure(directives=len(selection.directives))
        return total

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Measure:
        field = self._definition(node, parent)
        inner = NOTHING
        if node.selection_set is not None:
            inner = self.selections(
                node.selection_set, None if field is None else get_named_type(field.type)
            )
        cost, cost_per_row = 1 + inner.cost, inner.cost_per_row
        if field is not None and parent is not None:
            declared = estimate_of(field).cost
            if declared is not None:
                cost = declared
            elif node.name.value == "totalCount" and parent.name in COUNTED_CONNECTIONS:
                cost = SCAN_COST
            if is_list_type(get_nullable_type(field.type)):
                if _is_connection(parent):
                    cost, cost_per_row = 1, inner.cost
                else:
                    cost = 1 + self._rows(node, field, parent) * inner.cost
            elif "first" in field.args:
                cost, cost_per_row = (
                    1 + inner.cost + self._rows(node, field, parent) * inner.cost_per_row,
                    0,
                )
                if "filter" in field.args:
                    cost += scan_cost(node, self._variables)
        return Measure(
            # Introspection is exempt; graphql-core limits the depth of its lists.
            depth=1 if node.name.value in ("__schema", "__type") else 1 + inner.depth,
            aliases=inner.aliases + (node.alias is not None),
            directives=inner.directives,
            root_fields=1,
            cost=cost,
            cost_per_row=cost_per_row,
        )

    def _definition(self, node: FieldNode, parent: GraphQLNamedType | None) -> GraphQLField | None:
        if not isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)):
            return None
        return self._schema.get_field(parent, node.name.value)

    def _rows(self, node: FieldNode, field: GraphQLField, parent: GraphQLNamedType) -> int:
        """Return the maximum number of rows of a field; the resolver refuses invalid arguments."""
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last", "ids"):
                size = _size(argument.value, self._variables)
                if size is not None:
                    return max(1, min(size, MAX_ROWS))
        if "first" in field.args:
            return DEFAULT_ROWS
        if "interval" in field.args:
            return candle_rows(node, self._variables, self._now)
        known = KNOWN_ROWS.get(f"{parent.name}.{node.name.value}", LIST_ROWS)
        return estimate_of(field).rows or known


def _is_connection(parent: GraphQLNamedType) -> bool:
    return isinstance(parent, GraphQLObjectType) and "pageInfo" in parent.fields


def _size(value: ValueNode | None, variables: dict[str, object]) -> int | None:
    """Return the number, or the length of the list, of an argument; None without a value."""
    if isinstance(value, VariableNode):
        return _size_of_variable(variables.get(value.name.value))
    if isinstance(value, IntValueNode):
        return int(value.value[:10])
    if isinstance(value, ListValueNode):
        return len(value.values)
    return None


def _size_of_variable(value: object) -> int | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, list):
        return len(value)
    # graphql-core accepts 250.0 as an Int; a value that it refuses counts as the maximum.
    return int(value) if isinstance(value, float) and value.is_integer() else MAX_ROWS
