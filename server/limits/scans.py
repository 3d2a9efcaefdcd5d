"""The cost of scans: a filter, search or order without an index reads every row of a table."""

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
"""PostgreSQL takes 0.3 to 2 s for 600,000 coins on the machine of `LIMITS`, 0.02 s for 20,000."""
SEARCH_COST = 30_000
"""A search compares the words of each name."""

COUNTED_CONNECTIONS = frozenset(
    {"AssetConnection", "CoinConnection", "ListingConnection", "RunConnection"}
)
"""Connections whose `totalCount` counts a whole table."""

_INDEXED_CONDITIONS = frozenset({"ticker", "source", "isStale", "isDisputed"})
_INDEXED_ORDERS = frozenset({"MARKET_CAP_USD", "TICKER"})
_INDEXED_OF_ASSETS = (frozenset({"ticker"}), frozenset({"TICKER"}))
_INDEXED_OF_OTHERS = (_INDEXED_CONDITIONS, _INDEXED_ORDERS)


def scan_cost(node: FieldNode, variables: dict[str, object]) -> int:
    """Return the cost of a field's filter and order.

    Invalid arguments cost the maximum; they are refused later.
    """
    given = {
        argument.name.value: _value(argument.value, variables) for argument in node.arguments or ()
    }
    is_of_assets = node.name.value == "assets"
    conditions, orders = _INDEXED_OF_ASSETS if is_of_assets else _INDEXED_OF_OTHERS
    return _filter_cost(given.get("filter"), variables, conditions) + _order_cost(
        given.get("orderBy"), variables, orders
    )


def _filter_cost(value: object, variables: dict[str, object], indexed: frozenset[str]) -> int:
    names = _given_names(value, variables)
    if names is None or "search" in names:
        return SEARCH_COST
    return 0 if indexed.issuperset(names) else SCAN_COST


def _order_cost(value: object, variables: dict[str, object], indexed: frozenset[str]) -> int:
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
    return 0 if field in indexed else SCAN_COST


def _given_names(value: object, variables: dict[str, object]) -> Collection[str] | None:
    """Return the names of the conditions that are not null, None where they are invalid."""
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
    """Return the value of a variable, or a node of another kind; None for null."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    return None if isinstance(node, NullValueNode) else node
