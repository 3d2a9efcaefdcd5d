"""What a client holds is bounded, whatever a venue sends."""

from decimal import Decimal

import msgspec
import pytest

from ingestor.streams.following.outlet import Outlet
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.following.recent import RecentTicks
from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Frame, Gap, StreamEvent, Tick, to_datetime
from ingestor.streams.times import iso_ns

SECOND = 10**9


def tick(at: int, price: int = 1, sequence: int | None = None) -> Tick:
    return Tick("A", Decimal(price), at, sequence=sequence)


def drain(outlet: Outlet) -> list[StreamEvent]:
    events = []
    while (event := outlet.get_nowait()) is not None:
        events.append(event)
    return events


async def test_gaps_that_are_not_taken_become_one_gap_that_covers_them_all() -> None:
    outlet = Outlet("v", StreamPolicy(queued_gaps=3))
    gaps = [Gap("v", "A", n * SECOND, (n + 1) * SECOND, "sequence") for n in range(10)]
    for gap in gaps:
        outlet.put_gap(gap)
    assert drain(outlet) == gaps[:3]
    await outlet.put(Frame("v", 99 * SECOND, b"x", [tick(5 * SECOND)]))
    one, frame = drain(outlet)
    assert isinstance(one, Gap)
    assert (one.symbol, one.reason) == (None, "overload")
    assert (one.from_ns, one.to_ns) == (3 * SECOND, 10 * SECOND)
    assert isinstance(frame, Frame)
    assert outlet.open_gap(0) is None


def test_recent_ticks_are_forgotten_but_the_last_of_a_symbol_is_not() -> None:
    recent = RecentTicks(10)
    assert recent.is_new(Tick("QUIET", Decimal(1), 1))
    assert all(recent.is_new(tick(at)) for at in range(100))
    assert 5 <= len(recent._young) + len(recent._old) <= 10
    assert not recent.is_new(tick(95))
    assert not recent.is_new(Tick("QUIET", Decimal(1), 1))
    assert recent.is_new(Tick("QUIET", Decimal(2), 1))


def test_two_values_of_one_time_are_two_ticks_unless_the_venue_numbers_them() -> None:
    recent = RecentTicks(100)
    assert [recent.is_new(tick(1, price)) for price in (1, 2, 1, 2, 3)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert [recent.is_new(tick(1, price, 7)) for price in (1, 2)] == [True, False]


def test_a_clock_that_stands_still_fills_no_memory() -> None:
    recent = RecentTicks(100)
    for price in range(1_000):
        assert recent.is_new(tick(1, price + 1))
    assert sum(len(same) for same in recent._young.values()) == 16


@pytest.mark.parametrize(
    "text", ["", None, "0", "0.000", "1E-8", "0.00002100", "123456789.123456789012345678"]
)
def test_a_number_is_kept_as_it_is_written(text: str | None) -> None:
    amount = exact_amount(text, "$.v")
    assert amount == (None if text in ("", None) else Decimal(text or ""))
    if amount:
        assert amount.as_tuple() == Decimal(text or "").as_tuple()


@pytest.mark.parametrize("text", ["NaN", "-1", "Infinity", "1e101", "1e-101", "high", "9" * 101])
def test_a_number_out_of_bounds_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"is not a number in bounds - at `\$\.p`"):
        exact_amount(text, "$.p")


def test_a_price_of_zero_is_none() -> None:
    assert exact_price("0.00", "$.p") is None


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-09-01T10:00:00.123456789Z", 1788256800123456789),
        ("2026-09-01T10:00:00.4Z", 1788256800400000000),
        ("2026-09-01T10:00:00Z", 1788256800000000000),
    ],
)
def test_a_time_keeps_every_digit(text: str, nanoseconds: int) -> None:
    assert iso_ns(text) == nanoseconds
    assert to_datetime(nanoseconds).isoformat() == (
        text.removesuffix("Z")[:26].ljust(26 if "." in text else 19, "0") + "+00:00"
    )
    assert tick(nanoseconds).observed_at == to_datetime(nanoseconds)


@pytest.mark.parametrize(
    "text",
    ["2026-09-01T10:00:00", "2026-09-01T10:00:00.+1Z", "12 Aug 2026", "", "2026-13-12T10:00:00Z"],
)
def test_another_form_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        iso_ns(text)
