"""The market: its clock, the last move of each listing, and the delisted ones.

Everything else is a function of these.
"""

import time
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime
from math import gcd
from typing import Final

from msgspec import Struct

from kasparro.simulator.market.chance import draw, happens
from kasparro.simulator.market.known import KNOWN_COINS
from kasparro.simulator.market.prices import DAY, HIGHEST_FACTOR, ONE, Prices, highest_cap_usd
from kasparro.simulator.market.universe import Provider, Universe

DEFAULT_COINS: Final = 10_000
SMALLEST_MARKET: Final = 10
LARGEST_MARKET: Final = 2_000_000
FREE_PLAN_COINS: Final = 2_000

_KNOWN_CAP_RANK: Final = 1_000
_RATE_ONE: Final = 1 << 16
_SPREAD_SECONDS: Final = 50
_STALE_PER_MILLE: Final = 5
_STALEST_DAYS: Final = 20
_SHUFFLE: Final = 7919
_DEPTH: Final = 4
_MOVES, _LAG, _STALE = range(71, 74)


class Quote(Struct, frozen=True):
    """The figures of a listing at its last move; `chance` is a constant of the listing."""

    number: int
    provider: Provider
    observed_at: int
    factor: int
    skew: int
    chance: int


class SimulatedMarket:
    """A seeded market: equal settings and ticks give equal bytes."""

    def __init__(
        self,
        coins: int = DEFAULT_COINS,
        seed: int = 1,
        *,
        start: datetime | None = None,
        step_seconds: int = 1,
        moving: float = 0.4,
        free_plan: bool = False,
    ) -> None:
        """Open a market; its clock starts at `start` and advances `step_seconds` a tick.

        At each tick the share `moving` of the listings moves; the best-known coins always do.
        `free_plan` limits CoinPaprika to the data of its free plan since 2024: 2,000 assets, no
        circulating supply. Raises ValueError for a value out of range.
        """
        if not SMALLEST_MARKET <= coins <= LARGEST_MARKET:
            raise ValueError(f"coins must be between {SMALLEST_MARKET} and {LARGEST_MARKET:,}")
        if not 0 <= moving <= 1:
            raise ValueError("moving must be between 0 and 1")
        if step_seconds < 1:
            raise ValueError("step_seconds must be at least 1")
        self.universe = Universe(coins, seed)
        self.prices = Prices(self.universe)
        self.start = int(start.timestamp() if start else time.time())
        self.step_seconds = step_seconds
        self.free_plan = free_plan
        self.tick = 0
        self.version = 0
        self.delisted: set[tuple[Provider, int]] = set()
        self._order: list[int] = []
        self._is_ordered = False
        self._rate = round(moving * _RATE_ONE)
        self._known = min(len(KNOWN_COINS), self.universe.shared)

    @property
    def now(self) -> int:
        """The market's clock in Unix seconds."""
        return self.start + self.tick * self.step_seconds

    def advance(self, ticks: int = 1) -> None:
        """Advance the clock. Raises ValueError for less than one tick."""
        if ticks < 1:
            raise ValueError("ticks must be at least 1")
        self.tick += ticks
        self._changed()

    def delist(self, provider: Provider, external_id: str) -> bool:
        """Remove a listing from a provider's list; return False for an unknown id."""
        number = self.universe.find(provider, external_id)
        if number is None:
            return False
        self.delisted.add((provider, number))
        self._changed()
        return True

    def relist(self, provider: Provider, external_id: str) -> bool:
        """Restore a delisted listing; return False if it is not delisted."""
        number = self.universe.find(provider, external_id)
        if number is None or (provider, number) not in self.delisted:
            return False
        self.delisted.remove((provider, number))
        self._changed()
        return True

    def find(self, provider: Provider, external_id: str) -> int | None:
        """Return the number of the asset with this id on a provider's list, or None."""
        number = self.universe.find(provider, external_id)
        return None if (provider, number) in self.delisted else number

    def snapshot(self) -> "SimulatedMarket":
        """Return a copy of the market, for a body that takes longer than a tick."""
        still = copy(self)
        still.delisted = set(self.delisted)
        return still

    def listed(self, provider: Provider) -> Iterator[int]:
        """Yield the assets on a provider's list: CoinPaprika's shuffled, CoinGecko's by rank."""
        count = (
            min(FREE_PLAN_COINS, self.universe.coins)
            if self._is_cut(provider)
            else self.universe.coins
        )
        step = next(step for step in range(_SHUFFLE, 2 * _SHUFFLE) if gcd(step, count) == 1)
        for place in range(count):
            rank = place * step % count + 1 if provider == "coinpaprika" else place + 1
            number = self.universe.ranked(provider, rank)
            if (provider, number) not in self.delisted:
                yield number

    def _is_cut(self, provider: Provider) -> bool:
        return self.free_plan and provider == "coinpaprika"

    def gecko_page(self, page: int, per_page: int) -> list[int]:
        """Return the assets of one page of CoinGecko's list, by market cap; empty past the end."""
        if not self._is_ordered and len(self._order) < page * per_page:
            self._order = self._by_market_cap(max(page * per_page, 2 * len(self._order)))
        return self._order[(page - 1) * per_page : page * per_page]

    def quote(self, provider: Provider, number: int) -> Quote:
        """Return the current figures of a listing."""
        observed_at = self._observed_at(provider, number)
        return Quote(
            number=number,
            provider=provider,
            observed_at=observed_at,
            factor=self.prices.factor(number, observed_at),
            skew=self.prices.skew(number, provider, observed_at),
            chance=self._chance(provider, number),
        )

    def gecko_cap_usd(self, number: int) -> int | None:
        """Return CoinGecko's market cap in dollars; None for a quarter of the coins after 1,000."""
        if self.universe.size_rank(number) > _KNOWN_CAP_RANK and happens(
            self._chance("coingecko", number), 25
        ):
            return None
        factor = self.prices.factor(number, self._observed_at("coingecko", number))
        return self.prices.market_cap_usd(number) * factor // ONE

    def _chance(self, provider: Provider, number: int) -> int:
        return draw(self.universe.seed, number, _LAG, provider == "coingecko")

    def _observed_at(self, provider: Provider, number: int) -> int:
        """Return when the listing last moved, by a formula: no history is needed."""
        chance = draw(self.universe.seed, number, _MOVES, provider == "coingecko")
        lag = chance % min(_SPREAD_SECONDS, 2 * self.step_seconds)
        if number < self._known:
            return self.now - lag
        if provider == "coingecko" and happens(
            draw(self.universe.seed, number, _STALE), _STALE_PER_MILLE, 1_000
        ):
            return self.start - DAY - chance % (_STALEST_DAYS * DAY)
        phase = (chance >> 24) % _RATE_ONE
        moves = (self.tick * self._rate + phase) // _RATE_ONE
        last = -(-(moves * _RATE_ONE - phase) // self._rate) if moves else 0
        return self.start + last * self.step_seconds - lag

    def _by_market_cap(self, count: int) -> list[int]:
        """Return the first `count` coins by cap; look only at ranks that can be among them."""
        depth = min(count * _DEPTH, self.universe.coins)
        listed = (self.universe.ranked("coingecko", rank) for rank in range(1, depth + 1))
        caps = [
            (self.gecko_cap_usd(number) or 0, number)
            for number in listed
            if ("coingecko", number) not in self.delisted
        ]
        caps.sort(key=lambda pair: -pair[0])
        self._is_ordered = depth == self.universe.coins
        highest_below = highest_cap_usd(depth + 1) * HIGHEST_FACTOR // ONE
        if not self._is_ordered and (len(caps) < count or caps[count - 1][0] < highest_below):
            return self._by_market_cap(self.universe.coins)
        return [number for _, number in caps[: self.universe.coins if self._is_ordered else count]]

    def _changed(self) -> None:
        self.version += 1
        self._order = []
        self._is_ordered = False


def utc(time: datetime) -> datetime:
    """Return the time in UTC, the default zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def iso(seconds: int, milliseconds: int | None = None) -> str:
    """Return the second as both providers write it: `2026-02-08T13:52:28Z`.

    CoinGecko adds `milliseconds`.
    """
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}Z" if milliseconds is None else f"{text}.{milliseconds:03d}Z"
