"""The consensus price of an asset over its markets, with every exclusion explained.

A pure module: no clock, no database. docs/decisions/0063-consensus-price.md has the reasons and
the measurements.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from ingestor.streams.contributions import (
    ConsensusPolicy,
    ConsensusPrice,
    Contribution,
    ContributionReason,
    MarketPrice,
)
from ingestor.streams.records import NANOSECONDS
from ingestor.streams.weighted import cap_weights, weighted_median, weighted_quantile

USD = "USD"


class _Converted(msgspec.Struct):
    """A usable market in USD."""

    market: MarketPrice
    price: Decimal
    volume: Decimal


def quote_rates(
    markets: Iterable[MarketPrice], now_ns: int, policy: ConsensusPolicy | None = None
) -> dict[str, Decimal]:
    """Return the price in USD of every quote that has one by consensus; USD is 1.

    First the quotes with markets in USD, then those with markets in these, and so on: no rate
    depends on itself.
    """
    policy = policy or ConsensusPolicy()
    by_asset = _by_asset(markets)
    quotes = {market.quote for found in by_asset.values() for market in found}
    rates = {USD: Decimal(1)}
    for _ in range(policy.quote_levels):
        level = {
            quote: price
            for quote in quotes - rates.keys()
            if (price := consensus_of(quote, by_asset.get(quote, ()), rates, now_ns, policy).price)
        }
        if not level:
            break
        rates |= level
    return rates


def consensus_of(
    asset: str,
    markets: Sequence[MarketPrice],
    rates: Mapping[str, Decimal],
    now_ns: int,
    policy: ConsensusPolicy | None = None,
) -> ConsensusPrice:
    """Return the consensus of one asset over its markets; `rates` are the quotes in USD."""
    policy = policy or ConsensusPolicy()
    usable: list[_Converted] = []
    contributions: list[Contribution] = []
    for market in markets:
        rate = rates.get(market.quote)
        price = None if rate is None else market.price * rate
        volume = _volume(market, rate, price)
        reason = _exclusion(market, price, volume, now_ns, policy)
        if reason is None and price is not None:
            usable.append(_Converted(market, price, volume))
        else:
            contributions.append(_excluded(market, price, reason))
    agreeing, deviating = _agreeing(usable, policy)
    contributions += [_excluded(found.market, found.price, "DEVIATES") for found in deviating]
    return _decide(asset, agreeing, contributions, policy)


def _by_asset(markets: Iterable[MarketPrice]) -> dict[str, list[MarketPrice]]:
    found = defaultdict[str, list[MarketPrice]](list)
    for market in markets:
        found[market.asset].append(market)
    return dict(found)


def consensus_prices(
    markets: Iterable[MarketPrice], now_ns: int, policy: ConsensusPolicy | None = None
) -> dict[str, ConsensusPrice]:
    """Return the consensus of every asset that has a market."""
    by_asset = _by_asset(markets)
    rates = quote_rates((market for found in by_asset.values() for market in found), now_ns, policy)
    return {
        asset: consensus_of(asset, found, rates, now_ns, policy)
        for asset, found in by_asset.items()
        if asset != USD
    }


def _exclusion(
    market: MarketPrice,
    price: Decimal | None,
    volume: Decimal,
    now_ns: int,
    policy: ConsensusPolicy,
) -> ContributionReason | None:
    if not market.is_mapped:
        return "UNMAPPED"
    if not market.is_trading:
        return "SUSPENDED"
    if now_ns - market.observed_ns > policy.max_age_seconds * NANOSECONDS:
        return "STALE"
    if price is None:
        return "NO_QUOTE"
    return None if volume > 0 else "NO_VOLUME"


def _volume(market: MarketPrice, rate: Decimal | None, price: Decimal | None) -> Decimal:
    """Return the volume of 24 hours in USD, 0 if it is not known."""
    if market.volume_24h_quote is not None and rate is not None:
        return market.volume_24h_quote * rate
    if market.volume_24h_base is not None and price is not None:
        return market.volume_24h_base * price
    return Decimal(0)


def _agreeing(
    usable: Sequence[_Converted], policy: ConsensusPolicy
) -> tuple[list[_Converted], list[_Converted]]:
    """Return the markets near the median of all, and the others."""
    if not usable:
        return [], []
    weights = _venue_weights(usable, policy)
    prices = _venue_prices(usable)
    median = weighted_median([(prices[venue], weights[venue]) for venue in prices])
    near = [found for found in usable if _deviation(found.price, median) <= policy.max_deviation]
    far = [found for found in usable if _deviation(found.price, median) > policy.max_deviation]
    return near, far


def _deviation(price: Decimal, median: Decimal) -> Decimal:
    return abs(price - median) / median


def _venue_prices(usable: Iterable[_Converted]) -> dict[str, Decimal]:
    """Return one price for each venue: the volume-weighted median of its markets."""
    found = defaultdict[str, list[tuple[Decimal, float]]](list)
    for converted in usable:
        found[converted.market.venue].append((converted.price, float(converted.volume)))
    return {venue: weighted_median(prices) for venue, prices in found.items()}


def _raw_weights(usable: Iterable[_Converted]) -> dict[str, float]:
    """Return the logarithm of each venue's volume: a thousand times more is not twice as much."""
    volumes = defaultdict[str, Decimal](Decimal)
    for converted in usable:
        volumes[converted.market.venue] += converted.volume
    return {venue: math.log1p(volume) for venue, volume in volumes.items()}


def _venue_weights(usable: Sequence[_Converted], policy: ConsensusPolicy) -> dict[str, float]:
    """Return the capped weight of each venue; they sum up to 1."""
    raw = _raw_weights(usable)
    capped = cap_weights(raw, max(policy.cap_share, policy.cap_ratio / len(raw)))
    # Two venues have half of the weight each, whatever their volume.
    if len(capped) == 2:  # noqa: PLR2004 - two
        capped = dict.fromkeys(capped, 1.0)
    total = sum(capped.values())
    return {venue: weight / total for venue, weight in capped.items()}


def _decide(
    asset: str,
    agreeing: Sequence[_Converted],
    excluded: Sequence[Contribution],
    policy: ConsensusPolicy,
) -> ConsensusPrice:
    prices = _venue_prices(agreeing)
    if len(prices) < policy.quorum:
        silent = [_excluded(found.market, found.price, None) for found in agreeing]
        return ConsensusPrice(
            asset, None, None, Decimal(0), len(prices), None, (*silent, *excluded)
        )
    weights = _venue_weights(agreeing, policy)
    weighted = [(prices[venue], weights[venue]) for venue in prices]
    median = weighted_median(weighted)
    spread = weighted_quantile(weighted, 0.75) - weighted_quantile(weighted, 0.25)
    used = _used(agreeing, weights, median)
    rest = [_measured(contribution, median) for contribution in excluded]
    return ConsensusPrice(
        asset,
        median,
        spread / 2,
        sum((found.volume for found in agreeing), Decimal(0)),
        len(prices),
        max(found.market.observed_ns for found in agreeing),
        (*used, *rest),
    )


def _used(
    agreeing: Sequence[_Converted], weights: Mapping[str, float], median: Decimal
) -> list[Contribution]:
    """Return the contributions that count: a venue's weight is shared by volume."""
    raw = _raw_weights(agreeing)
    total = sum(raw.values())
    volumes = defaultdict[str, Decimal](Decimal)
    for found in agreeing:
        volumes[found.market.venue] += found.volume
    return [
        Contribution(
            found.market.venue,
            found.market.symbol,
            found.price,
            weights[venue] * float(found.volume / volumes[venue]),
            (found.price - median) / median,
            used=True,
            reason="OVER_WEIGHT" if weights[venue] < raw[venue] / total - 1e-9 else None,
        )
        for found in agreeing
        for venue in (found.market.venue,)
    ]


def _excluded(
    market: MarketPrice, price: Decimal | None, reason: ContributionReason | None
) -> Contribution:
    return Contribution(market.venue, market.symbol, price, 0.0, None, used=False, reason=reason)


def _measured(contribution: Contribution, median: Decimal) -> Contribution:
    if contribution.price_usd is None:
        return contribution
    return msgspec.structs.replace(
        contribution, deviation=(contribution.price_usd - median) / median
    )
