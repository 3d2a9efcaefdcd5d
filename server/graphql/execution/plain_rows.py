"""Fast execution of rows of plain fields, without graphql-core's work for each field."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from graphql import Executor, GraphQLField, GraphQLObjectType, get_nullable_type, is_leaf_type
from graphql.execution.collect_fields import GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.field import StrawberryField


class PlainLeaf(msgspec.Struct, frozen=True, gc=False):
    """A field without arguments or resolver: an attribute that its scalar serializes."""

    read: Callable[[object], object]
    serialize: Callable[[object], object]
    nullable: bool

    def value(self, source: object) -> object:
        """Return the field's value in the response.

        Raises ValueError for null in a non-null field, and what the scalar raises.
        """
        value = self.read(source)
        if value is None and self.nullable:
            return None
        written = self.serialize(value)
        if value is None or written is None:
            raise ValueError
        return written


class PlainRows(StrawberryGraphQLCoreExecutionContext):
    """Executes a selection of plain fields on a row of the database in one step.

    No attribute of a row is awaitable. After an error graphql-core executes the selection again,
    and reports the error.
    """

    _plans: dict[int, tuple[GroupedFieldSet, Mapping[str, PlainLeaf] | None]] | None = None

    # Graphql-core's signature.
    def build_per_event_executor(self, payload: Any) -> Executor[Any]:  # noqa: ANN401
        """Return an executor for one event, with its own cache of selections.

        The copies of graphql-core share one cache, whose entries no other copy finds: it would grow
        with every event.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001 - graphql-core has no other way to it
        return executor

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,  # noqa: ANN401 - graphql-core's signature
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,  # noqa: ANN401 - the same
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Return the object's fields."""
        plan = (
            self._plan(parent_type, grouped_field_set)
            if isinstance(source_value, msgspec.Struct)
            else None
        )
        if plan is not None:
            try:
                return {name: leaf.value(source_value) for name, leaf in plan.items()}
            except Exception:  # noqa: BLE001, S110 - reported below
                pass
        return super().execute_fields(
            parent_type, source_value, path, grouped_field_set, position_context
        )

    def _plan(
        self, parent_type: GraphQLObjectType, selection: GroupedFieldSet
    ) -> Mapping[str, PlainLeaf] | None:
        """Return the plan of a selection, None without one; all rows of a list share it."""
        if self._plans is None:
            self._plans = {}
        known = self._plans.get(id(selection))
        if known is None:
            leaves = {
                response_name: _leaf(self.schema.get_field(parent_type, details[0].node.name.value))
                for response_name, details in selection.items()
            }
            whole = {name: leaf for name, leaf in leaves.items() if leaf is not None}
            # The entry holds the selection, so that its id stays unique.
            known = self._plans[id(selection)] = (
                selection,
                whole if len(whole) == len(leaves) else None,
            )
        return known[1]


def _leaf(field: GraphQLField | None) -> PlainLeaf | None:
    definition = field and field.extensions.get("strawberry-definition")
    if field is None or field.args or not isinstance(definition, StrawberryField):
        return None
    if definition.base_resolver or definition.extensions or definition.permission_classes:
        return None
    leaf_type = get_nullable_type(field.type)
    if not is_leaf_type(leaf_type):
        return None
    nullable = leaf_type is field.type
    return PlainLeaf(operator.attrgetter(definition.python_name), leaf_type.serialize, nullable)
