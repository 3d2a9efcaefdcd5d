"""CoinGecko's records (26 keys of `/coins/markets`, nulls as often as recorded) and charts."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from kasparro.simulator.market.chance import draw, happens
from kasparro.simulator.market.contracts import contracts
from kasparro.simulator.market.digits import EXACT, ratio, rounded, ruby_text, significant
from kasparro.simulator.market.listing import ExpectedListing, number
from kasparro.simulator.market.market import SimulatedMarket, iso
from kasparro.simulator.market.prices import DAY, HIGHEST_FACTOR, HOUR, ONE

_WHOLE_PRICE: Final = 10_000
_TWO_PLACES: Final = Decimal("1.1")
_WHOLE_VOLUME: Final = 100_000
_BIG_RANK: Final = 250
_FIVE_MINUTES: Final = 300
_HOURLY_DAYS: Final = 90
_SINCE_2013: Final = 1_356_998_400
_HISTORY, _ROI = range(91, 93)


def price_text(price: Decimal) -> str:
    """Return the price as CoinGecko rounds it: 23197, 1634.17, 1.002, 0.380587, 1.258e-09."""
    if price >= _WHOLE_PRICE:
        return ruby_text(rounded(price, 0))
    if price >= 1:
        return ruby_text(rounded(price, 2 if price >= _TWO_PLACES else 3))
    return ruby_text(significant(price, 6))


class CoinGeckoRow:
    """A record under construction: the body and the expected listing use the same figures."""

    def __init__(self, market: SimulatedMarket, asset: int) -> None:
        self._market = market
        self.quote = market.quote("coingecko", asset)
        self.label = market.universe.label("coingecko", asset)
        self._base = market.prices.base(asset)
        self._is_known = market.universe.known(asset) is not None
        self._chance = draw(self.quote.chance, _HISTORY)
        self._exact = market.prices.price_usd(asset, self.quote.factor, self.quote.skew)
        self._before = market.prices.factor(asset, self.quote.observed_at - DAY)
        self.price = price_text(self._exact)
        self.cap = market.gecko_cap_usd(asset)
        self.rank = None if self.cap is None else market.universe.size_rank(asset)
        self.volume = self._volume()
        self.milliseconds = self.quote.chance % 1_000

    @property
    def has_day(self) -> bool:
        """Whether the coin has figures of yesterday: 9 of 87 recorded rows have none."""
        return self.rank is not None or happens(self._chance, 50)

    def _volume(self) -> str:
        volume = self._market.prices.volume_24h_usd(self.quote.number, self.quote.observed_at)
        return ruby_text(rounded(volume, 0 if volume >= _WHOLE_VOLUME else 2))

    def change(self) -> str | None:
        """Return the day's change in per cent, five places; None without yesterday's price."""
        if not self.has_day:
            return None
        return ruby_text(
            ratio((self.quote.factor - self._before) * 100, self._before, 5), point=True
        )

    def document(self) -> dict[str, Any]:
        """Return the record with its keys in the provider's order."""
        has_maximum = self._is_known or happens(self._chance, self._percent(60, 24))
        maximum = self._base.maximum if has_maximum else 0
        total = not happens(self._chance >> 8, self._percent(5, 8))
        highest = (
            self._base.price_usd
            * HIGHEST_FACTOR
            * (100 + self._chance % self._base.amplitude)
            / (100 * ONE)
        )
        lowest = self._base.price_usd / (4 + self._chance % 3_000)
        return {
            "id": self.label.external_id,
            "symbol": self.label.symbol,
            "name": self.label.name,
            "image": f"https://coin-images.coingecko.com/coins/images/{self.quote.number}/large/coin.png?1696501400",
            "current_price": number(self.price),
            "market_cap": self.cap or 0,
            "market_cap_rank": self.rank,
            "fully_diluted_valuation": self._diluted(maximum),
            "total_volume": number(self.volume),
            **self._day(),
            "circulating_supply": self._supply(self._base.supply if self.cap else 0),
            "total_supply": self._supply(self._base.supply * (99 + self._chance % 20) // 100)
            if total
            else None,
            "max_supply": number(ruby_text(Decimal(maximum), point=True)) if maximum else None,
            "ath": number(price_text(highest)),
            "ath_change_percentage": self._away(self._exact, highest),
            "ath_date": iso(_SINCE_2013 + self._chance % 400_000_000, self._chance // 7 % 1_000),
            "atl": number(price_text(lowest)),
            "atl_change_percentage": self._away(self._exact, lowest),
            "atl_date": iso(_SINCE_2013 + self._chance % 300_000_000, 0),
            "roi": self._roi(),
            "last_updated": iso(self.quote.observed_at, self.milliseconds),
        }

    def _percent(self, on_the_first_page: int, behind: int) -> int:
        return on_the_first_page if self.rank is not None and self.rank <= _BIG_RANK else behind

    def _diluted(self, maximum: int) -> int | None:
        if not maximum or not self.cap:
            return None
        return self.cap * max(maximum, self._base.supply) // self._base.supply

    def _day(self) -> dict[str, Any]:
        keys = (
            "high_24h", "low_24h", "price_change_24h", "price_change_percentage_24h",
            "market_cap_change_24h", "market_cap_change_percentage_24h",
        )  # fmt: skip
        change = self.change()
        if change is None:
            return dict.fromkeys(keys)
        yesterday = self._market.prices.price_usd(self.quote.number, self._before, self.quote.skew)
        cap = self.cap or 0
        values = (
            price_text(max(self._exact, yesterday) * Decimal("1.01")),
            price_text(min(self._exact, yesterday) * Decimal("0.99")),
            ruby_text(significant(EXACT.subtract(self._exact, yesterday), 16), point=True),
            change,
            str(cap - cap * self._before // self.quote.factor),
            change if cap else "0",
        )
        return dict(zip(keys, map(number, values), strict=True))

    def _supply(self, coins: int) -> msgspec.Raw:
        """Return a float as sent: whole coins with `.0`, one coin of three with a fraction."""
        fraction = (
            Decimal(self._chance % 10**8).scaleb(-8)
            if coins and happens(self._chance, 33)
            else Decimal(0)
        )
        return number(ruby_text(significant(EXACT.add(Decimal(coins), fraction), 17), point=True))

    def _away(self, price: Decimal, extreme: Decimal) -> msgspec.Raw:
        return number(
            ruby_text(rounded(EXACT.divide(price - extreme, extreme) * 100, 5), point=True)
        )

    def _roi(self) -> dict[str, Any] | None:
        chance = draw(self.quote.chance, _ROI)
        if not happens(chance, 25):
            return None
        times = Decimal(chance % 10**17).scaleb(-15) - 1
        currency = ("usd", "btc", "eth")[chance // 4 % 3]
        percentage = number(ruby_text(times * 100, point=True))
        return {
            "times": number(ruby_text(times, point=True)),
            "currency": currency,
            "percentage": percentage,
        }


def row(market: SimulatedMarket, asset: int) -> bytes:
    """Return the record of `GET /coins/markets`."""
    return msgspec.json.encode(CoinGeckoRow(market, asset).document())


def expected_listing(market: SimulatedMarket, asset: int) -> ExpectedListing:
    """Return the listing that this record must become."""
    coin = CoinGeckoRow(market, asset)
    return ExpectedListing(
        asset=asset,
        external_id=coin.label.external_id,
        symbol=coin.label.symbol,
        name=coin.label.name,
        rank=coin.rank,
        price_usd=coin.price,
        market_cap_usd=str(coin.cap) if coin.cap else None,
        volume_24h_usd=coin.volume,
        percent_change_24h=coin.change(),
        last_updated=iso(coin.quote.observed_at, coin.milliseconds),
    )


def chart(market: SimulatedMarket, asset: int, days: int, interval: str | None) -> bytes:
    """Return the body of `GET /coins/{id}/market_chart`.

    Every 5 minutes for one day, hourly up to 90, daily beyond. The last point is the coin's newest
    quote: a chart ends with the price of the list.
    """
    automatic = _FIVE_MINUTES if days == 1 else HOUR if days <= _HOURLY_DAYS else DAY
    seconds = {"hourly": HOUR, "daily": DAY}.get(interval or "", automatic)
    end = market.quote("coingecko", asset).observed_at
    first = (end - days * DAY) // seconds + 1
    times = [*(second * seconds for second in range(first, -(-end // seconds))), end]
    lines: dict[str, list[Any]] = {"prices": [], "market_caps": [], "total_volumes": []}
    for time in times:
        factor = market.prices.factor(asset, time)
        price = market.prices.price_usd(asset, factor, market.prices.skew(asset, "coingecko", time))
        cap = market.prices.base(asset).market_cap_usd * factor // ONE
        volume = market.prices.volume_24h_usd(asset, time)
        for line, value in zip(lines.values(), (price, Decimal(cap), volume), strict=True):
            line.append((time * 1_000, number(ruby_text(significant(value, 17), point=True))))
    return msgspec.json.encode(lines)


def list_entry(market: SimulatedMarket, asset: int) -> dict[str, Any]:
    """Return the record of `GET /coins/list`."""
    label = market.universe.label("coingecko", asset)
    return {"id": label.external_id, "symbol": label.symbol, "name": label.name}


def list_entry_with_platforms(market: SimulatedMarket, asset: int) -> dict[str, Any]:
    """Return the record of `GET /coins/list?include_platform=true`."""
    found = contracts(market.universe, "coingecko", asset)
    platforms = {contract.platform: contract.address for contract in found}
    return list_entry(market, asset) | {"platforms": platforms}
