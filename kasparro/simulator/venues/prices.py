"""A synthetic market: each asset has one price, and each venue trades near it."""

import random
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from kasparro.simulator.venues.protocols.protocol import SimulatedPair, SimulatedTick

_FIRST: Final = {"BTC": 64_000.0, "ETH": 3_100.0, "USDT": 1.0002, "USDC": 0.9999, "EUR": 1.08}
_STEP: Final = 0.0004
"""The standard deviation of a price's step, as a share of the price."""
_SPREAD: Final = 0.0003
_DIGITS: Final = 8


class TickingMarket:
    """Prices that move at each tick; equal seeds give equal prices."""

    def __init__(self, pairs: Sequence[SimulatedPair], seed: int = 1) -> None:
        self.pairs = list(pairs)
        self._random = random.Random(seed)
        names = sorted({code for pair in pairs for code in (pair.base, pair.quote)})
        self.usd = {name: self._first(name) for name in names}
        """The true price of each code in USD."""
        self._numbers = dict.fromkeys(range(len(self.pairs)), 0)
        self._volumes = [self._random.uniform(1e4, 1e8) for _ in self.pairs]

    def _first(self, code: str) -> float:
        return 1.0 if code == "USD" else _FIRST.get(code, 10 ** self._random.uniform(-4, 3))

    def move(self) -> None:
        """Move the price of every asset but the dollar; stablecoins hardly move."""
        for code, price in self.usd.items():
            if code != "USD":
                step = _STEP / 20 if code in {"USDT", "USDC", "EUR"} else _STEP
                self.usd[code] = price * (1 + self._random.gauss(0, step))

    def ticks(
        self, count: int, factor: float = 1.0, at_ns: int | None = None
    ) -> list[SimulatedTick]:
        """Return a tick of some markets, with prices multiplied by `factor`."""
        now_ns = time.time_ns() if at_ns is None else at_ns
        places = self._random.choices(range(len(self.pairs)), k=count)
        return [self._tick(place, factor, now_ns) for place in places]

    def _tick(self, place: int, factor: float, now_ns: int) -> SimulatedTick:
        pair = self.pairs[place]
        price = self.usd[pair.base] / self.usd[pair.quote] * self._random.gauss(1, _SPREAD) * factor
        size = self._random.expovariate(price * self.usd[pair.quote] / 500)
        self._numbers[place] += 1
        self._volumes[place] += size * price
        return SimulatedTick(
            pair=pair,
            price=_text(price),
            size=_text(size),
            volume_base=_text(self._volumes[place] / price),
            volume_quote=_text(self._volumes[place]),
            number=self._numbers[place],
            at_ns=now_ns,
        )


def make_pairs(coins: int, quotes: Sequence[str] = ("USD", "USDT")) -> list[SimulatedPair]:
    """Return the markets of BTC, ETH, the quotes themselves, and of synthetic coins."""
    bases = ["BTC", "ETH", *(f"C{number:04d}" for number in range(max(0, coins - 2)))]
    crossed = [SimulatedPair(quote, "USD") for quote in quotes if quote != "USD"]
    return crossed + [SimulatedPair(base, quote) for base in bases for quote in quotes]


def _text(number: float) -> str:
    return format(Decimal(f"{number:.{_DIGITS}g}"), "f")
