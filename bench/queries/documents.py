"""The documents of the queries, for our schema and for PostGraphile's, with equal meaning."""

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from bench.queries.world import World

PAGE: Final = 50

_COIN_FIELDS = "ticker name priceUsd marketCapUsd volume24hUsd percentChange24h"
_PEER_COIN_FIELDS = (
    "ticker name priceUsd marketCapUsd volume24hUsd: volume24HUsd "
    "percentChange24h: percentChange24H"
)
_PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
_PEER_COINS = "coins: allNormalizedRecords(orderBy: [MARKET_CAP_USD_DESC], "

COINS = (
    f"{{ coins(first: {PAGE}) {{ edges {{ cursor node {{ {_COIN_FIELDS} }} }} {_PAGE_INFO} }} }}"
)
COINS_THERE = (
    f"{{ {_PEER_COINS} first: {PAGE})"
    f" {{ edges {{ cursor node {{ {_PEER_COIN_FIELDS} }} }} {_PAGE_INFO} }} }}"
)
PAGE_AFTER = (
    f"query ($after: String) {{ coins(first: {PAGE}, after: $after)"
    f" {{ edges {{ cursor node {{ {_COIN_FIELDS} }} }} {_PAGE_INFO} }} }}"
)
CURSORS = (
    "query ($after: String) "
    "{ coins(first: 250, after: $after) { edges { cursor } pageInfo { hasNextPage } } }"
)

COIN = f"query ($ticker: String!) {{ coin(ticker: $ticker) {{ {_COIN_FIELDS} rank source }} }}"
COIN_THERE = (
    "query ($ticker: String!) { coin: normalizedRecordByTicker(ticker: $ticker)"
    f" {{ {_PEER_COIN_FIELDS} rank source }} }}"
)

NESTED = """
query ($from: DateTime!) {
  coins(first: 50) {
    nodes {
      ticker
      listings { source priceUsd }
      candles(interval: D1, from: $from) { start open high low close }
    }
  }
}
"""
NESTED_THERE = """
{
  coins: allNormalizedRecords(orderBy: [MARKET_CAP_USD_DESC], first: 50) {
    nodes {
      ticker
      listings: listingsByTicker(condition: { contributes: true }, orderBy: [MARKET_CAP_USD_DESC]) {
        nodes { source priceUsd }
      }
      candles: coinCandlesByTicker(
        condition: { interval: "D1" }, orderBy: [PRIMARY_KEY_DESC], first: 30
      ) {
        nodes { start open high low close }
      }
    }
  }
}
"""


def body(query: str, **variables: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return the body of a POST request."""
    return msgspec.json.encode({"query": query, **({"variables": variables} if variables else {})})


def since(world: World) -> str:
    """Return the start of the first of thirty days."""
    return world.since.strftime("%Y-%m-%dT%H:%M:%SZ")


def meaning(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return an answer without cursors, in one notation of numbers and times, with sorted lists."""
    if isinstance(value, dict):
        return {name: _normalize(name, item) for name, item in value.items() if "ursor" not in name}
    return [meaning(item) for item in value] if isinstance(value, list) else value


def _normalize(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if name in ("listings", "candles"):
        # PostGraphile has a connection there, with the newest candles first.
        return sorted(meaning(value["nodes"] if isinstance(value, dict) else value), key=str)
    read = _READ.get(name, meaning)
    return None if value is None else read(value)


def _exact(text: str) -> Decimal:
    return Decimal(text).normalize()


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "percentChange24h": float,
    "start": datetime.datetime.fromisoformat,
    **dict.fromkeys(
        ("priceUsd", "marketCapUsd", "volume24hUsd", "open", "high", "low", "close"), _exact
    ),
}
