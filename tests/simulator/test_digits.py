"""Numbers are written exactly, each provider in its own hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.simulator.market.digits import go_text, rounded, ruby_text, significant

numbers = st.decimals(
    allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15
)


@pytest.mark.parametrize(
    ("number", "go", "ruby"),
    [
        ("3.6378326076E-10", "3.6378326076e-10", "3.6378326076e-10"),
        ("3.84E-18", "3.84e-18", "3.84e-18"),
        ("0.0000869", "0.0000869", "8.69e-05"),
        ("0.0001", "0.0001", "0.0001"),
        ("-4.00", "-4", "-4"),
        ("1.9E+2", "190", "190"),
        ("0", "0", "0"),
        ("1E+17", "100000000000000000", "1.0e+17"),
    ],
)
def test_numbers_are_written_as_recorded(number: str, go: str, ruby: str) -> None:
    assert go_text(Decimal(number).normalize()) == go
    assert ruby_text(Decimal(number).normalize()) == ruby


def test_a_ruby_float_keeps_its_point() -> None:
    assert ruby_text(Decimal(21_000_000), point=True) == "21000000.0"
    assert ruby_text(Decimal(0), point=True) == "0.0"


@given(numbers)
def test_no_digit_is_lost_in_writing(number: Decimal) -> None:
    assert Decimal(go_text(number.normalize())) == number
    assert Decimal(ruby_text(number.normalize(), point=True)) == number


@given(numbers, st.integers(1, 20))
def test_rounding_is_within_half_a_unit(number: Decimal, digits: int) -> None:
    assert abs(rounded(number, 2) - number) <= Decimal("0.005")
    if number:
        assert abs(significant(number, digits) - number) <= Decimal(5).scaleb(
            number.adjusted() - digits
        )
