"""CoinPaprika's records: field shapes and oddities of the recordings of 2021, 2024 and 2026."""

import struct
from bisect import bisect_right
from decimal import Decimal
from typing import Any, Final

import msgspec

from kasparro.simulator.market.chance import draw, happens
from kasparro.simulator.market.contracts import contracts
from kasparro.simulator.market.digits import go_text, ratio, significant
from kasparro.simulator.market.listing import ExpectedListing, number, whole
from kasparro.simulator.market.market import SimulatedMarket, iso
from kasparro.simulator.market.prices import DAY, HIGHEST_FACTOR, HOUR, ONE

_WINDOWS: Final = (
    ("15m", 15 * 60),
    ("30m", 30 * 60),
    ("1h", HOUR),
    ("6h", 6 * HOUR),
    ("12h", 12 * HOUR),
    ("24h", DAY),
    ("7d", 7 * DAY),
    ("30d", 30 * DAY),
    ("1y", 365 * DAY),
)
_YEAR: Final = 365 * DAY
_SINCE_2013: Final = 1_356_998_400
_BIGGEST_SUPPLY: Final = 2**63 - 1
_BIGGEST_SUPPLY_PLACE: Final = 641
_KNOWN_CAP_RANK: Final = 200

_MISSING, _DROPPED, _SECOND, _HISTORY = range(81, 85)
_DIGITS: Final = (20, 17, 2, 14)
_DIGITS_SHARE: Final = (10, 60, 63)
_DROPPABLE: Final = ("rank", "max_supply", "beta_value", "first_data_at", "circulating_supply")
_FLOAT32: Final = struct.Struct("f")


class CoinPaprikaRow:
    """A record under construction: the body and the expected listing use the same figures."""

    def __init__(self, market: SimulatedMarket, asset: int) -> None:
        self._market = market
        self.quote = market.quote("coinpaprika", asset)
        self.label = market.universe.label("coinpaprika", asset)
        self._base = market.prices.base(asset)
        self.rank = market.universe.size_rank(asset)
        self._oddity = draw(self.quote.chance, _MISSING)
        self.price = (
            "" if self._is_priceless else go_text(significant(self._exact_price(), self._digits()))
        )

    @property
    def _is_known(self) -> bool:
        return self._market.universe.known(self.quote.number) is not None

    @property
    def _is_priceless(self) -> bool:
        return happens(self._oddity, 5, 10_000) and not self._is_known

    def _exact_price(self) -> Decimal:
        return self._market.prices.price_usd(self.quote.number, self.quote.factor, self.quote.skew)

    def _digits(self) -> int:
        """Mostly 14 as in 2021, some 17 as in 2026, and from 2 to 20."""
        return _DIGITS[bisect_right(_DIGITS_SHARE, self.quote.chance % 1_000)]

    @property
    def cap(self) -> int:
        """0 means unknown, as in 53 % of the recorded rows."""
        if self.rank > _KNOWN_CAP_RANK and happens(self.quote.chance, 55) and not self._is_known:
            return 0
        return self._base.market_cap_usd * self.quote.factor // ONE * self.quote.skew // ONE

    @property
    def volume(self) -> str:
        """The volume with 14 significant digits."""
        return go_text(
            significant(
                self._market.prices.volume_24h_usd(self.quote.number, self.quote.observed_at), 14
            )
        )

    def change(self, seconds: int) -> str:
        """Return the change in per cent: two places, or a 32-bit float in one row of ten.

        A young coin has 0 for the year.
        """
        if seconds == _YEAR and happens(self.quote.chance >> 12, 49) and not self._is_known:
            return "0"
        before = self._market.prices.factor(self.quote.number, self.quote.observed_at - seconds)
        change = ratio((self.quote.factor - before) * 100, before, 2)
        if happens(self.quote.chance >> 20, 10) and not self._is_known:
            return go_text(
                Decimal(repr(_FLOAT32.unpack(_FLOAT32.pack(float(change)))[0])).normalize()
            )
        return go_text(change)

    def dropped(self) -> str | None:
        """Return the key that this row lacks, as in some rows of 2026."""
        chance = draw(self.quote.chance, _DROPPED)
        return (
            None
            if self._is_known or not happens(chance, 1, 500)
            else _DROPPABLE[chance // 500 % len(_DROPPABLE)]
        )

    def document(self) -> dict[str, Any]:
        """Return the record with its keys in the provider's order."""
        base, cap = self._base, self.cap
        chance = draw(self.quote.chance, _HISTORY)
        supply = 0 if happens(chance, 37) and not self._is_known else base.supply
        biggest = self.quote.number % 1_000 == _BIGGEST_SUPPLY_PLACE
        document: dict[str, Any] = {
            "id": self.label.external_id,
            "name": self.label.name,
            "symbol": self.label.symbol,
            "rank": self.rank,
            "circulating_supply": whole(base.supply if cap else 0),
            "total_supply": whole(supply),
            "max_supply": whole(
                _BIGGEST_SUPPLY if biggest else base.maximum if self._has_maximum(chance) else 0
            ),
            "beta_value": number(
                go_text(Decimal(chance % 2_000_000 - 400_000).scaleb(-6).normalize())
            ),
            "first_data_at": iso(_SINCE_2013 + chance % (12 * 365) * DAY)
            if not happens(chance, 1, 400)
            else "",
            "last_updated": iso(self.quote.observed_at),
            "quotes": {"USD": self._dollars(cap, chance)},
        }
        if self._market.free_plan:
            del document["circulating_supply"]
        document.pop(self.dropped() or "", None)
        return document

    def _has_maximum(self, chance: int) -> bool:
        return self._is_known or not happens(chance, 73)

    def _dollars(self, cap: int, chance: int) -> dict[str, Any]:
        highest = significant(
            self._base.price_usd
            * HIGHEST_FACTOR
            * (100 + chance % self._base.amplitude)
            / (100 * ONE),
            10,
        )
        dollars: dict[str, Any] = {
            "price": number(self.price) if self.price else "",
            "volume_24h": number(self.volume),
            "volume_24h_change_24h": number(
                go_text(Decimal(chance % 30_000 - 9_900).scaleb(-2).normalize())
            ),
            "market_cap": whole(cap),
            "market_cap_change_24h": number(self.change(DAY) if cap else "0"),
        }
        dollars |= {
            f"percent_change_{name}": number(self.change(seconds)) for name, seconds in _WINDOWS
        }
        below = (
            ratio(
                self.quote.factor * 10_000,
                HIGHEST_FACTOR * (100 + chance % self._base.amplitude),
                2,
            )
            - 100
        )
        has_history = not happens(chance, 1, 2_892)
        dollars["ath_price"] = number(go_text(highest)) if has_history else None
        dollars["ath_date"] = iso(_SINCE_2013 + chance % (400_000_000)) if has_history else None
        dollars["percent_from_price_ath"] = (
            number(go_text(below.normalize())) if has_history else None
        )
        return dollars


def row(market: SimulatedMarket, asset: int) -> bytes:
    """Return the record of `GET /tickers`."""
    return msgspec.json.encode(CoinPaprikaRow(market, asset).document())


def expected_listing(market: SimulatedMarket, asset: int) -> ExpectedListing:
    """Return the listing that this record must become."""
    ticker = CoinPaprikaRow(market, asset)
    return ExpectedListing(
        asset=asset,
        external_id=ticker.label.external_id,
        symbol=ticker.label.symbol,
        name=ticker.label.name,
        rank=None if ticker.dropped() == "rank" else ticker.rank,
        price_usd=ticker.price or None,
        market_cap_usd=str(ticker.cap) if ticker.cap else None,
        volume_24h_usd=ticker.volume,
        percent_change_24h=ticker.change(DAY),
        last_updated=iso(ticker.quote.observed_at),
    )


def coin(market: SimulatedMarket, asset: int) -> dict[str, Any]:
    """Return the record of `GET /coins`."""
    label = market.universe.label("coinpaprika", asset)
    chance = draw(market.universe.seed, asset, _SECOND)
    return {
        "id": label.external_id,
        "name": label.name,
        "symbol": label.symbol,
        "rank": market.universe.size_rank(asset),
        "is_new": happens(chance, 2),
        "is_active": True,
        "type": "coin" if happens(chance >> 8, 30) else "token",
    }


def contracts_on(market: SimulatedMarket, platform: str) -> bytes:
    """Return the body of `GET /contracts/{platform}`."""
    found = [
        {
            "address": contract.address,
            "type": contract.type,
            "id": market.universe.label("coinpaprika", asset).external_id,
            "active": contract.is_active,
        }
        for asset in market.listed("coinpaprika")
        for contract in contracts(market.universe, "coinpaprika", asset)
        if contract.platform == platform
    ]
    return msgspec.json.encode(found)
