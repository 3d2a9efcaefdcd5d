"""Exact decimal numbers as JSON text, in the format of each provider's programming language."""

from decimal import Context, Decimal
from typing import Final

EXACT: Final = Context(prec=60)
_RUBY_SMALLEST_PLAIN: Final = -4
_RUBY_LARGEST_PLAIN: Final = 15


def significant(number: Decimal, digits: int) -> Decimal:
    """Return the number rounded to `digits` significant digits, without trailing zeros."""
    return Context(prec=digits).plus(number).normalize(EXACT)


def rounded(number: Decimal, places: int) -> Decimal:
    """Return the number rounded to `places` decimal places, without trailing zeros."""
    return number.quantize(Decimal(1).scaleb(-places), context=EXACT).normalize(EXACT)


def ratio(numerator: int, denominator: int, places: int) -> Decimal:
    """Return a quotient rounded to `places` decimal places, without trailing zeros."""
    return rounded(EXACT.divide(Decimal(numerator), Decimal(denominator)), places)


def go_text(number: Decimal) -> str:
    """Return a number as Go's encoding/json writes it: exponents below 1e-6, integers bare."""
    text = str(number)
    if "E+" in text:
        return format(number, "f")
    return text.replace("E", "e") if number else "0"


def ruby_text(number: Decimal, *, point: bool = False) -> str:
    """Return a number as Ruby's Float#to_s writes it: exponents below 1e-4 and from 1e16.

    `point` keeps the `.0` of `21000000.0`.
    """
    if not number:
        return "0.0" if point else "0"
    if _RUBY_SMALLEST_PLAIN <= number.adjusted() <= _RUBY_LARGEST_PLAIN:
        text = format(number, "f")
        return f"{text}.0" if point and "." not in text else text
    mantissa, _, exponent = format(number.normalize(EXACT), "e").partition("e")
    sign, power = ("-" if exponent[0] == "-" else "+"), exponent.lstrip("+-")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign}{power:0>2}"
