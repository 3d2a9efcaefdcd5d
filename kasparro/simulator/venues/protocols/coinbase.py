"""Coinbase Exchange: matches with numbers, tickers, heartbeats that name the last trade."""

from collections.abc import Sequence
from typing import Final

from kasparro.simulator.venues.protocols.protocol import (
    ClientRequest,
    SimulatedPair,
    SimulatedTick,
    compact,
    iso_time,
    read_object,
)


class CoinbaseProtocol:
    """`matches`, tickers and heartbeats of named products."""

    name: Final = "coinbase"
    markets_path: Final = "/products"
    sends_state: Final = True
    shutdown: Final = None

    def symbol(self, pair: SimulatedPair) -> str:
        """Return BTC-USD."""
        return f"{pair.base}-{pair.quote}"

    def request(self, text: str) -> ClientRequest:
        """Answer `subscribe`. Raises ValueError."""
        message = read_object(text)
        if message.get("type") != "subscribe":
            answer = {"type": "error", "message": "Malformed JSON", "reason": "type is not known"}
            return ClientRequest([compact(answer)])
        products = list(message["product_ids"])
        channels = [{"name": name, "product_ids": products} for name in message["channels"]]
        return ClientRequest(
            [compact({"type": "subscriptions", "channels": channels})], frozenset(products)
        )

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the product of a message that has one."""
        product = read_object(text).get("product_id")
        return frozenset() if product is None else frozenset({product})

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return a match and a ticker each."""
        return [text for tick in ticks for text in (self._match(tick), self._ticker(tick))]

    def _match(self, tick: SimulatedTick) -> str:
        return compact(
            {
                "type": "match",
                "trade_id": tick.number,
                "side": "sell",
                "size": tick.size,
                "price": tick.price,
                "product_id": self.symbol(tick.pair),
                "sequence": 1_000 + tick.number,
                "time": iso_time(tick.at_ns),
            }
        )

    def _ticker(self, tick: SimulatedTick) -> str:
        return compact(
            {
                "type": "ticker",
                "sequence": 1_000 + tick.number,
                "product_id": self.symbol(tick.pair),
                "price": tick.price,
                "volume_24h": tick.volume_base,
                "time": iso_time(tick.at_ns),
                "trade_id": tick.number,
                "last_size": tick.size,
            }
        )

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:
        """Return one a product."""
        return [
            (
                symbol,
                compact(
                    {
                        "type": "heartbeat",
                        "sequence": 1_000 + tick.number,
                        "last_trade_id": tick.number,
                        "product_id": symbol,
                        "time": iso_time(now_ns),
                    }
                ),
            )
            for symbol, tick in last.items()
        ]

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return the products."""
        rows = [
            {
                "id": self.symbol(pair),
                "base_currency": pair.base,
                "quote_currency": pair.quote,
                "status": "online" if pair.is_trading else "offline",
                "trading_disabled": not pair.is_trading,
            }
            for pair in pairs
        ]
        return compact(rows).encode()
