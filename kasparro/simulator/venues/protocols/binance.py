"""Binance: arrays of mini tickers for every market."""

from collections.abc import Sequence
from typing import Any, Final

from kasparro.simulator.venues.protocols.protocol import (
    EVERY,
    ClientRequest,
    SimulatedPair,
    SimulatedTick,
    compact,
    read_object,
)


class BinanceProtocol:
    """`!miniTicker@arr`, without state; a frame of a recording goes to every client."""

    name: Final = "binance"
    markets_path: Final = "/api/v3/exchangeInfo"
    sends_state: Final = False
    shutdown: Final = '{"e":"serverShutdown","E":0}'

    def symbol(self, pair: SimulatedPair) -> str:
        """Return BTCUSDT."""
        return pair.base + pair.quote

    def request(self, text: str) -> ClientRequest:
        """Answer SUBSCRIBE. Raises ValueError."""
        message = read_object(text)
        if message.get("method") != "SUBSCRIBE":
            answer = {"error": {"code": 2, "msg": "Invalid request"}, "id": message.get("id")}
            return ClientRequest([compact(answer)])
        return ClientRequest([compact({"result": None, "id": message.get("id")})], EVERY)

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return every symbol of an array, or that of an event."""
        value: Any = (
            read_object(text) if text.startswith("{") else read_object(f'{{"data":{text}}}')
        )
        data = value.get("data", value)
        rows = data if isinstance(data, list) else [data]
        return frozenset(row["s"] for row in rows if "s" in row)

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return one array; of several ticks of a market the last counts, as in each second."""
        newest = {self.symbol(tick.pair): tick for tick in ticks}
        rows = [_row(symbol, tick) for symbol, tick in newest.items()]
        return [compact(rows)] if rows else []

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:  # noqa: ARG002 - the protocol's
        """Return none."""
        return []

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return exchangeInfo."""
        rows = [
            {
                "symbol": self.symbol(pair),
                "status": "TRADING" if pair.is_trading else "BREAK",
                "baseAsset": pair.base,
                "quoteAsset": pair.quote,
                "isSpotTradingAllowed": True,
            }
            for pair in pairs
        ]
        return compact({"timezone": "UTC", "symbols": rows}).encode()


def _row(symbol: str, tick: SimulatedTick) -> dict[str, object]:
    return {
        "e": "24hrMiniTicker",
        "E": tick.at_ns // 1_000_000,
        "s": symbol,
        "c": tick.price,
        "o": tick.price,
        "h": tick.price,
        "l": tick.price,
        "v": tick.volume_base,
        "q": tick.volume_quote,
    }
