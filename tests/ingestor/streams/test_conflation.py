"""Conflation: the newest value of a market, bounded however many ticks arrive."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ingestor.streams.conflation import Conflation, MarketKey
from ingestor.streams.records import Frame, Tick

A = MarketKey("kraken", "A/USD")


def tick(price: int, at: int, symbol: str = "A/USD", **rest: object) -> Tick:
    return Tick(symbol, Decimal(price), at, **rest)  # type: ignore[arg-type]  # as the test words it


def test_only_the_newest_tick_of_a_market_is_taken_and_once() -> None:
    conflation = Conflation()
    conflation.add_frame(Frame("kraken", 0, b"", [tick(1, 1), tick(3, 3), tick(2, 2)]))
    assert conflation.take() == {A: tick(3, 3)}
    assert conflation.take() == {}
    assert (conflation.ticks, conflation.late, len(conflation)) == (3, 1, 1)
    conflation.add("kraken", tick(4, 4))
    assert conflation.changed == 1
    assert dict(conflation.newest()) == {A: tick(4, 4)}


def test_at_equal_times_the_number_decides_and_else_the_later_arrival() -> None:
    conflation = Conflation()
    for price, sequence in ((1, 7), (2, 9), (3, 8)):
        conflation.add("kraken", tick(price, 5, sequence=sequence))
    assert conflation.take() == {A: tick(2, 5, sequence=9)}
    conflation.add("kraken", tick(4, 6))
    conflation.add("kraken", tick(5, 6))
    assert conflation.take() == {A: tick(5, 6)}


def test_a_trade_without_volumes_keeps_those_of_the_ticker() -> None:
    conflation = Conflation()
    conflation.add("kraken", tick(1, 1, volume_24h_base=Decimal(9), volume_24h_quote=Decimal(8)))
    conflation.add("kraken", tick(2, 2))
    kept = conflation.take()[A]
    assert kept == tick(2, 2, volume_24h_base=Decimal(9), volume_24h_quote=Decimal(8))


def test_a_ticker_that_is_late_still_brings_its_volumes() -> None:
    """As at Coinbase, which sends each trade at once and a ticker each five seconds."""
    conflation = Conflation()
    conflation.add("kraken", tick(1, 1, volume_24h_base=Decimal(10)))
    conflation.add("kraken", tick(2, 9))
    for price, at, volume in ((3, 7, 30), (4, 5, 20)):
        conflation.add("kraken", tick(price, at, volume_24h_base=Decimal(volume)))
    assert conflation.take() == {A: tick(2, 9, volume_24h_base=Decimal(30))}
    assert conflation.late == 2


def test_what_could_not_be_written_comes_again_unless_newer_ticks_came() -> None:
    conflation = Conflation()
    conflation.add("kraken", tick(1, 1))
    conflation.add("okx", tick(1, 1, "B"))
    failed = conflation.take()
    conflation.add("kraken", tick(2, 2))
    conflation.put_back(failed)
    assert conflation.take() == {A: tick(2, 2), MarketKey("okx", "B"): tick(1, 1, "B")}


def test_markets_beyond_the_most_are_counted_not_kept() -> None:
    conflation = Conflation(max_markets=2)
    for number in range(5):
        conflation.add("kraken", tick(1, number, f"S{number}"))
    conflation.add("kraken", tick(2, 9, "S0"))
    assert (len(conflation), conflation.changed, conflation.refused) == (2, 2, 3)


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 20), st.integers(1, 99))),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_batches_say_what_the_plain_rule_says(
    ticks: list[tuple[str, int, int]], takes: list[int]
) -> None:
    """The plain rule: of all ticks of a symbol the last one with the greatest time."""
    conflation, written = Conflation(), dict[MarketKey, Tick]()
    for place, (symbol, at, price) in enumerate(ticks):
        if place in takes:
            written |= conflation.take()
        conflation.add("v", tick(price, at, symbol))
    written |= conflation.take()
    expected: dict[MarketKey, Tick] = {}
    for symbol, at, price in ticks:
        key = MarketKey("v", symbol)
        if key not in expected or at >= expected[key].observed_ns:
            expected[key] = tick(price, at, symbol)
    assert written == expected
