"""Rows of plain fields, executed at once: most of what a long list costs is graphql-core's walk from field to field."""

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
    """A field without arguments or resolver: an attribute, written by its scalar."""

    read: Callable[[object], object]
    serialize: Callable[[object], object]
    nullable: bool

    def value(self, source: object) -> object:
        """Return the field's value as the response has it.

        Raises whatever the attribute or the scalar does.
        """
        value = self.read(source)
        if value is None and self.nullable:
            return None
        written = self.serialize(value)
        if value is None or written is None:
            raise ValueError
        return written


class PlainRows(StrawberryGraphQLCoreExecutionContext):
    """Reads a row of the database whose wanted fields are all leaves without asking graphql-core about each.

    A row is data: none of its attributes has to be awaited. Whatever goes wrong goes wrong again on
    the ordinary way, which knows how to tell.
    """

    _plans: dict[int, tuple[GroupedFieldSet, Mapping[str, PlainLeaf] | None]] | None = None

    # Graphql-core's signature.
    def build_per_event_executor(self, payload: Any) -> Executor[Any]:  # noqa: ANN401
        """Return an executor for one event, which remembers its selections for itself.

        graphql-core's copies all add to one memory, in which none finds what another left: it grew
        with every event.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001 - there is no other way to it
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
            except Exception:  # noqa: BLE001, S110 - told below
                pass
        return super().execute_fields(
            parent_type, source_value, path, grouped_field_set, position_context
        )

    def _plan(
        self, parent_type: GraphQLObjectType, wanted: GroupedFieldSet
    ) -> Mapping[str, PlainLeaf] | None:
        """Find or make the plan of a selection; all rows of a list share one."""
        if self._plans is None:
            self._plans = {}
        known = self._plans.get(id(wanted))
        if known is None:
            leaves = {
                response_name: _leaf(self.schema.get_field(parent_type, details[0].node.name.value))
                for response_name, details in wanted.items()
            }
            whole = {name: leaf for name, leaf in leaves.items() if leaf is not None}
            # The selection is kept beside its plan, so that its id stays its own.
            known = self._plans[id(wanted)] = (wanted, whole if len(whole) == len(leaves) else None)
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
