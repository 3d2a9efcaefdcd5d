"""Simulated exchanges beside the providers: they trade the best-known coins of one market."""

import asyncio
import collections
import contextlib
import random
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Final

from aiohttp import web

from kasparro.simulator.market.known import KNOWN_COINS
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.venues.app import create_venues_app
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.protocols.protocol import SimulatedPair, SimulatedTick

PREFIX: Final = "/venues"
QUOTES: Final = ("USD", "USDT")
STEPS_A_SECOND: Final = 4
MOVING: Final = 0.5
"""The share of a venue's markets that trade in a second."""
_SPREAD: Final = 0.0004
"""The standard deviation of a trade's price around the market's, as a share of it."""
_DIGITS: Final = 8


class ExchangesBeside:
    """Exchanges whose prices are those of a market at this second, and a little beside."""

    def __init__(self, market: SimulatedMarket, seed: int = 1) -> None:
        self._market = market
        self._random = random.Random(seed)
        self._numbers = _tradable(market)
        pairs = [
            SimulatedPair(base, quote)
            for base in self._numbers
            for quote in QUOTES
            if base != quote and (quote == "USD" or quote in self._numbers)
        ]
        self.exchanges: Mapping[str, SimulatedExchange] = {
            name: SimulatedExchange(protocol, pairs) for name, protocol in PROTOCOLS.items()
        }
        self._pairs = pairs
        self._trades = collections.Counter[tuple[str, SimulatedPair]]()

    def add_to(self, app: web.Application) -> None:
        """Serve the exchanges below PREFIX, and let them trade while the application runs."""
        app.add_subapp(PREFIX, create_venues_app(self.exchanges))
        app.cleanup_ctx.append(self._trading)

    async def _trading(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._trade())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _trade(self) -> None:
        count = max(1, round(len(self._pairs) * MOVING / STEPS_A_SECOND))
        step = 0
        while True:
            for name, exchange in self.exchanges.items():
                if exchange.clients:
                    exchange.publish_ticks(self._ticks(name, count * exchange.burst))
                    if step % STEPS_A_SECOND == 0:
                        exchange.heartbeat()
            step += 1
            await asyncio.sleep(1 / STEPS_A_SECOND)

    def _ticks(self, venue: str, count: int) -> list[SimulatedTick]:
        now_ns = time.time_ns()
        seconds = now_ns // 10**9
        return [
            self._tick(venue, pair, seconds, now_ns)
            for pair in self._random.choices(self._pairs, k=count)
        ]

    def _tick(self, venue: str, pair: SimulatedPair, seconds: int, now_ns: int) -> SimulatedTick:
        factor = self.exchanges[venue].factor
        number = self._numbers[pair.base]
        usd = self._usd(number, seconds)
        quote = 1.0 if pair.quote == "USD" else self._usd(self._numbers[pair.quote], seconds)
        price = usd / quote * self._random.gauss(1, _SPREAD) * factor
        volume = float(self._market.prices.volume_24h_usd(number, seconds // 3600)) / 100
        self._trades[venue, pair] += 1
        return SimulatedTick(
            pair=pair,
            price=_text(price),
            size=_text(self._random.expovariate(1.0) * 500 / usd),
            volume_base=_text(volume / usd),
            volume_quote=_text(volume / quote),
            number=self._trades[venue, pair],
            at_ns=now_ns,
        )

    def _usd(self, number: int, seconds: int) -> float:
        prices = self._market.prices
        return float(prices.price_usd(number, prices.factor(number, seconds)))


def _tradable(market: SimulatedMarket) -> dict[str, int]:
    """Return the numbers of the best-known coins of a market by symbol."""
    numbers: dict[str, int] = {}
    for number, coin in enumerate(KNOWN_COINS):
        if market.universe.known(number) is not None:
            numbers.setdefault(coin.symbol.upper(), number)
    return numbers


def _text(number: float) -> str:
    return format(Decimal(f"{number:.{_DIGITS}g}"), "f")
