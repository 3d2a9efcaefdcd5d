"""The market itself: seeded, moving on demand, with the recordings' proportions and oddities."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from kasparro.simulator import coingecko_rows, coinpaprika_rows
from kasparro.simulator.market.chance import number_of, word
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import PROVIDERS, Label, Provider, Universe

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
COINS = 10_000


def labels(universe: Universe, provider: Provider) -> list[Label]:
    return [
        universe.label(provider, universe.ranked(provider, rank))
        for rank in range(1, universe.coins + 1)
    ]


def shared_symbols(symbols: list[str]) -> tuple[float, float]:
    """Return the shares of symbols that several rows carry, and of these rows, per row."""
    counted = Counter(symbol.strip().upper() for symbol in symbols)
    shared = [rows for rows in counted.values() if rows > 1]
    return len(shared) / len(symbols), sum(shared) / len(symbols)


def open_market() -> SimulatedMarket:
    return SimulatedMarket(600, seed=7, start=START, step_seconds=60)


def bodies(market: SimulatedMarket) -> tuple[list[bytes], list[bytes]]:
    paprika = [coinpaprika_rows.row(market, number) for number in market.listed("coinpaprika")]
    return paprika, [coingecko_rows.row(market, number) for number in market.gecko_page(1, 600)]


def test_equal_seeds_and_ticks_give_equal_bytes_whatever_the_way_there() -> None:
    stepwise, at_once = open_market(), open_market()
    for _ in range(9):
        stepwise.advance()
    at_once.advance(9)
    assert bodies(stepwise) == bodies(at_once)
    assert bodies(stepwise) != bodies(open_market())
    assert bodies(SimulatedMarket(600, seed=8, start=START)) != bodies(
        SimulatedMarket(600, seed=7, start=START)
    )


@pytest.mark.parametrize("moving", [0.0, 0.25, 1.0])
def test_the_share_of_listings_that_move_at_a_tick_is_the_one_asked_for(moving: float) -> None:
    market = SimulatedMarket(4_000, start=START, moving=moving)
    market.advance(5)
    before = {
        number: coinpaprika_rows.row(market, number) for number in market.listed("coinpaprika")
    }
    market.advance()
    moved = sum(coinpaprika_rows.row(market, number) != row for number, row in before.items())
    always = 59
    assert moved == pytest.approx(always + (4_000 - always) * moving, abs=80)


def test_what_does_not_move_stays_as_it_is_and_what_moves_says_when() -> None:
    market = open_market()
    before = {number: market.quote("coingecko", number) for number in market.listed("coingecko")}
    market.advance(3)
    for number, quote in before.items():
        now = market.quote("coingecko", number)
        assert now == quote or quote.observed_at < now.observed_at <= market.now


@pytest.mark.parametrize(
    ("provider", "symbols", "rows"),
    [("coingecko", 2_401 / 18_939, 6_975 / 18_939), ("coinpaprika", 248 / 3_795, 533 / 3_795)],
)
def test_tickers_are_shared_as_in_the_recordings(
    provider: Provider, symbols: float, rows: float
) -> None:
    found_symbols, found_rows = shared_symbols(
        [label.symbol for label in labels(Universe(COINS, 1), provider)]
    )
    assert found_symbols == pytest.approx(symbols, rel=0.1)
    assert found_rows == pytest.approx(rows, rel=0.1)


def test_the_proportions_above_are_those_of_the_recorded_list(shared_recordings: Path) -> None:
    recorded = shared_recordings / "coingecko-coins-list-2026-02-03T2021.json.gz"
    coins = json.loads(gzip.decompress(recorded.read_bytes()))
    assert shared_symbols([coin["symbol"] for coin in coins]) == pytest.approx(
        (2_401 / 18_939, 6_975 / 18_939)
    )
    universe = Universe(COINS, 1)
    odd = re.compile(r"[^a-z0-9]")
    ours = sum(bool(odd.search(label.symbol)) for label in labels(universe, "coingecko")) / COINS
    assert ours == pytest.approx(
        sum(bool(odd.search(coin["symbol"])) for coin in coins) / len(coins), rel=0.15
    )


def test_the_worst_ticker_is_carried_by_dozens_of_different_assets() -> None:
    counted = Counter(label.symbol for label in labels(Universe(COINS, 1), "coingecko"))
    assert [symbol for symbol, _ in counted.most_common(3)] == ["weth", "usdc", "usdt"]
    assert counted["weth"] > 30


def test_no_made_up_asset_takes_a_real_coins_id_or_ticker() -> None:
    for seed in range(10_000):
        number = number_of(seed, "pepe")
        assert number is not None
        assert word(seed, number) == "pepe"
        if number < 7_200 and number % 17 not in (0, 16):
            break
    universe = Universe(COINS, seed)
    impostor, real = universe.asset(number), universe.find("coingecko", "pepe")
    assert (impostor.gecko and impostor.gecko.symbol) == "pepeq"
    assert real is not None
    assert universe.known(real)
    assert impostor.gecko
    assert universe.find("coingecko", impostor.gecko.external_id) == number


def test_ids_are_unique_and_the_same_assets_are_on_both_lists() -> None:
    universe = Universe(COINS, 1)
    for provider in PROVIDERS:
        assert len({label.external_id for label in labels(universe, provider)}) == COINS
    both = [universe.asset(number) for number in range(universe.size)]
    shared = [(asset.paprika, asset.gecko) for asset in both if asset.paprika and asset.gecko]
    assert len(shared) == COINS * 72 // 100
    assert all(paprika.symbol.upper() == gecko.symbol.upper() for paprika, gecko in shared)
    equal_names = sum(paprika.name == gecko.name for paprika, gecko in shared)
    assert equal_names / len(shared) == pytest.approx(2_396 / 2_857, abs=0.02)


def test_symbols_are_as_odd_as_real_ones() -> None:
    universe = Universe(COINS, 1)
    gecko = {label.symbol for label in labels(universe, "coingecko")}
    assert {
        "neo\u00a0",
        "null",
        "inf",
        "true",
        "1",
        "∅",
        "🟥🟩",
        "usdc.e",
        "$1",
        '"\u3000"',
    } <= gecko
    assert all(symbol == symbol.lower() for symbol in gecko)
    paprika = {label.symbol for label in labels(universe, "coinpaprika")}
    assert {"KCH ", "renBTC", "G-Fi", "ΩPLN"} <= paprika


def test_the_best_known_coins_come_first_with_their_real_names() -> None:
    universe = Universe(COINS, 1)
    bitcoin, _, _, bnb = (universe.asset(number) for number in range(4))
    assert bitcoin.paprika == Label("btc-bitcoin", "BTC", "Bitcoin")
    assert bitcoin.gecko == Label("bitcoin", "btc", "Bitcoin")
    assert bnb.paprika
    assert bnb.gecko
    assert (bnb.paprika.name, bnb.gecko.name) == ("Binance Coin", "BNB")


@pytest.mark.parametrize("coins", [10, 11, 97, 1_234])
def test_every_rank_of_a_list_is_held_by_one_asset_that_knows_it(coins: int) -> None:
    universe = Universe(coins, 1)
    for provider in PROVIDERS:
        numbers = [universe.ranked(provider, rank) for rank in range(1, coins + 1)]
        assert [universe.size_rank(number) for number in numbers] == list(range(1, coins + 1))
        assert len(set(numbers)) == coins


def test_every_asset_is_found_by_its_id() -> None:
    universe = Universe(2_000, 3)
    for provider in PROVIDERS:
        for rank in range(1, universe.coins + 1):
            number = universe.ranked(provider, rank)
            assert universe.find(provider, universe.label(provider, number).external_id) == number
        assert universe.find(provider, "nothing") is None
        assert universe.find(provider, "") is None


def test_the_first_pages_of_a_large_market_are_in_order_without_ordering_all_of_it() -> None:
    market = SimulatedMarket(20_000, start=START)
    first = market.gecko_page(1, 250)
    everything = sorted(
        market.listed("coingecko"), key=lambda number: -(market.gecko_cap_usd(number) or 0)
    )
    assert first == everything[:250]
    assert market.gecko_page(9, 250) == everything[2_000:2_250]
    assert market.gecko_page(80, 250) == everything[-250:]
    assert market.gecko_page(81, 250) == []


def test_coinpaprika_records_are_as_odd_as_recorded_ones() -> None:
    market = SimulatedMarket(COINS, start=START)
    records = [
        json.loads(coinpaprika_rows.row(market, number), parse_float=str, parse_int=str)
        for number in market.listed("coinpaprika")
    ]
    prices = [record["quotes"]["USD"]["price"] for record in records]
    assert "" in prices
    assert min(Decimal(price) for price in prices if price) < Decimal("1e-17")
    assert any(re.fullmatch(r"\d(\.\d+)?e-\d+", price) for price in prices)
    assert any(price.isdigit() for price in prices)
    assert max(len(price.replace(".", "").split("e")[0].lstrip("0")) for price in prices) == 20
    unknown_caps = sum(record["quotes"]["USD"]["market_cap"] == "0" for record in records) / COINS
    assert unknown_caps == pytest.approx(1_540 / 2_892, abs=0.03)
    unlimited = sum(record.get("max_supply") == "0" for record in records) / COINS
    assert unlimited == pytest.approx(2_123 / 2_892, abs=0.03)
    assert sum(int(record["total_supply"]) > 2**53 for record in records) > 12
    assert any(record.get("max_supply") == str(2**63 - 1) for record in records)
    assert any("rank" not in record for record in records)
    assert any(record.get("first_data_at") == "" for record in records)
    long_floats = [
        record for record in records if len(record["quotes"]["USD"]["percent_change_24h"]) > 12
    ]
    assert len(long_floats) == pytest.approx(COINS / 10, rel=0.2)
    assert [int(record["rank"]) for record in records[:50] if "rank" in record] != list(
        range(1, 51)
    )


def test_coingecko_records_are_null_as_often_as_recorded_ones() -> None:
    market = SimulatedMarket(COINS, start=START)
    page = [
        json.loads(coingecko_rows.row(market, number), parse_float=str, parse_int=str)
        for number in market.gecko_page(1, 250)
    ]
    nulls = {key: sum(record[key] is None for record in page) for key in page[0]}
    assert nulls["max_supply"] == pytest.approx(109, abs=20)
    assert nulls["roi"] == pytest.approx(189, abs=20)
    assert nulls["total_supply"] == pytest.approx(12, abs=8)
    assert nulls["current_price"] == nulls["market_cap"] == nulls["last_updated"] == 0
    assert len(page[0]) == 26
    caps = [int(record["market_cap"]) for record in page]
    assert caps == sorted(caps, reverse=True)
    last = [
        json.loads(coingecko_rows.row(market, number), parse_float=str, parse_int=str)
        for number in market.gecko_page(COINS // 250, 250)
    ]
    assert all(record["market_cap"] == "0" and record["market_cap_rank"] is None for record in last)
    assert any(record["price_change_percentage_24h"] is None for record in last)


def test_both_sources_agree_on_an_assets_price_within_a_percent_unless_one_is_stale() -> None:
    market = SimulatedMarket(2_000, start=START)
    market.advance(20)
    stale = 0
    for number in range(market.universe.shared):
        paprika, gecko = market.quote("coinpaprika", number), market.quote("coingecko", number)
        if paprika.observed_at - gecko.observed_at > 3_600:
            stale += 1
            continue
        price = Decimal(paprika.factor * paprika.skew) / Decimal(gecko.factor * gecko.skew)
        assert abs(price - 1) < Decimal("0.01")
    assert 0 < stale < market.universe.shared // 50


@pytest.mark.parametrize(
    ("coins", "moving", "step_seconds"),
    [(9, 0.4, 1), (3_000_000, 0.4, 1), (10, 1.5, 1), (10, 0.4, 0)],
)
def test_a_market_out_of_range_is_refused(coins: int, moving: float, step_seconds: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        SimulatedMarket(coins, moving=moving, step_seconds=step_seconds)
