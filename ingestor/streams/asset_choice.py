"""Which asset a market trades: decided by its price, because tickers are shared.

A pure module. In recorded markets against ETH the owner of a ticker was the wrong asset in 131 of
3,416: HOT is Hydro at one venue, GTC is Game.com at two.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

MAX_DIFFERENCE = Decimal("0.03")
"""How far the price of a market may be from the known price of its asset, as a share of it."""

ChoiceReason = Literal[
    "label", "owner", "rival", "no_candidate", "no_price", "no_agreement", "ambiguous"
]
"""Why a market has its asset, or none.

- `label`: an explicit label names it
- `owner`, `rival`: the ticker's owner agrees in price, or else its only rival that does
- `no_candidate`: no asset has the ticker
- `no_price`: neither the market's price in USD nor that of a candidate is known
- `no_agreement`: no candidate's price is near
- `ambiguous`: several rivals agree, and the owner does not
"""


class AssetCandidate(msgspec.Struct, frozen=True):
    """An asset with the market's ticker; its price is None if it is not known."""

    asset: str
    price_usd: Decimal | None
    is_owner: bool = False


class AssetChoice(msgspec.Struct, frozen=True):
    """The asset of a market, None if it is not mapped; `difference` is that of the prices."""

    asset: str | None
    reason: ChoiceReason
    difference: Decimal | None = None


def choose_asset(
    price_usd: Decimal | None,
    candidates: Sequence[AssetCandidate],
    label: str | None = None,
) -> AssetChoice:
    """Return the asset that a market trades.

    `price_usd` is the market's price with its quote converted, None if the quote has no price.
    A label wins, whatever the prices are.
    """
    if label is not None:
        return AssetChoice(label, "label")
    if not candidates:
        return AssetChoice(None, "no_candidate")
    differences = {
        candidate.asset: abs(price_usd - candidate.price_usd) / candidate.price_usd
        for candidate in candidates
        if price_usd is not None and candidate.price_usd
    }
    if not differences:
        return AssetChoice(None, "no_price")
    agreeing = [
        candidate
        for candidate in candidates
        if differences.get(candidate.asset, MAX_DIFFERENCE + 1) <= MAX_DIFFERENCE
    ]
    owner = next((candidate for candidate in agreeing if candidate.is_owner), None)
    if owner is not None:
        return AssetChoice(owner.asset, "owner", differences[owner.asset])
    if len(agreeing) == 1:
        return AssetChoice(agreeing[0].asset, "rival", differences[agreeing[0].asset])
    reason: ChoiceReason = "ambiguous" if agreeing else "no_agreement"
    return AssetChoice(None, reason, min(differences.values()))
