"""Kraken, version 2: tickers with JSON numbers, and a heartbeat a second."""

import json
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

_OLD_CODES: Final = {"XBT": "BTC", "XDG": "DOGE"}


class KrakenProtocol:
    """`ticker` of named pairs; a recording of version 1 is replayed as it is."""

    name: Final = "kraken"
    markets_path: Final = "/0/public/AssetPairs"
    sends_state: Final = True
    shutdown: Final = None

    def symbol(self, pair: SimulatedPair) -> str:
        """Return BTC/USD."""
        return f"{pair.base}/{pair.quote}"

    def request(self, text: str) -> ClientRequest:
        """Answer `subscribe` and `ping`. Raises ValueError."""
        message = read_object(text)
        if message.get("method") != "subscribe":
            return ClientRequest([compact({"method": "pong", "req_id": message.get("req_id")})])
        symbols = message["params"]["symbol"]
        answers = [
            compact(
                {
                    "method": "subscribe",
                    "req_id": message.get("req_id"),
                    "result": {"channel": "ticker", "symbol": symbol, "snapshot": True},
                    "success": True,
                }
            )
            for symbol in symbols
        ]
        return ClientRequest(answers, frozenset(symbols))

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the pairs of a ticker."""
        if text.startswith("["):
            pair = json.loads(text)[-1]
            return frozenset({"/".join(_OLD_CODES.get(code, code) for code in pair.split("/"))})
        message = read_object(text)
        if message.get("channel") != "ticker":
            return frozenset()
        return frozenset(row["symbol"] for row in message["data"])

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return an update each."""
        return [
            '{"channel":"ticker","type":"update","data":[{'
            f'"symbol":"{self.symbol(tick.pair)}","last":{tick.price},'
            f'"volume":{tick.volume_base},"timestamp":"{iso_time(tick.at_ns)}"}}]}}'
            for tick in ticks
        ]

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:  # noqa: ARG002 - the protocol's
        """Return one for everyone."""
        return [("*", '{"channel":"heartbeat"}')]

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return the asset pairs, with the older codes."""
        new_codes = {new: old for old, new in _OLD_CODES.items()}
        rows = {
            f"{pair.base}{pair.quote}": {
                "wsname": "/".join(new_codes.get(code, code) for code in (pair.base, pair.quote)),
                "status": "online" if pair.is_trading else "cancel_only",
            }
            for pair in pairs
        }
        return compact({"error": [], "result": rows}).encode()
