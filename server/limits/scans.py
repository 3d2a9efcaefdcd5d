"""What a page costs beyond its rows: a filter, a search or an order for which there is no index looks at every row."""

from collections.abc import Collection

from graphql import (
    EnumValueNode,
    FieldNode,
    NullValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)

SCAN_COST = 5_000
"""Rows are compared, sorted or counted by PostgreSQL, far faster than values are written: 0.3 to 2 s for 600,000 coins
on the machine of `LIMITS`, so some 0.02 s for the 20,000 that there are."""
SEARCH_COST = 30_000
"""The words of each name are compared: ten times as long."""

COUNTED_CONNECTIONS = frozenset({"CoinConnection", "ListingConnection", "RunConnection"})
"""Connections whose `totalCount` counts a whole table."""

_INDEXED_CONDITIONS = frozenset({"ticker", "source", "isStale", "isDisputed"})
_INDEXED_ORDERS = frozenset({"MARKET_CAP_USD", "TICKER"})


def scan_cost(node: FieldNode, variables: dict[str, object]) -> int:
    """Return what the filter and the order of a field cost; what cannot be read is refused later, and costs in full."""
    given = {
        argument.name.value: _value(argument.value, variables) for argument in node.arguments or ()
    }
    return _filter_cost(given.get("filter"), variables) + _order_cost(
        given.get("orderBy"), variables
    )


def _filter_cost(value: object, variables: dict[str, object]) -> int:
    names = _given_names(value, variables)
    if names is None or "search" in names:
        return SEARCH_COST
    return 0 if _INDEXED_CONDITIONS.issuperset(names) else SCAN_COST


def _order_cost(value: object, variables: dict[str, object]) -> int:
    if value is None:
        return 0
    field = None
    if isinstance(value, ObjectValueNode):
        field = next(
            (_value(part.value, variables) for part in value.fields if part.name.value == "field"),
            None,
        )
    elif isinstance(value, dict):
        field = value.get("field")
    if isinstance(field, EnumValueNode):
        field = field.value
    return 0 if field in _INDEXED_ORDERS else SCAN_COST


def _given_names(value: object, variables: dict[str, object]) -> Collection[str] | None:
    """Return the conditions that are not null, None where they cannot be read."""
    if value is None:
        return ()
    if isinstance(value, ObjectValueNode):
        return [
            part.name.value for part in value.fields if _value(part.value, variables) is not None
        ]
    if isinstance(value, dict):
        return [name for name, condition in value.items() if condition is not None]
    return None


def _value(node: ValueNode, variables: dict[str, object]) -> object:
    """Return a variable's value, or the node of any other; None for null."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    return None if isinstance(node, NullValueNode) else node
