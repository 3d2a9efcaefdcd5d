"""The maximum number of candles of a field, by its arguments."""

import datetime

from graphql import EnumValueNode, FieldNode, GraphQLError, StringValueNode, ValueNode, VariableNode

from db.read.history.candles import INTERVALS, MAX_CANDLES, CandleSpan
from server.graphql.types.scalars import parse_instant
from server.limits.rows import DEFAULT_CANDLES


def candle_rows(node: FieldNode, variables: dict[str, object], now: datetime.datetime) -> int:
    """Return the maximum number of candles of one coin.

    Invalid arguments count as the maximum; they are refused later.
    """
    given = {
        argument.name.value: _value(argument.value, variables) for argument in node.arguments or ()
    }
    if given.get("from") is None:
        return DEFAULT_CANDLES
    interval, start = given.get("interval"), _instant(given["from"])
    end = now if given.get("to") is None else _instant(given["to"])
    if not isinstance(interval, str) or interval not in INTERVALS or start is None or end is None:
        return MAX_CANDLES
    return max(1, min(CandleSpan(interval, start, end).count, MAX_CANDLES))


def _value(node: ValueNode, variables: dict[str, object]) -> object:
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    return node.value if isinstance(node, (StringValueNode, EnumValueNode)) else None


def _instant(value: object) -> datetime.datetime | None:
    try:
        return parse_instant(value)
    except GraphQLError:
        return None
