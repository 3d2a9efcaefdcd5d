"""The assets, their providers and names: a pure function of (coins, seed).

Each provider lists exactly `coins` assets. Both list the first 72 % (of CoinPaprika's 2021 list
2,522 of 3,795 have an equal name and ticker on CoinGecko and 3,022 an equal ticker), one alone
lists the rest. `tickers.py` decides how many tickers are shared, `names.py` how the names of one
asset differ.
"""

from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from kasparro.simulator.market import names, tickers
from kasparro.simulator.market.known import KNOWN_COINS, KnownCoin

Provider = Literal["coinpaprika", "coingecko"]
PROVIDERS: Final[tuple[Provider, Provider]] = ("coinpaprika", "coingecko")

_SHARED_PERCENT: Final = 72
_CACHED_ASSETS: Final = 65_536
_KNOWN_NUMBERS: Final[dict[tuple[Provider, str], int]] = {
    (provider, external_id): number
    for number, coin in enumerate(KNOWN_COINS)
    for provider, external_id in zip(PROVIDERS, (coin.paprika_id, coin.gecko_id), strict=True)
}


class Label(Struct, frozen=True):
    """One provider's names of an asset; the symbol is in that provider's spelling."""

    external_id: str
    symbol: str
    name: str


class Asset(Struct, frozen=True):
    """An asset and its labels; None for a provider that does not list it."""

    number: int
    paprika: Label | None
    gecko: Label | None


class Universe:
    """All assets of a market, created on demand; only the last few are cached."""

    def __init__(self, coins: int, seed: int) -> None:
        """Create a market in which each provider lists `coins` assets, at least 10."""
        self.coins = coins
        self.seed = seed
        self.shared = coins * _SHARED_PERCENT // 100
        self.size = 2 * coins - self.shared
        self.asset = lru_cache(_CACHED_ASSETS)(self._asset)
        self._tickers = tickers.Tickers(coins, self.shared, seed)

    def ranked(self, provider: Provider, rank: int) -> int:
        """Return the asset of this rank by size, from 1, on a provider's list."""
        head = self.coins // 10
        if rank <= head:
            return rank - 1
        tail, alone = self.coins - head, self.coins - self.shared
        slot = rank - 1 - head
        alone_before = slot * alone // tail
        if (slot + 1) * alone // tail == alone_before:
            return head + slot - alone_before
        return (self.shared if provider == "coinpaprika" else self.coins) + alone_before

    def size_rank(self, number: int) -> int:
        """Return the rank of an asset by size on any list, from 1, unique on a list.

        After the first tenth of a list, the assets on only that list have equal distances
        between the others.
        """
        head = self.coins // 10
        if number < head:
            return number + 1
        tail, alone = self.coins - head, self.coins - self.shared
        if number < self.shared:
            return head + (number - head) * tail // (tail - alone) + 1
        place = (number - self.shared) % alone
        return head - (-(place + 1) * tail // alone)

    def find(self, provider: Provider, external_id: str) -> int | None:
        """Return the asset with this id on a provider's list, or None.

        The id contains the asset's number or its word, except for real coins: no table of a million
        ids is needed.
        """
        for number in (
            _KNOWN_NUMBERS.get((provider, external_id)),
            *names.numbers_in(self.seed, external_id),
        ):
            if number is not None and self._has(provider, number, external_id):
                return number
        return None

    def _has(self, provider: Provider, number: int, external_id: str) -> bool:
        if number >= self.size:
            return False
        asset = self.asset(number)
        label = asset.paprika if provider == "coinpaprika" else asset.gecko
        return label is not None and label.external_id == external_id

    def known(self, number: int) -> KnownCoin | None:
        """Return the real coin of an asset, or None."""
        return KNOWN_COINS[number] if number < min(len(KNOWN_COINS), self.shared) else None

    def label(self, provider: Provider, number: int) -> Label:
        """Return a provider's label of an asset. Raises KeyError if it is not listed."""
        asset = self.asset(number)
        label = asset.paprika if provider == "coinpaprika" else asset.gecko
        if label is None:
            raise KeyError(number)
        return label

    def _asset(self, number: int) -> Asset:
        coin = self.known(number)
        if coin:
            return _known_asset(number, coin)
        ticker = self._tickers.of(number)
        paprika = gecko = None
        if number < self.coins:
            name = names.paprika_name(self.seed, number, alone=number >= self.shared)
            symbol = tickers.as_paprika_writes(self.seed, number, ticker.symbol)
            external_id = f"{names.slug(ticker.symbol)}-{names.slug(name)}"
            paprika = Label(external_id=external_id, symbol=symbol, name=name)
        if number < self.shared or number >= self.coins:
            name = names.gecko_name(self.seed, number, ticker, alone=number >= self.coins)
            external_id = names.slug(name) + (f"-{number}" if ticker.bridged else "")
            gecko = Label(external_id=external_id, symbol=ticker.symbol.lower(), name=name)
        return Asset(number=number, paprika=paprika, gecko=gecko)


def _known_asset(number: int, coin: KnownCoin) -> Asset:
    return Asset(
        number=number,
        paprika=Label(external_id=coin.paprika_id, symbol=coin.symbol, name=coin.paprika_name),
        gecko=Label(external_id=coin.gecko_id, symbol=coin.symbol.lower(), name=coin.gecko_name),
    )
