"""The markets that a consensus reads, its rules, and what it says of each of them."""

from decimal import Decimal
from typing import Literal

import msgspec

ContributionReason = Literal[
    "STALE", "DEVIATES", "NO_VOLUME", "NO_QUOTE", "UNMAPPED", "SUSPENDED", "OVER_WEIGHT"
]
"""Why a market does not count, or counts less: only OVER_WEIGHT is a reason of a used one."""


class MarketPrice(msgspec.Struct, frozen=True):
    """The newest price of a market. `asset` and `quote` are keys of assets, or currency codes.

    `is_mapped` is false if the market only claims to trade the asset.
    """

    venue: str
    symbol: str
    asset: str
    quote: str
    price: Decimal
    observed_ns: int
    volume_24h_base: Decimal | None = None
    volume_24h_quote: Decimal | None = None
    is_trading: bool = True
    is_mapped: bool = True


class ConsensusPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a consensus.

    - `max_age_seconds`: an older price is stale
    - `quorum`: the venues that must agree, within `max_deviation` of the median; two venues that
      differ by more than twice that silence each other
    - `cap_share`: no venue has more of the weight than this, or than `cap_ratio` equal shares if
      there are few
    """

    max_age_seconds: float = 300.0
    quorum: int = 2
    max_deviation: Decimal = Decimal("0.1")
    cap_share: float = 0.1
    cap_ratio: float = 1.35
    quote_levels: int = 4


class Contribution(msgspec.Struct, frozen=True):
    """What one market says, and whether it counts.

    `weight` is its share of all weight. `deviation` is its distance from the consensus as a share,
    None where there is none.
    """

    venue: str
    symbol: str
    price_usd: Decimal | None
    weight: float
    deviation: Decimal | None
    used: bool
    reason: ContributionReason | None


class ConsensusPrice(msgspec.Struct, frozen=True):
    """The consensus of an asset; `price` is None below the quorum.

    `confidence` is half the distance of the weighted quartiles. `observed_ns` is the newest time of
    the markets that count, `volume_24h_usd` their volume.
    """

    asset: str
    price: Decimal | None
    confidence: Decimal | None
    volume_24h_usd: Decimal
    venues: int
    observed_ns: int | None
    contributions: tuple[Contribution, ...]
