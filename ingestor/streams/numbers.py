"""Prices, sizes and volumes of frames: exact, and within the bounds that the database keeps."""

from decimal import Decimal

import msgspec

from ingestor.sources.normalize import MAX_EXPONENT

MAX_CHARACTERS = 100
_LEAST, _MOST = Decimal((0, (1,), -MAX_EXPONENT)), Decimal((0, (1,), MAX_EXPONENT))


def exact_price(text: str | Decimal, path: str) -> Decimal | None:
    """Return a price above 0, exactly as written; None for 0 and for an empty text.

    Raises msgspec.ValidationError for any other text.
    """
    return exact_amount(text, path) or None


def exact_amount(text: str | Decimal | None, path: str) -> Decimal | None:
    """Return a size or a volume from 0 up; None where there is none.

    Raises msgspec.ValidationError.
    """
    if text is None or text == "":
        return None
    number = _finite(text)
    if number is None or (number and not _LEAST <= number <= _MOST):
        raise msgspec.ValidationError(f"{str(text)[:40]!r} is not a number in bounds - at `{path}`")
    return number


def _finite(text: str | Decimal) -> Decimal | None:
    if isinstance(text, str) and len(text) > MAX_CHARACTERS:
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
