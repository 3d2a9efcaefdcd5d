"""Bitstamp: the trades of named pairs."""

from collections.abc import Sequence
from typing import Final

from kasparro.simulator.venues.protocols.protocol import (
    ClientRequest,
    SimulatedPair,
    SimulatedTick,
    compact,
    read_object,
)

_CHANNEL: Final = "live_trades_"


class BitstampProtocol:
    """`live_trades_PAIR`, without state; `bts:heartbeat` is answered."""

    name: Final = "bitstamp"
    markets_path: Final = "/api/v2/trading-pairs-info/"
    sends_state: Final = False
    shutdown: Final = '{"event":"bts:request_reconnect","channel":"","data":""}'

    def symbol(self, pair: SimulatedPair) -> str:
        """Return btcusd."""
        return (pair.base + pair.quote).lower()

    def request(self, text: str) -> ClientRequest:
        """Answer `bts:subscribe` and `bts:heartbeat`. Raises ValueError."""
        message = read_object(text)
        if message.get("event") != "bts:subscribe":
            answer = {"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}}
            return ClientRequest([compact(answer)])
        channel = message["data"]["channel"]
        answer = {"event": "bts:subscription_succeeded", "channel": channel, "data": {}}
        return ClientRequest([compact(answer)], frozenset({channel.removeprefix(_CHANNEL)}))

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the pair of a trade or of a change of the book."""
        message = read_object(text)
        if message.get("event", "").startswith("bts:"):
            return frozenset()
        return frozenset({message["channel"].rpartition("_")[2]})

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return a trade each."""
        return [
            compact(
                {
                    "data": {
                        "id": tick.number,
                        "timestamp": str(tick.at_ns // 10**9),
                        "amount": float(tick.size),
                        "amount_str": tick.size,
                        "price": float(tick.price),
                        "price_str": tick.price,
                        "type": 0,
                        "microtimestamp": str(tick.at_ns // 1_000),
                    },
                    "channel": _CHANNEL + self.symbol(tick.pair),
                    "event": "trade",
                }
            )
            for tick in ticks
        ]

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:  # noqa: ARG002 - the protocol's
        """Return none."""
        return []

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return the trading pairs."""
        rows = [
            {
                "name": f"{pair.base}/{pair.quote}",
                "url_symbol": self.symbol(pair),
                "trading": "Enabled" if pair.is_trading else "Disabled",
            }
            for pair in pairs
        ]
        return compact(rows).encode()
