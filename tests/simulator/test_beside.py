"""Exchanges beside the providers: they trade the coins of one market near its prices."""

import asyncio

from ingestor.streams.following.client import StreamClient
from ingestor.streams.records import Frame
from ingestor.streams.venues import VENUES
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.known import KNOWN_COINS
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.venues.beside import PREFIX, ExchangesBeside
from tests.ingestor.streams.streaming import QUICK, QuickVenue


async def test_an_exchange_trades_the_known_coins_at_the_prices_of_the_market() -> None:
    market = SimulatedMarket(600, seed=7)
    app = create_app(market)
    beside = ExchangesBeside(market)
    beside.add_to(app)
    known = {coin.symbol.upper(): float(coin.price_usd) for coin in KNOWN_COINS}
    async with serving(app) as address:
        url = address.root.replace("http", "ws") + f"{PREFIX}/kraken/ws"
        exchange = beside.exchanges["kraken"]
        body = exchange.protocol.markets(exchange.pairs)
        markets = {market.symbol: market for market in VENUES["kraken"].read_markets(body)}
        found: dict[str, float] = {}
        async with StreamClient(
            QuickVenue("kraken"), list(markets), url=url, policy=QUICK
        ) as client:
            async with asyncio.timeout(30):
                async for event in client:
                    assert isinstance(event, Frame)
                    for tick in event.ticks:
                        if markets[tick.symbol].quote == "USD":
                            found[markets[tick.symbol].base] = float(tick.price)
                    if len(found) > len(known) / 2:
                        break
    # A market's prices are 0.4 to 1.6 times those that it starts from.
    assert all(0.3 < price / known[base] < 1.8 for base, price in found.items())
