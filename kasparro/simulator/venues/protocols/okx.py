"""OKX, version 5: tickers of spot instruments."""

from collections.abc import Sequence
from typing import Final

from kasparro.simulator.venues.protocols.protocol import (
    ClientRequest,
    SimulatedPair,
    SimulatedTick,
    compact,
    read_object,
)


class OkxProtocol:
    """`tickers` of named instruments; `ping` is answered with `pong`."""

    name: Final = "okx"
    markets_path: Final = "/api/v5/public/instruments"
    sends_state: Final = True
    shutdown: Final = compact(
        {
            "event": "notice",
            "code": "64008",
            "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
        }
    )

    def symbol(self, pair: SimulatedPair) -> str:
        """Return BTC-USDT."""
        return f"{pair.base}-{pair.quote}"

    def request(self, text: str) -> ClientRequest:
        """Answer `subscribe` and `ping`. Raises ValueError."""
        if text == "ping":
            return ClientRequest(["pong"])
        message = read_object(text)
        arguments = message.get("args", [])
        answers = [compact({"event": "subscribe", "arg": argument}) for argument in arguments]
        return ClientRequest(answers, frozenset(argument["instId"] for argument in arguments))

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the instrument of a frame with data."""
        message = read_object(text)
        return frozenset({message["arg"]["instId"]} if "data" in message else ())

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return a ticker each."""
        return [
            compact(
                {
                    "arg": {"channel": "tickers", "instId": self.symbol(tick.pair)},
                    "data": [
                        {
                            "instType": "SPOT",
                            "instId": self.symbol(tick.pair),
                            "last": tick.price,
                            "lastSz": tick.size,
                            "vol24h": tick.volume_base,
                            "volCcy24h": tick.volume_quote,
                            "ts": str(tick.at_ns // 1_000_000),
                        }
                    ],
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
                "instId": self.symbol(pair),
                "instType": "SPOT",
                "baseCcy": pair.base,
                "quoteCcy": pair.quote,
                "state": "live" if pair.is_trading else "suspend",
            }
            for pair in pairs
        ]
        return compact({"code": "0", "msg": "", "data": rows}).encode()
