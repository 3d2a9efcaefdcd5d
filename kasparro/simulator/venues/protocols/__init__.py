"""How each exchange speaks: subscriptions, frames, and the list of markets."""

from collections.abc import Mapping
from typing import Final

from kasparro.simulator.venues.protocols.binance import BinanceProtocol
from kasparro.simulator.venues.protocols.bitstamp import BitstampProtocol
from kasparro.simulator.venues.protocols.bybit import BybitProtocol
from kasparro.simulator.venues.protocols.coinbase import CoinbaseProtocol
from kasparro.simulator.venues.protocols.kraken import KrakenProtocol
from kasparro.simulator.venues.protocols.okx import OkxProtocol
from kasparro.simulator.venues.protocols.protocol import VenueProtocol

PROTOCOLS: Final[Mapping[str, VenueProtocol]] = {
    protocol.name: protocol
    for protocol in (
        BinanceProtocol(),
        CoinbaseProtocol(),
        KrakenProtocol(),
        OkxProtocol(),
        BybitProtocol(),
        BitstampProtocol(),
    )
}
"""Every protocol by its venue."""
