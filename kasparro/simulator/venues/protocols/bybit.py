"""Bybit, version 5: spot tickers, each a snapshot."""

from collections.abc import Sequence
from typing import Final

from kasparro.simulator.venues.protocols.protocol import (
    ClientRequest,
    SimulatedPair,
    SimulatedTick,
    compact,
    read_object,
)


class BybitProtocol:
    """`tickers.SYMBOL`; `ping` is answered."""

    name: Final = "bybit"
    markets_path: Final = "/v5/market/instruments-info"
    sends_state: Final = True
    shutdown: Final = None

    def symbol(self, pair: SimulatedPair) -> str:
        """Return BTCUSDT."""
        return pair.base + pair.quote

    def request(self, text: str) -> ClientRequest:
        """Answer `subscribe` and `ping`. Raises ValueError."""
        message = read_object(text)
        operation = message.get("op")
        answer = {
            "success": True,
            "ret_msg": "pong" if operation == "ping" else "",
            "conn_id": "simulated",
            "op": operation,
        }
        topics = message.get("args", [])
        symbols = frozenset(topic.partition(".")[2] for topic in topics)
        return ClientRequest([compact(answer)], symbols)

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the symbol of a topic."""
        topic = read_object(text).get("topic", "")
        return frozenset({topic.partition(".")[2]} if topic else ())

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return a snapshot each."""
        return [
            compact(
                {
                    "topic": f"tickers.{self.symbol(tick.pair)}",
                    "ts": tick.at_ns // 1_000_000,
                    "type": "snapshot",
                    "cs": tick.number,
                    "data": {
                        "symbol": self.symbol(tick.pair),
                        "lastPrice": tick.price,
                        "volume24h": tick.volume_base,
                        "turnover24h": tick.volume_quote,
                    },
                }
            )
            for tick in ticks
        ]

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:  # noqa: ARG002 - the protocol's
        """Return none."""
        return []

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return the instruments."""
        rows = [
            {
                "symbol": self.symbol(pair),
                "baseCoin": pair.base,
                "quoteCoin": pair.quote,
                "status": "Trading" if pair.is_trading else "Closed",
            }
            for pair in pairs
        ]
        body = {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": rows}}
        return compact(body).encode()
