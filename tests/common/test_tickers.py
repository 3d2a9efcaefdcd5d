"""A symbol with hidden or look-alike letters gets a ticker that cannot be confused with another."""

import gzip
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.tickers import ENCODED, to_ticker
from ingestor.sources.normalize import normalize_ticker

HIDDEN = "\u200b\u200d\u2060\u00ad\u202e\u2066\ufe0f\u034f\u3164\u115f\u2028\u0007\u0085\U000e0042"
LATIN, CYRILLIC = "BTCEHKMAOPXY", "ВТСЕНКМАОРХҮ"


def decoded(ticker: str) -> str:
    assert ticker.startswith(ENCODED)
    return ticker.removeprefix(ENCODED).lower().encode().decode("punycode").upper()


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        ("ВТС", "XN--E0A4AC"),
        ("BTС", "XN--BT-YJC"),
        ("ΒΤΧ", "XN--QWA0BJ"),
        ("BT\u200bC", "XN--BTC-6M0A"),
        ("B\u00adTC", None),
        ("usd\u2010c", None),
        ("ʙᴛᴄ", None),
        ("ꓐꓔꓚ", None),
        ("ᏴᎢᏟ", None),
    ],
)
def test_a_symbol_that_imitates_an_ascii_one_is_written_in_punycode(
    symbol: str, ticker: str | None
) -> None:
    found = to_ticker(symbol)
    assert found.startswith(ENCODED)
    assert found.isascii()
    assert ticker in (None, found)


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        ("ｂｔｃ", "BTC"),
        ("𝐁𝐓𝐂", "BTC"),
        ("𝔹𝕋ℂ", "BTC"),
        ("\u200bbtc\u3164", "BTC"),
        ("₿", "₿"),
        ("Ωpln", "ΩPLN"),
        ("ωmσga", "ΩMΣGA"),
        ("zerø", "ZERØ"),
        ("grōk", "GRŌK"),
        ("шайлушай", "ШАЙЛУШАЙ"),
        ("币安人生", "币安人生"),
        ("🐕", "🐕"),
        ("❤\ufe0f", "❤"),
        ("a b", "A B"),
        ("xn--e0a4ac", "XN--E0A4AC"),
    ],
)
def test_a_symbol_that_imitates_nothing_keeps_its_letters(symbol: str, ticker: str) -> None:
    assert to_ticker(symbol) == ticker


SYMBOLS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(HIDDEN + CYRILLIC + LATIN))
)


@given(SYMBOLS)
def test_a_tickers_ticker_is_itself(symbol: str) -> None:
    assert to_ticker(to_ticker(symbol)) == to_ticker(symbol)


@given(st.lists(st.integers(0, len(LATIN) - 1), min_size=1), st.data())
def test_no_mixture_of_alphabets_gives_the_ticker_that_it_looks_like(
    letters: list[int], data: st.DataObject
) -> None:
    alphabets = [data.draw(st.sampled_from([LATIN, CYRILLIC])) for _ in letters]
    symbol = "".join(one[at] for one, at in zip(alphabets, letters, strict=True))
    looks_like = "".join(LATIN[at] for at in letters)
    assert (to_ticker(symbol) == looks_like) == (symbol == looks_like)
    if symbol != looks_like:
        assert decoded(to_ticker(symbol)) == symbol


@given(st.text(LATIN, min_size=1), st.sampled_from(HIDDEN), st.text(LATIN, min_size=1))
def test_a_hidden_character_never_leaves_a_ticker_as_it_was(
    left: str, hidden: str, right: str
) -> None:
    ticker = to_ticker(left + hidden + right)
    assert ticker.startswith(ENCODED)
    assert ticker.isprintable()
    assert ticker != to_ticker(left + right)


def test_recorded_symbols_keep_their_letters(shared_recordings: Path) -> None:
    encoded, seen = set(), 0
    for path in sorted(shared_recordings.glob("coingecko-coins-list-*")):
        content = path.read_bytes()
        rows = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        for row in rows:
            seen += not row["symbol"].isascii()
            if row["symbol"] and (ticker := normalize_ticker(row["symbol"])).startswith(ENCODED):
                encoded.add((row["symbol"], ticker))
    assert seen > 100
    assert encoded == set()


def test_every_look_alike_is_a_ticker_in_its_normal_form() -> None:
    for character in CYRILLIC:
        assert unicodedata.normalize("NFKC", character) == character
        assert to_ticker(f"X{character}").startswith(ENCODED)
