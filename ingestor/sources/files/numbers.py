"""Numbers in cells: signs, currencies, groups, decimal commas, scales, and missing values."""

import enum
import re
from decimal import Decimal

from ingestor.sources.records import RecordError

__all__ = [
    "CurrencyError",
    "Mark",
    "infer_mark",
    "infer_marks",
    "is_missing",
    "plain_number",
    "read_cell",
    "shift_point",
]


class Mark(enum.Enum):
    """What the comma and the point mean in the numbers of a column."""

    POINT = "."
    """The point is the decimal mark; a comma separates groups of digits."""
    COMMA = ","
    """The comma is the decimal mark; a point separates groups of digits."""
    MIXED = "?"
    """Cells contradict each other: an ambiguous cell is rejected."""


class CurrencyError(Exception):
    """A cell names a currency other than the US dollar; the message is that currency."""


_PLAIN = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d{1,6})?", re.IGNORECASE | re.ASCII)
"""Most numbers in a column whose decimal mark is the point."""

_MISSING = frozenset(
    {
        "", "-", "--", "---", "\u2013", "\u2014", "?", ".", "..", "...",
        "n/a", "na", "n.a.", "n.a", "nan", "nil",
        "null", "none", "inf", "infinity", "\u221e", "<na>", "\\n",
        "unknown", "undefined", "missing", "tbd", "tba",
        "#n/a", "#n/a n/a", "#na", "#div/0!", "#value!", "#ref!", "#name?", "#num!",
        "#null!", "nat",
    }
)  # fmt: skip
_NORMALIZED = str.maketrans(
    {
        # Spaces between groups of digits: no-break, narrow no-break, thin, figure.
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2008\u2002\u2003", " "),
        **dict.fromkeys("\u2212\u2010\u2011\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2019\u2018\u02bc\u00b4\u0060", "'"),
        "\ufeff": None,
        "\u200b": None,
    }
)
_DOLLARS = r"us\$|\$us|\$|usdt|usdc|usd|u\.s\. dollars?|us dollars?|dollars?"
_CELL = re.compile(
    rf"""(?P<open>\(?)\s*(?P<sign>[+-]?)\s*(?P<before>{_DOLLARS})?\s*(?P<later_sign>[+-]?)\s*
         (?P<digits>[\d.,' ]*\d[\d.,']*)(?P<exponent>e[+-]?\d{{1,6}})?
         \s*(?P<scale>thousand|millions?|mln|mio|mn|mm|m|billions?|bln|bn|b|trillions?|trn|tn|t|k)?
         \s*(?P<percent>%|per\ ?cent|pct)?\s*(?P<after>{_DOLLARS})?\s*(?P<close>\)?)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SCALES = {"k": 3, "m": 6, "b": 9, "t": 12}
_CURRENCY = re.compile(
    r"\b(EUR|GBP|JPY|CNY|RMB|KRW|INR|RUB|CHF|AUD|CAD|BRL|TRY|HKD|SGD|NZD|SEK|NOK|DKK|PLN|MXN|ZAR|IDR|THB|VND|UAH|AED|TWD"
    r"|PHP|NGN|ARS|BTC|ETH|BNB|SAT|SATS)\b|[\u20ac\u00a3\u00a5\u20a9\u20b9\u20bd\u20ba\u20b4\u20bf]|(?:A|C|R|HK|NZ|S)\$"
)
# A number does not begin with 0, and its last group has three digits. Indian groups before it have
# two.
_GROUPS = {
    mark: re.compile(r"[1-9]\d{0,2}(?:MARK\d{2,3})*MARK\d{3}".replace("MARK", re.escape(mark)))
    for mark in ",.' "
}


def is_missing(text: str) -> bool:
    """Return whether a cell means a missing number: empty, a dash, `N/A`, `+nan%`, `#DIV/0!`."""
    text = text.translate(_NORMALIZED).strip().lower()
    return text in _MISSING or text.strip("+-$% ") in _MISSING


def plain_number(text: str) -> Decimal | None:
    """Return the number of a cell of digits with a decimal point, None for any other cell."""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def read_cell(text: str, mark: Mark, path: str) -> tuple[Decimal | None, bool]:
    """Return the exact number of a cell, None if it is missing, and whether it is in per cent.

    Raises RecordError with `path`, and CurrencyError for an amount in another currency.
    """
    if mark is Mark.POINT and _PLAIN.fullmatch(text):
        return Decimal(text), False
    if is_missing(text):
        return None, False
    cell = text.translate(_NORMALIZED).strip()
    match = _CELL.fullmatch(cell)
    if (
        match is None
        or bool(match["open"]) != bool(match["close"])
        or (match["sign"] and match["later_sign"])
    ):
        if other := _CURRENCY.search(cell):
            raise CurrencyError(other[0])
        raise RecordError(f"{text[:40]!r} is not a number - at `{path}`")
    digits = _plain_digits(match["digits"].strip(), mark)
    if digits is None:
        raise RecordError(f"{text[:40]!r} can be read in two ways or in none - at `{path}`")
    sign = "-" if match["open"] or "-" in (match["sign"], match["later_sign"]) else ""
    number = Decimal(sign + digits + (match["exponent"] or ""))
    if match["scale"]:
        number = shift_point(
            number, _SCALES["k" if (scale := match["scale"].lower()) == "thousand" else scale[0]]
        )
    return number, bool(match["percent"])


def shift_point(number: Decimal, places: int) -> Decimal:
    """Return a finite number times ten to the power of `places`, with all its digits."""
    sign, digits, exponent = number.as_tuple()
    return Decimal((sign, digits, int(exponent) + places))


def _plain_digits(text: str, mark: Mark) -> str | None:
    """Return digits with a decimal point, None if they can be read in no way or in several."""
    if text.isdecimal():
        return text
    if mark is Mark.MIXED:
        decided = infer_mark(text) if "," in text or "." in text else Mark.POINT
        if decided is None:
            return None
        mark = decided
    elif mark is Mark.POINT and infer_mark(text) is Mark.COMMA:
        # The cell itself shows a decimal comma, and the column shows no other mark.
        mark = Mark.COMMA
    decimal, group = (".", ",") if mark is Mark.POINT else (",", ".")
    whole, _, fraction = text.partition(decimal)
    if not (fraction.isdecimal() or not fraction):
        return None
    for parting in (group, "'", " "):
        if parting in whole:
            if not _GROUPS[parting].fullmatch(whole):
                return None
            whole = whole.replace(parting, "")
    if whole and not whole.isdecimal():
        return None
    return f"{whole or '0'}.{fraction}" if fraction else whole


def infer_mark(text: str) -> Mark | None:
    """Return the decimal mark that a cell shows, None if it is ambiguous or has no mark.

    `64123,45` and `0,412` show a decimal comma, because no group has two digits or begins with 0.
    `3.120,50` shows it by the order of the marks. `1,234,567` shows a decimal point. `1,234` is
    ambiguous.
    """
    commas, points = text.count(","), text.count(".")
    if commas and points:
        last = Mark.COMMA if text.rfind(",") > text.rfind(".") else Mark.POINT
        return last if (commas if last is Mark.COMMA else points) == 1 else None
    if not commas and not points:
        return None
    sign, count = (",", commas) if commas else (".", points)
    as_decimal, as_group = (Mark.COMMA, Mark.POINT) if commas else (Mark.POINT, Mark.COMMA)
    grouped = _GROUPS[sign].fullmatch(text) is not None
    if count > 1:
        return as_group if grouped else None
    return None if grouped else as_decimal


_FIRST_NUMBER = re.compile(r"\d[\d.,]*|[.,]\d+")


def infer_marks(cells: list[str]) -> set[Mark]:
    """Return the decimal marks that the first number of each cell shows."""
    return {
        mark
        for cell in cells
        for match in (_FIRST_NUMBER.search(cell),)
        if match and (mark := infer_mark(match[0]))
    }
