"""The book: assets by price, prices in USD, and a consensus that shows who claims a ticker."""

import datetime
from decimal import Decimal

from db.connect.types import Connection
from ingestor.streams.asset_choice import AssetCandidate
from ingestor.streams.book import CHOOSE_SECONDS, KEEP_SECONDS, BookPage, MarketBook
from ingestor.streams.conflation import MarketKey
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.records import Frame, Tick, VenueMarket

NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
VENUES = ("a", "b", "c", "d")
HOT = [
    AssetCandidate("holo", Decimal("0.0030"), is_owner=True),
    AssetCandidate("hydro", Decimal("0.0100")),
]
CANDIDATES = {
    "HOT": HOT,
    "USDT": [AssetCandidate("tether", Decimal("0.95"), is_owner=True)],
}


def listed(venue: str, *pairs: str) -> list[VenueMarket]:
    split = [(pair, *pair.split("/", 1)) for pair in pairs]
    return [
        VenueMarket(venue, pair, base, quote, "online", is_trading=True)
        for pair, base, quote in split
    ]


def tick(symbol: str, price: str, at_ns: int = NOW_NS) -> Tick:
    return Tick(symbol, Decimal(price), at_ns, volume_24h_quote=Decimal(10**6))


def book() -> MarketBook:
    found = MarketBook()
    found.candidates = CANDIDATES
    for venue in VENUES:
        found.set_list(venue, listed(venue, "USDT/USD", "HOT/USDT"))
    return found


def turn(opened: MarketBook, hot: dict[str, str], now_ns: int = NOW_NS) -> BookPage:
    """Return the page where USDT is 0.95 USD and HOT has these prices in USDT."""
    ticks = [(MarketKey(v, "USDT/USD"), tick("USDT/USD", "0.95", now_ns)) for v in VENUES]
    ticks += [
        (MarketKey(v, "HOT/USDT"), tick("HOT/USDT", price, now_ns)) for v, price in hot.items()
    ]
    return opened.turn(ticks, now_ns)


def test_a_market_gets_its_asset_by_its_price_after_the_quote_is_converted() -> None:
    opened = book()
    prices = {"a": "0.00316", "b": "0.00315", "c": "0.0105", "d": "0.7"}
    page = turn(opened, prices)
    choices = {key.venue: choice for key, choice in page.changed.items() if "HOT" in key.symbol}
    assert {venue: choice.asset for venue, choice in choices.items()} == {
        "a": "holo",
        "b": "holo",
        "c": "hydro",
        "d": None,
    }
    assert page.prices_usd[MarketKey("a", "HOT/USDT")] == Decimal("0.00316") * Decimal("0.95")
    holo, hydro = page.consensus["holo"], page.consensus["hydro"]
    assert holo.price is not None
    assert (holo.venues, hydro.price, hydro.venues) == (2, None, 1)
    # A market whose asset is not decided is shown where its ticker is.
    assert {entry.venue: entry.reason for entry in holo.contributions} == {
        "a": None,
        "b": None,
        "d": "UNMAPPED",
    }


def test_a_choice_stays_for_a_while_and_a_change_is_reported_once() -> None:
    opened = book()
    later_ns = NOW_NS + int(CHOOSE_SECONDS * 10**9)
    assert len(turn(opened, {"a": "0.00316"}).changed) == 5
    assert turn(opened, {"a": "0.0105"}).changed == {}
    assert turn(opened, {"a": "0.0105"}).consensus["holo"].contributions[0].used is False
    changed = turn(opened, {"a": "0.0105"}, later_ns).changed
    assert {key.venue: choice.asset for key, choice in changed.items()} == {"a": "hydro"}


def test_markets_that_move_together_keep_their_asset_until_sources_have_had_their_time() -> None:
    opened = book()
    turn(opened, {"a": "0.00316", "b": "0.00316", "c": "0.00316"})
    now_ns, price = NOW_NS, Decimal("0.00316")
    # 2 % a step, all together: far from what the sources said, near to each other. One leaves.
    for _ in range(6):
        now_ns += int(CHOOSE_SECONDS * 10**9)
        price *= Decimal("1.02")
        prices = {"a": str(price), "b": str(price), "c": "0.00200"}
        changed = (
            turn(opened, prices, now_ns - 10**9).changed | turn(opened, prices, now_ns).changed
        )
        assert {key.venue for key in changed} <= {"c"}
    page = turn(opened, prices, now_ns)
    assert page.consensus["holo"].venues == 2
    assert {one.venue: one.reason for one in page.consensus["holo"].contributions}[
        "c"
    ] == "UNMAPPED"
    # The sources never agree: after a while the ticker alone does not say what these markets trade.
    later_ns = now_ns + int(KEEP_SECONDS * 10**9)
    turn(opened, prices, later_ns)
    assert turn(opened, prices, later_ns + 1).consensus["holo"].price is None


def test_a_label_wins_and_a_market_that_is_no_longer_listed_is_suspended() -> None:
    opened = book()
    opened.labels = {MarketKey("d", "HOT/USDT"): "hydro"}
    opened.set_list("a", listed("a", "USDT/USD"))
    page = turn(opened, dict.fromkeys(VENUES, "0.00316"))
    assert page.changed[MarketKey("d", "HOT/USDT")].asset == "hydro"
    reasons = {entry.venue: entry.reason for entry in page.consensus["holo"].contributions}
    assert reasons == {"a": "SUSPENDED", "b": None, "c": None}


def test_without_a_rate_of_its_quote_a_market_has_no_price_and_no_asset() -> None:
    opened = book()
    key = MarketKey("a", "HOT/USDT")
    page = opened.turn([(key, tick("HOT/USDT", "0.00316"))], NOW_NS)
    assert page.prices_usd == {}
    assert page.changed[key].reason == "no_price"
    unknown = MarketKey("a", "NEW/USD")
    assert opened.turn([(unknown, tick("NEW/USD", "1"))], NOW_NS).prices_usd == {}


async def test_a_batch_writes_prices_in_usd_and_assets(connection: Connection) -> None:
    recorder = MarketRecorder(book=MarketBook())
    recorder.book.candidates = CANDIDATES
    for venue in VENUES:
        recorder.take_list(venue, listed(venue, "USDT/USD", "HOT/USDT"))
        ticks = [tick("USDT/USD", "0.95"), tick("HOT/USDT", "0.00316")]
        recorder.take(Frame(venue, NOW_NS, b"{}", ticks))
    batch = await recorder.flush(connection, NOW)
    assert (batch.markets, batch.unlisted) == (8, 0)
    row = await connection.fetchrow(
        "SELECT price, price_usd, asset, asset_reason FROM markets WHERE symbol = 'HOT/USDT'"
    )
    assert row is not None
    assert tuple(row) == (Decimal("0.00316"), Decimal("0.0030020"), "holo", "owner")
    assert recorder.consensus["holo"].price == Decimal("0.0030020")
