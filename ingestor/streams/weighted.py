"""Weighted medians and quartiles, and weights of which none is more than a share of all."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

WeightedPrice = tuple[Decimal, float]
"""A price and its weight, above 0."""
_ROUNDING = 1e-12


def weighted_quantile(prices: Sequence[WeightedPrice], share: float) -> Decimal:
    """Return the price below which lies this share of the weight; of two such prices the mean.

    Raises ValueError without a price.
    """
    if not prices:
        raise ValueError("no price")
    ordered = sorted(prices)
    total = sum(weight for _, weight in ordered)
    target, passed = share * total, 0.0
    for place, (price, weight) in enumerate(ordered):
        passed += weight
        if place + 1 < len(ordered) and abs(passed - target) <= _ROUNDING * total:
            return (price + ordered[place + 1][0]) / 2
        if passed >= target:
            return price
    return ordered[-1][0]


def weighted_median(prices: Sequence[WeightedPrice]) -> Decimal:
    """Return the price with half of the weight on each side. Raises ValueError without a price."""
    return weighted_quantile(prices, 0.5)


def cap_weights(weights: Mapping[str, float], share: float) -> dict[str, float]:
    """Return the weights, the greatest lowered so that none is above `share` of their sum.

    Equal weights if there are too few for that.
    """
    if len(weights) * share <= 1:
        return dict.fromkeys(weights, 1.0)
    ordered = sorted(weights.values(), reverse=True)
    for count, weight in enumerate(ordered):
        # Summed each time: a subtraction of great weights would round small ones away.
        rest = math.fsum(ordered[count:])
        # With `count` weights at the cap c: c = share * (count * c + rest).
        cap = share * rest / (1 - share * count) if share * count < 1 else ordered[-1]
        if weight <= cap:
            return {name: min(value, cap) for name, value in weights.items()}
    return dict.fromkeys(weights, 1.0)
