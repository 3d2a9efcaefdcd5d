"""The price of an asset at any second: integer arithmetic on seeded chance, equal everywhere.

A price is the asset's base price times a factor in millionths: three triangle waves (a year, a
month, a day) and a noise for every second. History, percentages and current prices are one function
at several times.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct

from kasparro.simulator.market.chance import draw
from kasparro.simulator.market.digits import EXACT
from kasparro.simulator.market.universe import Provider, Universe

HOUR: Final = 3_600
DAY: Final = 86_400
ONE: Final = 1_000_000
HIGHEST_FACTOR: Final = 1_600_000

_WAVES: Final = ((365 * DAY, 400_000), (30 * DAY, 150_000), (DAY, 40_000))
_NOISE: Final = 1_000
_DISAGREEMENT: Final = 1_500
_STABLE_SWING: Final = 2
_KNOWN_SWING: Final = 350
_CACHED_BASES: Final = 65_536

_TINIEST: Final = Decimal("3.84e-18")
_TINIEST_PLACE: Final = 977
_EXPONENTS: Final = (
    -10,
    -8,
    -7,
    -6,
    -5,
    -5,
    -4,
    -4,
    -3,
    -3,
    -3,
    -2,
    -2,
    -2,
    -2,
    -1,
    -1,
    -1,
    0,
    0,
    0,
    1,
    1,
    2,
)
"""Powers of ten with the quantiles of the 2021 recording: 2.6e-5, 5.8e-4 ... 1.5, 16."""
_SMALLEST_KNOWN_CAP: Final = 3_000_000_000

_WAVE, _SKEW, _PRICE, _CAP, _VOLUME, _SWING = range(51, 57)


class Base(Struct, frozen=True):
    """The constants of an asset; `swing` is in thousandths of an altcoin's full movement."""

    price_usd: Decimal
    market_cap_usd: int
    volume_24h_usd: int
    supply: int
    maximum: int
    amplitude: int


class Prices:
    """The prices of all assets of a universe."""

    def __init__(self, universe: Universe) -> None:
        """Price this universe with its own seed."""
        self._seed = universe.seed
        self._universe = universe
        self.base = lru_cache(_CACHED_BASES)(self._base)

    def factor(self, number: int, seconds: int) -> int:
        """Return the factor of the base price at this second, in millionths: 0.4 to 1.6 million."""
        chance = draw(self._seed, number, _WAVE)
        drift = draw(self._seed, number, seconds) % (2 * _NOISE + 1) - _NOISE
        for period, height in _WAVES:
            place = (seconds + chance) % period
            drift += abs(2 * place - period) * 2 * height // period - height
            chance >>= 16
        return ONE + drift * self.amplitude(number) // 1_000

    def skew(self, number: int, provider: Provider, seconds: int) -> int:
        """Return a provider's deviation from the market's price, in millionths: up to 1,500."""
        chance = draw(self._seed, number, seconds, _SKEW + (provider == "coingecko"))
        return (
            ONE
            + (chance % (2 * _DISAGREEMENT + 1) - _DISAGREEMENT) * self.amplitude(number) // 1_000
        )

    def price_usd(self, number: int, factor: int, skew: int = ONE) -> Decimal:
        """Return the exact product, unrounded."""
        return EXACT.multiply(self.base(number).price_usd, Decimal(factor * skew).scaleb(-12))

    def volume_24h_usd(self, number: int, seconds: int) -> Decimal:
        """Return 0.7 to 1.3 times the base volume, with more digits than a double holds."""
        chance = draw(self._seed, number, seconds, _VOLUME)
        return Decimal(
            self.base(number).volume_24h_usd * (700_000_000 + chance % 600_000_000)
        ).scaleb(-9)

    def market_cap_usd(self, number: int) -> int:
        """Return the base cap: by the square of the rank, plus or minus a tenth.

        120 million at rank 250, 75,000 at rank 10,000.
        """
        coin = self._universe.known(number)
        if coin:
            return int(coin.price_usd * coin.circulating)
        jitter = 900 + draw(self._seed, number, _CAP) % 200
        return highest_cap_usd(self._universe.size_rank(number)) * jitter // 1_100

    def amplitude(self, number: int) -> int:
        """Return the share of an altcoin's full movement that this asset has, in thousandths."""
        coin = self._universe.known(number)
        if coin:
            return _STABLE_SWING if coin.stable else _KNOWN_SWING
        return 200 + draw(self._seed, number, _SWING) % 800

    def _base(self, number: int) -> Base:
        coin, cap, amplitude = (
            self._universe.known(number),
            self.market_cap_usd(number),
            self.amplitude(number),
        )
        if coin:
            return Base(coin.price_usd, cap, cap // 25, coin.circulating, coin.maximum, amplitude)
        price = self._unknown_price(number)
        chance = draw(self._seed, number, _VOLUME)
        turnover = (chance % 1_000) * ((chance >> 10) % 1_000) // 1_000
        volume = cap * (1 + turnover) // 5_000 + chance % 97
        supply = int(cap / price) or 1
        maximum = supply * (100 + (chance >> 20) % 100) // 100
        return Base(price, cap, volume, supply, maximum, amplitude)

    def _unknown_price(self, number: int) -> Decimal:
        if number % 1_000 == _TINIEST_PLACE:
            return _TINIEST.scaleb(number // 1_000 % 7)
        chance = draw(self._seed, number, _PRICE)
        digits = 10**13 + (chance >> 8) % (9 * 10**13)
        return Decimal(digits).scaleb(_EXPONENTS[chance % len(_EXPONENTS)] - 13)


def highest_cap_usd(rank: int) -> int:
    """Return the highest possible base cap of this rank."""
    return _SMALLEST_KNOWN_CAP * 11 * 50 * 50 // (10 * max(rank, 50) ** 2) + 10
