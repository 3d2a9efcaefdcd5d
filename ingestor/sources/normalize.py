"""Normalisation of tickers, names, numbers and times, each by one rule for all sources."""

import datetime
import decimal
import functools
import unicodedata
from decimal import Decimal

from common.tickers import strip_edges, to_ticker
from ingestor.sources.records import RecordError
from ingestor.sources.times import parse_time, time_text

MAX_TICKER = 256
MAX_NAME = 512
MAX_EXTERNAL_ID = 256
"""Characters. Keys of an index: PostgreSQL's take 2,704 bytes."""

MAX_EXPONENT = 100
"""The largest power of ten of a number, either way; a ratio of two still fits a float."""

MAX_DIGITS = 1_000
"""Digits of a number; PostgreSQL keeps 16,383 behind the point."""

MAX_RANK = 2**31 - 1
FUTURE = datetime.timedelta(minutes=5)
"""How far a source's clock may run ahead of ours."""

GENERIC_WORDS = frozenset(
    {"token", "coin", "network", "protocol", "dao", "finance", "chain", "hub", "the"}
)
"""Words that do not distinguish assets.

Measured: with more words ("new", "v2") different assets match.
"""

_ZERO = Decimal(0)
_BOUNDS = decimal.Context(
    prec=MAX_DIGITS,
    Emin=-MAX_EXPONENT,
    Emax=MAX_EXPONENT,
    traps=[decimal.Overflow, decimal.Subnormal, decimal.Rounded],
)
"""Raises for a number out of bounds, in a sixth of the time that counting its digits takes."""
_CACHED = 32_768
"""Symbols and names in the cache: more than most sources have; they recur at each poll."""


@functools.lru_cache(maxsize=_CACHED)
def normalize_ticker(symbol: str, path: str = "$.symbol") -> str:
    """Return the symbol NFKC-normalised, without invisible edges, upper-cased.

    Raises RecordError with `path`.
    """
    _check_length(symbol, MAX_TICKER, path)
    ticker = to_ticker(symbol)
    if not ticker:
        raise RecordError(f"The symbol is empty - at `{path}`")
    _check_length(ticker, MAX_TICKER, path)
    return ticker


@functools.lru_cache(maxsize=_CACHED)
def normalize_name(name: str | None, path: str = "$.name") -> str | None:
    """Return the name without invisible edges, None where nothing is left.

    Raises RecordError with `path`.
    """
    if name is None:
        return None
    _check_length(name, MAX_NAME, path)
    return strip_edges(name) or None


def _check_length(text: str, most: int, path: str) -> None:
    if len(text) > most:
        raise RecordError(f"A text of {len(text)} characters is longer than {most} - at `{path}`")


class _WordCharacters(dict[int, int]):
    """For str.translate: letters, digits and marks of any script stay, the rest become spaces."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        # Without the marks (category M) Hindi would lose its vowels.
        self[code] = code if char.isalnum() or unicodedata.category(char)[0] == "M" else ord(" ")
        return self[code]


_WORD_CHARACTERS = _WordCharacters()


@functools.lru_cache(maxsize=_CACHED)
def name_key(name: str | None) -> tuple[str, str]:
    """Return the key of a name: its words, and its words without generic ones.

    Computed here and stored, because PostgreSQL's lower() and regular expressions depend on its
    locale.
    """
    text = name or ""
    if text.isascii():
        text = text.lower()
    else:
        # Twice: case-folding can undo the normalisation.
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # A name of symbols alone is its own word.
    words = text.translate(_WORD_CHARACTERS).split() or text.split()
    # "The Protocol" is generic throughout: then nothing is left out.
    core = [word for word in words if word not in GENERIC_WORDS] or words
    joined = " ".join(words)
    return joined, joined if len(core) == len(words) else " ".join(core)


def _bounded(number: Decimal | None, path: str) -> Decimal | None:
    """Return a finite number within bounds, None for a missing one. Raises RecordError."""
    if number is None:
        return None
    if not number.is_finite():
        raise RecordError(f"{number} is not a number - at `{path}`")
    if not number:
        return _ZERO
    try:
        _BOUNDS.plus(number)
    except decimal.DecimalException:
        message = f"A number of magnitude 1e{number.adjusted():+d} or too many digits - at `{path}`"
        raise RecordError(message) from None
    return number


def positive(number: Decimal | None, path: str) -> Decimal | None:
    """Return a number above 0; None for any other, since a source's 0 stands for unknown.

    Raises RecordError.
    """
    number = _bounded(number, path)
    return number if number is not None and number > _ZERO else None


def not_negative(number: Decimal | None, path: str) -> Decimal | None:
    """Return a number from 0 up, None for any other: a volume of 0 is a fact.

    Raises RecordError.
    """
    number = _bounded(number, path)
    return number if number is not None and number >= _ZERO else None


def signed(number: Decimal | None, path: str) -> Decimal | None:
    """Return a number of either sign, None for a missing one. Raises RecordError."""
    return _bounded(number, path)


def rank_of(number: Decimal | None, path: str) -> int | None:
    """Return a rank from 1 up, None for a missing one or 0.

    Raises RecordError for a broken number or a huge one.
    """
    number = positive(number, path)
    if number is None:
        return None
    if number != number.to_integral_value() or number > MAX_RANK:
        raise RecordError(f"A rank must be a whole number up to {MAX_RANK} - at `{path}`")
    return int(number)


def observed_at(
    time: str | float | None, fetched_at: datetime.datetime, path: str
) -> datetime.datetime:
    """Return when the source observed a record: `fetched_at` if it has no time, or a future one.

    A number is a count since 1970. Raises RecordError with `path`.
    """
    text = time if isinstance(time, str) else time_text(time)
    if not text or not text.strip():
        return fetched_at
    moment = parse_time(text, path)
    return moment if moment <= fetched_at + FUTURE else fetched_at
