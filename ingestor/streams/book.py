"""The book of all markets: their prices in USD, their assets, and the consensus of each asset."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from common.tickers import to_ticker
from ingestor.streams.asset_choice import MAX_DIFFERENCE, AssetCandidate, AssetChoice, choose_asset
from ingestor.streams.conflation import MarketKey
from ingestor.streams.consensus import consensus_of, quote_rates
from ingestor.streams.contributions import ConsensusPolicy, ConsensusPrice, MarketPrice
from ingestor.streams.records import NANOSECONDS, Tick, VenueMarket

CHOOSE_SECONDS = 60.0
"""How long the asset of a market stays before its price is looked at again."""
RETRY_SECONDS = 5.0
"""The same for a market without an asset: prices and candidates arrive one after another."""

KEEP_SECONDS = 900.0
"""How long a market keeps its asset by agreeing with the asset's consensus alone.

In a fast move every market leaves the prices of the polls, which are some minutes old.
"""


class BookPage(msgspec.Struct, frozen=True):
    """The book at one moment: prices in USD, the choices that changed, the consensus prices."""

    prices_usd: dict[MarketKey, Decimal]
    changed: dict[MarketKey, AssetChoice]
    consensus: dict[str, ConsensusPrice]


class MarketBook:
    """Decides which asset each market trades, and computes the consensus of every asset.

    `candidates` are the known assets of a ticker with their prices, the owner first. Labels are by
    market, None for one that counts for nothing. A market without an asset counts as a claim on the
    owner of its ticker, so that it is shown there as UNMAPPED.
    """

    def __init__(self, policy: ConsensusPolicy | None = None) -> None:
        self._policy = policy or ConsensusPolicy()
        self._markets: dict[MarketKey, VenueMarket] = {}
        self._tickers: dict[MarketKey, str] = {}
        self._choices: dict[MarketKey, AssetChoice] = {}
        self._chosen_ns: dict[MarketKey, int] = {}
        self._agreed_ns: dict[MarketKey, int] = {}
        self._last: dict[str, ConsensusPrice] = {}
        self.candidates: Mapping[str, Sequence[AssetCandidate]] = {}
        self.labels: Mapping[MarketKey, str | None] = {}

    @property
    def tickers(self) -> set[str]:
        """The tickers of all bases."""
        return set(self._tickers.values())

    @property
    def choices(self) -> Collection[AssetChoice]:
        """The choice of each market that has had a price."""
        return self._choices.values()

    @property
    def venues(self) -> set[str]:
        """The venues with a list."""
        return {key.venue for key in self._markets}

    def set_list(self, venue: str, markets: Iterable[VenueMarket]) -> None:
        """Take the newest list of a venue's markets; those that it drops trade no more."""
        listed = {MarketKey(venue, market.symbol): market for market in markets}
        for key, market in self._markets.items():
            if key.venue == venue and key not in listed:
                listed[key] = msgspec.structs.replace(market, is_trading=False)
        self._markets |= listed
        self._tickers |= {key: to_ticker(market.base) for key, market in listed.items()}

    def turn(self, ticks: Iterable[tuple[MarketKey, Tick]], now_ns: int) -> BookPage:
        """Return the page of the newest ticks of all markets.

        A quote is converted by the consensus of its code over all venues: few codes are quotes, and
        a venue that means another asset by one is outvoted.
        """
        found = [(key, tick) for key, tick in ticks if key in self._markets]
        rates = quote_rates(
            (self._row(key, tick, self._tickers[key], is_mapped=True) for key, tick in found),
            now_ns,
            self._policy,
        )
        prices = {
            key: tick.price * rate
            for key, tick in found
            if (rate := rates.get(to_ticker(self._markets[key].quote))) is not None
        }
        changed = self._choose(prices, [key for key, _ in found], now_ns)
        self._last = self._consensus(found, rates, now_ns)
        return BookPage(prices, changed, self._last)

    def _row(self, key: MarketKey, tick: Tick, asset: str, *, is_mapped: bool) -> MarketPrice:
        market = self._markets[key]
        return MarketPrice(
            key.venue,
            key.symbol,
            asset,
            to_ticker(market.quote),
            tick.price,
            tick.observed_ns,
            tick.volume_24h_base,
            tick.volume_24h_quote,
            market.is_trading,
            is_mapped,
        )

    def _choose(
        self, prices: Mapping[MarketKey, Decimal], keys: Sequence[MarketKey], now_ns: int
    ) -> dict[MarketKey, AssetChoice]:
        """Choose again where it is time to; return the choices that are others than before."""
        changed = {}
        for key in keys:
            before = self._choices.get(key)
            if before is not None:
                seconds = RETRY_SECONDS if before.asset is None else CHOOSE_SECONDS
                if now_ns - self._chosen_ns[key] < seconds * NANOSECONDS:
                    continue
            candidates = self.candidates.get(self._tickers[key], ())
            if self.labels.get(key, "") is None:
                choice = AssetChoice(None, "label")
            else:
                choice = choose_asset(prices.get(key), candidates, self.labels.get(key))
            if choice.asset is not None:
                self._agreed_ns[key] = now_ns
            elif before is not None and self._moves_along(key, before, prices.get(key), now_ns):
                choice = before
            if before is None or (before.asset, before.reason) != (choice.asset, choice.reason):
                changed[key] = choice
            self._choices[key] = choice
            self._chosen_ns[key] = now_ns
        return changed

    def _moves_along(
        self, key: MarketKey, before: AssetChoice, price: Decimal | None, now_ns: int
    ) -> bool:
        """Return whether a market still agrees with the other markets of its asset."""
        candidates = self.candidates.get(self._tickers[key], ())
        if price is None or before.asset not in {one.asset for one in candidates}:
            return False
        if now_ns - self._agreed_ns.get(key, 0) > KEEP_SECONDS * NANOSECONDS:
            return False
        last = self._last.get(before.asset or "")
        if last is None or last.price is None or key in self.labels:
            return False
        return abs(price - last.price) <= MAX_DIFFERENCE * last.price

    def _consensus(
        self,
        found: Sequence[tuple[MarketKey, Tick]],
        rates: Mapping[str, Decimal],
        now_ns: int,
    ) -> dict[str, ConsensusPrice]:
        by_asset: dict[str, list[MarketPrice]] = {}
        for key, tick in found:
            choice = self._choices[key]
            asset = choice.asset or self._owner(key)
            if asset is not None:
                row = self._row(key, tick, asset, is_mapped=choice.asset is not None)
                by_asset.setdefault(asset, []).append(row)
        return {
            asset: consensus_of(asset, rows, rates, now_ns, self._policy)
            for asset, rows in by_asset.items()
        }

    def _owner(self, key: MarketKey) -> str | None:
        candidates = self.candidates.get(self._tickers[key], ())
        return next((one.asset for one in candidates if one.is_owner), None)
