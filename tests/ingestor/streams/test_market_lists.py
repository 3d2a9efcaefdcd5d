"""The lists of markets: base, quote and state of each pair, as the venue writes them."""

import pytest

from ingestor.sources.errors import SourceMalformedError, SourceUnavailableError
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.protocols.protocol import SimulatedPair
from kasparro.simulator.venues.sessions import read_body
from tests.ingestor.streams.recorded import markets_body, needs_recordings

PAIRS = [SimulatedPair("BTC", "USD"), SimulatedPair("DOGE", "USDT", is_trading=False)]


@needs_recordings
@pytest.mark.parametrize(
    ("venue", "file", "count", "trading", "first"),
    [
        ("binance", "BINANCE.0.exchangeInfo-trimmed.gz", 1655, 1222, ("ETHBTC", "ETH", "BTC")),
        ("coinbase", "COINBASE.0.gz", 162, 162, ("SKL-EUR", "SKL", "EUR")),
        ("bitstamp", "BITSTAMP.0.gz", 140, 140, ("btcusd", "BTC", "USD")),
        ("okx", "OKX.0.spot-instruments-trimmed.gz", 513, 513, ("BTC-USDT", "BTC", "USDT")),
    ],
)
def test_a_recorded_list_is_read_whole(
    venue: str, file: str, count: int, trading: int, first: tuple[str, str, str]
) -> None:
    markets = VENUES[venue].read_markets(read_body(markets_body(file)))
    assert len(markets) == count
    assert sum(market.is_trading for market in markets) == trading
    assert (markets[0].symbol, markets[0].base, markets[0].quote) == first
    assert {market.venue for market in markets} == {venue}


@needs_recordings
def test_kraken_lists_old_codes_and_version_2_has_others() -> None:
    markets = VENUES["kraken"].read_markets(read_body(markets_body("KRAKEN.0.gz")))
    by_symbol = {market.symbol: market for market in markets}
    assert by_symbol["BTC/USD"].base == "BTC"
    assert by_symbol["DOGE/USD"].base == "DOGE"
    assert not [market for market in markets if "XBT" in market.symbol]


@pytest.mark.parametrize("venue", VENUES)
def test_the_list_of_each_venue_names_base_quote_and_state(venue: str) -> None:
    protocol = PROTOCOLS[venue]
    assert VENUES[venue].markets_request()[0].strip("/") == protocol.markets_path.strip("/")
    assert [
        (market.symbol, market.base, market.quote, market.is_trading)
        for market in VENUES[venue].read_markets(protocol.markets(PAIRS))
    ] == [(protocol.symbol(pair), pair.base, pair.quote, pair.is_trading) for pair in PAIRS]


@pytest.mark.parametrize("venue", VENUES)
def test_a_body_that_is_no_list_of_markets_is_malformed(venue: str) -> None:
    with pytest.raises(SourceMalformedError, match=f"{venue} sent no list of markets"):
        VENUES[venue].read_markets(b'{"symbols": 3, "data": 3, "result": 3, "error": 3}')


@pytest.mark.parametrize(
    ("venue", "body"),
    [
        ("kraken", b'{"error":["EGeneral:Temporary lockout"]}'),
        ("okx", b'{"code":"50011","msg":"Too Many Requests","data":[]}'),
        ("bybit", b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}'),
    ],
)
def test_an_error_with_status_200_is_tried_again_later(venue: str, body: bytes) -> None:
    with pytest.raises(SourceUnavailableError):
        VENUES[venue].read_markets(body)
