"""The consensus price: robust on a recorded minute, explained market by market."""

import collections
import itertools
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestor.streams.consensus import consensus_of, consensus_prices, quote_rates
from ingestor.streams.contributions import ConsensusPolicy, ConsensusPrice, MarketPrice
from ingestor.streams.weighted import cap_weights, weighted_median, weighted_quantile
from tests.ingestor.streams.eth_markets import ETH, NOW_NS, eth_markets, provider_price
from tests.ingestor.streams.recorded import needs_recordings

RATES = {"USD": Decimal(1)}
# The recording is of several minutes.
RECORDED_MINUTE = ConsensusPolicy(max_age_seconds=900)
SECOND = 10**9


def market(
    venue: str,
    price: str,
    *,
    asset: str = "btc",
    quote: str = "USD",
    volume: str | None = "1000000",
    age: float = 1,
    is_trading: bool = True,
    is_mapped: bool = True,
) -> MarketPrice:
    return MarketPrice(
        venue,
        f"{asset}/{quote}",
        asset,
        quote,
        Decimal(price),
        NOW_NS - int(age * SECOND),
        volume_24h_quote=None if volume is None else Decimal(volume),
        is_trading=is_trading,
        is_mapped=is_mapped,
    )


def recorded(markets: list[MarketPrice]) -> ConsensusPrice:
    return consensus_of(ETH, markets, RATES, NOW_NS, RECORDED_MINUTE)


def priced(consensus: ConsensusPrice) -> Decimal:
    assert consensus.price is not None
    return consensus.price


def change(consensus: ConsensusPrice, before: ConsensusPrice) -> Decimal:
    return abs(priced(consensus) / priced(before) - 1)


def volumes(markets: list[MarketPrice]) -> collections.Counter[str]:
    found = collections.Counter[str]()
    for one in markets:
        found[one.venue] += int(one.volume_24h_quote or 0)
    return found


def with_prices(markets: list[MarketPrice], venues: set[str], factor: int) -> list[MarketPrice]:
    return [
        msgspec.structs.replace(one, price=one.price * factor) if one.venue in venues else one
        for one in markets
    ]


@needs_recordings
def test_a_recorded_minute_gives_the_providers_own_price() -> None:
    consensus = recorded(eth_markets())
    assert abs(priced(consensus) / provider_price() - 1) < Decimal("0.001")
    assert consensus.venues > 150
    assert consensus.confidence is not None
    assert consensus.confidence < priced(consensus) / 100


@needs_recordings
@pytest.mark.parametrize(("share", "most"), [("0.1", "0.002"), ("0.2", "0.01")])
def test_lies_of_the_greatest_venues_hardly_move_it(share: str, most: str) -> None:
    markets = eth_markets()
    ranked = [venue for venue, _ in volumes(markets).most_common()]
    liars = set(ranked[: round(len(ranked) * float(share))])
    assert len(liars) >= 20
    moved = recorded(with_prices(markets, liars, 10))
    assert change(moved, recorded(markets)) < Decimal(most)
    reasons = {entry.reason for entry in moved.contributions if entry.venue in liars}
    assert reasons <= {"DEVIATES", "NO_VOLUME", "STALE"}


@needs_recordings
def test_even_without_the_exclusion_of_deviating_prices_ten_percent_of_liars_fail() -> None:
    markets = eth_markets()
    liars = {venue for venue, _ in volumes(markets).most_common(20)}
    policy = msgspec.structs.replace(RECORDED_MINUTE, max_deviation=Decimal(10**9))
    moved = consensus_of(ETH, with_prices(markets, liars, 10), RATES, NOW_NS, policy)
    assert change(moved, recorded(markets)) < Decimal("0.002")


@needs_recordings
def test_the_volume_of_no_venue_times_a_thousand_moves_it() -> None:
    markets = eth_markets()
    before = recorded(markets)
    for venue in volumes(markets):
        inflated = [
            msgspec.structs.replace(one, volume_24h_quote=(one.volume_24h_quote or 0) * 1000)
            if one.venue == venue
            else one
            for one in markets
        ]
        assert recorded(inflated).price == before.price, venue


@needs_recordings
def test_one_liar_among_the_three_greatest_recorded_venues_moves_nothing() -> None:
    markets = eth_markets()
    before = recorded(markets)
    # One of the greatest is 5 % off by itself: with it there would be two liars.
    deviating = {
        one.venue
        for one in before.contributions
        if abs(one.deviation or Decimal(1)) > Decimal("0.005")
    }
    ranked = [v for v, _ in volumes(markets).most_common() if v not in deviating]
    three = [one for one in markets if one.venue in set(ranked[:3])]
    honest = recorded(three)
    assert honest.venues == 3
    for liar, factor in itertools.product(ranked[:3], (10, 1000)):
        moved = recorded(with_prices(three, {liar}, factor))
        assert moved.venues == 2
        assert change(moved, honest) < Decimal("0.001")


@given(st.permutations(["a", "b", "c"]), st.sampled_from(["1000", "10", "999.99"]))
def test_one_of_three_that_lies_is_named_and_changes_no_digit(venues: list[str], lie: str) -> None:
    liar, *honest = venues
    markets = [market(venue, "100.5", volume="5000000") for venue in honest]
    markets.append(market(liar, lie, volume="900000000"))
    consensus = consensus_of("btc", markets, RATES, NOW_NS)
    assert consensus.price == Decimal("100.5")
    assert {c.venue: (c.used, c.reason) for c in consensus.contributions}[liar] == (
        False,
        "DEVIATES",
    )


def test_two_venues_that_contradict_each_other_have_no_consensus() -> None:
    consensus = consensus_of("btc", [market("a", "100"), market("b", "1000")], RATES, NOW_NS)
    assert (consensus.price, consensus.venues) == (None, 0)
    assert {entry.reason for entry in consensus.contributions} == {"DEVIATES"}


def test_one_venue_is_below_the_quorum_however_many_markets_it_has() -> None:
    markets = [market("a", "100"), market("a", "101"), market("a", "102")]
    consensus = consensus_of("btc", markets, RATES, NOW_NS)
    assert (consensus.price, consensus.confidence, consensus.venues) == (None, None, 1)
    assert [entry.used for entry in consensus.contributions] == [False] * 3


def test_a_venue_has_one_vote_however_many_markets_it_has() -> None:
    many = [market("a", "110", volume="1000") for _ in range(20)]
    consensus = consensus_of(
        "btc", [*many, market("b", "100"), market("c", "100.2")], RATES, NOW_NS
    )
    assert consensus.price == Decimal("100.2")


def test_every_exclusion_has_its_reason() -> None:
    cases = {
        "stale": (market("stale", "100", age=301), "STALE"),
        "far": (market("far", "150"), "DEVIATES"),
        "unknown": (market("unknown", "100", volume=None), "NO_VOLUME"),
        "empty": (market("empty", "100", volume="0"), "NO_VOLUME"),
        "krw": (market("krw", "100", quote="KRW"), "NO_QUOTE"),
        "claims": (market("claims", "100", is_mapped=False), "UNMAPPED"),
        "halted": (market("halted", "100", is_trading=False), "SUSPENDED"),
        **{name: (market(name, "100"), None) for name in ("x", "y", "z", "w")},
    }
    consensus = consensus_of("btc", [one for one, _ in cases.values()], RATES, NOW_NS)
    assert consensus.price == 100
    assert {entry.venue: entry.reason for entry in consensus.contributions} == {
        name: reason for name, (_, reason) in cases.items()
    }
    deviations = {entry.venue: entry.deviation for entry in consensus.contributions}
    assert deviations["far"] == Decimal("0.5")
    assert deviations["krw"] is None
    assert sum(entry.weight for entry in consensus.contributions) == pytest.approx(1)
    assert consensus.volume_24h_usd == 4_000_000


def test_a_weight_that_is_cut_is_named_and_still_counts() -> None:
    markets = [market(f"v{n}", "100", volume="2") for n in range(20)]
    markets.append(market("giant", "100", volume="1e30"))
    consensus = consensus_of("btc", markets, RATES, NOW_NS)
    giant = next(entry for entry in consensus.contributions if entry.venue == "giant")
    assert (giant.used, giant.reason) == (True, "OVER_WEIGHT")
    assert giant.weight == pytest.approx(0.1)
    assert [e.reason for e in consensus.contributions if e.venue != "giant"] == [None] * 20


def test_quotes_are_converted_by_their_own_consensus_not_taken_for_a_dollar() -> None:
    markets = [
        *(market(v, "0.90", asset="usdt") for v in ("a", "b", "c")),
        *(market(v, "100", quote="usdt") for v in ("d", "e", "f")),
        *(market(v, "0.5", asset="alt", quote="btc") for v in ("a", "d", "e")),
    ]
    prices = consensus_prices(markets, NOW_NS)
    assert {asset: found.price for asset, found in prices.items()} == {
        "usdt": Decimal("0.90"),
        "btc": Decimal("90.00"),
        "alt": Decimal("45.000"),
    }


def test_a_quote_without_a_quorum_converts_nothing() -> None:
    markets = [market("a", "0.90", asset="usdt"), market("d", "100", quote="usdt")]
    assert quote_rates(markets, NOW_NS) == RATES
    found = consensus_prices(markets, NOW_NS)["btc"]
    assert [entry.reason for entry in found.contributions] == ["NO_QUOTE"]


def test_two_quotes_that_only_name_each_other_have_no_price() -> None:
    markets = [
        *(market(v, "2", asset="x", quote="y") for v in ("a", "b")),
        *(market(v, "0.5", asset="y", quote="x") for v in ("a", "b")),
    ]
    assert quote_rates(markets, NOW_NS) == RATES


PRICES = st.lists(
    st.tuples(st.decimals("0.01", "1000000", places=4), st.floats(0.01, 1e6, allow_nan=False)),
    min_size=1,
    max_size=30,
)


@given(PRICES, st.sampled_from([0.25, 0.5, 0.75]))
def test_a_weighted_quantile_leaves_no_more_than_its_share_below(
    prices: list[tuple[Decimal, float]], share: float
) -> None:
    found = weighted_quantile(prices, share)
    total = sum(weight for _, weight in prices)
    below = sum(weight for price, weight in prices if price < found)
    above = sum(weight for price, weight in prices if price > found)
    assert below <= share * total * (1 + 1e-9)
    assert above <= (1 - share) * total * (1 + 1e-9)
    assert min(prices)[0] <= found <= max(prices)[0]


def test_equal_halves_meet_in_the_middle() -> None:
    assert weighted_median([(Decimal(1), 2.0), (Decimal(2), 2.0)]) == Decimal("1.5")


@given(
    st.dictionaries(st.text(min_size=1), st.floats(1e-3, 1e9), min_size=1, max_size=40),
    st.floats(0.02, 0.9),
)
@example({"a": 1.0, "b": 73741823.85, "c": 1e9, "d": 0.00390625}, 0.3125)
def test_capped_weights_leave_none_above_its_share_and_keep_the_order(
    weights: dict[str, float], share: float
) -> None:
    capped = cap_weights(weights, share)
    total = sum(capped.values())
    most = max(share, 1 / len(weights))
    assert all(weight <= most * total * (1 + 1e-6) for weight in capped.values())
    ordered = sorted(weights, key=lambda name: weights[name])
    assert [capped[name] for name in ordered] == sorted(capped.values())


@given(
    st.lists(st.decimals("90", "110", places=2), min_size=3, max_size=12),
    st.lists(st.decimals("0.01", "100000", places=2), max_size=5),
)
def test_fewer_liars_than_a_third_cannot_leave_the_honest_prices(
    honest: list[Decimal], lies: list[Decimal]
) -> None:
    lies = lies[: (len(honest) - 1) // 3]
    markets = [market(f"h{n}", str(price)) for n, price in enumerate(honest)]
    markets += [market(f"l{n}", str(price)) for n, price in enumerate(lies)]
    consensus = consensus_of("btc", markets, RATES, NOW_NS)
    if consensus.price is not None:
        assert min(honest) <= consensus.price <= max(honest)
